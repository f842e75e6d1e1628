/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The negative table, rings and direct descriptors: what a hostile driver may
 * write, one test a row. Indirect tables are in test_virtqueue_indirect.c,
 * registers and resets in test_virtio_pci.c.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/unit/virtio/negative.h"

/* --- links --- */

static void self_loop(void **state)
{
	struct bench *b = *state;

	ring_desc(b->r, 0, DATA_GPA, 8, D_NEXT, 0);
	bench_offer(b, 0);
	expect_needs_reset(b);
}

static void two_cycle(void **state)
{
	struct bench *b = *state;

	ring_desc(b->r, 0, DATA_GPA, 8, D_NEXT, 1);
	ring_desc(b->r, 1, DATA_GPA, 8, D_NEXT, 0);
	bench_offer(b, 0);
	expect_needs_reset(b);
}

/* Pieces of length 0 add nothing: the walk itself has to be bounded. */
static void loop_of_empty_pieces(void **state)
{
	struct bench *b = *state;

	ring_desc(b->r, 0, DATA_GPA, 0, D_NEXT, 1);
	ring_desc(b->r, 1, DATA_GPA, 0, D_NEXT, 0);
	bench_offer(b, 0);
	expect_needs_reset(b);
}

static void next_is_size(void **state)
{
	struct bench *b = *state;

	ring_desc(b->r, 0, DATA_GPA, 8, D_NEXT, NEGATIVE_SIZE);
	bench_offer(b, 0);
	expect_needs_reset(b);
}

static void next_is_far_outside(void **state)
{
	struct bench *b = *state;

	ring_desc(b->r, 0, DATA_GPA, 8, D_NEXT, 0xffff);
	bench_offer(b, 0);
	expect_needs_reset(b);
}

/* ... but without the flag, next means nothing. */
static void next_without_flag_is_ignored(void **state)
{
	struct bench *b = *state;

	ring_desc(b->r, 0, DATA_GPA, 8, 0, 0xffff);
	bench_offer(b, 0);
	expect_served(b, 8, 0);
}

static void longest_chain_is_served(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < NEGATIVE_SIZE; i++)
		ring_desc(b->r, i, DATA_GPA, 8,
			  i + 1 < NEGATIVE_SIZE ? D_NEXT : 0, i + 1);
	bench_offer(b, 0);
	expect_served(b, 8 * NEGATIVE_SIZE, 0);
}

/* --- rings --- */

static void head_is_size(void **state)
{
	struct bench *b = *state;

	bench_offer(b, NEGATIVE_SIZE);
	expect_needs_reset(b);
}

static void head_is_far_outside(void **state)
{
	struct bench *b = *state;

	bench_offer(b, 0xffff);
	expect_needs_reset(b);
}

static void avail_index_jumps_by_size_plus_one(void **state)
{
	struct bench *b = *state;

	ring_desc(b->r, 0, DATA_GPA, 8, 0, 0);
	ring_set_avail(b->r, NEGATIVE_SIZE + 1);
	driver_kick(&b->d, 0);
	expect_needs_reset(b);
}

static void avail_index_goes_back(void **state)
{
	struct bench *b = *state;

	ring_set_avail(b->r, 0xffff);
	driver_kick(&b->d, 0);
	expect_needs_reset(b);
}

/* --- addresses --- */

static void addr_plus_len_overflows(void **state)
{
	struct bench *b = *state;

	ring_desc(b->r, 0, UINT64_MAX - 10, 100, D_WRITE, 0);
	bench_offer(b, 0);
	expect_needs_reset(b);
}

static void addr_plus_len_wraps_to_zero(void **state)
{
	struct bench *b = *state;

	ring_desc(b->r, 0, UINT64_MAX - 99, 100, D_WRITE, 0);
	bench_offer(b, 0);
	expect_needs_reset(b);
}

static void longest_length(void **state)
{
	struct bench *b = *state;

	ring_desc(b->r, 0, DATA_GPA, UINT32_MAX, D_WRITE, 0);
	bench_offer(b, 0);
	expect_needs_reset(b);
}

static void up_to_the_last_byte(void **state)
{
	struct bench *b = *state;

	ring_desc(b->r, 0, NEGATIVE_RAM - 512, 512, D_WRITE, 0);
	bench_offer(b, 0);
	expect_served(b, 0, 512);
}

static void one_past_the_last_byte(void **state)
{
	struct bench *b = *state;

	ring_desc(b->r, 0, NEGATIVE_RAM - 512, 513, D_WRITE, 0);
	bench_offer(b, 0);
	expect_needs_reset(b);
}

static void one_byte_just_past_the_end(void **state)
{
	struct bench *b = *state;

	ring_desc(b->r, 0, NEGATIVE_RAM, 1, D_WRITE, 0);
	bench_offer(b, 0);
	expect_needs_reset(b);
}

static void mmio_hole(void **state)
{
	struct bench *b = *state;

	ring_desc(b->r, 0, 0xfee00000, 4, D_WRITE, 0);
	bench_offer(b, 0);
	expect_needs_reset(b);
}

static void buffer_reaches_into_mmio_hole(void **state)
{
	struct bench *b = *state;

	ring_desc(b->r, 0, RAM_LOW_END - 4, 8, D_WRITE, 0);
	bench_offer(b, 0);
	expect_needs_reset(b);
}

static void buffer_spans_mmio_hole(void **state)
{
	struct bench *b = *state;

	ring_desc(b->r, 0, RAM_LOW_END - 4, (uint32_t)GIB(1) + 8, D_WRITE, 0);
	bench_offer(b, 0);
	expect_needs_reset(b);
}

