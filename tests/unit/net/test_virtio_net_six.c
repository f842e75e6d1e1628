/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IPv6 addresses that a guest chooses, as its device sees them: by what the guest
 * sends, and until it resets the device.
 */
#include <string.h>

#include "tests/unit/net/net_guests.h"
#include "tests/unit/net/net_pair.h"
#include "vnet/reply6.h"

#define IP   14u
#define ICMP 54u

static const uint8_t none[16];

static void address(unsigned n, uint8_t ip[16])
{
	memcpy(ip, p.of[2]->plan.prefix6, 8);
	memcpy(ip + 8, (const uint8_t[8]){ 0x5e, 0x21, 9, 1, 7 }, 8);
	ip[15] = (uint8_t)n;
}

/* Of a guest's, to all or to the third port. */
static void six(unsigned from, bool to_all, const uint8_t *src, unsigned type)
{
	struct vnet_station own = ports_station(from), to = ports_station(2);

	memset(frame, 0, 128);
	memcpy(frame, to_all ? (const uint8_t *)"\x33\x33\0\0\0\1" : to.mac, 6);
	memcpy(frame + ETH_SRC, own.mac, 6);
	vnet_put16(frame + ETH_TYPE, ETHERTYPE_IP6);
	frame[IP] = 0x60;
	vnet_put16(frame + IP + IP6_LEN, 24);
	frame[IP + IP6_NEXT] = PROTO_ICMP6;
	frame[IP + IP6_HOPS] = 255;
	memcpy(frame + IP + IP6_SRC, src, 16);
	frame[IP + IP6_DST] = 0xff;
	frame[IP + IP6_DST + 15] = 1;
	frame[ICMP] = (uint8_t)type;
}

/* Duplicate address detection. */
static void probe(struct net_guest *g, unsigned from, const uint8_t *ip)
{
	six(from, true, none, ICMP6_WHO);
	memcpy(frame + ICMP + ICMP6_TARGET, ip, 16);
	vnet_put16(frame + ICMP + 2, vnet_icmp6_sum(frame + IP, 24));
	put(g, NULL, frame, ICMP + 24, 4096);
	sent(g);
}

/* Did the third port get what a guest sends from an address? */
static bool arrives(struct net_guest *g, unsigned from, const uint8_t *ip,
		    const struct vnet_hdr *h)
{
	struct vnet_frame f;
	bool came;

	six(from, false, ip, 128);
	put(g, h, frame, ICMP + 24, 4096);
	sent(g);
	came = vnet_port_next(p.of[2], &f);
	if (came)
		vnet_port_take(p.of[2], &f);
	return came;
}

static void an_address_is_one_guests(void **state)
{
	uint8_t ip[16];

	(void)state;
	address(1, ip);
	give(&a, 4, 2048);
	give(&b, 4, 2048);
	probe(&a, 0, ip);
	assert_int_equal(got(&a, &hdr, in, NULL), 0); /* it is free */
	assert_true(arrives(&a, 0, ip, NULL));
	probe(&b, 1, ip);
	assert_int_equal(got(&b, &hdr, in, NULL), 86); /* it is not */
	assert_int_equal(in[ICMP], ICMP6_ANSWER);
	assert_memory_equal(in + ICMP + ICMP6_TARGET, ip, 16);
	assert_false(arrives(&b, 1, ip, NULL));
	assert_int_equal(net_guest_stats(&b)->refused, 1);
	assert_false(arrives(&b, 1, none,
			     &(struct vnet_hdr){ .flags = 1,
						 .csum_start = IP,
						 .csum_offset = IP6_SRC }));
	assert_int_equal(net_guest_stats(&b)->refused, 2);
}

static void it_ends_with_the_driver(void **state)
{
	uint8_t ip[16];

	(void)state;
	address(1, ip);
	probe(&a, 0, ip);
	assert_false(arrives(&b, 1, ip, NULL));
	net_guest_start(&a, NET_FEATURES, 3, QUEUE); /* it resets the device */
	assert_true(arrives(&b, 1, ip, NULL));
	assert_false(arrives(&a, 0, ip, NULL));
}

static void claims_are_shown(void **state)
{
	_Atomic(uint64_t) words[NET_SHOWN];
	struct net_guest c;
	uint8_t ip[16];

	(void)state;
	memset(words, 0, sizeof(words));
	memset(&c, 0, sizeof(c));
	address(3, ip);
	fake_host_create(&c.h, MIB(8));
	must(virtio_net_create(&c.h.host, p.of[2], NET, words, 1, &c.net) == 0);
	p.of[2] = virtio_net_port(a.net); /* for its plan */
	driver_attach(&c.d, &c.h, virtio_net_dev(c.net));
	driver_start(&c.d, NET_FEATURES, 3, QUEUE);
	(void)fake_host_run(&c.h);
	probe(&c, 2, ip);
	assert_true(words[NET_SHOWN_CLAIMS + VNET_CLAIMS_LINK] ==
		    vnet_ip6_half(ip));
	driver_start(&c.d, NET_FEATURES, 3, QUEUE);
	(void)fake_host_run(&c.h);
	six(2, true, none, ICMP6_ROUTER_WHO);
	put(&c, NULL, frame, ICMP + 24, 4096);
	assert_true(words[NET_SHOWN_CLAIMS + VNET_CLAIMS_LINK] == 0);
	p.of[2] = NULL;
	virtio_net_destroy(c.net);
	fake_host_destroy(&c.h);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(an_address_is_one_guests),
		T(it_ends_with_the_driver),
		T(claims_are_shown),
	};

	return cmocka_run_group_tests_name("virtio_net_six", tests, NULL, NULL);
}
