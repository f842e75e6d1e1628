/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checksums that are left to be done: where they are written is the sender's choice,
 * and must be no part of a frame that a filter has looked at.
 */
#include <string.h>

#include "tests/unit/support.h"
#include "vnet/frame.h"
#include "vnet/packet.h"

#define IP 14u

static uint8_t frame[256];

static bool apart(unsigned start, uint32_t len)
{
	const struct vnet_hdr h = { .flags = VNET_HDR_NEEDS_CSUM,
				    .csum_start = (uint16_t)start };

	return vnet_hdr_is_apart(&h, frame,
				 len < VNET_LOOK_BYTES ? len : VNET_LOOK_BYTES);
}

static void frame_of(unsigned type, unsigned first, unsigned next)
{
	memset(frame, 0, sizeof(frame));
	vnet_put16(frame + ETH_TYPE, type);
	frame[IP] = (uint8_t)first;
	if (type == ETHERTYPE_IP6)
		frame[IP + IP6_NEXT] = (uint8_t)next;
}

static void ip4_headers_are_spared(void **state)
{
	(void)state;
	frame_of(ETHERTYPE_IP4, 0x45, 0);
	for (unsigned at = IP; at < 34; at++)
		assert_false(apart(at, 60));
	assert_true(apart(34, 60));
	frame[IP] = 0x4f; /* options */
	assert_false(apart(73, 100));
	assert_true(apart(74, 100));
	assert_false(apart(74, 20));
	/* Nothing to do: nothing is written. */
	assert_true(vnet_hdr_is_apart(&(struct vnet_hdr){ .csum_start = 0 },
				      frame, 14));
}

static void ip6_headers_are_spared(void **state)
{
	static const unsigned headers[] = { IP6_HOP_OPTIONS, IP6_ROUTING,
					    IP6_FRAGMENT, IP6_DST_OPTIONS };

	(void)state;
	frame_of(ETHERTYPE_IP6, 0x60, 6);
	for (unsigned at = IP; at < 54; at++)
		assert_false(apart(at, 80));
	assert_true(apart(54, 80));
	assert_false(apart(54, 40));
	for (unsigned i = 0; i < ARRAY_SIZE(headers); i++) {
		frame_of(ETHERTYPE_IP6, 0x60, headers[i]);
		frame[54] = PROTO_UDP;
		for (unsigned at = IP; at < 62; at++)
			assert_false(apart(at, 120));
		assert_true(apart(62, 120));
		/* They go on beyond what is looked at. */
		if (headers[i] == IP6_FRAGMENT)
			continue;
		frame[55] = 20;
		frame[54] = (uint8_t)headers[i];
		assert_false(apart(250, 250));
	}
}

static void what_claims_addresses_is_spared(void **state)
{
	(void)state;
	/* In ICMPv6 there are addresses as well. */
	frame_of(ETHERTYPE_IP6, 0x60, PROTO_ICMP6);
	for (unsigned at = IP; at < 100; at++)
		assert_false(apart(at, 120));
	frame_of(ETHERTYPE_IP6, 0x60, IP6_DST_OPTIONS);
	frame[54] = PROTO_ICMP6;
	assert_false(apart(62, 120));
	assert_false(apart(90, 120));
	frame_of(ETHERTYPE_ARP, 0, 0);
	for (unsigned at = IP; at < 60; at++)
		assert_false(apart(at, 60));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ip4_headers_are_spared),
		cmocka_unit_test(ip6_headers_are_spared),
		cmocka_unit_test(what_claims_addresses_is_spared),
	};

	return cmocka_run_group_tests_name("vnet_frame", tests, NULL, NULL);
}
