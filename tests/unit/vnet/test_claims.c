/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IPv6 addresses that stations choose: who gets one, for how long, and that nobody
 * takes one of another station, by what a guest sends or by what a worker that was
 * taken over writes into its region.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "tests/must.h"
#include "tests/unit/support.h"
#include "tests/unit/vnet/ports.h"
#include "vnet/packet.h"
#include "vnet/reply.h"
#include "vnet/reply6.h"

#define IP	14u
#define ICMP	54u
#define NR	4u
#define SECOND	1000000000ull
#define RACES	1000000u
#define SCRIBES 20000u

static struct ports p;
static uint8_t q[VNET_REPLY_MAX], a[VNET_REPLY_MAX];
static uint32_t q_len, a_len;
static const uint8_t none[16];

static int setup(void **state)
{
	(void)state;
	ports_create(&p, NR);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ports_destroy(&p);
	return 0;
}

/* An address that a station might choose; @prefix NULL: link-local. */
static const uint8_t *chosen(const uint8_t *prefix, unsigned n)
{
	static uint8_t ip[2][16];
	static unsigned turn;
	uint8_t *at = ip[turn++ % 2];

	vnet_ip6(prefix, (const uint8_t[6]){ 0 }, at);
	memcpy(at + 8, (const uint8_t[8]){ 0x5e, 0x21, 9, 1, 7 }, 8);
	vnet_put16(at + 14, n);
	return at;
}

static const uint8_t *global(unsigned n)
{
	return chosen(p.of[0]->plan.prefix6, n);
}

/* --- what a guest sends --- */

static void icmp6(unsigned who, const uint8_t *src, unsigned type)
{
	struct vnet_station own = ports_station(who);

	memset(q, 0, sizeof(q));
	q[0] = q[1] = 0x33;
	memcpy(q + ETH_SRC, own.mac, 6);
	vnet_put16(q + ETH_TYPE, ETHERTYPE_IP6);
	q[IP] = 0x60;
	vnet_put16(q + IP + IP6_LEN, 24);
	q[IP + IP6_NEXT] = PROTO_ICMP6;
	q[IP + IP6_HOPS] = 255;
	memcpy(q + IP + IP6_SRC, src, 16);
	q[IP + IP6_DST] = 0xff;
	q[IP + IP6_DST + 15] = 1;
	q[ICMP] = (uint8_t)type;
	q_len = ICMP + 24;
}

static void seal(void)
{
	vnet_put16(q + ICMP + 2, 0);
	vnet_put16(q + ICMP + 2, vnet_icmp6_sum(q + IP, 24));
}

static enum vnet_verdict verdict(unsigned who)
{
	return vnet_port_filter(p.of[who], q,
				(uint32_t)min_u64(q_len, VNET_LOOK_BYTES));
}

/* Any packet. */
static enum vnet_verdict sends(unsigned who, const uint8_t *src)
{
	icmp6(who, src, 128);
	return verdict(who);
}

/* @src ::, is it free? Else, who has it? Return: there is an answer. */
static bool asks(unsigned who, const uint8_t *src, const uint8_t *target)
{
	icmp6(who, src, ICMP6_WHO);
	memcpy(q + ICMP + ICMP6_TARGET, target, 16);
	seal();
	assert_int_equal(verdict(who), VNET_LOCAL);
	a_len = vnet_reply(p.of[who], "lan", q, q_len, a);
	return a_len > 0;
}

static bool is_free_for(unsigned who, const uint8_t *target)
{
	return !asks(who, none, target);
}

static enum vnet_verdict advertises(unsigned who, const uint8_t *src,
				    const uint8_t *target)
{
	icmp6(who, src, ICMP6_ANSWER);
	memcpy(q + ICMP + ICMP6_TARGET, target, 16);
	return verdict(who);
}

static void planned(unsigned who, bool link, uint8_t ip[16])
{
	struct vnet_station s = ports_station(who);

	vnet_ip6(link ? NULL : p.of[0]->plan.prefix6, s.mac, ip);
}

/* Whom @who's worker takes @ip to be. Return: a slot; -1: nobody. */
static int owner(unsigned who, const uint8_t *ip)
{
	const struct vnet_peer *peer = vnet_port_by_ip6(p.of[who], ip);

	return peer ? (int)peer->slot : -1;
}

