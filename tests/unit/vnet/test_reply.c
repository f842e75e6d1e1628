/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a station may send, and what the network answers: ARP, DHCP, DNS, ping.
 * Answers are checked by their own checksums.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/vnet/ports.h"
#include "vnet/packet.h"
#include "vnet/reply.h"

#define NET "lan"
#define IP  14u /* offsets in a frame */
#define UDP 34u
#define APP 42u

static struct ports p;
static struct vnet_station own, other;
static const uint8_t server[4] = { 10, 1, 2, 1 };
static uint8_t q[VNET_REPLY_MAX], a[VNET_REPLY_MAX];
static uint32_t q_len, a_len;

static int setup(void **state)
{
	(void)state;
	ports_create(&p, 3);
	own = ports_station(0);
	other = ports_station(1);
	memset(q, 0, sizeof(q));
	memset(a, 0, sizeof(a));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ports_destroy(&p);
	return 0;
}

static enum vnet_verdict verdict(void)
{
	return vnet_filter(&own, &p.of[0]->plan, q,
			   q_len < VNET_LOOK_BYTES ? q_len : VNET_LOOK_BYTES);
}

static bool answer(void)
{
	a_len = vnet_reply(p.of[0], NET, q, q_len, a);
	return a_len > 0;
}

/* --- questions --- */

static void ethernet(unsigned type)
{
	memset(q, 0xff, 6);
	memcpy(q + ETH_SRC, own.mac, 6);
	vnet_put16(q + ETH_TYPE, type);
}

static void arp(const uint8_t spa[4], const uint8_t tpa[4])
{
	static const uint8_t kind[] = { 0, 1, 8, 0, 6, 4, 0, 1 };

	ethernet(ETHERTYPE_ARP);
	memcpy(q + IP, kind, sizeof(kind));
	memcpy(q + IP + ARP_SHA, own.mac, 6);
	memcpy(q + IP + ARP_SPA, spa, 4);
	memset(q + IP + ARP_THA, 0, 6);
	memcpy(q + IP + ARP_TPA, tpa, 4);
	q_len = IP + ARP_BYTES;
}

static void ip4(const uint8_t src[4], const uint8_t dst[4], unsigned proto,
		uint32_t bytes)
{
	ethernet(ETHERTYPE_IP4);
	memset(q + IP, 0, IP4_BYTES);
	q[IP] = 0x45;
	vnet_put16(q + IP + IP4_LEN, IP4_BYTES + bytes);
	q[IP + IP4_TTL] = 64;
	q[IP + IP4_PROTO] = (uint8_t)proto;
	memcpy(q + IP + IP4_SRC, src, 4);
	memcpy(q + IP + IP4_DST, dst, 4);
	q_len = IP + IP4_BYTES + bytes;
}

static void udp(const uint8_t src[4], const uint8_t dst[4], unsigned dport,
		uint32_t bytes)
{
	ip4(src, dst, PROTO_UDP, UDP_BYTES + bytes);
	vnet_put16(q + UDP + UDP_SPORT, 4444);
	vnet_put16(q + UDP + UDP_DPORT, dport);
	vnet_put16(q + UDP + UDP_LEN, UDP_BYTES + bytes);
}

static const uint8_t none[4], all[4] = { 255, 255, 255, 255 };

/* @options: @len bytes, without an end. */
static void dhcp(const uint8_t *options, uint32_t len)
{
	static const uint8_t magic[] = { 99, 130, 83, 99 };
	uint8_t *b = q + APP;

	memset(b, 0, 240);
	b[0] = 1;
	b[1] = 1;
	b[2] = 6;
	memset(b + 4, 0x5a, 4);
	memcpy(b + 28, own.mac, 6);
	memcpy(b + 236, magic, 4);
	memcpy(b + 240, options, len);
	b[240 + len] = 255;
	udp(none, all, 67, 241 + len);
}

