/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IPv6: which addresses a station may send from, who is found by neighbour
 * discovery, the prefix of the network, and names of addresses. Addresses are
 * also checked against text that was made by hand.
 */
#include <arpa/inet.h>
#include <string.h>

#include "tests/unit/support.h"
#include "tests/unit/vnet/ports.h"
#include "vnet/packet.h"
#include "vnet/reply.h"

#define IP   14u
#define ICMP 54u

static struct ports p;
static struct vnet_station own, other;
static uint8_t q[VNET_REPLY_MAX], a[VNET_REPLY_MAX];
static uint32_t q_len, a_len;
static const uint8_t none[16];

static int setup(void **state)
{
	(void)state;
	ports_create(&p, 3);
	own = ports_station(0);
	other = ports_station(1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ports_destroy(&p);
	return 0;
}

static const struct vnet_plan *plan(void)
{
	return &p.of[0]->plan;
}

static enum vnet_verdict verdict(void)
{
	return vnet_filter(&own, plan(), q,
			   q_len < VNET_LOOK_BYTES ? q_len : VNET_LOOK_BYTES);
}

static bool answer(void)
{
	a_len = vnet_reply(p.of[0], "lan", q, q_len, a);
	return a_len > 0;
}

static void seal(uint8_t *frame, uint32_t bytes)
{
	uint32_t sum = PROTO_ICMP6 + bytes;

	vnet_put16(frame + ICMP + 2, 0);
	sum = vnet_csum_add(sum, frame + IP + IP6_SRC, 32);
	vnet_put16(frame + ICMP + 2,
		   vnet_csum_fold(vnet_csum_add(sum, frame + ICMP, bytes)));
}

static void icmp6(const uint8_t *src, unsigned type, uint32_t bytes)
{
	memset(q, 0, sizeof(q));
	q[0] = q[1] = 0x33;
	memcpy(q + ETH_SRC, own.mac, 6);
	vnet_put16(q + ETH_TYPE, ETHERTYPE_IP6);
	q[IP] = 0x60;
	vnet_put16(q + IP + IP6_LEN, bytes);
	q[IP + IP6_NEXT] = PROTO_ICMP6;
	q[IP + IP6_HOPS] = 255;
	memcpy(q + IP + IP6_SRC, src, 16);
	q[IP + IP6_DST] = 0xff;
	q[IP + IP6_DST + 15] = 2;
	q[ICMP] = (uint8_t)type;
	q_len = ICMP + bytes;
	seal(q, bytes);
}

static void who_has(const uint8_t *src, const uint8_t *target)
{
	icmp6(src, ICMP6_WHO, 24);
	memcpy(q + ICMP + 8, target, 16);
	seal(q, 24);
}

static void right_answer(void)
{
	uint32_t bytes = a_len - ICMP, sum = PROTO_ICMP6 + bytes;

	assert_memory_equal(a, own.mac, 6);
	assert_int_equal(vnet_get16(a + ETH_TYPE), ETHERTYPE_IP6);
	assert_int_equal(vnet_get16(a + IP + IP6_LEN), bytes);
	assert_int_equal(a[IP + IP6_HOPS], 255);
	sum = vnet_csum_add(sum, a + IP + IP6_SRC, 32);
	assert_int_equal(vnet_csum_fold(vnet_csum_add(sum, a + ICMP, bytes)),
			 0);
}

static void addresses_are_of_the_mac(void **state)
{
	static const uint8_t mac[6] = { 0x02, 0xd1, 0x0a, 0x01, 0x02, 0x03 };
	static const uint8_t prefix[8] = { 0xfd, 1, 2, 3, 4, 5, 0, 0 };
	uint8_t ip[16], want[16], again[8];

	(void)state;
	vnet_ip6(NULL, mac, ip);
	assert_int_equal(inet_pton(AF_INET6, "fe80::d1:aff:fe01:203", want), 1);
	assert_memory_equal(ip, want, 16);
	vnet_ip6(prefix, mac, ip);
	assert_int_equal(
		inet_pton(AF_INET6, "fd01:203:405:0:d1:aff:fe01:203", want), 1);
	assert_memory_equal(ip, want, 16);
	vnet_prefix6("lan", want);
	vnet_prefix6("wan", again);
	assert_int_equal(want[0], 0xfd);
	assert_memory_not_equal(want, again, 8);
	vnet_prefix6("lan", again);
	assert_memory_equal(want, again, 8);
}

static void own_addresses_may_send(void **state)
{
	uint8_t ip[16];

	(void)state;
	vnet_ip6(plan()->prefix6, own.mac, ip);
	icmp6(ip, 128, 8);
	assert_int_equal(verdict(), VNET_FORWARD);
	vnet_ip6(NULL, own.mac, ip);
	icmp6(ip, 128, 8);
	assert_int_equal(verdict(), VNET_FORWARD);
	icmp6(none, 128, 8);
	assert_int_equal(verdict(), VNET_FORWARD);
	vnet_ip6(plan()->prefix6, other.mac, ip);
	icmp6(ip, 128, 8);
	assert_int_equal(verdict(), VNET_REFUSE);
	/* Another network's prefix. */
	vnet_ip6(plan()->prefix6, own.mac, ip);
	ip[5] ^= 1;
	icmp6(ip, 128, 8);
	assert_int_equal(verdict(), VNET_REFUSE);
}

/* "I have @target", behind @nr headers of options. */
static void claims(const uint8_t *target, unsigned header, unsigned nr)
{
	uint8_t src[16], *at = q + ICMP;

	vnet_ip6(NULL, own.mac, src);
	icmp6(src, 0, 24 + 8 * nr);
	vnet_put16(at + 2, 0);
	for (unsigned i = 0; i < nr; i++, at += 8)
		at[0] = (uint8_t)(i + 1 < nr ? header : PROTO_ICMP6);
	if (nr)
		q[IP + IP6_NEXT] = (uint8_t)header;
	at[0] = ICMP6_ANSWER;
	memcpy(at + ICMP6_TARGET, target, 16);
}

/* Its receivers believe an advertisement, whoever the packet is from. */
static void a_station_claims_its_own_addresses_alone(void **state)
{
	static const unsigned headers[] = { IP6_HOP_OPTIONS, IP6_ROUTING,
					    IP6_FRAGMENT, IP6_DST_OPTIONS };
	uint8_t mine[16], theirs[16];

	(void)state;
	for (int global = 0; global < 2; global++) {
		const uint8_t *prefix = global ? plan()->prefix6 : NULL;

		vnet_ip6(prefix, own.mac, mine);
		vnet_ip6(prefix, other.mac, theirs);
		for (unsigned i = 0; i < ARRAY_SIZE(headers); i++)
			for (unsigned nr = 0; nr <= 6; nr++) {
				claims(mine, headers[i], nr);
				assert_int_equal(verdict(), VNET_FORWARD);
				claims(theirs, headers[i], nr);
				assert_int_equal(verdict(), VNET_REFUSE);
			}
	}
	/* Further back than a filter looks: nobody can tell. */
	claims(mine, IP6_DST_OPTIONS, 7);
	assert_int_equal(verdict(), VNET_REFUSE);
	claims(mine, IP6_DST_OPTIONS, 20);
	assert_int_equal(verdict(), VNET_REFUSE);
	/* Cut off. */
	for (q_len = ICMP; q_len < ICMP + 24; q_len++) {
		uint32_t cut = q_len;

		claims(theirs, 0, 0);
		q_len = cut;
		assert_int_equal(verdict(), VNET_REFUSE);
	}
	/* That it is a router, to which others send: nobody is. */
	for (unsigned nr = 0; nr <= 6; nr++) {
		claims(mine, IP6_DST_OPTIONS, nr);
		q[ICMP + 8 * nr] = ICMP6_ROUTER_ANSWER;
		assert_int_equal(verdict(), VNET_REFUSE);
	}
	/* Not what it looks like: a later fragment; a report of groups. */
	claims(theirs, IP6_FRAGMENT, 1);
	vnet_put16(q + ICMP + IP6_FRAG_OFFSET, 8);
	assert_int_equal(verdict(), VNET_FORWARD);
	claims(theirs, IP6_HOP_OPTIONS, 1);
	q[ICMP + 8] = 143;
	assert_int_equal(verdict(), VNET_FORWARD);
}

static void neighbours_are_found(void **state)
{
	uint8_t src[16], target[16];

	(void)state;
	vnet_ip6(NULL, own.mac, src);
	for (int global = 0; global < 2; global++) {
		vnet_ip6(global ? plan()->prefix6 : NULL, other.mac, target);
		who_has(src, target);
		assert_int_equal(verdict(), VNET_LOCAL);
		assert_true(answer());
		right_answer();
		assert_int_equal(a[ICMP], ICMP6_ANSWER);
		assert_int_equal(a[ICMP + 4], 0x60); /* solicited, override */
		assert_memory_equal(a + ICMP + 8, target, 16);
		assert_memory_equal(a + ICMP + 26, other.mac, 6);
		assert_memory_equal(a + IP + IP6_DST, src, 16);
	}
	/* Who looks whether its own address is free must get no answer. */
	vnet_ip6(plan()->prefix6, own.mac, target);
	who_has(none, target);
	assert_int_equal(verdict(), VNET_LOCAL);
	assert_false(answer());
	/* One that is in use: an answer to all, RFC 4862, 5.4.4. */
	vnet_ip6(plan()->prefix6, other.mac, target);
	who_has(none, target);
	assert_true(answer());
	right_answer();
	assert_int_equal(a[ICMP + 4], 0x20);
	assert_int_equal(a[IP + IP6_DST], 0xff);
	vnet_port_remove(p.of[0], 1, 1);
	who_has(src, target);
	assert_false(answer());
}

static void the_prefix_is_announced(void **state)
{
	uint8_t src[16];

	(void)state;
	vnet_ip6(NULL, own.mac, src);
	icmp6(src, ICMP6_ROUTER_WHO, 8);
	assert_int_equal(verdict(), VNET_LOCAL);
	assert_true(answer());
	right_answer();
	assert_int_equal(a[ICMP], ICMP6_ROUTER_ANSWER);
	assert_int_equal(vnet_get16(a + ICMP + 6), 0); /* no default route */
	assert_int_equal(a[ICMP + 5], 0);	       /* no DHCPv6 */
	assert_int_equal(a[ICMP + 32], 3);
	assert_int_equal(a[ICMP + 34], 64);
	assert_int_equal(a[ICMP + 35], 0xc0); /* on the link, and SLAAC */
	assert_memory_equal(a + ICMP + 48, plan()->prefix6, 8);
	assert_int_equal(a[IP + IP6_SRC], 0xfe);
}

static void wrong_questions_are_not_answered(void **state)
{
	uint8_t src[16], target[16];

	(void)state;
	vnet_ip6(NULL, own.mac, src);
	vnet_ip6(NULL, other.mac, target);
	who_has(src, target);
	q[IP + IP6_HOPS] = 254; /* from elsewhere */
	assert_false(answer());
	who_has(src, target);
	q[ICMP + 2] ^= 1;
	assert_false(answer());
	who_has(src, target);
	q[ICMP + 1] = 1;
	seal(q, 24);
	assert_false(answer());
	who_has(src, target);
	for (uint32_t len = q_len; len-- > 0;) {
		q_len = len;
		assert_false(answer());
	}
}

/* --- names --- */

/* @name: in labels, as it is sent. */
static void dns(const char *name, size_t len, unsigned type)
{
	uint8_t *ip = q + IP, *udp = ip + IP4_BYTES, *b = udp + UDP_BYTES;

	memset(q, 0, sizeof(q));
	memset(q, 0xff, 6);
	memcpy(q + ETH_SRC, own.mac, 6);
	vnet_put16(q + ETH_TYPE, ETHERTYPE_IP4);
	ip[0] = 0x45;
	vnet_put16(ip + IP4_LEN, (unsigned)(IP4_BYTES + UDP_BYTES + 16 + len));
	ip[IP4_PROTO] = PROTO_UDP;
	memcpy(ip + IP4_SRC, own.ip, 4);
	memcpy(ip + IP4_DST, plan()->server, 4);
	vnet_put16(udp + UDP_DPORT, PORT_DNS);
	vnet_put16(udp + UDP_LEN, (unsigned)(UDP_BYTES + 16 + len));
	b[5] = 1;
	memcpy(b + 12, name, len);
	vnet_put16(b + 12 + len, type);
	vnet_put16(b + 14 + len, 1);
	q_len = (uint32_t)(IP + IP4_BYTES + UDP_BYTES + 16 + len);
}

#define DNS_AT (IP + IP4_BYTES + UDP_BYTES)

static void names_have_addresses(void **state)
{
	uint8_t ip[16];

	(void)state;
	vnet_ip6(plan()->prefix6, other.mac, ip);
	dns("\4vm-1\3lan", 10, 28);
	assert_true(answer());
	assert_int_equal(vnet_get16(a + DNS_AT + 6), 1);
	assert_memory_equal(a + a_len - 16, ip, 16);
	/* Both kinds, where all are asked for. */
	dns("\4vm-1\3lan", 10, 255);
	assert_true(answer());
	assert_int_equal(vnet_get16(a + DNS_AT + 6), 2);
	/* It is there, but has nothing of the kind (MX). */
	dns("\4vm-1\3lan", 10, 15);
	assert_true(answer());
	assert_int_equal(vnet_get16(a + DNS_AT + 2) & 15, 0);
	assert_int_equal(vnet_get16(a + DNS_AT + 6), 0);
}

/* The name that @ip has in ip6.arpa, in labels. Return: its bytes. */
static size_t pointer_of(const uint8_t ip[16], char *name)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t n = 0;

	for (int i = 31; i >= 0; i--) {
		name[n++] = 1;
		name[n++] = digits[ip[i / 2] >> (i % 2 ? 0 : 4) & 15];
	}
	memcpy(name + n, "\3ip6\4arpa", 10);
	return n + 10;
}

