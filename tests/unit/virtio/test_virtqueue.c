/* SPDX-License-Identifier: BSD-2-Clause */
/* What a well-behaved driver sees; nonsense is test_virtqueue_negative.c. */
#include <errno.h>
#include <string.h>

#include "tests/unit/virtio/guest_driver.h"
#include "tests/unit/support.h"

#define SIZE 8u
#define RAM  MIB(1)

static struct fake_host host;
static struct ring ring;
static struct vq q;
static struct vq_chain chain;

static int setup(void **state)
{
	(void)state;
	fake_host_create(&host, RAM);
	ring_init(&ring, &host, 0, SIZE);
	vq_reset(&q, &host.ram);
	q.size = SIZE;
	q.desc_gpa = ring.desc;
	q.avail_gpa = ring.avail;
	q.used_gpa = ring.used;
	return vq_enable(&q);
}

static int teardown(void **state)
{
	(void)state;
	fake_host_destroy(&host);
	return 0;
}

static void empty_queue_gives_nothing(void **state)
{
	(void)state;
	assert_int_equal(vq_pop(&q, &chain), 0);
	assert_null(q.why);
}

static void disabled_queue_gives_nothing(void **state)
{
	(void)state;
	vq_reset(&q, &host.ram);
	assert_int_equal(q.size, VQ_MAX_SIZE);
	assert_int_equal(vq_pop(&q, &chain), 0);
	assert_false(vq_arm(&q));
	assert_false(vq_wants_interrupt(&q));
	vq_push(&q, 0, 0); /* a late completion: goes nowhere */
	assert_int_equal(ring_used_index(&ring), 0);
}

static void pieces_in_order(void **state)
{
	char *data = fake_guest(&host, DATA_GPA, 64);
	char buf[64] = { 0 };

	(void)state;
	memcpy(data, "headerBODY", 10);
	ring_desc(&ring, 3, DATA_GPA, 6, D_NEXT, 1);
	ring_desc(&ring, 1, DATA_GPA + 6, 4, D_NEXT, 7);
	ring_desc(&ring, 7, DATA_GPA + 32, 5, D_NEXT | D_WRITE, 0);
	ring_desc(&ring, 0, DATA_GPA + 48, 3, D_WRITE, 0);
	ring_offer(&ring, 3);
	assert_int_equal(vq_pop(&q, &chain), 1);
	assert_int_equal(chain.head, 3);
	assert_int_equal(chain.nr_out, 2);
	assert_int_equal(chain.nr_in, 2);
	assert_int_equal(chain.out_bytes, 10);
	assert_int_equal(chain.in_bytes, 8);
	assert_int_equal(iov_read(chain.iov, chain.nr_out, 4, buf, 60), 6);
	assert_memory_equal(buf, "erBODY", 6);
	assert_int_equal(iov_write(chain.iov + 2, 2, 2, "abcdef!", 7), 6);
	assert_memory_equal(data + 32, "\0\0abc", 5);
	assert_memory_equal(data + 48, "def", 3);
}

static void used_element_and_index(void **state)
{
	uint32_t id, written;

	(void)state;
	ring_desc(&ring, 5, DATA_GPA, 100, D_WRITE, 0);
	ring_offer(&ring, 5);
	assert_int_equal(vq_pop(&q, &chain), 1);
	assert_int_equal(q.in_flight, 1);
	assert_false(ring_used(&ring, &id, &written));
	vq_push(&q, chain.head, 42);
	assert_int_equal(q.in_flight, 0);
	assert_true(ring_used(&ring, &id, &written));
	assert_int_equal(id, 5);
	assert_int_equal(written, 42);
}

static void unpop_gives_the_chain_again(void **state)
{
	(void)state;
	ring_desc(&ring, 2, DATA_GPA, 1, 0, 0);
	ring_desc(&ring, 4, DATA_GPA, 2, 0, 0);
	ring_offer(&ring, 2);
	ring_offer(&ring, 4);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(vq_pop(&q, &chain), 1);
		assert_int_equal(chain.head, 2);
		vq_unpop(&q);
	}
	assert_int_equal(q.in_flight, 0);
	assert_int_equal(vq_pop(&q, &chain), 1);
	assert_int_equal(vq_pop(&q, &chain), 1);
	assert_int_equal(chain.head, 4);
}

/* Both indices run through 65535; elements stay right all the way. */
static void indices_wrap(void **state)
{
	uint32_t id, written;

	(void)state;
	for (unsigned i = 0; i < SIZE; i++)
		ring_desc(&ring, i, DATA_GPA + i, 1, 0, 0);
	for (uint32_t i = 0; i < 65536 + 3 * SIZE; i++) {
		ring_offer(&ring, (uint16_t)(i % SIZE));
		assert_int_equal(vq_pop(&q, &chain), 1);
		assert_int_equal(chain.head, i % SIZE);
		vq_push(&q, chain.head, i);
		assert_true(ring_used(&ring, &id, &written));
		assert_int_equal(id, i % SIZE);
		assert_int_equal(written, i);
	}
	assert_int_equal(ring_used_index(&ring), 3 * SIZE);
}