/* @name: in labels, as it is sent. */
static void dns(const char *name, size_t len, unsigned type)
{
	uint8_t *b = q + APP;

	memset(b, 0, 12);
	b[0] = 0x12;
	b[1] = 0x34;
	b[2] = 1; /* recursion desired */
	b[5] = 1;
	memcpy(b + 12, name, len);
	vnet_put16(b + 12 + len, type);
	vnet_put16(b + 14 + len, 1);
	udp(own.ip, server, 53, (uint32_t)(16 + len));
}

#define DNS(name, type) dns(name, sizeof(name), type)

/* --- answers --- */

static void right_ip4(unsigned proto)
{
	uint32_t bytes = a_len - IP - IP4_BYTES, sum;

	assert_memory_equal(a, own.mac, 6);
	assert_int_equal(vnet_get16(a + ETH_TYPE), ETHERTYPE_IP4);
	assert_int_equal(vnet_get16(a + IP + IP4_LEN), a_len - IP);
	assert_int_equal(a[IP + IP4_PROTO], proto);
	assert_memory_equal(a + IP + IP4_SRC, server, 4);
	assert_int_equal(vnet_csum_fold(vnet_csum_add(0, a + IP, IP4_BYTES)),
			 0);
	if (proto != PROTO_UDP)
		return;
	assert_int_equal(vnet_get16(a + UDP + UDP_LEN), bytes);
	assert_int_not_equal(vnet_get16(a + UDP + UDP_CSUM), 0);
	sum = vnet_csum_add(PROTO_UDP + bytes, a + IP + IP4_SRC, 8);
	assert_int_equal(vnet_csum_fold(vnet_csum_add(sum, a + UDP, bytes)), 0);
}

static const uint8_t *option(unsigned code, unsigned len)
{
	const uint8_t *o = a + APP + 240;

	while (*o != 255) {
		if (*o == code) {
			assert_int_equal(o[1], len);
			return o + 2;
		}
		o += 2 + o[1];
	}
	return NULL;
}

/* --- the source filter --- */

static void own_packets_are_forwarded(void **state)
{
	(void)state;
	ip4(own.ip, other.ip, 6, 20);
	assert_int_equal(verdict(), VNET_FORWARD);
	/* To the network, it is for us. */
	ip4(own.ip, server, 6, 20);
	assert_int_equal(verdict(), VNET_LOCAL);
	ip4(own.ip, all, PROTO_UDP, 20);
	assert_int_equal(verdict(), VNET_FORWARD);
}

static void foreign_addresses_are_refused(void **state)
{
	(void)state;
	ip4(other.ip, own.ip, 6, 20);
	assert_int_equal(verdict(), VNET_REFUSE);
	ip4(server, own.ip, 6, 20);
	assert_int_equal(verdict(), VNET_REFUSE);
	ip4(none, other.ip, 6, 20);
	assert_int_equal(verdict(), VNET_REFUSE);
	ip4(own.ip, other.ip, 6, 20);
	memcpy(q + ETH_SRC, other.mac, 6);
	assert_int_equal(verdict(), VNET_REFUSE);
	arp(other.ip, own.ip);
	assert_int_equal(verdict(), VNET_REFUSE);
	arp(own.ip, other.ip);
	memcpy(q + IP + ARP_SHA, other.mac, 6);
	assert_int_equal(verdict(), VNET_REFUSE);
}

static void other_kinds_are_refused(void **state)
{
	static const unsigned types[] = { 0x8100, 0x88a8, 0x0026, 0xffff, 0 };

	(void)state;
	ip4(own.ip, other.ip, 6, 20);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		vnet_put16(q + ETH_TYPE, types[i]);
		assert_int_equal(verdict(), VNET_REFUSE);
	}
	vnet_put16(q + ETH_TYPE, ETHERTYPE_IP6);
	assert_int_equal(verdict(), VNET_REFUSE); /* version 4 inside */
	ip4(own.ip, other.ip, 6, 20);
	q[IP] = 0x44; /* a header of 16 bytes */
	assert_int_equal(verdict(), VNET_REFUSE);
}

