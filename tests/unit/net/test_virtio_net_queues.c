/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network device with several pairs of queues: which ones a driver sees, on
 * which one frames are received, and drivers that ask for what there is not.
 */
#include <string.h>

#include "disco/clock.h"
#include "monitor/dev/net/net_steer.h"
#include "tests/unit/net/net_guests.h"
#include "tests/unit/support.h"
#include "vnet/packet.h"

#define PAIRS 4u /* of most guests here */
#define ALL   (2u * PAIRS + 1u)
#define QUEUE 16u
#define HDR   NET_GUEST_HDR
#define BYTES 60u /* of a frame */
#define MQ    (NET_FEATURES | NET_F_MQ)

/* In guest memory. */
#define CTRL_GPA 0x0f0000u
#define TX_GPA	 0x100000u
#define RX_GPA	 0x200000u
#define RX_ROOM	 2048u

static struct ports p;
static struct net_guest a, b;

static int setup(void **state)
{
	(void)state;
	ports_create(&p, 3);
	net_guest_create(&a, &p, 0, "lan", PAIRS);
	net_guest_create(&b, &p, 1, "lan", PAIRS);
	net_guest_start(&a, MQ, ALL, QUEUE);
	net_guest_start(&b, MQ, ALL, QUEUE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	net_guests_destroy(&a, &b);
	ports_destroy(&p);
	return 0;
}

static void run(void)
{
	net_guests_run(&a, &b);
}

static bool broken(struct net_guest *g)
{
	return driver_status(&g->d) & VIRTIO_STATUS_NEEDS_RESET;
}

/* --- the guest's driver --- */

/* Give @nr receive buffers on a pair. */
static void give(struct net_guest *g, unsigned pair, unsigned nr)
{
	struct ring *r = &g->d.rings[NET_RX(pair)];

	for (unsigned i = 0; i < nr; i++, g->given[pair]++) {
		unsigned n = g->given[pair] % QUEUE;

		ring_desc(r, n, RX_GPA + (pair * QUEUE + n) * RX_ROOM, RX_ROOM,
			  D_WRITE, 0);
		ring_offer(r, (uint16_t)n);
	}
	driver_kick(&g->d, NET_RX(pair));
	run();
}

static uint8_t frame[BYTES];

/* A UDP packet from @from to @to. */
static void udp(uint32_t from, uint32_t to, unsigned sport, unsigned dport)
{
	struct vnet_station s = ports_station(from), t = ports_station(to);
	uint8_t *ip = frame + 14;

	memset(frame, 0, sizeof(frame));
	memcpy(frame + ETH_DST, t.mac, 6);
	memcpy(frame + ETH_SRC, s.mac, 6);
	vnet_put16(frame + ETH_TYPE, ETHERTYPE_IP4);
	ip[0] = 0x45;
	vnet_put16(ip + IP4_LEN, BYTES - 14);
	ip[IP4_PROTO] = PROTO_UDP;
	memcpy(ip + IP4_SRC, s.ip, 4);
	memcpy(ip + IP4_DST, t.ip, 4);
	vnet_put16(ip + IP4_BYTES + UDP_SPORT, sport);
	vnet_put16(ip + IP4_BYTES + UDP_DPORT, dport);
}

/* Put the frame into the transmit queue of a pair; it may have to wait. */
static void put(struct net_guest *g, unsigned pair)
{
	struct ring *r = &g->d.rings[NET_TX(pair)];
	unsigned n = g->put[pair]++ % QUEUE;
	uint64_t at = TX_GPA + (pair * QUEUE + n) * 128;
	uint8_t *bytes = fake_guest(&g->h, at, HDR + BYTES);

	memset(bytes, 0, HDR);
	memcpy(bytes + HDR, frame, BYTES);
	ring_desc(r, n, at, HDR + BYTES, 0, 0);
	ring_offer(r, (uint16_t)n);
	driver_kick(&g->d, NET_TX(pair));
	run();
}

static unsigned sent(struct net_guest *g, unsigned pair)
{
	return ring_used_index(&g->d.rings[NET_TX(pair)]);
}

/* Return: number of frames that have been received on a pair so far. */
static unsigned got(struct net_guest *g, unsigned pair)
{
	return ring_used_index(&g->d.rings[NET_RX(pair)]);
}

static unsigned got_all(struct net_guest *g)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < PAIRS; i++)
		sum += got(g, i);
	return sum;
}

