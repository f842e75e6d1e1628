/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a trunk makes of frames that no kernel would send: the device is a socket
 * here, of which the test has the other end. tests/unit/control/test_trunk.c has
 * a real device.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "monitor/uplink/trunk.h"
#include "tests/must.h"
#include "tests/unit/support.h"
#include "tests/unit/vnet/ports.h"
#include "vnet/packet.h"
#include "vnet/reply.h"

#define IP	14u
#define STATION 1u /* slot of a station; 0 is the trunk's, 2 another one's */
#define ROUNDS	20000u

static struct ports p;
static struct trunk *trunk;
static int device; /* its other end */
static uint8_t frame[VNET_FRAME_MAX + 2];
static uint64_t seed;

static uint32_t random_below(uint32_t n)
{
	/* xorshift64 */
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32) % n;
}

static int setup(void **state)
{
	int pair[2], bytes = 1 << 22;

	(void)state;
	seed = 88172645463325252ull;
	ports_create(&p, 3);
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) == 0);
	(void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	must(trunk_create(p.of[0], pair[0], &trunk) == 0);
	device = pair[1];
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	trunk_destroy(trunk);
	(void)close(device);
	ports_destroy(&p);
	return 0;
}

/* Of somebody behind the device, to the station. */
static void good_frame(uint32_t bytes)
{
	const struct vnet_station s = ports_station(STATION);
	static const uint8_t from[] = { 0x02, 0xee, 0, 0, 0, 9 };

	memset(frame, 0, sizeof(frame));
	memcpy(frame, s.mac, 6);
	memcpy(frame + ETH_SRC, from, 6);
	vnet_put16(frame + ETH_TYPE, ETHERTYPE_IP4);
	frame[IP] = 0x45;
	vnet_put16(frame + IP + IP4_LEN, bytes - IP);
	frame[IP + IP4_SRC] = 192;
	memcpy(frame + IP + IP4_DST, s.ip, 4);
}

/* Return: false: the socket is full, or it is too large for it. */
static bool device_sends(const struct vnet_hdr *h, uint32_t bytes)
{
	const struct iovec iov[] = {
		{ (void *)(uintptr_t)h, sizeof(*h) },
		{ frame, bytes },
	};

	return writev(device, iov, 2) > 0;
}

/* Frames that the station got; each is checked. */
static unsigned station_got(unsigned slot)
{
	struct vnet_frame f;
	unsigned n = 0;

	for (; vnet_port_next(p.of[slot], &f); n++) {
		assert_int_equal(f.from->slot, 0);
		assert_true(vnet_hdr_valid(&f.hdr, f.len));
		assert_false(f.hdr.flags & ~VNET_HDR_NEEDS_CSUM);
		assert_false(vnet_is_group(f.bytes + ETH_SRC));
		assert_null(vnet_port_by_mac(p.of[0], f.bytes + ETH_SRC));
		vnet_port_take(p.of[slot], &f);
	}
	vnet_port_settle(p.of[slot]);
	return n;
}

static void headers_are_checked(void **state)
{
	static const struct vnet_hdr wrong[] = {
		{ .flags = 1, .csum_start = 2 },
		{ .flags = 1, .csum_start = 90, .csum_offset = 16 },
		{ .flags = 1, .csum_start = 0xffff, .csum_offset = 0xffff },
		{ .gso_type = VNET_GSO_TCPV4, .gso_size = 1000 },
		{ .flags = 1, .gso_type = VNET_GSO_TCPV4, .csum_start = 34 },
		{ .flags = 1, .gso_type = 3, .gso_size = 9, .csum_start = 34 },
		{ .flags = 1,
		  .gso_type = VNET_GSO_TCPV6,
		  .gso_size = 9,
		  .hdr_len = 101,
		  .csum_start = 34 },
		{ .gso_type = VNET_GSO_ECN },
	};
	/* Flags and fields that mean nothing without others: dropped. */
	static const struct vnet_hdr odd = {
		.flags = 0xfe, .hdr_len = 9, .gso_size = 9, .csum_start = 9
	};

	(void)state;
	good_frame(100);
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_true(device_sends(&wrong[i], 100));
	(void)trunk_take_frames(trunk);
	assert_int_equal(station_got(STATION), 0);
	assert_int_equal(p.of[0]->stats.refused, ARRAY_SIZE(wrong));
	assert_true(device_sends(&odd, 100));
	(void)trunk_take_frames(trunk);
	assert_int_equal(station_got(STATION), 1);
}