static void link_local_ipv6_is_forwarded(void **state)
{
	uint8_t *src = q + IP + IP6_SRC;

	(void)state;
	ethernet(ETHERTYPE_IP6);
	memset(q + IP, 0, IP6_BYTES);
	q[IP] = 0x60;
	q[IP + IP6_NEXT] = 59; /* nothing comes after it */
	q_len = IP + IP6_BYTES;
	assert_int_equal(verdict(), VNET_FORWARD); /* from :: */
	src[0] = 0xfe;
	src[1] = 0x80;
	src[8] = own.mac[0] ^ 2;
	src[9] = own.mac[1];
	src[10] = own.mac[2];
	src[11] = 0xff;
	src[12] = 0xfe;
	memcpy(src + 13, own.mac + 3, 3);
	assert_int_equal(verdict(), VNET_FORWARD);
	src[15] ^= 1;
	assert_int_equal(verdict(), VNET_REFUSE);
}

static void short_frames_are_refused(void **state)
{
	(void)state;
	for (int kind = 0; kind < 2; kind++) {
		uint32_t whole;

		if (kind)
			arp(own.ip, other.ip);
		else
			ip4(own.ip, other.ip, 6, 0);
		whole = q_len;
		for (q_len = 0; q_len < whole; q_len++)
			assert_int_equal(verdict(), VNET_REFUSE);
	}
}

static void headers_point_into_their_frame(void **state)
{
	struct vnet_hdr h = { .flags = VNET_HDR_NEEDS_CSUM,
			      .gso_type = VNET_GSO_TCPV4,
			      .hdr_len = 54,
			      .gso_size = 1448,
			      .csum_start = 34,
			      .csum_offset = 16 };

	(void)state;
	assert_true(vnet_hdr_valid(&h, 54));
	assert_false(vnet_hdr_valid(&h, 53));
	h.csum_offset = 19;
	assert_false(vnet_hdr_valid(&h, 54));
	h.csum_offset = 0xffff;
	h.csum_start = 0xffff;
	assert_false(vnet_hdr_valid(&h, VNET_FRAME_MAX));
	h.csum_start = 13;
	h.csum_offset = 16;
	assert_false(vnet_hdr_valid(&h, 54));
	h.csum_start = 34;
	h.gso_size = 0;
	assert_false(vnet_hdr_valid(&h, 54));
	h.gso_size = 1;
	h.gso_type = VNET_GSO_ECN;
	assert_false(vnet_hdr_valid(&h, 54));
	h.gso_type = 3; /* UFO */
	assert_false(vnet_hdr_valid(&h, 54));
	h.gso_type = VNET_GSO_TCPV6 | VNET_GSO_ECN;
	assert_true(vnet_hdr_valid(&h, 54));
	h.flags = 0;
	assert_false(vnet_hdr_valid(&h, 54));
	h.flags = 4;
	h.gso_type = VNET_GSO_NONE;
	assert_false(vnet_hdr_valid(&h, 54));
}

static void checksums_are_completed(void **state)
{
	const struct vnet_hdr h = { .flags = VNET_HDR_NEEDS_CSUM,
				    .csum_start = UDP,
				    .csum_offset = UDP_CSUM };
	uint32_t pseudo, sum;

	(void)state;
	for (uint32_t bytes = 0; bytes < 9; bytes++) {
		udp(own.ip, other.ip, 9, bytes);
		memset(q + APP, 0x77, bytes);
		pseudo = vnet_csum_add(PROTO_UDP + UDP_BYTES + bytes,
				       q + IP + IP4_SRC, 8);
		vnet_put16(q + UDP + UDP_CSUM,
			   (uint16_t)~vnet_csum_fold(pseudo));
		vnet_csum_complete(&h, q, q_len);
		sum = vnet_csum_add(pseudo, q + UDP, UDP_BYTES + bytes);
		assert_int_equal(vnet_csum_fold(sum), 0);
	}
}

/* --- ARP and ping --- */

