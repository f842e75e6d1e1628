/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports that send to each other, stop, end, and break the rules. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/vnet/ports.h"

static struct ports p;

static int setup(void **state)
{
	(void)state;
	ports_create(&p, 4);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ports_destroy(&p);
	return 0;
}

static struct vnet_peer *peer(uint32_t who, uint32_t slot)
{
	return p.of[who]->peers[slot];
}

static bool readable(uint32_t who)
{
	struct pollfd f = { .fd = p.of[who]->wake_fd, .events = POLLIN };

	return poll(&f, 1, 0) == 1;
}

/* All that waits at @who, in order. Return: number of frames. */
static unsigned take_all(uint32_t who, uint8_t *fills, unsigned max)
{
	struct vnet_frame f;
	unsigned n = 0;

	while (vnet_port_next(p.of[who], &f)) {
		assert_true(n < max);
		fills[n++] = f.bytes[f.len - 1];
		vnet_port_take(p.of[who], &f);
	}
	vnet_port_settle(p.of[who]);
	return n;
}

static void frames_arrive_whole_and_in_order(void **state)
{
	static const uint32_t sizes[] = { 14, 60, 1514, 1536, 1537, 65550 };
	struct vnet_frame f;

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(sizes); i++)
		assert_int_equal(ports_send(&p, 0, peer(0, 2), sizes[i],
					    (uint8_t)(i + 1)),
				 0);
	for (uint32_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_true(vnet_port_next(p.of[2], &f));
		assert_int_equal(f.len, sizes[i]);
		assert_int_equal(f.from->slot, 0);
		for (uint32_t k = 0; k < f.len; k++)
			assert_int_equal(f.bytes[k], i + 1);
		vnet_port_take(p.of[2], &f);
	}
	assert_false(vnet_port_next(p.of[2], &f));
	assert_false(vnet_port_next(p.of[1], &f));
	assert_int_equal(p.of[2]->stats.received, ARRAY_SIZE(sizes));
}

static void headers_travel_with_their_frame(void **state)
{
	const struct vnet_hdr hdr = { .flags = VNET_HDR_NEEDS_CSUM,
				      .gso_type = VNET_GSO_TCPV4,
				      .hdr_len = 54,
				      .gso_size = 1460,
				      .csum_start = 34,
				      .csum_offset = 16 };
	struct vnet_frame f;
	struct vnet_buf b;

	(void)state;
	assert_int_equal(vnet_port_room(p.of[0], peer(0, 1), 9000), 0);
	vnet_port_begin(p.of[0], 9000, &b);
	memset(b.bytes, 5, 9000);
	*b.hdr = hdr;
	vnet_port_send(p.of[0], &b, peer(0, 1), 9000, true);
	vnet_port_flush(p.of[0]);
	assert_true(vnet_port_next(p.of[1], &f));
	assert_memory_equal(&f.hdr, &hdr, sizeof(hdr));
	/* A chunk is used again: what was in it is no header of the next. */
	vnet_port_take(p.of[1], &f);
	vnet_port_settle(p.of[1]);
	assert_int_equal(ports_send(&p, 0, peer(0, 1), 9000, 6), 0);
	assert_true(vnet_port_next(p.of[1], &f));
	assert_int_equal(f.hdr.flags, 0);
	assert_int_equal(f.hdr.gso_type, VNET_GSO_NONE);
}

static void a_broadcast_reaches_all_by_one_chunk(void **state)
{
	uint32_t before = p.of[1]->nr_small;
	uint8_t fill;

	(void)state;
	assert_int_equal(ports_send(&p, 1, NULL, 60, 9), 0);
	assert_int_equal(p.of[1]->nr_small, before - 1);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(take_all(i, &fill, 1), i == 1 ? 0 : 1);
	/* It comes back when the last one has it. */
	for (unsigned i = 0; i < VNET_RING_SLOTS; i++) {
		assert_int_equal(ports_send(&p, 1, NULL, 60, 9), 0);
		for (uint32_t k = 0; k < 4; k++)
			(void)take_all(k, &fill, 1);
	}
	assert_int_equal(ports_send(&p, 1, NULL, 60, 9), 0);
	assert_true(p.of[1]->nr_small >= before - VNET_RING_SLOTS - 1);
}

static void a_sleeper_is_woken_once(void **state)
{
	uint8_t fills[3];

	(void)state;
	assert_int_equal(ports_send(&p, 0, peer(0, 1), 60, 1), 0);
	assert_false(readable(1));		/* it was awake */
	assert_false(vnet_port_sleep(p.of[1])); /* there is a frame */
	assert_int_equal(take_all(1, fills, 1), 1);
	assert_true(vnet_port_sleep(p.of[1]));
	assert_false(readable(1));
	assert_int_equal(ports_send(&p, 0, peer(0, 1), 60, 1), 0);
	assert_true(readable(1));
	vnet_port_awake(p.of[1]);
	assert_int_equal(ports_send(&p, 2, peer(2, 1), 60, 2), 0);
	assert_int_equal(take_all(1, fills, 3), 2);
	assert_false(readable(1));
}