/* Return: what was answered; 255: nothing. */
static uint8_t command(struct net_guest *g, unsigned class, const void *data,
		       uint32_t len)
{
	uint8_t *at = fake_guest(&g->h, CTRL_GPA, 64);
	struct ring *r = &g->d.rings[g->ctrl];
	uint32_t id, written;

	at[0] = (uint8_t) class;
	at[1] = 0;
	memcpy(at + 2, data, len);
	at[63] = 255;
	ring_desc(r, 0, CTRL_GPA, 2 + len, D_NEXT, 1);
	ring_desc(r, 1, CTRL_GPA + 63, 1, D_WRITE, 0);
	ring_offer(r, 0);
	driver_kick(&g->d, g->ctrl);
	if (!ring_used(r, &id, &written))
		return 255;
	assert_int_equal(written, 1);
	return at[63];
}

static uint8_t set_pairs(struct net_guest *g, unsigned pairs)
{
	const uint8_t data[2] = { (uint8_t)pairs, (uint8_t)(pairs >> 8) };
	uint8_t ack = command(g, 4, data, sizeof(data));

	run();
	return ack;
}

/* @b sends from port @port on @pair: then what comes to it goes there. */
static void learn(unsigned port, unsigned pair)
{
	udp(1, 0, port, 7);
	put(&b, pair);
}

/* @a sends to port @port of @b. */
static void to_port(unsigned port)
{
	udp(0, 1, 7, port);
	put(&a, 0);
}

/* --- what a driver sees --- */

static void one_pair_is_as_before(void **state)
{
	struct net_guest c;

	(void)state;
	net_guest_create(&c, &p, 2, "lan", 1);
	assert_false(driver_offered(&c.d) & NET_F_MQ);
	assert_int_equal(driver_read(&c.d, R_NQUEUES, 2), 3);
	assert_int_equal(driver_read(&c.d, R_DEVICE + 8, 2), 1);
	assert_int_equal(virtio_net_dev(c.net)->pci.msix.nr, 4);
	net_guest_start(&c, NET_FEATURES, 3, QUEUE);
	assert_int_equal(set_pairs(&c, 1), 0);
	assert_int_equal(set_pairs(&c, 2), 1);
	virtio_net_destroy(c.net);
	fake_host_destroy(&c.h);
}

static void several_pairs_are_offered(void **state)
{
	static const unsigned beyond[] = { ALL, ALL + 1, 0x8000, 0xffff };

	(void)state;
	assert_true(driver_offered(&a.d) & NET_F_MQ);
	assert_int_equal(driver_read(&a.d, R_NQUEUES, 2), ALL);
	assert_int_equal(driver_read(&a.d, R_DEVICE + 8, 2), PAIRS);
	assert_int_equal(virtio_net_dev(a.net)->pci.msix.nr, ALL + 1);
	for (size_t i = 0; i < ARRAY_SIZE(beyond); i++) {
		driver_write(&a.d, R_QSELECT, 2, beyond[i]);
		assert_int_equal(driver_read(&a.d, R_QSIZE, 2), 0);
		driver_write(&a.d, R_QSIZE, 2, QUEUE);
		driver_write(&a.d, R_QENABLE, 2, 1);
		assert_int_equal(driver_read(&a.d, R_QENABLE, 2), 0);
		if (beyond[i] < 256)
			driver_write(&a.d, R_NOTIFY + 4 * beyond[i], 2, 0);
		run();
	}
	assert_false(broken(&a));
}

/* As many as there may be. */
static void eight_pairs(void **state)
{
	struct net_guest c;

	(void)state;
	net_guest_create(&c, &p, 2, "lan", NET_MAX_QUEUES);
	net_guest_start(&c, MQ, 2 * NET_MAX_QUEUES + 1, QUEUE);
	assert_int_equal(set_pairs(&c, 9), 1);
	assert_int_equal(set_pairs(&c, 8), 0);
	udp(2, 1, 7, 7);
	give(&b, 0, 1);
	put(&c, 7);
	must(fake_host_run(&c.h) < 4000);
	run();
	assert_int_equal(sent(&c, 7), 1);
	assert_int_equal(got(&b, 0), 1);
	virtio_net_destroy(c.net);
	fake_host_destroy(&c.h);
}

