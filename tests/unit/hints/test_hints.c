/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's end of the ring of hints: what a guest may say, what is done about
 * it, and that neither nonsense nor haste costs the host more than its share.
 * Time is the test's own.
 */
#include <string.h>

#include "guest-hints/host/hints.h"
#include "tests/unit/support.h"

#define RAM_PAGES 0x100000ull
#define CALLS	  64u

static _Alignas(4096) uint8_t bar[HINTS_BAR_BYTES];
static struct hint_log hint_log;
static struct hints hints;
static uint32_t tail;

/* --- what hints act upon ----------------------------------------------------- */

static uint64_t now_ns, step_ns; /* each look at the clock takes that long */
static bool frees;
static struct {
	char what;
	uint64_t page, pages;
} calls[CALLS];
static unsigned nr_calls;

static void note(char what, uint64_t page, uint64_t pages)
{
	assert_in_range(pages, 1, HINTS_STEP);
	assert_in_range(page, 0, RAM_PAGES - pages);
	if (nr_calls < CALLS) {
		calls[nr_calls].what = what;
		calls[nr_calls].page = page;
		calls[nr_calls].pages = pages;
	}
	nr_calls++;
}

static uint64_t fake_now(void *arg)
{
	(void)arg;
	now_ns += step_ns;
	return now_ns;
}

static bool fake_is_ram(void *arg, uint64_t page, uint64_t pages)
{
	(void)arg;
	return range_fits(page, pages, RAM_PAGES);
}

static uint64_t fake_free(void *arg, uint64_t page, uint64_t pages)
{
	(void)arg;
	note('f', page, pages);
	return frees ? pages : 0;
}

static void fake_zero(void *arg, uint64_t page, uint64_t pages)
{
	(void)arg;
	note('z', page, pages);
}

static void fake_cold(void *arg, uint64_t page, uint64_t pages)
{
	(void)arg;
	note('c', page, pages);
}

static void fake_merge(void *arg, uint64_t page, uint64_t pages)
{
	(void)arg;
	note('m', page, pages);
}

static const struct hints_ops fake_ops = {
	.now_ns = fake_now,
	.is_ram = fake_is_ram,
	.free = fake_free,
	.zero = fake_zero,
	.cold = fake_cold,
	.merge = fake_merge,
};

/* --- the guest ----------------------------------------------------------------- */

static struct hints_info *info(void)
{
	return (void *)(bar + HINTS_INFO_AT);
}

static void store_tail(void)
{
	((struct hints_tail *)(void *)(bar + HINTS_TAIL_AT))->tail = tail;
}

static void push(const struct hints_entry *e)
{
	struct hints_entry *ring = (void *)(bar + HINTS_ENTRIES_AT);

	ring[tail++ % HINTS_ENTRIES] = *e;
	store_tail();
}

static void push_kind(uint16_t kind, uint64_t page, uint32_t pages)
{
	const struct hints_entry e = { .page = page,
				       .pages = pages,
				       .kind = kind,
				       .vcpu = HINTS_ANY_VCPU };

	push(&e);
}

static enum hints_next serve(void)
{
	uint64_t wait_ns = 0;
	enum hints_next next = hints_serve(&hints, &wait_ns);

	assert_true((next == HINTS_WAIT) == (wait_ns > 0));
	return next;
}

static int start(void **state)
{
	const struct hints_config c = { .ops = &fake_ops,
					.bar = bar,
					.ring = bar + HINTS_TAIL_AT,
					.log = &hint_log,
					.nr_vcpus = 2 };

	(void)state;
	memset(bar, 0, sizeof(bar));
	memset(&hint_log, 0, sizeof(hint_log));
	tail = 0;
	now_ns = 1000;
	step_ns = 100;
	frees = true;
	nr_calls = 0;
	hints_init(&hints, &c);
	return 0;
}

/* --- tests --------------------------------------------------------------------- */

