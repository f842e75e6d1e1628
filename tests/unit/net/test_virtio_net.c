/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames between two guests. What other devices have got wrong is here as well:
 * full receive queues that never go on, headers that kill the worker, commands
 * that are not answered or come too early, mergeable buffers that are not filled.
 */
#include "tests/unit/net/net_guests.h"
#include "tests/unit/net/net_pair.h"

static void identity(void **state)
{
	struct vnet_station s = ports_station(0);

	(void)state;
	assert_int_equal(fake_config_read(&a.h, a.d.slot, 0, 4), 0x10411af4);
	assert_int_equal(driver_read(&a.d, R_NQUEUES, 2), 3);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(driver_read(&a.d, R_DEVICE + i, 1), s.mac[i]);
	assert_int_equal(driver_read(&a.d, R_DEVICE + 6, 2), 1); /* link up */
	assert_int_equal(driver_read(&a.d, R_DEVICE + 10, 2), 1500);
	assert_true((driver_offered(&a.d) & NET_FEATURES) == NET_FEATURES);
}

static void small_frames_arrive(void **state)
{
	(void)state;
	give(&b, 4, 1526);
	tcp(0, 1, 60);
	for (uint32_t piece = 1; piece < 100; piece = piece * 3 + 1) {
		put(&a, NULL, frame, 60, piece < 12 ? 12 : piece);
		sent(&a);
		assert_int_equal(got(&b, &hdr, in, NULL), 60);
		assert_memory_equal(in, frame, 60);
		assert_int_equal(hdr.flags, 0);
		give(&b, 1, 1526);
	}
	assert_int_equal(got(&b, &hdr, in, NULL), 0);
	assert_true(fake_host_msis(&b.h, MSG_QUEUE(RX)) > 0);
}

static void large_frames_are_whole_in_mergeable_buffers(void **state)
{
	uint32_t first;

	(void)state;
	tcp(0, 1, VNET_FRAME_MAX);
	give(&b, 44, 1526);
	put(&a, &tso, frame, VNET_FRAME_MAX, 4096);
	sent(&a);
	assert_int_equal(got(&b, &hdr, in, &first), VNET_FRAME_MAX);
	assert_int_equal(first, 1526); /* full, as all but the last */
	assert_memory_equal(in, frame, VNET_FRAME_MAX);
	assert_memory_equal(&hdr, &tso, sizeof(hdr));
	assert_int_equal(net_guest_stats(&b)->lost, 0);
}

/* A ring without buffers, with too few, and then with enough. */
static void frames_wait_for_buffers(void **state)
{
	(void)state;
	tcp(0, 1, 5000);
	put(&a, &tso, frame, 5000, 4096);
	sent(&a);
	assert_int_equal(got(&b, &hdr, in, NULL), 0);
	give(&b, 2, 1526);
	run();
	assert_int_equal(got(&b, &hdr, in, NULL), 0);
	give(&b, 2, 1526);
	run();
	assert_int_equal(got(&b, &hdr, in, NULL), 5000);
	assert_memory_equal(in, frame, 5000);
	assert_int_equal(net_guest_stats(&b)->lost, 0);
}

static void a_full_receiver_makes_the_sender_wait(void **state)
{
	unsigned nr = 0;

	(void)state;
	tcp(0, 1, 60);
	for (unsigned i = 0; i < VNET_RING_SLOTS; i++) {
		put(&a, NULL, frame, 60, 4096);
		sent(&a);
	}
	put(&a, NULL, frame, 60, 4096);
	assert_int_equal(ring_used_index(&a.d.rings[TX]) % 65536u,
			 VNET_RING_SLOTS);
	/* It takes some: the one that waited goes, in order. */
	give(&b, 32, 1526);
	run();
	sent(&a);
	for (;;) {
		while (got(&b, &hdr, in, NULL) == 60)
			nr++;
		if (nr == VNET_RING_SLOTS + 1)
			break;
		give(&b, 16, 1526);
		run();
	}
	assert_int_equal(net_guest_stats(&a)->full, 0);
}