static void numbers_that_are_refused(void **state)
{
	static const unsigned wrong[] = { 0, 5, 9, 0x100, 0x8000, 0xffff };
	const uint8_t two = 2;

	(void)state;
	assert_int_equal(set_pairs(&b, PAIRS), 0);
	learn(1000, 3);
	give(&b, 3, ARRAY_SIZE(wrong) + 1);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(set_pairs(&b, wrong[i]), 1);
		to_port(1000); /* and nothing has changed */
		assert_int_equal(got(&b, 3), i + 1);
	}
	assert_int_equal(command(&b, 4, &two, 1), 1);
	assert_int_equal(set_pairs(&b, 2), 0);
	assert_false(broken(&b));
}

static void set_before_driver_ok(void **state)
{
	(void)state;
	(void)driver_negotiate(&b.d, MQ);
	for (unsigned i = 0; i < ALL; i++)
		driver_queue(&b.d, i, QUEUE);
	b.put[3] = b.given[3] = 0;
	assert_int_equal(set_pairs(&b, 0x8000), 1);
	assert_int_equal(set_pairs(&b, PAIRS), 0);
	/* What may be another driver's control queue is a receive queue here. */
	give(&b, 1, 1);
	assert_int_equal(got(&b, 1), 0);
	driver_ok(&b.d);
	run();
	learn(1000, 3);
	give(&b, 3, 1);
	to_port(1000);
	assert_int_equal(got(&b, 3), 1);
}

/* Queue 2 is its control queue; what comes after it does not exist. */
static void a_driver_without_mq(void **state)
{
	const uint8_t on = 1;

	(void)state;
	net_guest_start(&b, NET_FEATURES, ALL, QUEUE);
	assert_int_equal(command(&b, 0, &on, 1), 0);
	assert_int_equal(set_pairs(&b, 1), 0);
	assert_int_equal(set_pairs(&b, 2), 1);
	udp(1, 0, 1000, 7);
	put(&b, 2);
	put(&b, 3);
	give(&b, 3, 1);
	driver_kick(&b.d, ALL - 1);
	run();
	assert_int_equal(sent(&b, 2) + sent(&b, 3), 0);
	give(&b, 0, 8);
	for (unsigned i = 0; i < 8; i++)
		to_port(1000 + i);
	assert_int_equal(got(&b, 0), 8);
	assert_int_equal(got(&b, 3), 0);
	assert_false(broken(&b));
}

/* --- where frames are received --- */

static void one_pair_until_told(void **state)
{
	(void)state;
	learn(1000, 0);
	for (unsigned i = 0; i < PAIRS; i++)
		give(&b, i, 8);
	for (unsigned i = 0; i < 8; i++)
		to_port(1000 + i);
	assert_int_equal(got(&b, 0), 8);
	assert_int_equal(got_all(&b), 8);
}

static void a_flow_comes_where_it_was_sent(void **state)
{
	(void)state;
	assert_int_equal(set_pairs(&b, PAIRS), 0);
	for (unsigned i = 0; i < PAIRS; i++)
		give(&b, i, 8);
	for (unsigned i = 0; i < 2 * PAIRS; i++) {
		unsigned pair = i * 3 % PAIRS;
		unsigned before = got(&b, pair);
		unsigned irqs = fake_host_msis(&b.h, MSG_QUEUE(NET_RX(pair)));

		learn(1000, pair);
		to_port(1000);
		assert_int_equal(got(&b, pair), before + 1);
		assert_int_equal(got_all(&b), i + 1);
		assert_int_equal(fake_host_msis(&b.h, MSG_QUEUE(NET_RX(pair))),
				 irqs + 1);
	}
}

static void new_flows_are_spread(void **state)
{
	unsigned before[PAIRS];

	(void)state;
	assert_int_equal(set_pairs(&b, PAIRS), 0);
	for (unsigned k = 0; k < 2; k++) {
		for (unsigned i = 0; i < 32; i++) {
			/* Whichever it is, its buffer is used and replaced. */
			for (unsigned q = 0; q < PAIRS; q++)
				give(&b, q, 4 + got(&b, q) - b.given[q]);
			to_port(2000 + i);
		}
		for (unsigned q = 0; q < PAIRS; q++) {
			if (k == 0)
				before[q] = got(&b, q);
			else
				assert_int_equal(got(&b, q), 2 * before[q]);
			assert_true(got(&b, q) > 0);
		}
	}
	assert_int_equal(got_all(&b), 64);
}