/* --- one address --- */

static void who_asks_first_gets_it(void **state)
{
	uint8_t src[16];

	(void)state;
	for (int link = 0; link < 2; link++) {
		const uint8_t *ip = link ? chosen(NULL, 7) : global(7);

		assert_true(is_free_for(0, ip));
		assert_int_equal(sends(0, ip), VNET_FORWARD);
		assert_int_equal(advertises(0, ip, ip), VNET_FORWARD);
		/* Nobody else, by any way. */
		assert_false(is_free_for(1, ip));
		assert_int_equal(a[ICMP], ICMP6_ANSWER);
		assert_memory_equal(a + ICMP + 26, ports_station(0).mac, 6);
		assert_int_equal(sends(1, ip), VNET_REFUSE);
		planned(1, link, src);
		assert_int_equal(advertises(1, src, ip), VNET_REFUSE);
		assert_int_equal(advertises(1, none, ip), VNET_REFUSE);
		/* It is found there. */
		assert_true(asks(1, src, ip));
		assert_memory_equal(a + ICMP + 26, ports_station(0).mac, 6);
		assert_int_equal(owner(2, ip), 0);
		/* It asks again, as after a moment without a link. */
		assert_true(is_free_for(0, ip));
	}
}

static void an_address_is_claimed_by_its_use(void **state)
{
	const uint8_t *ip = global(9);

	(void)state;
	assert_int_equal(owner(1, ip), -1);
	assert_int_equal(sends(0, ip), VNET_FORWARD);
	assert_int_equal(owner(1, ip), 0);
	assert_false(is_free_for(1, ip));
}

static void planned_addresses_are_never_claimed(void **state)
{
	static const uint8_t nobodys_mac[6] = { 2, 0xd1, 10, 1, 2, 200 };
	uint8_t ip[16], src[16];

	(void)state;
	for (int link = 0; link < 2; link++) {
		planned(1, link, ip);
		assert_int_equal(sends(0, ip), VNET_REFUSE);
		assert_false(is_free_for(0, ip));
		/* A VM that may be started later. */
		vnet_ip6(link ? NULL : p.of[0]->plan.prefix6, nobodys_mac, ip);
		assert_int_equal(sends(0, ip), VNET_REFUSE);
		assert_false(is_free_for(0, ip));
		/* The network itself. */
		vnet_mac_of_ip(p.of[0]->plan.server, src);
		vnet_ip6(link ? NULL : p.of[0]->plan.prefix6, src, ip);
		assert_int_equal(sends(0, ip), VNET_REFUSE);
		assert_false(is_free_for(0, ip));
		/* For groups of routers, and reserved. */
		memset(ip + 8, 0, 8);
		assert_int_equal(sends(0, ip), VNET_REFUSE);
		memset(ip + 8, 0xff, 8);
		ip[8] = 0xfd;
		assert_int_equal(sends(0, ip), VNET_REFUSE);
	}
	/* Of another prefix, a group, one that is nearly link-local. */
	memcpy(ip, global(3), 16);
	ip[3] ^= 1;
	assert_int_equal(sends(0, ip), VNET_REFUSE);
	ip[0] = 0xff;
	assert_int_equal(sends(0, ip), VNET_REFUSE);
	memcpy(ip, chosen(NULL, 3), 16);
	ip[7] = 1;
	assert_int_equal(sends(0, ip), VNET_REFUSE);
	for (unsigned i = 0; i < VNET_CLAIM_WORDS; i++)
		assert_int_equal(p.of[0]->shared->claimed.words[i], 0);
}

static void it_ends_with_the_link(void **state)
{
	uint8_t ip[16];

	(void)state;
	memcpy(ip, global(5), 16);
	assert_true(is_free_for(0, ip));
	assert_int_equal(owner(1, ip), 0);
	vnet_port_forget(p.of[0]);
	assert_int_equal(owner(1, ip), -1);
	assert_true(is_free_for(1, ip));
	assert_false(is_free_for(0, ip));
	/* And with the port. */
	vnet_port_remove(p.of[0], 1, 0);
	vnet_port_remove(p.of[2], 1, 0);
	assert_int_equal(owner(2, ip), -1);
	assert_true(is_free_for(0, ip));
}

/* --- the budget --- */