/* The patience for one receiver is over: others get their frames. */
static void a_dead_receiver_holds_nobody_up(void **state)
{
	struct vnet_frame f;
	unsigned nr = 0;

	(void)state;
	tcp(0, 1, 60);
	for (unsigned i = 0; i < VNET_RING_SLOTS; i++) {
		put(&a, NULL, frame, 60, 4096);
		sent(&a);
	}
	tcp(0, 1, 60);
	put(&a, NULL, frame, 60, 4096);
	WAIT_UNTIL((run(), net_guest_stats(&a)->full == 1));
	sent(&a);
	put(&a, NULL, frame, 60, 4096); /* at once now */
	sent(&a);
	assert_int_equal(net_guest_stats(&a)->full, 2);
	tcp(0, 2, 60);
	put(&a, NULL, frame, 60, 4096);
	sent(&a);
	assert_true(vnet_port_next(p.of[2], &f));
	assert_memory_equal(f.bytes, frame, 60);
	/* It comes back. */
	while (nr < VNET_RING_SLOTS) {
		give(&b, 32, 1526);
		run();
		while (got(&b, &hdr, in, NULL))
			nr++;
	}
	tcp(0, 1, 60);
	put(&a, NULL, frame, 60, 4096);
	sent(&a);
	give(&b, 1, 1526);
	run();
	assert_int_equal(net_guest_stats(&a)->full, 2);
	assert_int_equal(net_guest_stats(&b)->received, VNET_RING_SLOTS + 1);
}

static void wrong_frames_are_refused(void **state)
{
	static const struct vnet_hdr wrong[] = {
		{ .flags = 1, .csum_start = 59, .csum_offset = 1 },
		{ .flags = 1, .csum_start = 0xffff, .csum_offset = 0xffff },
		{ .gso_type = 1, .gso_size = 1000 },
		{ .flags = 1, .gso_type = 1, .csum_start = 34 },
		{ .gso_type = 77 },
		{ .flags = 1, .gso_type = 3, .gso_size = 9, .csum_start = 34 },
	};

	(void)state;
	give(&b, 8, 1526);
	tcp(0, 1, 60);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		put(&a, &wrong[i], frame, 60, 4096);
		sent(&a);
		assert_int_equal(net_guest_stats(&a)->refused, i + 1);
	}
	/* Without a header, too short, too long. */
	put(&a, NULL, frame, 13, 4096);
	sent(&a);
	ring_desc(&a.d.rings[TX], 0, TX_GPA, 11, 0, 0);
	ring_offer(&a.d.rings[TX], 0);
	driver_kick(&a.d, TX);
	sent(&a);
	ring_desc(&a.d.rings[TX], 0, TX_GPA, VNET_FRAME_MAX + 13, 0, 0);
	ring_offer(&a.d.rings[TX], 0);
	driver_kick(&a.d, TX);
	sent(&a);
	/* Another one's addresses. */
	tcp(2, 1, 60);
	put(&a, NULL, frame, 60, 4096);
	sent(&a);
	assert_int_equal(net_guest_stats(&a)->refused, ARRAY_SIZE(wrong) + 4);
	assert_int_equal(got(&b, &hdr, in, NULL), 0);
	/* Nobody there. */
	tcp(0, 6, 60);
	put(&a, NULL, frame, 60, 4096);
	sent(&a);
	assert_int_equal(net_guest_stats(&a)->unknown, 1);
	assert_int_equal(driver_status(&a.d) & VIRTIO_STATUS_NEEDS_RESET, 0);
}