static void a_frame_waits_for_its_own_pair(void **state)
{
	(void)state;
	assert_int_equal(set_pairs(&b, PAIRS), 0);
	learn(1000, 3);
	learn(1001, 1);
	to_port(1000);
	to_port(1001);
	/* In order, and a notification of that pair is wanted. */
	give(&b, 1, 4);
	give(&b, 0, 4);
	assert_int_equal(got_all(&b), 0);
	assert_int_equal(ring_used_flags(&b.d.rings[NET_RX(3)]), 0);
	give(&b, 3, 1);
	assert_int_equal(got(&b, 3), 1);
	assert_int_equal(got(&b, 1), 1);
	assert_int_equal(net_guest_stats(&b)->lost, 0);
	assert_int_equal(net_guest_stats(&a)->full, 0);
}

static void pairs_change_while_frames_wait(void **state)
{
	(void)state;
	assert_int_equal(set_pairs(&b, PAIRS), 0);
	learn(1000, 3);
	give(&b, 0, 4);
	give(&b, 1, 4);
	to_port(1000);
	to_port(1000);
	assert_int_equal(got_all(&b), 0);
	assert_int_equal(set_pairs(&b, 2), 0);
	assert_int_equal(got(&b, 0) + got(&b, 1), 2);
	/* Buffers of a pair that is not in use stay there. */
	give(&b, 3, 4);
	to_port(1000);
	assert_int_equal(got(&b, 0) + got(&b, 1), 3);
	assert_int_equal(got(&b, 3), 0);
	/* And are used when it is. */
	assert_int_equal(set_pairs(&b, PAIRS), 0);
	to_port(1000);
	assert_int_equal(got(&b, 3), 1);
	assert_int_equal(net_guest_stats(&b)->lost, 0);
}

static void a_pair_without_a_queue(void **state)
{
	(void)state;
	(void)driver_negotiate(&b.d, MQ);
	driver_queue(&b.d, 0, QUEUE);
	driver_queue(&b.d, NET_TX(3), QUEUE);
	driver_queue(&b.d, b.ctrl, QUEUE);
	b.put[3] = 0;
	driver_ok(&b.d);
	assert_int_equal(set_pairs(&b, PAIRS), 0);
	learn(1000, 3);
	give(&b, 0, 2);
	to_port(1000);
	assert_int_equal(got(&b, 0), 1);
}

static void reset_begins_with_one_pair(void **state)
{
	(void)state;
	assert_int_equal(set_pairs(&b, PAIRS), 0);
	learn(1000, 3);
	give(&b, 3, 4);
	to_port(1000);
	assert_int_equal(got(&b, 3), 1);
	net_guest_start(&b, MQ, ALL, QUEUE);
	for (unsigned i = 0; i < PAIRS; i++)
		give(&b, i, 4);
	to_port(1000);
	assert_int_equal(got(&b, 0), 1);
	assert_int_equal(got_all(&b), 1);
}

/* Nobody takes what waits any more: it is dropped, so that its sender goes on. */
static void what_waits_ends_with_the_driver(void **state)
{
	(void)state;
	udp(0, 1, 7, 1000);
	for (unsigned n = 0; n < 2; n++) {
		for (unsigned i = 0; i < 8; i++)
			put(&a, 0);
		assert_int_equal(net_guest_stats(&b)->lost, 9 * n);
		if (n) {
			ring_offer(&b.d.rings[NET_TX(0)], QUEUE + 1);
			driver_kick(&b.d, NET_TX(0));
		} else {
			driver_write(&b.d, R_STATUS, 1, 0);
		}
		WAIT_UNTIL((run(), net_guest_stats(&b)->lost == 9 * n + 8));
		assert_int_equal(broken(&b), n);
		/* Nor does anything wait from then on. */
		put(&a, 0);
		assert_int_equal(net_guest_stats(&b)->lost, 9 * n + 9);
		net_guest_start(&b, MQ, ALL, QUEUE);
	}
}