static void whole_queue_in_flight(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SIZE; i++) {
		ring_desc(&ring, i, DATA_GPA, 1, 0, 0);
		ring_offer(&ring, (uint16_t)i);
	}
	for (unsigned i = 0; i < SIZE; i++)
		assert_int_equal(vq_pop(&q, &chain), 1);
	assert_int_equal(vq_pop(&q, &chain), 0);
	/* Completed in another order. */
	for (unsigned i = SIZE; i-- > 0;)
		vq_push(&q, (uint16_t)i, 0);
	assert_int_equal(ring_used_index(&ring), SIZE);
}

static void interrupt_unless_suppressed(void **state)
{
	(void)state;
	assert_false(vq_wants_interrupt(&q)); /* nothing was pushed */
	vq_push(&q, 0, 0);
	assert_true(vq_wants_interrupt(&q));
	assert_false(vq_wants_interrupt(&q)); /* said once */
	ring_set_avail_flags(&ring, 1);
	vq_push(&q, 0, 0);
	assert_false(vq_wants_interrupt(&q));
	ring_set_avail_flags(&ring, 0);
	vq_push(&q, 0, 0);
	assert_true(vq_wants_interrupt(&q));
}

/* 2.7.7.2: an interrupt when used_event is passed, also across 65535. */
static void event_idx_interrupts(void **state)
{
	(void)state;
	q.event_idx = true;
	q.used_idx = q.signalled = 65533;
	ring_set_used_event(&ring, 65535);
	vq_push(&q, 0, 0); /* element 65533 */
	assert_false(vq_wants_interrupt(&q));
	vq_push(&q, 0, 0);
	assert_false(vq_wants_interrupt(&q));
	vq_push(&q, 0, 0); /* element 65535: the one asked for */
	assert_true(vq_wants_interrupt(&q));
	vq_push(&q, 0, 0);
	assert_false(vq_wants_interrupt(&q));
	/* A batch that jumps over the event. */
	ring_set_used_event(&ring, 3);
	for (int i = 0; i < 6; i++)
		vq_push(&q, 0, 0);
	assert_true(vq_wants_interrupt(&q));
}

static void notifications_by_flag(void **state)
{
	(void)state;
	vq_disarm(&q);
	assert_int_equal(ring_used_flags(&ring), 1);
	assert_false(vq_arm(&q));
	assert_int_equal(ring_used_flags(&ring), 0);
	ring_desc(&ring, 0, DATA_GPA, 1, 0, 0);
	ring_offer(&ring, 0);
	assert_true(vq_arm(&q)); /* it came before we asked: look again */
}

static void notifications_by_event_idx(void **state)
{
	(void)state;
	q.event_idx = true;
	ring_desc(&ring, 0, DATA_GPA, 1, 0, 0);
	ring_offer(&ring, 0);
	assert_int_equal(vq_pop(&q, &chain), 1);
	vq_disarm(&q);
	assert_int_equal(ring_used_flags(&ring), 0); /* left alone */
	assert_false(vq_arm(&q));
	assert_int_equal(ring_avail_event(&ring), 1);
	ring_offer(&ring, 0);
	assert_true(vq_arm(&q));
}

static void iov_helpers_at_their_edges(void **state)
{
	char a[4] = "abcd", b[4] = "efgh", out[8] = { 0 };
	struct iovec v[3] = { { a, 4 }, { NULL, 0 }, { b, 4 } };

	(void)state;
	assert_int_equal(iov_read(v, 0, 0, out, 8), 0);
	assert_int_equal(iov_read(v, 3, 8, out, 8), 0);
	assert_int_equal(iov_read(v, 3, 1000, out, 8), 0);
	assert_int_equal(iov_read(v, 3, 0, out, 0), 0);
	assert_int_equal(iov_read(v, 3, 4, out, 8), 4);
	assert_memory_equal(out, "efgh", 4);
	assert_int_equal(iov_read(v, 3, 3, out, 2), 2);
	assert_memory_equal(out, "de", 2);
	assert_int_equal(iov_write(v, 3, 7, "XY", 2), 1);
	assert_memory_equal(b, "efgX", 4);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(empty_queue_gives_nothing),
		T(disabled_queue_gives_nothing),
		T(pieces_in_order),
		T(used_element_and_index),
		T(unpop_gives_the_chain_again),
		T(indices_wrap),
		T(whole_queue_in_flight),
		T(interrupt_unless_suppressed),
		T(event_idx_interrupts),
		T(notifications_by_flag),
		T(notifications_by_event_idx),
		T(iov_helpers_at_their_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