static void arp_knows_ports_and_the_network(void **state)
{
	const uint8_t nobody[4] = { 10, 1, 2, 99 };
	uint8_t mac[6];

	(void)state;
	arp(own.ip, other.ip);
	assert_int_equal(verdict(), VNET_LOCAL);
	assert_true(answer());
	assert_int_equal(a_len, IP + ARP_BYTES);
	assert_int_equal(vnet_get16(a + IP + ARP_OP), ARP_ANSWER);
	assert_memory_equal(a + IP + ARP_SHA, other.mac, 6);
	assert_memory_equal(a + IP + ARP_SPA, other.ip, 4);
	assert_memory_equal(a + IP + ARP_THA, own.mac, 6);
	assert_memory_equal(a + IP + ARP_TPA, own.ip, 4);
	arp(own.ip, server);
	assert_true(answer());
	vnet_mac_of_ip(server, mac);
	assert_memory_equal(a + IP + ARP_SHA, mac, 6);
	arp(own.ip, nobody);
	assert_false(answer());
	/* Who looks whether its own address is free must get no answer. */
	arp(none, own.ip);
	assert_int_equal(verdict(), VNET_LOCAL);
	assert_false(answer());
	vnet_port_remove(p.of[0], 1, 1);
	arp(own.ip, other.ip);
	assert_false(answer());
}

static void the_network_answers_ping(void **state)
{
	(void)state;
	ip4(own.ip, server, PROTO_ICMP, 64);
	memset(q + UDP, 0x33, 64);
	q[UDP] = 8;
	q[UDP + 1] = 0;
	assert_true(answer());
	right_ip4(PROTO_ICMP);
	assert_int_equal(a[UDP], 0);
	assert_int_equal(vnet_csum_fold(vnet_csum_add(0, a + UDP, 64)), 0);
	assert_memory_equal(a + UDP + 4, q + UDP + 4, 60);
	q[UDP] = 0; /* an answer */
	assert_false(answer());
}

/* --- DHCP --- */

static void dhcp_offers_and_acknowledges(void **state)
{
	const uint8_t discover[] = { 53, 1, 1 };
	uint8_t request[] = { 53, 1, 3, 50, 4, 0, 0, 0, 0 };
	const uint8_t mask[4] = { 255, 255, 255, 0 };

	(void)state;
	dhcp(discover, sizeof(discover));
	assert_int_equal(verdict(), VNET_LOCAL);
	assert_true(answer());
	right_ip4(PROTO_UDP);
	assert_int_equal(*option(53, 1), 2);
	assert_memory_equal(a + APP + 16, own.ip, 4);
	assert_memory_equal(a + APP + 4, "ZZZZ", 4);
	memcpy(request + 5, own.ip, 4);
	dhcp(request, sizeof(request));
	assert_true(answer());
	right_ip4(PROTO_UDP);
	assert_int_equal(*option(53, 1), 5);
	assert_memory_equal(option(1, 4), mask, 4);
	assert_memory_equal(option(6, 4), server, 4);
	assert_memory_equal(option(54, 4), server, 4);
	assert_memory_equal(option(12, 4), "vm-0", 4);
	assert_memory_equal(option(15, 3), NET, 3);
	assert_null(option(3, 4)); /* there is no router */
	assert_null(option(80, 0));
	memcpy(request + 5, other.ip, 4);
	dhcp(request, sizeof(request));
	assert_true(answer());
	assert_int_equal(*option(53, 1), 6);
	assert_memory_equal(a + IP + IP4_DST, all, 4);
}

/* A network that leads further has a router, and any length of prefix. */
static void dhcp_follows_the_plan(void **state)
{
	const uint8_t discover[] = { 53, 1, 1, 80, 0 };
	const uint8_t mask[4] = { 255, 255, 240, 0 };

	(void)state;
	p.of[0]->plan.bits = 20;
	p.of[0]->plan.routed = true;
	dhcp(discover, sizeof(discover));
	assert_true(answer());
	assert_memory_equal(option(1, 4), mask, 4);
	assert_memory_equal(option(3, 4), server, 4);
}

static void dhcp_commits_rapidly(void **state)
{
	const uint8_t discover[] = { 0, 53, 1, 1, 80, 0 };

	(void)state;
	dhcp(discover, sizeof(discover));
	assert_true(answer());
	right_ip4(PROTO_UDP);
	assert_int_equal(*option(53, 1), 5);
	assert_non_null(option(80, 0));
}