static void ram_above_mmio_hole_is_served(void **state)
{
	struct bench *b = *state;

	ring_desc(b->r, 0, RAM_HIGH_START, 16, D_WRITE, 0);
	bench_offer(b, 0);
	expect_served(b, 0, 16);
}

static void zero_length(void **state)
{
	struct bench *b = *state;

	ring_desc(b->r, 0, UINT64_MAX, 0, D_WRITE, 0);
	bench_offer(b, 0);
	expect_served(b, 0, 0);
	assert_int_equal(b->dev.last.nr_in, 0);
}

static void readable_after_writable(void **state)
{
	struct bench *b = *state;

	ring_desc(b->r, 0, DATA_GPA, 8, D_NEXT | D_WRITE, 1);
	ring_desc(b->r, 1, DATA_GPA, 8, 0, 0);
	bench_offer(b, 0);
	expect_needs_reset(b);
}

static void chain_lies_over_the_rings(void **state)
{
	struct bench *b = *state;

	/*
	 * Legal, and the guest's own loss: the device writes one byte at the
	 * end of its descriptor table and goes on.
	 */
	ring_desc(b->r, 0, b->r->desc, 16u * NEGATIVE_SIZE, D_WRITE, 0);
	bench_offer(b, 0);
	expect_served(b, 0, 16u * NEGATIVE_SIZE);
}

/* --- rewritten while being read --- */

#define ROUNDS	 300u
#define INDIRECT (DATA_GPA + 4096)

/* A guest CPU with a mapping of its own, as real ones have. */
struct rewriter {
	pthread_t thread;
	struct ram_view view;
	uint64_t desc;
	_Atomic bool stop;
};

static void *rewrite(void *arg)
{
	static const struct vq_desc lies[] = {
		{ DATA_GPA, 64, D_NEXT, 1 },
		{ UINT64_MAX - 4, 64, D_WRITE, 0 },
		{ DATA_GPA, UINT32_MAX, 0, 0 },
		{ DATA_GPA, 64, D_NEXT | D_WRITE, 0xffff },
		{ INDIRECT, 32, D_INDIRECT, 0 },
		{ DATA_GPA, 64, D_NEXT, 0 },
	};
	struct rewriter *w = arg;

	for (unsigned i = 0; !atomic_load(&w->stop); i++) {
		struct vq_desc d = lies[i % ARRAY_SIZE(lies)];

		must(ram_write(&w->view, gpa(w->desc), &d, sizeof(d)) == 0);
		must(ram_write(&w->view, gpa(INDIRECT), &d, sizeof(d)) == 0);
	}
	return NULL;
}

static void rewriter_start(struct rewriter *w, struct bench *b)
{
	w->desc = b->r->desc;
	must(ram_view_create(&w->view, b->h.ram_fd, NEGATIVE_RAM) == 0);
	must(pthread_create(&w->thread, NULL, rewrite, w) == 0);
}

static void rewriter_stop(struct rewriter *w)
{
	atomic_store(&w->stop, true);
	(void)pthread_join(w->thread, NULL);
	ram_view_destroy(&w->view);
}

static bool inside(const struct ram_view *ram, const struct iovec *v)
{
	uint8_t *at = v->iov_base;

	return v->iov_len && at >= ram->hva &&
	       range_fits((uint64_t)(at - ram->hva), v->iov_len, ram->bytes);
}

static void expect_inside(const struct bench *b, const struct vq_chain *c)
{
	assert_in_range(c->nr_out + c->nr_in, 0, VQ_MAX_IOV);
	for (unsigned i = 0; i < c->nr_out + c->nr_in; i++)
		assert_true(inside(&b->h.ram, &c->iov[i]));
}

static void descriptor_rewritten_while_read(void **state)
{
	struct bench *b = *state;
	struct rewriter w = { 0 };
	unsigned served = 0, resets = 0;

	rewriter_start(&w, b);
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned before = b->dev.taken;

		ring_desc(b->r, 1, DATA_GPA, 8, D_WRITE, 0);
		bench_offer(b, 0);
		if (b->dev.taken == before) {
			resets++;
			driver_start(&b->d, 0, 2, NEGATIVE_SIZE);
			continue;
		}
		served++;
		expect_inside(b, &b->dev.last);
	}
	rewriter_stop(&w);
	assert_int_equal(served + resets, ROUNDS);
	expect_in_time(b);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
#define H(f)                                                                   \
	cmocka_unit_test_setup_teardown(f, bench_setup_hole, bench_teardown)
	const struct CMUnitTest tests[] = {
		T(self_loop),
		T(two_cycle),
		T(loop_of_empty_pieces),
		T(next_is_size),
		T(next_is_far_outside),
		T(next_without_flag_is_ignored),
		T(longest_chain_is_served),
		T(head_is_size),
		T(head_is_far_outside),
		T(avail_index_jumps_by_size_plus_one),
		T(avail_index_goes_back),
		T(addr_plus_len_overflows),
		T(addr_plus_len_wraps_to_zero),
		T(longest_length),
		T(up_to_the_last_byte),
		T(one_past_the_last_byte),
		T(one_byte_just_past_the_end),
		H(mmio_hole),
		H(buffer_reaches_into_mmio_hole),
		H(buffer_spans_mmio_hole),
		H(ram_above_mmio_hole_is_served),
		T(zero_length),
		T(readable_after_writable),
		T(chain_lies_over_the_rings),
		T(descriptor_rewritten_while_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
