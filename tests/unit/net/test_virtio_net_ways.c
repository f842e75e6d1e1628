/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where else frames go: to ports that end, to the uplink and the trunk, into
 * dumps; and what is counted.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disco/net_dump.h"
#include "tests/unit/net/net_guests.h"
#include "tests/unit/net/net_pair.h"

static void ports_come_and_go(void **state)
{
	(void)state;
	tcp(0, 1, 60);
	for (unsigned i = 0; i < VNET_RING_SLOTS; i++) {
		put(&a, NULL, frame, 60, 4096);
		sent(&a);
	}
	put(&a, NULL, frame, 60, 4096); /* waits */
	virtio_net_remove_port(a.net, 1, 1);
	sent(&a);
	assert_int_equal(net_guest_stats(&a)->unknown, 1);
}

/* The next message of a dump. Return: bytes of it; -1: there is none. */
static ssize_t dumped(int fd, struct net_dump_frame *f, uint8_t *bytes)
{
	static uint8_t message[sizeof(*f) + VNET_FRAME_MAX];
	ssize_t n = recv(fd, message, sizeof(message), MSG_DONTWAIT);

	if (n < 0)
		return -1;
	assert_true((size_t)n >= sizeof(*f));
	memcpy(f, message, sizeof(*f));
	memcpy(bytes, message + sizeof(*f), (size_t)n - sizeof(*f));
	assert_int_equal(f->cut, (size_t)n - sizeof(*f));
	return n;
}

static void dumps_have_both_ways(void **state)
{
	struct net_dump_frame f;
	int of_a[2], of_b[2];

	(void)state;
	must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, of_a) == 0);
	must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, of_b) == 0);
	virtio_net_dump(a.net, of_a[0], 2, VNET_FRAME_MAX);
	virtio_net_dump(b.net, of_b[0], 0, 100);
	give(&b, 8, 4096);
	tcp(0, 1, 5000);
	put(&a, &tso, frame, 5000, 999);
	sent(&a);
	assert_int_equal(got(&b, &hdr, in, NULL), 5000);
	/* As it was sent, whole. */
	assert_true(dumped(of_a[1], &f, in) > 0);
	assert_int_equal(f.net, 2);
	assert_int_equal(f.way, NET_DUMP_OUT);
	assert_int_equal(f.len, 5000);
	assert_int_equal(f.cut, 5000);
	assert_memory_equal(in, frame, 5000);
	assert_memory_equal(f.hdr, &tso, sizeof(tso));
	assert_int_equal(dumped(of_a[1], &f, in), -1);
	/* As it came, cut. */
	assert_true(dumped(of_b[1], &f, in) > 0);
	assert_int_equal(f.way, NET_DUMP_IN);
	assert_int_equal(f.len, 5000);
	assert_int_equal(f.cut, 100);
	assert_memory_equal(in, frame, 100);
	assert_true(f.time_ns > 1000000000u);
	(void)close(of_a[1]);
	(void)close(of_b[1]);
}

/* One frame to a port that takes it. */
static void put_and_take(void)
{
	struct vnet_frame f;

	put(&a, &tso, frame, 60000, 65536);
	sent(&a);
	assert_true(vnet_port_next(p.of[2], &f));
	vnet_port_take(p.of[2], &f);
	vnet_port_settle(p.of[2]);
}

/* Nobody reads it: the guest goes on, and what is lost is counted. */
static void a_dump_that_is_not_read_loses_frames(void **state)
{
	struct net_dump_frame f;
	uint64_t lost = 0;
	unsigned nr = 0;
	int pair[2];

	(void)state;
	must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
	virtio_net_dump(a.net, pair[0], 0, VNET_FRAME_MAX);
	tcp(0, 2, 60000);
	for (unsigned i = 0; i < 40; i++)
		put_and_take();
	while (dumped(pair[1], &f, in) > 0)
		nr++;
	assert_true(nr > 0 && nr < 40);
	put_and_take();
	while (dumped(pair[1], &f, in) > 0)
		lost = f.lost;
	assert_int_equal(lost, 40 - nr);
	/* Its reader goes: so does the dump, and nothing else. */
	(void)close(pair[1]);
	put_and_take();
	put_and_take();
	assert_int_equal(fcntl(pair[0], F_GETFD), -1);
}

/*
 * What the network does not answer itself goes to the uplink, which has the same
 * address, if the VM has one.
 */
static void the_uplink_gets_what_is_not_answered(void **state)
{
	struct vnet_port *q = virtio_net_port(a.net);
	const uint8_t *server = q->plan.server;
	struct vnet_frame f;

	(void)state;
	vnet_mac_of_ip(server, q->peers[2]->station.mac);
	tcp(0, 1, 60);
	memcpy(frame, q->peers[2]->station.mac, 6);
	memcpy(frame + 14 + IP4_DST, server, 4);
	put(&a, NULL, frame, 60, 4096);
	sent(&a);
	assert_false(vnet_port_next(p.of[2], &f));
	q->plan.routed = true;
	put(&a, NULL, frame, 60, 4096);
	sent(&a);
	assert_true(vnet_port_next(p.of[2], &f));
	assert_memory_equal(f.bytes, frame, 60);
	vnet_port_take(p.of[2], &f);
	/* Larger than any answer. */
	put(&a, &tso, frame, 9000, 4096);
	sent(&a);
	assert_true(vnet_port_next(p.of[2], &f));
	assert_int_equal(f.len, 9000);
}

