/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which addresses the VMs of a network have.
 *
 * A subnet is the operator's (subnet=10.1.0.0/24), or 10.x.y.0/24, made from the
 * network's name. Its first address is the network's own. A station has a slot,
 * and the address that belongs to the slot, or one of the operator's choice. The
 * plan remembers which VM had which slot last, and gives it to no other VM as
 * long as there are slots that nobody had: so a VM that is started again has the
 * address that it had.
 *
 * Context of all functions: control's thread.
 */
#ifndef DISCO_MONITOR_NET_PLAN_H
#define DISCO_MONITOR_NET_PLAN_H

#include "disco/limits.h"
#include "vnet/frame.h"

#define NET_STATIONS_MAX 253u /* of a network; the slots after it are ours */
#define NET_TEXT_MAX	 20u  /* bytes of an address or a subnet as text */

/* The last station of a slot. */
struct net_past {
	char name[VM_NAME_MAX + 1]; /* of the VM; "": there was none */
	uint8_t ip[4];
	uint64_t when; /* of net_plan.clock */
};

struct net_plan {
	uint8_t subnet[4];
	uint8_t bits;
	bool given;   /* by the operator */
	bool planned; /* by the operator: no other IPv6 addresses */
	uint64_t clock;
	struct net_past past[NET_STATIONS_MAX];
};

/* Is a slot, or an address, in use by a VM that runs or starts? */
struct net_used {
	bool (*slot)(const void *arg, uint32_t slot);
	bool (*ip)(const void *arg, const uint8_t ip[4]);
	const void *arg;
};

/* A subnet as of net_subnet_parse(); what was remembered of another is void. */
void net_plan_set(struct net_plan *p, const uint8_t subnet[4], unsigned bits);
bool net_plan_has(const struct net_plan *p, const uint8_t ip[4]);
/* The network's own address. */
void net_plan_server(const struct net_plan *p, uint8_t ip[4]);

/**
 * net_plan_pick() - an address for a VM
 * @name: of the VM
 * @want: the operator's choice; NULL: any
 * @slot: out: 0 .. NET_STATIONS_MAX - 1
 *
 * Return: 0; -ERANGE @want is no address of a station in this subnet; -EEXIST it
 * is in use; -ENOSPC all slots are.
 */
MUST_CHECK int net_plan_pick(const struct net_plan *p, const char *name,
			     const uint8_t want[4], const struct net_used *used,
			     uint32_t *slot, uint8_t ip[4]);

/* A VM has them from now on. */
void net_plan_remember(struct net_plan *p, uint32_t slot, const char *name,
		       const uint8_t ip[4]);

/* Format an address. Return: @buf. */
const char *net_mac_text(const uint8_t mac[VNET_MAC_BYTES],
			 char buf[NET_TEXT_MAX]);
const char *net_ip_text(const uint8_t ip[4], char buf[NET_TEXT_MAX]);
/* "10.1.0.0/24" */
const char *net_subnet_text(const struct net_plan *p, char buf[NET_TEXT_MAX]);

/* Parse "02:00:00:00:00:01", no group address. Return: false: it is none. */
bool net_mac_parse(const char *text, uint8_t mac[VNET_MAC_BYTES]);
/* Parse "10.1.0.5". Return: false: it is no address. */
bool net_ip_parse(const char *text, uint8_t ip[4]);
/*
 * Parse "10.1.0.0/24", with VNET_BITS_MIN .. _MAX bits. Return: false: it is no
 * subnet, or of addresses that no station has (0/8, 127/8, 224/3).
 */
bool net_subnet_parse(const char *text, uint8_t subnet[4], unsigned *bits);

/* A port of the host that leads to one of a VM. */
struct net_publish {
	bool ip6;
	uint8_t host_ip[VNET_IP6_BYTES]; /* the first 4, of IPv4 */
	uint16_t host_port, guest_port;
	bool udp;
};

/*
 * Take the first of "[ADDRESS:]PORT:PORT[/tcp|/udp],..." off @text; an ADDRESS of
 * IPv6 is in brackets, as in "[::1]:2222:22". Return: 1; 0 there are no more;
 * -EINVAL it is none.
 */
MUST_CHECK int net_publish_next(const char **text, struct net_publish *out);

#endif
