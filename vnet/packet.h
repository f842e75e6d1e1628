/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Offsets in the packets that the network itself reads or answers; each is from
 * the start of the header that it is named after. Sources: RFC 791, 768, 826,
 * 792, 8200, 2131, 1035.
 */
#ifndef DISCO_VNET_PACKET_H
#define DISCO_VNET_PACKET_H

#define ETH_DST	      0
#define ETH_SRC	      6
#define ETH_TYPE      12
#define ETHERTYPE_IP4 0x0800u
#define ETHERTYPE_ARP 0x0806u
#define ETHERTYPE_IP6 0x86ddu

#define ARP_OP	   6
#define ARP_SHA	   8 /* hardware and protocol address of the sender */
#define ARP_SPA	   14
#define ARP_THA	   18 /* and of the target */
#define ARP_TPA	   24
#define ARP_BYTES  28u
#define ARP_WHO	   1u
#define ARP_ANSWER 2u

#define IP4_LEN	   2
#define IP4_FRAG   6
#define IP4_TTL	   8
#define IP4_PROTO  9
#define IP4_CSUM   10
#define IP4_SRC	   12
#define IP4_DST	   16
#define IP4_BYTES  20u /* without options */
#define PROTO_ICMP 1u
#define PROTO_UDP  17u

#define IP6_LEN	    4
#define IP6_NEXT    6
#define IP6_HOPS    7
#define IP6_SRC	    8
#define IP6_DST	    24
#define IP6_BYTES   40u
#define PROTO_ICMP6 58u

/* RFC 8200, 4: headers before that of the protocol, in units of 8 bytes */
#define IP6_HOP_OPTIONS 0u
#define IP6_ROUTING	43u
#define IP6_FRAGMENT	44u
#define IP6_NOTHING	59u
#define IP6_DST_OPTIONS 60u
#define IP6_UNIT	8u
#define IP6_FRAG_OFFSET 2 /* of the fragment's header */
#define IP6_OFFSET_MASK 0xfff8u

/* RFC 4861, 4 */
#define ICMP6_ROUTER_WHO    133u
#define ICMP6_ROUTER_ANSWER 134u
#define ICMP6_WHO	    135u
#define ICMP6_ANSWER	    136u
#define ICMP6_TARGET	    8 /* address that is asked for, or claimed */

#define UDP_SPORT 0
#define UDP_DPORT 2
#define UDP_LEN	  4
#define UDP_CSUM  6
#define UDP_BYTES 8u

#define PORT_DNS	 53u
#define PORT_DHCP_SERVER 67u
#define PORT_DHCP_CLIENT 68u

#endif