/* A broken queue of any pair ends the device, and nothing else. */
static void a_broken_ring_of_a_pair(void **state)
{
	(void)state;
	assert_int_equal(set_pairs(&b, PAIRS), 0);
	learn(1000, 2);
	ring_offer(&b.d.rings[NET_RX(2)], QUEUE + 1);
	driver_kick(&b.d, NET_RX(2));
	to_port(1000);
	assert_true(broken(&b));
	net_guest_start(&b, MQ, ALL, QUEUE);
	give(&b, 0, 2);
	to_port(1000);
	assert_true(got(&b, 0) > 0);
}

/* --- sending --- */

static void a_pair_that_is_not_in_use_sends(void **state)
{
	(void)state;
	assert_int_equal(set_pairs(&b, 2), 0);
	for (unsigned i = 0; i < PAIRS; i++)
		give(&b, i, 4);
	for (unsigned i = 0; i < 2; i++) {
		learn(1000, i);
		learn(1000, 3);
		assert_int_equal(sent(&b, 3), i + 1);
		/* But it does not decide where its flow is received. */
		to_port(1000);
		assert_int_equal(got(&b, i), 1);
	}
	assert_int_equal(net_guest_stats(&b)->sent, 4);
}

/* Fill the ring of @b, which takes nothing; @a has one more in each pair. */
static void fill(unsigned pairs)
{
	udp(0, 1, 7, 1000);
	for (unsigned i = 0; i < VNET_RING_SLOTS; i++)
		put(&a, 0);
	assert_int_equal(sent(&a, 0), VNET_RING_SLOTS);
	for (unsigned i = 0; i < pairs; i++)
		put(&a, i);
}

static void each_queue_waits_for_itself(void **state)
{
	(void)state;
	fill(2);
	udp(0, 2, 7, 7);
	put(&a, 2); /* to another one */
	assert_int_equal(sent(&a, 2), 1);
	/* Both that wait go on. */
	for (unsigned i = 0; i < 4; i++)
		give(&b, 0, 8);
	WAIT_UNTIL((run(), got(&b, 0) == 32));
	assert_int_equal(sent(&a, 0), VNET_RING_SLOTS + 1);
	assert_int_equal(sent(&a, 1), 1);
	assert_int_equal(net_guest_stats(&a)->full, 0);
}

static void patience_is_of_the_receiver(void **state)
{
	(void)state;
	fill(PAIRS);
	WAIT_UNTIL((run(), net_guest_stats(&a)->full == PAIRS));
	assert_int_equal(sent(&a, 0), VNET_RING_SLOTS + 1);
	for (unsigned i = 1; i < PAIRS; i++)
		assert_int_equal(sent(&a, i), 1);
}

/* The timer of a wait that is over does not serve for the next one. */
static void patience_begins_anew(void **state)
{
	uint64_t begun;
	unsigned before;

	(void)state;
	fill(1);
	begun = clock_now_ns();
	for (unsigned i = 0; i < 4; i++)
		give(&b, 0, 8);
	WAIT_UNTIL((run(), sent(&a, 0) == VNET_RING_SLOTS + 1));
	/* It expires while nothing waits. */
	WAIT_UNTIL((run(), clock_now_ns() > begun + 2 * NET_PATIENCE_NS));
	do {
		before = sent(&a, 0);
		put(&a, 0);
	} while (sent(&a, 0) != before);
	assert_int_equal(net_guest_stats(&a)->full, 0);
	WAIT_UNTIL((run(), net_guest_stats(&a)->full == 1));
	assert_int_equal(sent(&a, 0), before + 1);
}

/* --- flows --- */

static void swap(uint8_t *x, uint8_t *y, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++) {
		uint8_t z = x[i];

		x[i] = y[i];
		y[i] = z;
	}
}