static void lengths_are_checked(void **state)
{
	static const struct vnet_hdr none;

	(void)state;
	for (uint32_t bytes = 0; bytes < IP + IP4_BYTES; bytes++) {
		good_frame(100);
		assert_true(device_sends(&none, bytes));
		(void)trunk_take_frames(trunk);
		assert_int_equal(station_got(STATION), 0);
	}
	/* Less than a header. */
	assert_int_equal(send(device, &none, 3, 0), 3);
	(void)trunk_take_frames(trunk);
	good_frame(VNET_FRAME_MAX);
	assert_true(device_sends(&none, VNET_FRAME_MAX + 1));
	(void)trunk_take_frames(trunk);
	assert_int_equal(p.of[0]->stats.refused, IP + IP4_BYTES + 2);
	assert_int_equal(station_got(STATION), 0);
	assert_true(device_sends(&none, VNET_FRAME_MAX));
	(void)trunk_take_frames(trunk);
	assert_int_equal(station_got(STATION), 1);
	assert_false(trunk_is_gone(trunk));
}

/* An advertisement of @target, from somebody behind the device. */
static void make_claim(const uint8_t *prefix, const uint8_t *mac)
{
	static const uint8_t from[] = { 0x02, 0xee, 0, 0, 0, 9 };

	good_frame(100);
	vnet_put16(frame + ETH_TYPE, ETHERTYPE_IP6);
	memset(frame + IP, 0, 100 - IP);
	frame[IP] = 0x60;
	vnet_put16(frame + IP + IP6_LEN, 32);
	frame[IP + IP6_NEXT] = PROTO_ICMP6;
	frame[IP + IP6_HOPS] = 255;
	vnet_ip6(NULL, from, frame + IP + IP6_SRC);
	frame[IP + IP6_BYTES] = ICMP6_ANSWER;
	vnet_ip6(prefix, mac, frame + IP + IP6_BYTES + ICMP6_TARGET);
}

/* Return: whether the station gets it. */
static bool comes_in(void)
{
	static const struct vnet_hdr none;

	assert_true(device_sends(&none, 100));
	(void)trunk_take_frames(trunk);
	return station_got(STATION) == 1;
}

/* Of a station, or of the network: by its MAC, by IPv6, by an advertisement. */
static void no_address_of_the_network_comes_in(void **state)
{
	static const uint8_t foreign[] = { 0x02, 0xee, 0, 0, 0, 7 };
	const uint8_t *prefix = p.of[0]->plan.prefix6;
	const struct vnet_station s = ports_station(2);
	uint8_t server[6];

	(void)state;
	vnet_mac_of_ip(p.of[0]->plan.server, server);
	for (unsigned i = 0; i < 2; i++, prefix = NULL) {
		make_claim(prefix, foreign);
		assert_true(comes_in());
		make_claim(prefix, s.mac);
		assert_false(comes_in());
		make_claim(prefix, server);
		assert_false(comes_in());
		make_claim(prefix, foreign);
		vnet_ip6(prefix, server, frame + IP + IP6_SRC);
		assert_false(comes_in());
	}
	good_frame(100);
	memcpy(frame + ETH_SRC, server, 6);
	assert_false(comes_in());
	good_frame(100);
	assert_true(comes_in());
}

/* Good ones with some bytes changed, and of any length. */
static void any_bytes_are_a_frame_or_nothing(void **state)
{
	unsigned arrived = 0;

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct vnet_hdr h = { .flags = 0 };
		uint8_t *raw = (uint8_t *)&h;

		good_frame(200);
		for (unsigned n = random_below(4); n; n--)
			frame[random_below(60)] = (uint8_t)random_below(256);
		for (unsigned n = random_below(3); n; n--)
			raw[random_below(sizeof(h))] =
				(uint8_t)random_below(256);
		assert_true(device_sends(&h, random_below(200)));
		(void)trunk_take_frames(trunk);
		arrived += station_got(STATION);
		(void)station_got(2);
	}
	print_message("# %u of %u arrived\n", arrived, ROUNDS);
	assert_true(arrived > ROUNDS / 20 && arrived < ROUNDS);
}

/* One that takes nothing loses its own frames. */
static void a_slow_station_holds_nobody_up(void **state)
{
	static const struct vnet_hdr none;
	const struct vnet_station other = ports_station(2);
	unsigned got = 0;

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		good_frame(100);
		assert_true(device_sends(&none, 100));
		memcpy(frame, other.mac, 6);
		memcpy(frame + IP + IP4_DST, other.ip, 4);
		assert_true(device_sends(&none, 100));
		(void)trunk_take_frames(trunk);
		got += station_got(2);
	}
	assert_int_equal(got, 2000);
	assert_true(p.of[0]->stats.full > 0);
	assert_true(station_got(STATION) + p.of[0]->stats.full == 2000);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(headers_are_checked),
		T(lengths_are_checked),
		T(no_address_of_the_network_comes_in),
		T(any_bytes_are_a_frame_or_nothing),
		T(a_slow_station_holds_nobody_up),
	};

	return cmocka_run_group_tests_name("trunk_frames", tests, NULL, NULL);
}