static void a_flood_hurts_nobody_else(void **state)
{
	unsigned got = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		got += sends(0, global(i)) == VNET_FORWARD;
	assert_int_equal(got, VNET_CLAIMS_PREFIX);
	for (unsigned i = 0; i < 1000; i++)
		got += sends(0, chosen(NULL, i)) == VNET_FORWARD;
	assert_int_equal(got, VNET_CLAIMS);
	/* The guest is told that it does not get more. */
	assert_false(is_free_for(0, global(2000)));
	assert_int_equal(sends(0, global(2000)), VNET_REFUSE);
	assert_int_equal(owner(1, global(2000)), -1);
	/* Those that it has are in use; others have their own. */
	assert_int_equal(sends(0, global(0)), VNET_FORWARD);
	for (unsigned i = 0; i < VNET_CLAIMS_PREFIX; i++)
		assert_int_equal(sends(1, global(1000 + i)), VNET_FORWARD);
	assert_int_equal(sends(1, global(0)), VNET_REFUSE);
}

static void what_rests_gives_way(void **state)
{
	uint64_t now = 1000 * SECOND;

	(void)state;
	for (unsigned i = 0; i < VNET_CLAIMS_PREFIX; i++)
		assert_int_equal(vnet_port_claim(p.of[0], global(i), now), 0);
	/* All were used a moment ago. */
	assert_int_equal(vnet_port_claim(p.of[0], global(100), now), -ENOSPC);
	now += 59 * SECOND;
	assert_int_equal(vnet_port_claim(p.of[0], global(100), now), -ENOSPC);
	/* All but one are used. */
	for (unsigned i = 0; i < VNET_CLAIMS_PREFIX; i++)
		if (i != 3)
			assert_int_equal(sends(0, global(i)), VNET_FORWARD);
	now += 2 * SECOND;
	assert_int_equal(vnet_port_claim(p.of[0], global(100), now), 0);
	assert_int_equal(owner(1, global(3)), -1);
	assert_int_equal(owner(1, global(4)), 0);
	assert_int_equal(vnet_port_claim(p.of[0], global(101), now), -ENOSPC);
	/* One that another port has takes nothing away. */
	assert_int_equal(vnet_port_claim(p.of[1], global(7000), now), 0);
	now += 1000 * SECOND;
	assert_int_equal(vnet_port_claim(p.of[0], global(7000), now), -EEXIST);
	assert_int_equal(owner(1, global(0)), 0);
}

/* --- a strict plan --- */

static void a_strict_plan_has_none(void **state)
{
	struct vnet_frame f;
	uint8_t ip[16], src[16];
	struct vnet_buf b;

	(void)state;
	memcpy(ip, global(4), 16);
	p.of[0]->plan.planned6 = true;
	assert_int_equal(vnet_port_claim(p.of[0], ip, 0), -EPERM);
	assert_int_equal(sends(0, ip), VNET_REFUSE);
	assert_false(is_free_for(0, ip));
	planned(0, false, src);
	assert_int_equal(sends(0, src), VNET_FORWARD);
	/* Nor does it believe others, while these believe each other. */
	assert_true(is_free_for(1, ip));
	assert_int_equal(owner(2, ip), 1);
	assert_int_equal(owner(0, ip), -1);
	assert_int_equal(sends(1, ip), VNET_FORWARD);
	for (int believed = 0; believed < 2; believed++) {
		planned(1, false, src);
		icmp6(1, believed ? src : ip, 128);
		assert_int_equal(
			vnet_port_room(p.of[1], p.of[1]->peers[0], q_len), 0);
		vnet_port_begin(p.of[1], q_len, &b);
		memcpy(b.bytes, q, q_len);
		vnet_port_send(p.of[1], &b, p.of[1]->peers[0], q_len, false);
		vnet_port_flush(p.of[1]);
		assert_int_equal(vnet_port_next(p.of[0], &f), believed);
		if (believed)
			vnet_port_take(p.of[0], &f);
	}
	assert_int_equal(p.of[0]->stats.bad, 1);
}

/* --- ports that do not know each other yet --- */