static void both_ways_are_one_flow(void **state)
{
	uint8_t *ip = frame + 14;
	uint32_t way, other;

	(void)state;
	udp(0, 1, 1000, 2000);
	way = net_flow(frame, BYTES);
	assert_int_not_equal(way, 0);
	udp(1, 0, 2000, 1000);
	assert_int_equal(net_flow(frame, BYTES), way);
	udp(1, 0, 1000, 2000);
	assert_int_not_equal(net_flow(frame, BYTES), way);
	/* Fragments have no ports, the first one neither. */
	vnet_put16(ip + IP4_FRAG, 0x2000);
	other = net_flow(frame, BYTES);
	udp(1, 0, 1, 2);
	vnet_put16(ip + IP4_FRAG, 0x0010);
	assert_int_equal(net_flow(frame, BYTES), other);
	/* IPv6 */
	memset(ip, 0, BYTES - 14);
	vnet_put16(frame + ETH_TYPE, ETHERTYPE_IP6);
	ip[IP6_NEXT] = PROTO_UDP;
	ip[IP6_SRC + 15] = 1;
	ip[IP6_DST] = 9;
	ip[IP6_BYTES] = 3;
	way = net_flow(frame, BYTES);
	swap(ip + IP6_SRC, ip + IP6_DST, 16);
	swap(ip + IP6_BYTES, ip + IP6_BYTES + 2, 2);
	assert_int_equal(net_flow(frame, BYTES), way);
	ip[IP6_BYTES]++;
	assert_int_not_equal(net_flow(frame, BYTES), way);
}

/* Frames that are cut, or say that their header is longer than they are. */
static void frames_without_a_flow(void **state)
{
	uint8_t bytes[NET_FLOW_BYTES];
	struct net_steer s;

	(void)state;
	memset(&s, 0, sizeof(s));
	for (unsigned type = 0; type < 2; type++)
		for (unsigned len = 14; len <= NET_FLOW_BYTES; len++)
			for (unsigned first = 0; first < 256; first++) {
				uint8_t *copy = test_malloc(len);
				unsigned pair;

				memset(bytes, 0xff, sizeof(bytes));
				vnet_put16(bytes + ETH_TYPE,
					   type ? ETHERTYPE_IP4
						: ETHERTYPE_IP6);
				bytes[14] = (uint8_t)first;
				bytes[14 + IP6_NEXT] = PROTO_UDP;
				vnet_put16(bytes + 14 + IP4_FRAG, 0x4011);
				bytes[14 + IP4_PROTO] = PROTO_UDP;
				memcpy(copy, bytes, len);
				pair = net_steer_pair(&s, net_flow(copy, len),
						      3);
				assert_true(pair < 3);
				test_free(copy);
			}
	vnet_put16(bytes + ETH_TYPE, ETHERTYPE_ARP);
	assert_int_equal(net_flow(bytes, sizeof(bytes)), 0);
	net_steer_note(&s, 0, 2);
	assert_int_equal(net_steer_pair(&s, 0, 3), 0);
}

/* The later flow has the entry; the earlier one goes by its hash. */
static void flows_that_share_an_entry(void **state)
{
	struct net_steer s;

	(void)state;
	memset(&s, 0, sizeof(s));
	net_steer_note(&s, 5, 3);
	assert_int_equal(net_steer_pair(&s, 5, 4), 3);
	net_steer_note(&s, 5 + NET_FLOWS, 2);
	assert_int_equal(net_steer_pair(&s, 5 + NET_FLOWS, 4), 2);
	assert_int_equal(net_steer_pair(&s, 5, 4), 0);
	assert_int_equal(net_steer_pair(&s, 0xffffffff, 4), 3);
	assert_int_equal(net_steer_pair(&s, 5 + NET_FLOWS, 2), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(one_pair_is_as_before),
		T(several_pairs_are_offered),
		T(eight_pairs),
		T(numbers_that_are_refused),
		T(set_before_driver_ok),
		T(a_driver_without_mq),
		T(one_pair_until_told),
		T(a_flow_comes_where_it_was_sent),
		T(new_flows_are_spread),
		T(a_frame_waits_for_its_own_pair),
		T(pairs_change_while_frames_wait),
		T(a_pair_without_a_queue),
		T(reset_begins_with_one_pair),
		T(what_waits_ends_with_the_driver),
		T(a_broken_ring_of_a_pair),
		T(a_pair_that_is_not_in_use_sends),
		T(each_queue_waits_for_itself),
		T(patience_is_of_the_receiver),
		T(patience_begins_anew),
		cmocka_unit_test(both_ways_are_one_flow),
		cmocka_unit_test(frames_without_a_flow),
		cmocka_unit_test(flows_that_share_an_entry),
	};

	return cmocka_run_group_tests_name("net_queues", tests, NULL, NULL);
}