static void broadcasts_reach_all(void **state)
{
	struct vnet_frame f;

	(void)state;
	give(&b, 1, 1526);
	tcp(0, 1, 60);
	memset(frame, 0xff, 6);
	put(&a, NULL, frame, 60, 4096);
	sent(&a);
	assert_int_equal(got(&b, &hdr, in, NULL), 60);
	assert_true(vnet_port_next(p.of[2], &f));
	assert_int_equal(f.len, 60);
}

static void the_network_answers(void **state)
{
	static const uint8_t kind[] = { 0, 1, 8, 0, 6, 4, 0, 1 };
	struct vnet_station s = ports_station(0), t = ports_station(1);

	(void)state;
	memset(frame, 0, 60);
	memset(frame, 0xff, 6);
	memcpy(frame + ETH_SRC, s.mac, 6);
	vnet_put16(frame + ETH_TYPE, ETHERTYPE_ARP);
	memcpy(frame + 14, kind, sizeof(kind));
	memcpy(frame + 14 + ARP_SHA, s.mac, 6);
	memcpy(frame + 14 + ARP_SPA, s.ip, 4);
	memcpy(frame + 14 + ARP_TPA, t.ip, 4);
	put(&a, NULL, frame, 60, 4096);
	sent(&a);
	/* The answer waits for a buffer. */
	give(&a, 1, 1526);
	run();
	assert_int_equal(got(&a, &hdr, in, NULL), 42);
	assert_memory_equal(in + 14 + ARP_SHA, t.mac, 6);
	assert_int_equal(net_guest_stats(&a)->answered, 1);
	assert_int_equal(net_guest_stats(&b)->received, 0);
	/* Who never takes answers gets 8 at most. */
	for (unsigned i = 0; i < 20; i++) {
		put(&a, NULL, frame, 60, 4096);
		sent(&a);
	}
	assert_int_equal(net_guest_stats(&a)->answered, 9);
}

/* --- guests that take less --- */

static void without_offloads_checksums_are_complete(void **state)
{
	const struct vnet_hdr partial = { .flags = VNET_HDR_NEEDS_CSUM,
					  .csum_start = 34,
					  .csum_offset = 16 };

	(void)state;
	teardown(NULL);
	start(NET_FEATURES, 0);
	give(&b, 4, 2048);
	tcp(0, 1, 100);
	put(&a, &partial, frame, 100, 4096);
	sent(&a);
	assert_int_equal(got(&b, &hdr, in, NULL), 100);
	assert_int_equal(hdr.flags, 0);
	vnet_csum_complete(&partial, frame, 100);
	assert_memory_equal(in, frame, 100);
	/* What it could only take in larger buffers. */
	tcp(0, 1, 9000);
	put(&a, NULL, frame, 9000, 4096);
	sent(&a);
	assert_int_equal(got(&b, &hdr, in, NULL), 0);
	assert_int_equal(net_guest_stats(&b)->lost, 1);
}

/* As if it came from a wire: with all headers, and buffers that come later. */
static void without_offloads_frames_are_cut(void **state)
{
	const uint32_t bytes = 54 + 5 * 1460 + 100;
	uint32_t at = 0, sum;

	(void)state;
	teardown(NULL);
	start(NET_FEATURES, 0);
	give(&b, 2, 2048);
	tcp(0, 1, bytes);
	memset(frame + 34, 0, 20);
	frame[34 + 12] = 5 << 4;
	frame[34 + 13] = 0x99; /* CWR, ACK, PSH, FIN */
	put(&a, &tso, frame, bytes, 4096);
	sent(&a);
	for (unsigned i = 0; i < 6; i++) {
		uint32_t part = i < 5 ? 1460 : 100;

		assert_int_equal(got(&b, &hdr, in, NULL), 54 + part);
		assert_int_equal(hdr.flags | hdr.gso_type, 0);
		assert_memory_equal(in + 54, frame + 54 + at, part);
		assert_int_equal(vnet_get16(in + 16), 40 + part);
		assert_int_equal(vnet_get16(in + 18), i);
		assert_int_equal(vnet_csum_fold(vnet_csum_add(0, in + 14, 20)),
				 0);
		assert_int_equal(vnet_get16(in + 34 + 6), at);
		assert_int_equal(in[34 + 13],
				 (i ? 0x10 : 0x90) | (i == 5 ? 9 : 0));
		sum = vnet_csum_add(6 + 20 + part, in + 26, 8);
		assert_int_equal(
			vnet_csum_fold(vnet_csum_add(sum, in + 34, 20 + part)),
			0);
		at += part;
		give(&b, 1, 2048);
		run();
	}
	assert_int_equal(got(&b, &hdr, in, NULL), 0);
	assert_int_equal(net_guest_stats(&b)->lost, 0);
	/* Headers that are none: lost, and nothing else. */
	frame[34 + 12] = 4 << 4;
	put(&a, &tso, frame, bytes, 4096);
	sent(&a);
	assert_int_equal(got(&b, &hdr, in, NULL), 0);
	assert_int_equal(net_guest_stats(&b)->lost, 1);
}