static void wrong_dhcp_is_not_answered(void **state)
{
	const uint8_t cut[] = { 53, 200, 1 }, release[] = { 53, 1, 7 };
	const uint8_t discover[] = { 53, 1, 1 };

	(void)state;
	dhcp(cut, sizeof(cut));
	assert_false(answer());
	dhcp(release, sizeof(release));
	assert_false(answer());
	dhcp(discover, 0);
	assert_false(answer());
	dhcp(discover, sizeof(discover));
	q[APP + 28] ^= 4; /* another station's */
	assert_false(answer());
	dhcp(discover, sizeof(discover));
	q[APP] = 2;
	assert_false(answer());
}

/* --- DNS --- */

static void names_have_addresses(void **state)
{
	(void)state;
	DNS("\4vm-1", 1);
	assert_int_equal(verdict(), VNET_LOCAL);
	assert_true(answer());
	right_ip4(PROTO_UDP);
	assert_int_equal(vnet_get16(a + UDP + UDP_DPORT), 4444);
	assert_int_equal(vnet_get16(a + APP), 0x1234);
	assert_int_equal(vnet_get16(a + APP + 2), 0x8580);
	assert_int_equal(vnet_get16(a + APP + 6), 1);
	assert_memory_equal(a + a_len - 4, other.ip, 4);
	DNS("\4VM-0\3Lan", 1);
	assert_true(answer());
	assert_memory_equal(a + a_len - 4, own.ip, 4);
}

static void unknown_names_do_not_exist(void **state)
{
	(void)state;
	DNS("\4vm-9", 1);
	assert_true(answer());
	assert_int_equal(vnet_get16(a + APP + 2) & 15, 3);
	DNS("\4vm-1\3com", 1);
	assert_true(answer());
	assert_int_equal(vnet_get16(a + APP + 2) & 15, 3);
	DNS("\5vm-10", 1);
	assert_true(answer());
	assert_int_equal(vnet_get16(a + APP + 2) & 15, 3);
}

static void addresses_have_names(void **state)
{
	(void)state;
	DNS("\1"
	    "3\1"
	    "2\1"
	    "1\2"
	    "10\7in-addr\4arpa",
	    12);
	assert_true(answer());
	right_ip4(PROTO_UDP);
	assert_int_equal(vnet_get16(a + APP + 6), 1);
	assert_memory_equal(a + a_len - 10, "\4vm-1\3lan", 10);
	DNS("\2"
	    "99\1"
	    "2\1"
	    "1\2"
	    "10\7in-addr\4arpa",
	    12);
	assert_true(answer());
	assert_int_equal(vnet_get16(a + APP + 2) & 15, 3);
}

static void wrong_questions_are_not_answered(void **state)
{
	(void)state;
	DNS("\300\14", 1); /* compressed */
	assert_false(answer());
	DNS("\77vm", 1);
	assert_false(answer());
	DNS("\4vm-1", 1);
	q[APP + 2] = 0x80; /* an answer */
	assert_false(answer());
	DNS("\4vm-1", 1);
	q[APP + 5] = 2; /* two questions */
	assert_false(answer());
	DNS("\4vm-1", 1);
	q[IP + IP4_FRAG] = 0x20; /* a fragment */
	assert_false(answer());
	/* Cut anywhere. */
	DNS("\4vm-1", 1);
	for (uint32_t len = q_len; len-- > 0;) {
		q_len = len;
		assert_false(answer());
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(own_packets_are_forwarded),
		T(foreign_addresses_are_refused),
		T(other_kinds_are_refused),
		T(link_local_ipv6_is_forwarded),
		T(short_frames_are_refused),
		T(headers_point_into_their_frame),
		T(checksums_are_completed),
		T(arp_knows_ports_and_the_network),
		T(the_network_answers_ping),
		T(dhcp_offers_and_acknowledges),
		T(dhcp_commits_rapidly),
		T(dhcp_follows_the_plan),
		T(wrong_dhcp_is_not_answered),
		T(names_have_addresses),
		T(unknown_names_do_not_exist),
		T(addresses_have_names),
		T(wrong_questions_are_not_answered),
	};

	return cmocka_run_group_tests_name("vnet_reply", tests, NULL, NULL);
}