static void info_is_there_from_the_start(void **state)
{
	const uint8_t distance[] = { 10, 21, 21, 10 };

	(void)state;
	assert_int_equal(info()->magic, HINTS_MAGIC);
	assert_int_equal(info()->version, HINTS_VERSION);
	assert_int_equal(info()->nr_vcpus, 2);
	assert_int_equal(info()->vcpu_node[0], HINTS_NO_NODE);
	hints_tell_distances(&hints, distance, 2);
	hints_tell_home(&hints, 1);
	assert_int_equal(info()->nr_nodes, 2);
	assert_int_equal(info()->sequence, 2);
	assert_int_equal(info()->vcpu_node[0], 1);
	assert_int_equal(info()->vcpu_node[1], 1);
	assert_int_equal(info()->vcpu_node[2], HINTS_NO_NODE);
	assert_int_equal(bar[HINTS_DISTANCE_AT + 1], 21);
	assert_int_equal(bar[HINTS_DISTANCE_AT + HINTS_MAX_NODES], 21);
	hints_tell_vcpu_home(&hints, 1, 4);
	assert_int_equal(info()->vcpu_node[0], 1);
	assert_int_equal(info()->vcpu_node[1], 4);
	assert_int_equal(info()->sequence, 4);
	hints_tell_home(&hints, NODE_AUTO);
	assert_int_equal(info()->vcpu_node[0], HINTS_NO_NODE);
}

static void hints_are_done(void **state)
{
	static const struct {
		uint16_t kind;
		char what;
	} kinds[] = { { HINTS_FREE, 'f' },
		      { HINTS_ZERO, 'z' },
		      { HINTS_COLD, 'c' },
		      { HINTS_MERGE, 'm' } };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
		push_kind(kinds[i].kind, 16 + i, 4);
	assert_int_equal(serve(), HINTS_DONE);
	assert_int_equal(nr_calls, 4);
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		assert_int_equal(calls[i].what, kinds[i].what);
		assert_int_equal(calls[i].page, 16 + i);
		assert_int_equal(calls[i].pages, 4);
		assert_int_equal(hints.counts.kinds[kinds[i].kind], 1);
	}
	assert_int_equal(info()->head, 4);
	assert_int_equal(info()->taken, 4);
	assert_int_equal(info()->refused, 0);
	assert_int_equal(info()->freed, 4);
}

static void long_ranges_go_in_steps(void **state)
{
	(void)state;
	step_ns = HINTS_TURN_NS; /* a step, and the turn is over */
	push_kind(HINTS_FREE, 100, 2 * HINTS_STEP + 10);
	assert_int_equal(serve(), HINTS_MORE);
	assert_int_equal(info()->head, 0); /* not done yet */
	while (serve() == HINTS_MORE)
		;
	assert_int_equal(nr_calls, 3);
	assert_int_equal(calls[1].page, 100 + HINTS_STEP);
	assert_int_equal(calls[2].page, 100 + 2 * HINTS_STEP);
	assert_int_equal(calls[2].pages, 10);
	assert_int_equal(info()->head, 1);
	assert_int_equal(info()->freed, 2 * HINTS_STEP + 10);
}

static void records_are_left_for_the_engine(void **state)
{
	struct hints_entry e = { .page = 7,
				 .pages = HINTS_MAX_PAGES - 7,
				 .kind = HINTS_PRIVATE,
				 .vcpu = 1,
				 .arg = 99 };
	struct hint_record r;
	uint64_t next = 0, lost = 0;

	(void)state;
	hints_tell_home(&hints, 2);
	hints_tell_vcpu_home(&hints, 1, 3);
	push(&e);
	push_kind(HINTS_FREE, 1, 1); /* no record */
	e = (struct hints_entry){ .kind = HINTS_PHASE_BEGIN,
				  .vcpu = HINTS_ANY_VCPU,
				  .arg = 5 };
	push(&e);
	assert_int_equal(serve(), HINTS_DONE);
	assert_true(hint_log_take(&hint_log, &next, &lost, &r));
	assert_int_equal(r.page, 7);
	assert_int_equal(r.pages, HINTS_MAX_PAGES - 7);
	assert_int_equal(r.kind, HINTS_PRIVATE);
	assert_int_equal(r.vcpu, 1);
	assert_int_equal(r.node, 3);
	assert_int_equal(r.arg, 99);
	assert_true(hint_log_take(&hint_log, &next, &lost, &r));
	assert_int_equal(r.kind, HINTS_PHASE_BEGIN);
	assert_int_equal(r.arg, 5);
	assert_int_equal(r.vcpu, HINTS_ANY_VCPU);
	assert_false(hint_log_take(&hint_log, &next, &lost, &r));
	assert_int_equal(lost, 0);
}