static void big_buffers_take_large_frames(void **state)
{
	(void)state;
	teardown(NULL);
	start(NET_FEATURES, NET_FEATURES & ~NET_F_MRG_RXBUF);
	give(&b, 2, HDR + VNET_FRAME_MAX);
	tcp(0, 1, VNET_FRAME_MAX);
	put(&a, &tso, frame, VNET_FRAME_MAX, 4096);
	sent(&a);
	assert_int_equal(got(&b, &hdr, in, NULL), VNET_FRAME_MAX);
	assert_memory_equal(in, frame, VNET_FRAME_MAX);
}

/* --- the control queue --- */

/* Return: what was answered; 255: nothing. */
static uint8_t command(struct net_guest *g, unsigned class, unsigned cmd,
		       const void *data, uint32_t len)
{
	uint8_t *at = fake_guest(&g->h, CTRL_GPA, 64);
	struct ring *r = &g->d.rings[CTRL];
	uint32_t id, written;

	at[0] = (uint8_t) class;
	at[1] = (uint8_t)cmd;
	memcpy(at + 2, data, len);
	at[63] = 255;
	ring_desc(r, 0, CTRL_GPA, 2, D_NEXT, 1);
	ring_desc(r, 1, CTRL_GPA + 2, len, D_NEXT, 2);
	ring_desc(r, 2, CTRL_GPA + 63, 1, D_WRITE, 0);
	ring_offer(r, 0);
	driver_kick(&g->d, CTRL);
	if (!ring_used(r, &id, &written))
		return 255;
	assert_int_equal(written, 1);
	return at[63];
}

static void every_command_is_answered(void **state)
{
	struct vnet_station s = ports_station(0);
	const uint8_t one[2] = { 1, 0 }, eight[2] = { 8, 0 };

	(void)state;
	for (unsigned class = 0; class < 256; class ++)
		for (unsigned cmd = 0; cmd < 8; cmd++) {
			uint8_t ack = command(&a, class, cmd, one, 1);

			if (class == 0 || class == 2 || class == 3)
				assert_int_equal(ack, 0);
			else
				assert_true(ack <= 1);
		}
	assert_int_equal(command(&a, 1, 0, one, 2), 0); /* a table */
	assert_int_equal(command(&a, 1, 1, s.mac, 6), 0);
	s.mac[5] ^= 1;
	assert_int_equal(command(&a, 1, 1, s.mac, 6), 1);
	assert_int_equal(command(&a, 4, 0, one, 2), 0);
	assert_int_equal(command(&a, 4, 0, eight, 2), 1);
	assert_int_equal(command(&a, 5, 0, eight, 2), 1); /* offloads */
}