/* The socket is emptied after a wake-up was acted on, and before the next sleep. */
static void a_wake_up_for_the_next_sleep_stays(void **state)
{
	struct vnet_frame f;
	uint8_t fills[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		assert_true(vnet_port_sleep(p.of[1]));
		assert_false(readable(1));
		assert_int_equal(ports_send(&p, 0, peer(0, 1), 60, 1), 0);
		vnet_port_awake(p.of[1]);
		assert_true(vnet_port_next(p.of[1], &f));
		vnet_port_take(p.of[1], &f);
		assert_true(vnet_port_sleep(p.of[1]));
		assert_false(readable(1));
		assert_int_equal(ports_send(&p, 2, peer(2, 1), 60, 1), 0);
		assert_true(readable(1));
		/* Asked again without having been awake. */
		assert_false(vnet_port_sleep(p.of[1]));
		assert_int_equal(take_all(1, fills, 1), 1);
		assert_true(readable(1));
		vnet_port_awake(p.of[1]);
		vnet_port_settle(p.of[1]);
		assert_false(readable(1));
	}
}

static void who_wants_room_is_woken(void **state)
{
	struct vnet_frame f;
	unsigned n = 0;

	(void)state;
	while (ports_send(&p, 0, peer(0, 1), 60, 1) == 0)
		n++;
	assert_int_equal(n, VNET_RING_SLOTS);
	assert_int_equal(vnet_port_room(p.of[0], peer(0, 1), 60), -EAGAIN);
	assert_true(vnet_port_want(p.of[0], peer(0, 1)));
	assert_false(readable(0));
	assert_true(vnet_port_next(p.of[1], &f));
	vnet_port_take(p.of[1], &f);
	vnet_port_settle(p.of[1]);
	assert_true(readable(0));
	vnet_port_awake(p.of[0]);
	assert_int_equal(vnet_port_room(p.of[0], peer(0, 1), 60), 0);
	vnet_port_settle(p.of[0]);
	assert_false(readable(0));
	/* It wants nothing now, so it is not woken again. */
	assert_true(vnet_port_next(p.of[1], &f));
	vnet_port_take(p.of[1], &f);
	vnet_port_settle(p.of[1]);
	assert_false(readable(0));
}

/* Guarantee 2 of progress, with large frames: there are 64 chunks. */
static void slow_receivers_leave_chunks_for_others(void **state)
{
	unsigned n[4] = { 0 };
	uint8_t fill;

	(void)state;
	for (uint32_t to = 1; to < 3; to++)
		while (ports_send(&p, 0, peer(0, to), 60000, 1) == 0)
			n[to]++;
	assert_int_equal(n[1], VNET_LARGE_NR / 2);
	assert_int_equal(n[2], VNET_LARGE_NR / 4);
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(ports_send(&p, 0, peer(0, 3), 60000, 2), 0);
		assert_int_equal(take_all(3, &fill, 1), 1);
	}
	/* And small frames have chunks of their own. */
	assert_int_equal(ports_send(&p, 0, peer(0, 3), 60, 2), 0);
}

static void a_dead_port_gives_its_chunks_back(void **state)
{
	uint32_t before = p.of[0]->nr_large;

	(void)state;
	while (ports_send(&p, 0, peer(0, 1), 60000, 1) == 0)
		;
	assert_true(p.of[0]->nr_large < before);
	vnet_port_remove(p.of[0], 1, 2); /* another generation */
	assert_non_null(peer(0, 1));
	vnet_port_remove(p.of[0], 1, 1);
	assert_null(peer(0, 1));
	assert_int_equal(p.of[0]->nr_large, before);
	vnet_port_remove(p.of[0], 1, 1);
	vnet_port_remove(p.of[0], 77, 0);
	vnet_port_remove(p.of[0], VNET_PORTS_MAX, 0);
	assert_int_equal(p.of[0]->nr_peers, 2);
}