/* The trunk gets what nobody else is to get, or answers. */
static void the_trunk_gets_what_is_for_nobody_here(void **state)
{
	static const uint8_t foreign[6] = { 0x02, 0xee, 0, 0, 0, 9 };
	struct vnet_port *q = virtio_net_port(a.net);
	struct vnet_station s = ports_station(0), t = ports_station(1);
	struct vnet_frame f;

	(void)state;
	tcp(0, 1, 60);
	memcpy(frame, foreign, 6);
	put(&a, NULL, frame, 60, 4096);
	sent(&a);
	assert_false(vnet_port_next(p.of[2], &f));
	assert_int_equal(net_guest_stats(&a)->unknown, 1);
	q->peers[VNET_SLOT_TRUNK] = q->peers[2];
	put(&a, NULL, frame, 60, 4096);
	sent(&a);
	assert_true(vnet_port_next(p.of[2], &f));
	assert_memory_equal(f.bytes, frame, 60);
	vnet_port_take(p.of[2], &f);
	/* To the network's own address nothing leaves it. */
	memcpy(frame + 14 + IP4_DST, q->plan.server, 4);
	put(&a, NULL, frame, 60, 4096);
	sent(&a);
	assert_false(vnet_port_next(p.of[2], &f));
	/* Who has an address: of a station, the network says it; else others. */
	memset(frame, 0xff, 6);
	vnet_put16(frame + ETH_TYPE, ETHERTYPE_ARP);
	memcpy(frame + 14, "\0\1\x08\0\6\4\0\1", 8);
	memcpy(frame + 14 + ARP_SHA, s.mac, 6);
	memcpy(frame + 14 + ARP_SPA, s.ip, 4);
	memcpy(frame + 14 + ARP_TPA, t.ip, 4);
	give(&b, 1, 1526);
	put(&a, NULL, frame, 60, 4096);
	sent(&a);
	assert_false(vnet_port_next(p.of[2], &f));
	frame[14 + ARP_TPA + 3] = 99;
	put(&a, NULL, frame, 60, 4096);
	sent(&a);
	assert_true(vnet_port_next(p.of[2], &f));
	assert_memory_equal(f.bytes, frame, 60);
	vnet_port_take(p.of[2], &f);
	/* An answer to somebody there; and nobody here has got any of it. */
	memcpy(frame, foreign, 6);
	frame[14 + ARP_OP + 1] = ARP_ANSWER;
	put(&a, NULL, frame, 60, 4096);
	sent(&a);
	assert_true(vnet_port_next(p.of[2], &f));
	vnet_port_take(p.of[2], &f);
	assert_int_equal(ring_used_index(&b.d.rings[RX]), 0);
	q->peers[VNET_SLOT_TRUNK] = NULL;
}

static void counts_are_shown(void **state)
{
	_Atomic(uint64_t) counts[NET_SHOWN];
	struct vnet_stats s;
	struct net_guest c;

	(void)state;
	memset(counts, 0xff, sizeof(counts));
	memset(&c, 0, sizeof(c));
	fake_host_create(&c.h, MIB(8));
	must(virtio_net_create(&c.h.host, p.of[2], NET, counts, 1, &c.net) ==
	     0);
	p.of[2] = NULL;
	driver_attach(&c.d, &c.h, virtio_net_dev(c.net));
	driver_start(&c.d, NET_FEATURES, 3, QUEUE);
	(void)fake_host_run(&c.h);
	tcp(2, 1, 60);
	give(&b, 1, 1526);
	put(&c, NULL, frame, 60, 4096);
	must(fake_host_run(&c.h) < 4000);
	run();
	memcpy(&s, (void *)counts, sizeof(s));
	assert_int_equal(s.sent, 1);
	assert_int_equal(s.sent_bytes, 60);
	assert_int_equal(s.refused, 0);
	tcp(0, 1, 60);
	put(&c, NULL, frame, 60, 4096);
	must(fake_host_run(&c.h) < 4000);
	memcpy(&s, (void *)counts, sizeof(s));
	assert_int_equal(s.refused, 1);
	virtio_net_destroy(c.net);
	fake_host_destroy(&c.h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_PAIR(ports_come_and_go),
		IN_PAIR(dumps_have_both_ways),
		IN_PAIR(a_dump_that_is_not_read_loses_frames),
		IN_PAIR(counts_are_shown),
		IN_PAIR(the_uplink_gets_what_is_not_answered),
		IN_PAIR(the_trunk_gets_what_is_for_nobody_here),
	};

	return cmocka_run_group_tests_name("virtio_net_ways", tests, NULL,
					   NULL);
}