static void commands_before_driver_ok_are_answered(void **state)
{
	const uint8_t on = 1;

	(void)state;
	(void)driver_negotiate(&a.d, NET_FEATURES);
	for (unsigned i = 0; i < 3; i++)
		driver_queue(&a.d, i, QUEUE);
	assert_int_equal(command(&a, 0, 0, &on, 1), 0);
	/* Frames are not sent yet. */
	tcp(0, 1, 60);
	put(&a, NULL, frame, 60, 4096);
	assert_int_equal(ring_used_index(&a.d.rings[TX]), 0);
	driver_ok(&a.d);
	run();
	sent(&a);
}

/* --- drivers that are not there, or hostile --- */

static void without_a_driver_frames_are_dropped(void **state)
{
	(void)state;
	driver_write(&b.d, R_STATUS, 1, 0);
	tcp(0, 1, 60);
	for (unsigned i = 0; i < 2 * VNET_RING_SLOTS; i++) {
		put(&a, NULL, frame, 60, 4096);
		sent(&a);
	}
	assert_int_equal(net_guest_stats(&a)->full, 0);
	assert_int_equal(net_guest_stats(&b)->lost, 2 * VNET_RING_SLOTS);
}

/* Buffers that were taken for a frame are not written after a reset. */
static void reset_while_a_frame_waits(void **state)
{
	(void)state;
	tcp(0, 1, 5000);
	put(&a, &tso, frame, 5000, 4096);
	give(&b, 2, 1526);
	run();
	driver_write(&b.d, R_STATUS, 1, 0);
	assert_int_equal(driver_status(&b.d), 0);
	driver_start(&b.d, NET_FEATURES, 3, QUEUE);
	b.given[0] = 0;
	give(&b, 4, 1526);
	run();
	assert_int_equal(got(&b, &hdr, in, NULL), 5000);
	assert_memory_equal(in, frame, 5000);
}

/* Buffers of a byte, and one that is too small for a frame. */
static void hostile_buffers_end_in_a_dropped_frame(void **state)
{
	(void)state;
	tcp(0, 1, 9000);
	give(&b, QUEUE, 1);
	put(&a, &tso, frame, 9000, 4096);
	sent(&a);
	/* 64 bytes of room, and the queue has no more: it waits. */
	assert_int_equal(ring_used_index(&b.d.rings[RX]), 0);
	assert_int_equal(driver_status(&b.d) & VIRTIO_STATUS_NEEDS_RESET, 0);
	teardown(NULL);
	start(NET_FEATURES, NET_FEATURES & ~NET_F_MRG_RXBUF);
	give(&b, 1, 100);
	put(&a, &tso, frame, 9000, 4096);
	sent(&a);
	assert_int_equal(ring_used_index(&b.d.rings[RX]), 0);
	assert_int_equal(net_guest_stats(&b)->lost, 1);
	tcp(0, 1, 60);
	put(&a, NULL, frame, 60, 4096);
	assert_int_equal(got(&b, &hdr, in, NULL), 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_PAIR(identity),
		IN_PAIR(small_frames_arrive),
		IN_PAIR(large_frames_are_whole_in_mergeable_buffers),
		IN_PAIR(frames_wait_for_buffers),
		IN_PAIR(a_full_receiver_makes_the_sender_wait),
		IN_PAIR(a_dead_receiver_holds_nobody_up),
		IN_PAIR(wrong_frames_are_refused),
		IN_PAIR(broadcasts_reach_all),
		IN_PAIR(the_network_answers),
		IN_PAIR(without_offloads_checksums_are_complete),
		IN_PAIR(without_offloads_frames_are_cut),
		IN_PAIR(big_buffers_take_large_frames),
		IN_PAIR(every_command_is_answered),
		IN_PAIR(commands_before_driver_ok_are_answered),
		IN_PAIR(without_a_driver_frames_are_dropped),
		IN_PAIR(reset_while_a_frame_waits),
		IN_PAIR(hostile_buffers_end_in_a_dropped_frame),
	};

	return cmocka_run_group_tests_name("virtio_net", tests, NULL, NULL);
}