static void a_slow_reader_loses_the_oldest(void **state)
{
	struct hint_record r = { .page = 0, .pages = 1, .kind = HINTS_PIN };
	uint64_t next = 0, lost = 0;

	(void)state;
	for (uint64_t i = 0; i < HINT_LOG_ENTRIES + 3; i++) {
		r.page = i;
		hint_log_add(&hint_log, &r);
	}
	assert_true(hint_log_take(&hint_log, &next, &lost, &r));
	assert_int_equal(r.page, 3);
	assert_int_equal(lost, 3);
	next = UINT64_MAX; /* as of a writer that went back */
	assert_false(hint_log_take(&hint_log, &next, &lost, &r));
	assert_int_equal(next, HINT_LOG_ENTRIES + 3);
}

static void nonsense_is_refused(void **state)
{
	static const struct hints_entry bad[] = {
		{ .kind = HINTS_NONE, .page = 1, .pages = 1 },
		{ .kind = HINTS_NR_KINDS, .page = 1, .pages = 1 },
		{ .kind = 0xffff, .page = 1, .pages = 1 },
		{ .kind = HINTS_FREE, .page = 1, .pages = 0 },
		{ .kind = HINTS_FREE, .page = 1, .pages = HINTS_MAX_PAGES + 1 },
		{ .kind = HINTS_FREE, .page = 1, .pages = UINT32_MAX },
		{ .kind = HINTS_FREE, .page = RAM_PAGES, .pages = 1 },
		{ .kind = HINTS_FREE, .page = RAM_PAGES - 1, .pages = 2 },
		{ .kind = HINTS_FREE, .page = UINT64_MAX, .pages = 1 },
		{ .kind = HINTS_ZERO, .page = UINT64_MAX / 4096, .pages = 2 },
		{ .kind = HINTS_PRIVATE, .page = 1, .pages = 1, .vcpu = 2 },
		{ .kind = HINTS_PRIVATE,
		  .page = 1,
		  .pages = 1,
		  .vcpu = HINTS_ANY_VCPU },
		{ .kind = HINTS_PHASE_END, .page = 1, .pages = 1 },
		{ .kind = HINTS_COLD, .page = 1, .pages = 1, .zero = 1 },
	};
	uint64_t next = 0, lost = 0;
	struct hint_record r;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		push(&bad[i]);
	assert_int_equal(serve(), HINTS_DONE);
	assert_int_equal(nr_calls, 0);
	assert_int_equal(hints.counts.refused, ARRAY_SIZE(bad));
	assert_int_equal(info()->refused, ARRAY_SIZE(bad));
	assert_int_equal(info()->head, ARRAY_SIZE(bad));
	assert_false(hint_log_take(&hint_log, &next, &lost, &r));
}

static void a_broken_ring_waits_for_a_reset(void **state)
{
	(void)state;
	tail = HINTS_ENTRIES + 1;
	store_tail();
	assert_int_equal(serve(), HINTS_DONE);
	assert_true(info()->flags & HINTS_INFO_BROKEN);
	tail = 1;
	store_tail();
	assert_int_equal(serve(), HINTS_DONE);
	assert_int_equal(info()->head, 0);
	assert_int_equal(hints.counts.broken, 1);
	tail = 0;
	store_tail();
	hints_reset(&hints);
	assert_false(info()->flags & HINTS_INFO_BROKEN);
	push_kind(HINTS_MERGE, 5, 1);
	assert_int_equal(serve(), HINTS_DONE);
	assert_int_equal(nr_calls, 1);
	assert_int_equal(info()->head, 1);
}