static void the_older_port_keeps_it(void **state)
{
	const uint8_t *ip = global(6);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		vnet_port_destroy(p.of[i]);
		(void)close(p.reader[i]);
		(void)close(p.waker[i]);
		ports_open(&p, i, 20 - i); /* port 1 is older */
	}
	assert_true(is_free_for(0, ip));
	assert_true(is_free_for(1, ip));
	/* The older one hears of the younger one first. */
	must(ports_introduce(&p, 1, 0, 20) == 0);
	assert_true(vnet_port_has_ip6(p.of[1], ip));
	assert_true(vnet_port_has_ip6(p.of[0], ip));
	must(ports_introduce(&p, 0, 1, 19) == 0);
	assert_false(vnet_port_has_ip6(p.of[0], ip));
	assert_true(vnet_port_has_ip6(p.of[1], ip));
	assert_int_equal(owner(0, ip), 1);
	/* It claims what the younger one has claimed meanwhile: a sweep. */
	vnet_port_remove(p.of[1], 0, 0);
	ip = global(8);
	assert_true(is_free_for(0, ip));
	assert_true(is_free_for(1, ip));
	vnet_port_sweep(p.of[0]);
	assert_false(vnet_port_has_ip6(p.of[0], ip));
	assert_int_equal(sends(0, ip), VNET_REFUSE);
}

struct racer {
	pthread_t thread;
	struct vnet_port *port;
	unsigned got, both;
};

static uint8_t race_ip[16];
static atomic_uint race_holders;

/* Claims and gives back, as fast as it can, and looks whether it is alone. */
static void *race(void *arg)
{
	struct racer *r = arg;

	for (unsigned i = 0; i < RACES; i++) {
		if (vnet_port_claim(r->port, race_ip, 0) == 0) {
			r->got++;
			r->both += atomic_fetch_add(&race_holders, 1) != 0;
			(void)atomic_fetch_sub(&race_holders, 1);
		}
		vnet_port_forget(r->port);
	}
	return NULL;
}

static void two_at_once_do_not_both_get_it(void **state)
{
	struct racer r[2] = { { .port = p.of[0] }, { .port = p.of[1] } };

	(void)state;
	memcpy(race_ip, global(1), sizeof(race_ip));
	for (int i = 0; i < 2; i++)
		must(pthread_create(&r[i].thread, NULL, race, &r[i]) == 0);
	for (int i = 0; i < 2; i++)
		must(pthread_join(r[i].thread, NULL) == 0);
	assert_true(r[0].got + r[1].got > 0);
	assert_int_equal(r[0].both + r[1].both, 0);
}

/* --- workers that were taken over --- */

static void write_word(unsigned who, unsigned i, uint64_t v)
{
	atomic_store(&p.of[who]->shared->claimed.words[i], v);
}

static void a_word_takes_nothing_over(void **state)
{
	uint8_t ip[16], theirs[16];
	uint64_t half;

	(void)state;
	memcpy(ip, global(2), 16);
	half = vnet_ip6_half(ip);
	assert_true(is_free_for(0, ip));
	assert_int_equal(owner(2, ip), 0); /* port 3 has not asked */
	write_word(1, VNET_CLAIMS_LINK, half);
	assert_int_equal(owner(2, ip), 0);
	assert_true(vnet_peer_has_ip6(p.of[2], p.of[2]->peers[0], ip));
	assert_false(vnet_peer_has_ip6(p.of[2], p.of[2]->peers[1], ip));
	assert_int_equal(sends(0, ip), VNET_FORWARD);
	assert_int_equal(owner(0, ip), -1); /* its own */
	assert_false(is_free_for(2, ip));
	/* Whoever sees both for the first time believes neither. */
	assert_int_equal(owner(3, ip), -1);
	/* A planned one is nobody else's, whatever a word says. */
	planned(0, false, theirs);
	write_word(1, VNET_CLAIMS_LINK + 1, vnet_ip6_half(theirs));
	assert_int_equal(owner(2, theirs), 0);
	assert_false(vnet_peer_has_ip6(p.of[2], p.of[2]->peers[1], theirs));
	/* A word of one kind is none of the other. */
	write_word(3, 0, vnet_ip6_half(global(90)));
	assert_int_equal(owner(2, global(90)), -1);
	assert_int_equal(owner(2, chosen(NULL, 90)), 3);
}

