/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The negative table, indirect descriptors (virtio 1.2, 2.7.5.3).
 */
#include "tests/unit/virtio/negative.h"

#define TABLE  0x100000u
#define TABLE2 0x180000u
#define DESC   16u

static void entry(struct bench *b, unsigned i, uint32_t len, unsigned flags,
		  unsigned next)
{
	desc_at(&b->h, TABLE, i, DATA_GPA, len, flags, next);
}

/* Descriptor 0 of the queue points at a table of @bytes. */
static void offer_table(struct bench *b, uint32_t bytes, unsigned more_flags)
{
	ring_desc(b->r, 0, TABLE, bytes, D_INDIRECT | more_flags, 1);
	bench_offer(b, 0);
}

static void indirect_is_served(void **state)
{
	struct bench *b = *state;

	entry(b, 0, 16, D_NEXT, 2);
	entry(b, 2, 100, D_NEXT | D_WRITE, 1);
	entry(b, 1, 1, D_WRITE, 0);
	offer_table(b, 3 * DESC, 0);
	expect_served(b, 16, 101);
}

static void write_flag_is_ignored(void **state)
{
	struct bench *b = *state;

	entry(b, 0, 16, 0, 0);
	offer_table(b, DESC, D_WRITE);
	expect_served(b, 16, 0);
}

static void chain_then_indirect(void **state)
{
	struct bench *b = *state;

	entry(b, 0, 32, D_WRITE, 0);
	ring_desc(b->r, 3, DATA_GPA, 16, D_NEXT, 0);
	ring_desc(b->r, 0, TABLE, DESC, D_INDIRECT, 0);
	bench_offer(b, 3);
	expect_served(b, 16, 32);
}

static void readable_in_table_after_writable_in_chain(void **state)
{
	struct bench *b = *state;

	entry(b, 0, 32, 0, 0);
	ring_desc(b->r, 3, DATA_GPA, 16, D_NEXT | D_WRITE, 0);
	ring_desc(b->r, 0, TABLE, DESC, D_INDIRECT, 0);
	bench_offer(b, 3);
	expect_needs_reset(b);
}

static void nested(void **state)
{
	struct bench *b = *state;

	desc_at(&b->h, TABLE, 0, TABLE2, DESC, D_INDIRECT, 0);
	desc_at(&b->h, TABLE2, 0, DATA_GPA, 8, 0, 0);
	offer_table(b, DESC, 0);
	expect_needs_reset(b);
}

static void nested_in_itself(void **state)
{
	struct bench *b = *state;

	desc_at(&b->h, TABLE, 0, TABLE, DESC, D_INDIRECT, 0);
	offer_table(b, DESC, 0);
	expect_needs_reset(b);
}

/*
 * The queue's own table, entered as an indirect one: nested without end,
 * unless nesting is told from where we are, not from where we came.
 */
static void the_queues_own_table(void **state)
{
	struct bench *b = *state;

	ring_desc(b->r, 0, b->r->desc, DESC, D_INDIRECT, 0);
	bench_offer(b, 0);
	expect_needs_reset(b);
}

static void length_15(void **state)
{
	offer_table(*state, 15, 0);
	expect_needs_reset(*state);
}

static void length_17(void **state)
{
	offer_table(*state, 17, 0);
	expect_needs_reset(*state);
}

static void empty(void **state)
{
	offer_table(*state, 0, 0);
	expect_needs_reset(*state);
}

static void entries_65536(void **state)
{
	struct bench *b = *state;

	entry(b, 0, 8, D_NEXT, 65535);
	entry(b, 65535, 8, 0, 0);
	offer_table(b, 65536 * DESC, 0);
	expect_served(b, 16, 0);
}

static void entries_65537(void **state)
{
	struct bench *b = *state;

	entry(b, 0, 8, 0, 0);
	offer_table(b, 65537 * DESC, 0);
	expect_needs_reset(b);
}

static void length_4_gib_less_16(void **state)
{
	offer_table(*state, 0xfffffff0, 0);
	expect_needs_reset(*state);
}

static void with_next_flag(void **state)
{
	struct bench *b = *state;

	entry(b, 0, 8, 0, 0);
	ring_desc(b->r, 1, DATA_GPA, 8, 0, 0);
	offer_table(b, DESC, D_NEXT);
	expect_needs_reset(b);
}

static void next_outside_the_table(void **state)
{
	struct bench *b = *state;

	/* Inside the queue's table, but not inside this one. */
	entry(b, 0, 8, D_NEXT, 2);
	offer_table(b, 2 * DESC, 0);
	expect_needs_reset(b);
}

static void loop_in_the_table(void **state)
{
	struct bench *b = *state;

	entry(b, 0, 8, D_NEXT, 1);
	entry(b, 1, 8, D_NEXT, 0);
	offer_table(b, 65536 * DESC, 0);
	expect_needs_reset(b);
}

static void longest_chain(void **state)
{
	struct bench *b = *state;
	unsigned n = VQ_MAX_IOV - 1; /* the step into the table counts */

	for (unsigned i = 0; i < n; i++)
		entry(b, i, 1, i + 1 < n ? D_NEXT : 0, i + 1);
	offer_table(b, n * DESC, 0);
	expect_served(b, n, 0);
}

static void longer_than_the_longest(void **state)
{
	struct bench *b = *state;
	unsigned n = VQ_MAX_IOV + 1;

	for (unsigned i = 0; i < n; i++)
		entry(b, i, 1, i + 1 < n ? D_NEXT : 0, i + 1);
	offer_table(b, n * DESC, 0);
	expect_needs_reset(b);
}

static void table_outside_ram(void **state)
{
	struct bench *b = *state;

	ring_desc(b->r, 0, NEGATIVE_RAM - DESC, 2 * DESC, D_INDIRECT, 0);
	bench_offer(b, 0);
	expect_needs_reset(b);
}

static void table_addr_overflows(void **state)
{
	struct bench *b = *state;

	ring_desc(b->r, 0, UINT64_MAX - 15, 2 * DESC, D_INDIRECT, 0);
	bench_offer(b, 0);
	expect_needs_reset(b);
}

/* No rule asks for an aligned table. */
static void unaligned_table(void **state)
{
	struct bench *b = *state;

	desc_at(&b->h, TABLE + 3, 0, DATA_GPA, 8, 0, 0);
	ring_desc(b->r, 0, TABLE + 3, DESC, D_INDIRECT, 0);
	bench_offer(b, 0);
	expect_served(b, 8, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		T(indirect_is_served),
		T(write_flag_is_ignored),
		T(chain_then_indirect),
		T(readable_in_table_after_writable_in_chain),
		T(nested),
		T(nested_in_itself),
		T(the_queues_own_table),
		T(length_15),
		T(length_17),
		T(empty),
		T(entries_65536),
		T(entries_65537),
		T(length_4_gib_less_16),
		T(with_next_flag),
		T(next_outside_the_table),
		T(loop_in_the_table),
		T(longest_chain),
		T(longer_than_the_longest),
		T(table_outside_ram),
		T(table_addr_overflows),
		T(unaligned_table),
	};

	return cmocka_run_group_tests_name("indirect", tests, NULL, NULL);
}