/* Its worker had sent, taken and wanted; frames for the old port are void. */
static void a_new_port_takes_the_slot(void **state)
{
	uint8_t fills[VNET_RING_SLOTS];

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(ports_send(&p, 0, peer(0, 1), 60, 1), 0);
	assert_int_equal(ports_send(&p, 1, peer(1, 0), 60, 7), 0);
	assert_int_equal(take_all(0, fills, 1), 1);
	assert_int_equal(take_all(1, fills, 5), 5);
	while (ports_send(&p, 0, peer(0, 1), 60, 1) == 0)
		;
	assert_true(vnet_port_want(p.of[0], peer(0, 1)));
	vnet_port_destroy(p.of[1]);
	(void)close(p.reader[1]);
	(void)close(p.waker[1]);
	ports_open(&p, 1, 2);
	/* In either order, and twice. */
	assert_int_equal(ports_introduce(&p, 1, 0, 1), 0);
	assert_int_equal(take_all(1, fills, 0), 0);
	assert_int_equal(ports_introduce(&p, 0, 1, 2), 0);
	assert_int_equal(ports_introduce(&p, 0, 1, 2), 0);
	assert_int_equal(ports_introduce(&p, 0, 1, 1), -EEXIST);
	assert_int_equal(take_all(1, fills, 0), 0);
	for (unsigned i = 0; i < 3 * VNET_RING_SLOTS; i++) {
		assert_int_equal(ports_send(&p, 0, peer(0, 1), 60, (uint8_t)i),
				 0);
		assert_int_equal(take_all(1, fills, 1), 1);
		assert_int_equal(fills[0], (uint8_t)i);
	}
	assert_int_equal(ports_send(&p, 1, peer(1, 0), 60, 8), 0);
	assert_int_equal(take_all(0, fills, 1), 1);
	assert_int_equal(fills[0], 8);
}

static void wrong_ports_are_refused(void **state)
{
	struct vnet_station s = ports_station(5);
	int pipe_fds[2];

	(void)state;
	assert_int_equal(vnet_port_add(p.of[0], 0, 1, &s, dup(p.reader[1]),
				       dup(p.waker[1])),
			 -EINVAL);
	assert_int_equal(vnet_port_add(p.of[0], VNET_PORTS_MAX, 1, &s,
				       dup(p.reader[1]), dup(p.waker[1])),
			 -EINVAL);
	assert_int_equal(vnet_port_add(p.of[0], 5, 0, &s, dup(p.reader[1]),
				       dup(p.waker[1])),
			 -EINVAL);
	/* Its pages could vanish. */
	assert_int_equal(vnet_port_add(p.of[0], 5, 1, &s,
				       memfd_create("x", MFD_CLOEXEC),
				       dup(p.waker[1])),
			 -EPROTO);
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_not_equal(
		vnet_port_add(p.of[0], 5, 1, &s, pipe_fds[0], pipe_fds[1]), 0);
	assert_int_equal(p.of[0]->nr_peers, 3);
}

static void ports_are_found_by_address(void **state)
{
	struct vnet_station s = ports_station(2), none = ports_station(9);

	(void)state;
	assert_ptr_equal(vnet_port_by_mac(p.of[0], s.mac), peer(0, 2));
	assert_ptr_equal(vnet_port_by_ip(p.of[0], s.ip), peer(0, 2));
	assert_null(vnet_port_by_mac(p.of[0], none.mac));
	assert_null(vnet_port_by_ip(p.of[0], none.ip));
	/* Not itself. */
	assert_null(vnet_port_by_ip(p.of[2], s.ip));
	/* A trunk has no address, and so is not the one of those that ask. */
	memset(&none, 0, sizeof(none));
	assert_int_equal(vnet_port_add(p.of[0], VNET_SLOT_TRUNK, 1, &none,
				       dup(p.reader[2]), dup(p.waker[2])),
			 0);
	assert_null(vnet_port_by_ip(p.of[0], none.ip));
}

/* Each peer has its turn, however much another one sends. */
static void turns_are_taken(void **state)
{
	uint8_t fills[VNET_RING_SLOTS + 2];
	unsigned n;

	(void)state;
	while (ports_send(&p, 0, peer(0, 3), 60, 1) == 0)
		;
	assert_int_equal(ports_send(&p, 1, peer(1, 3), 60, 2), 0);
	assert_int_equal(ports_send(&p, 2, peer(2, 3), 60, 3), 0);
	n = take_all(3, fills, sizeof(fills));
	assert_int_equal(n, VNET_RING_SLOTS + 2);
	assert_non_null(memchr(fills, 2, VNET_TURN + 2));
	assert_non_null(memchr(fills, 3, VNET_TURN + 2));
}

/* --- a worker that was taken over --- */