static void who_is_no_station_claims_nothing(void **state)
{
	struct vnet_station s = { .ip = { 10, 1, 2, 1 } };
	const uint8_t *ip = global(2);

	(void)state;
	vnet_mac_of_ip(s.ip, s.mac);
	/* Port 2 is the uplink, and port 3 the trunk. */
	vnet_port_remove(p.of[0], 2, 0);
	vnet_port_remove(p.of[0], 3, 0);
	must(vnet_port_add(p.of[0], 253, 2, &s, dup(p.reader[2]),
			   dup(p.waker[2])) == 0);
	s.ip[0] = 0;
	s.mac[0] ^= 8;
	must(vnet_port_add(p.of[0], VNET_SLOT_TRUNK, 2, &s, dup(p.reader[3]),
			   dup(p.waker[3])) == 0);
	write_word(2, VNET_CLAIMS_LINK, vnet_ip6_half(ip));
	write_word(3, VNET_CLAIMS_LINK, vnet_ip6_half(ip));
	assert_int_equal(owner(0, ip), -1);
	assert_true(is_free_for(0, ip));
}

/* A port that writes at random cannot take what others hold, nor end them. */
static void random_words(void **state)
{
	uint64_t seed = 88172645463325252ull;
	uint8_t ip[16];

	(void)state;
	memcpy(ip, global(0), 16);
	assert_true(is_free_for(0, ip));
	assert_int_equal(owner(2, ip), 0);
	for (unsigned i = 0; i < SCRIBES; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		write_word(1, (unsigned)(seed >> 40) % VNET_CLAIM_WORDS,
			   seed & 1 ? vnet_ip6_half(global(seed >> 20 & 31))
				    : seed);
		must(owner(2, ip) == 0);
		must(sends(0, ip) == VNET_FORWARD);
		(void)owner(2, global(seed >> 30 & 31));
		(void)sends(2, global(seed >> 35 & 31));
		vnet_port_named_ip6(p.of[2], p.of[2]->peers[1], a);
		vnet_claims_review(p.of[0]);
	}
	assert_true(vnet_port_has_ip6(p.of[0], ip));
}

/* --- packets that no kernel would send --- */

static void questions_behind_headers_are_refused(void **state)
{
	static const unsigned headers[] = { IP6_HOP_OPTIONS, IP6_ROUTING,
					    IP6_FRAGMENT, IP6_DST_OPTIONS };
	static const unsigned types[] = { ICMP6_ROUTER_WHO, ICMP6_WHO };
	uint8_t theirs[16];

	(void)state;
	planned(1, false, theirs);
	for (unsigned h = 0; h < ARRAY_SIZE(headers); h++)
		for (unsigned t = 0; t < ARRAY_SIZE(types); t++) {
			/* That another station might take for its own probe. */
			icmp6(0, none, types[t]);
			q[IP + IP6_NEXT] = (uint8_t)headers[h];
			memmove(q + ICMP + 8, q + ICMP, 24);
			memset(q + ICMP, 0, 8);
			q[ICMP] = PROTO_ICMP6;
			memcpy(q + ICMP + 16, theirs, 16);
			q_len = ICMP + 32;
			assert_int_equal(verdict(0), VNET_REFUSE);
		}
	/* A claim there counts like any other. */
	for (unsigned h = 0; h < ARRAY_SIZE(headers); h++) {
		const uint8_t *ip = global(h);

		icmp6(0, none, ICMP6_ANSWER);
		q[IP + IP6_NEXT] = (uint8_t)headers[h];
		q[ICMP] = PROTO_ICMP6;
		q[ICMP + 8] = ICMP6_ANSWER;
		memcpy(q + ICMP + 8 + ICMP6_TARGET, ip, 16);
		q_len = ICMP + 32;
		assert_int_equal(verdict(0), VNET_FORWARD);
		assert_int_equal(owner(1, ip), 0);
		memcpy(q + ETH_SRC, ports_station(1).mac, 6);
		assert_int_equal(verdict(1), VNET_REFUSE);
	}
	/* Cut off: no claim, and nothing is read behind its end. */
	icmp6(0, none, ICMP6_WHO);
	memcpy(q + ICMP + ICMP6_TARGET, global(70), 16);
	for (q_len = ICMP + 1; q_len < ICMP + 24; q_len++)
		assert_int_equal(verdict(0), VNET_LOCAL);
	assert_int_equal(owner(1, global(70)), -1);
	/* From one's own address, to take one of somebody else. */
	planned(0, false, theirs);
	icmp6(0, theirs, ICMP6_WHO);
	memcpy(q + ICMP + ICMP6_TARGET, global(71), 16);
	assert_int_equal(verdict(0), VNET_LOCAL);
	assert_int_equal(owner(1, global(71)), -1);
}