static void indexes_wrap(void **state)
{
	(void)state;
	hints.head = tail = UINT32_MAX - 2;
	for (unsigned i = 0; i < 5; i++)
		push_kind(HINTS_MERGE, i, 1);
	assert_int_equal(serve(), HINTS_DONE);
	assert_int_equal(nr_calls, 5);
	assert_int_equal(calls[4].page, 4);
	assert_int_equal(info()->head, 2);
}

/*
 * A ring that is always full of nonsense, and a host that serves it whenever it
 * may: what it takes of an hour is its share.
 */
static void nonsense_takes_its_share_of_time(void **state)
{
	uint64_t begun = now_ns, busy_ns = 0, wait_ns, from;
	const uint64_t hour_ns = 3600000000000ull;

	(void)state;
	while (now_ns - begun < hour_ns) {
		enum hints_next next;

		tail = hints.head + HINTS_ENTRIES;
		store_tail(); /* entries of kind 0 */
		from = now_ns;
		step_ns = 1000;
		next = hints_serve(&hints, &wait_ns);
		busy_ns += now_ns - from;
		if (next == HINTS_WAIT)
			now_ns += wait_ns;
	}
	assert_in_range(busy_ns, hour_ns / HINTS_SHARE / 2,
			hour_ns / HINTS_SHARE + 2 * HINTS_BURST_NS);
	assert_true(info()->flags & HINTS_INFO_SLOWED);
	assert_int_equal(nr_calls, 0);
}

/* Wake-ups without an entry count as well. */
static void doorbells_take_their_share(void **state)
{
	unsigned rung = 0;

	(void)state;
	step_ns = 1;
	while (serve() == HINTS_DONE)
		rung++;
	assert_in_range(rung, 1, HINTS_BURST_NS / HINTS_WAKE_NS);
	now_ns += 1000000000ull; /* it rests, and is heard again */
	assert_int_equal(serve(), HINTS_DONE);
	assert_false(info()->flags & HINTS_INFO_SLOWED);
}

static void freeing_is_not_counted_where_it_frees(void **state)
{
	(void)state;
	step_ns = HINTS_BURST_NS;
	for (unsigned i = 0; i < 8; i++)
		push_kind(HINTS_FREE, i * HINTS_STEP, HINTS_STEP);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(serve(), HINTS_MORE);
	assert_int_equal(serve(), HINTS_DONE);
	assert_int_equal(nr_calls, 8);
	frees = false; /* they are holes already */
	push_kind(HINTS_FREE, 0, HINTS_STEP);
	push_kind(HINTS_FREE, 0, HINTS_STEP);
	assert_int_equal(serve(), HINTS_WAIT);
	assert_int_equal(nr_calls, 9);
	assert_int_equal(hints.counts.slowed, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(info_is_there_from_the_start, start),
		cmocka_unit_test_setup(hints_are_done, start),
		cmocka_unit_test_setup(long_ranges_go_in_steps, start),
		cmocka_unit_test_setup(records_are_left_for_the_engine, start),
		cmocka_unit_test_setup(a_slow_reader_loses_the_oldest, start),
		cmocka_unit_test_setup(nonsense_is_refused, start),
		cmocka_unit_test_setup(a_broken_ring_waits_for_a_reset, start),
		cmocka_unit_test_setup(indexes_wrap, start),
		cmocka_unit_test_setup(nonsense_takes_its_share_of_time, start),
		cmocka_unit_test_setup(doorbells_take_their_share, start),
		cmocka_unit_test_setup(freeing_is_not_counted_where_it_frees,
				       start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