static void wrong_descriptors_are_dropped(void **state)
{
	const uint64_t small = offsetof(struct vnet_shared, small);
	const uint64_t wrong[] = {
		0,
		UINT64_MAX,
		vnet_desc(small, 60, 0, 0),	      /* no type */
		vnet_desc(small, 60, 3, 0),	      /* not known */
		vnet_desc(small, 13, VNET_INLINE, 0), /* too short */
		vnet_desc(small, VNET_FRAME_MAX + 1, VNET_INLINE, 0),
		vnet_desc(0, 60, VNET_INLINE, 0), /* no chunk */
		vnet_desc(small - 64, 60, VNET_INLINE, 0),
		vnet_desc(sizeof(struct vnet_shared) - 64, 60, VNET_INLINE, 0),
		vnet_desc(sizeof(struct vnet_shared), 60, VNET_INLINE, 0),
		vnet_desc(0xffffffffull * 64, 60, VNET_INLINE, 0),
	};
	struct vnet_frame f;
	uint8_t fills[1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		vnet_tx_put(&peer(0, 1)->tx, wrong[i]);
	(void)vnet_tx_publish(&peer(0, 1)->tx);
	assert_false(vnet_port_next(p.of[1], &f));
	assert_int_equal(p.of[1]->stats.bad, ARRAY_SIZE(wrong));
	/* Others are received, and so is it. */
	assert_int_equal(ports_send(&p, 2, peer(2, 1), 60, 4), 0);
	assert_int_equal(take_all(1, fills, 1), 1);
	vnet_tx_put(&peer(0, 1)->tx, vnet_desc(small, 60, VNET_INLINE, 0));
	(void)vnet_tx_publish(&peer(0, 1)->tx);
	assert_int_equal(take_all(1, fills, 1), 1);
}

static void a_false_header_drops_its_frame(void **state)
{
	struct vnet_frame f;
	struct vnet_buf b;

	(void)state;
	vnet_port_begin(p.of[0], 60, &b);
	*b.hdr = (struct vnet_hdr){ .flags = VNET_HDR_NEEDS_CSUM,
				    .csum_start = 59,
				    .csum_offset = 1 };
	vnet_port_send(p.of[0], &b, peer(0, 1), 60, true);
	vnet_port_flush(p.of[0]);
	assert_false(vnet_port_next(p.of[1], &f));
	assert_int_equal(p.of[1]->stats.bad, 1);
}

static void false_indexes_end_one_pair(void **state)
{
	struct vnet_line *line = &p.of[0]->shared->lines[1];
	struct vnet_head *head = &p.of[2]->shared->heads[0];
	struct vnet_frame f;
	uint8_t fill;

	(void)state;
	atomic_store(&line->tail, 1ull << 32 | (VNET_RING_SLOTS + 1));
	assert_false(vnet_port_next(p.of[1], &f));
	assert_true(peer(1, 0)->rx.dead);
	/* One more than a ring holds. */
	assert_int_equal(ports_send(&p, 0, peer(0, 2), 60, 1), 0);
	atomic_store(&head->head, 1ull << 32 | (VNET_RING_SLOTS + 1));
	while (ports_send(&p, 0, peer(0, 2), 60, 1) == 0)
		;
	assert_int_equal(vnet_port_room(p.of[0], peer(0, 2), 60), -ENOBUFS);
	assert_true(peer(0, 2)->tx.dead);
	/* The other pairs go on. */
	assert_int_equal(ports_send(&p, 0, peer(0, 3), 60, 1), 0);
	assert_int_equal(take_all(3, &fill, 1), 1);
	assert_int_equal(ports_send(&p, 2, peer(2, 1), 60, 1), 0);
	assert_int_equal(take_all(1, &fill, 1), 1);
}

/* An idle pair has no page of a ring. */
static void rings_cost_nothing_before_use(void **state)
{
	unsigned char in[VNET_PORTS_MAX];
	void *rings = p.of[0]->shared->rings;
	unsigned n = 0;

	(void)state;
	assert_int_equal(mincore(rings, sizeof(p.of[0]->shared->rings), in), 0);
	for (unsigned i = 0; i < VNET_PORTS_MAX; i++)
		n += in[i] & 1;
	assert_int_equal(n, 0);
	assert_int_equal(ports_send(&p, 0, peer(0, 3), 60, 1), 0);
	assert_int_equal(mincore(rings, sizeof(p.of[0]->shared->rings), in), 0);
	for (unsigned i = 0; i < VNET_PORTS_MAX; i++)
		assert_int_equal(in[i] & 1, i == 3);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(frames_arrive_whole_and_in_order),
		T(headers_travel_with_their_frame),
		T(a_broadcast_reaches_all_by_one_chunk),
		T(a_sleeper_is_woken_once),
		T(a_wake_up_for_the_next_sleep_stays),
		T(who_wants_room_is_woken),
		T(slow_receivers_leave_chunks_for_others),
		T(a_dead_port_gives_its_chunks_back),
		T(a_new_port_takes_the_slot),
		T(wrong_ports_are_refused),
		T(ports_are_found_by_address),
		T(turns_are_taken),
		T(wrong_descriptors_are_dropped),
		T(a_false_header_drops_its_frame),
		T(false_indexes_end_one_pair),
		T(rings_cost_nothing_before_use),
	};

	return cmocka_run_group_tests_name("vnet_port", tests, NULL, NULL);
}