static void addresses_have_names(void **state)
{
	char name[80];
	uint8_t ip[16];
	size_t len;

	(void)state;
	vnet_ip6(plan()->prefix6, other.mac, ip);
	len = pointer_of(ip, name);
	dns(name, len, 12);
	assert_true(answer());
	assert_int_equal(vnet_get16(a + DNS_AT + 6), 1);
	assert_memory_equal(a + a_len - 10, "\4vm-1\3lan", 10);
	vnet_ip6(plan()->prefix6, own.mac, ip);
	len = pointer_of(ip, name);
	dns(name, len, 12);
	assert_true(answer());
	assert_memory_equal(a + a_len - 10, "\4vm-0\3lan", 10);
	ip[15] ^= 0x40;
	len = pointer_of(ip, name);
	dns(name, len, 12);
	assert_true(answer());
	assert_int_equal(vnet_get16(a + DNS_AT + 2) & 15, 3);
	name[1] = 'x';
	dns(name, len, 12);
	assert_true(answer());
	assert_int_equal(vnet_get16(a + DNS_AT + 2) & 15, 3);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(addresses_are_of_the_mac),
		T(own_addresses_may_send),
		T(a_station_claims_its_own_addresses_alone),
		T(neighbours_are_found),
		T(the_prefix_is_announced),
		T(wrong_questions_are_not_answered),
		T(names_have_addresses),
		T(addresses_have_names),
	};

	return cmocka_run_group_tests_name("vnet_reply6", tests, NULL, NULL);
}