/* --- names, and the way out --- */

static void names_are_of_addresses_in_use(void **state)
{
	uint8_t ip[16], mine[16];

	(void)state;
	planned(1, false, mine);
	vnet_port_named_ip6(p.of[0], p.of[0]->peers[1], ip);
	assert_memory_equal(ip, mine, 16);
	/* It does not use that one: the first of its own. */
	assert_true(is_free_for(1, chosen(NULL, 1)));
	assert_true(is_free_for(1, global(1)));
	assert_true(is_free_for(1, global(2)));
	vnet_port_named_ip6(p.of[0], p.of[0]->peers[1], ip);
	assert_memory_equal(ip, global(1), 16);
	vnet_port_named_ip6(p.of[1], NULL, ip);
	assert_memory_equal(ip, global(1), 16);
	/* Now it does. */
	assert_true(is_free_for(1, mine));
	vnet_port_named_ip6(p.of[0], p.of[0]->peers[1], ip);
	assert_memory_equal(ip, mine, 16);
	vnet_port_named_ip6(p.of[1], NULL, ip);
	assert_memory_equal(ip, mine, 16);
}

static unsigned route_seconds(unsigned who)
{
	icmp6(who, none, ICMP6_ROUTER_WHO);
	seal();
	assert_int_equal(verdict(who), VNET_LOCAL);
	a_len = vnet_reply(p.of[who], "lan", q, q_len, a);
	assert_int_equal(a_len, VNET_ADVERT_BYTES);
	assert_int_equal(a[ICMP], ICMP6_ROUTER_ANSWER);
	assert_int_equal(vnet_icmp6_sum(a + IP, a_len - ICMP), 0);
	return vnet_get16(a + ICMP + 6);
}

static void the_uplink_says_whether_it_leads_to_ip6(void **state)
{
	struct vnet_station s = { .ip = { 10, 1, 2, 1 } };
	uint8_t ip[16], src[16];

	(void)state;
	vnet_mac_of_ip(s.ip, s.mac);
	vnet_port_remove(p.of[0], 2, 0);
	must(vnet_port_add(p.of[0], 253, 2, &s, dup(p.reader[2]),
			   dup(p.waker[2])) == 0);
	vnet_port_set_routes6(p.of[2], true);
	assert_int_equal(route_seconds(0), 0); /* it has no uplink */
	p.of[0]->plan.routed = true;
	assert_int_equal(route_seconds(0), VNET_ROUTER_SECONDS);
	/* A neighbour that has no router flag is no default router. */
	vnet_ip6(NULL, s.mac, ip);
	planned(0, true, src);
	assert_true(asks(0, src, ip));
	assert_int_equal(a[ICMP + 4], 0xe0);
	p.of[0]->plan.routed4 = true;
	assert_int_equal(route_seconds(0), 0);
	p.of[0]->plan.routed4 = false;
	vnet_port_set_routes6(p.of[2], false);
	assert_int_equal(route_seconds(0), 0);
	assert_true(asks(0, src, ip));
	assert_int_equal(a[ICMP + 4], 0x60);
	vnet_port_set_routes6(p.of[2], true);
	vnet_port_remove(p.of[0], 253, 0);
	assert_int_equal(route_seconds(0), 0);
	/* Another station's word is none. */
	vnet_port_set_routes6(p.of[1], true);
	assert_int_equal(route_seconds(0), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(who_asks_first_gets_it),
		T(an_address_is_claimed_by_its_use),
		T(planned_addresses_are_never_claimed),
		T(it_ends_with_the_link),
		T(a_flood_hurts_nobody_else),
		T(what_rests_gives_way),
		T(a_strict_plan_has_none),
		T(the_older_port_keeps_it),
		T(two_at_once_do_not_both_get_it),
		T(a_word_takes_nothing_over),
		T(who_is_no_station_claims_nothing),
		T(random_words),
		T(questions_behind_headers_are_refused),
		T(names_are_of_addresses_in_use),
		T(the_uplink_says_whether_it_leads_to_ip6),
	};

	return cmocka_run_group_tests_name("vnet_claims", tests, NULL, NULL);
}
