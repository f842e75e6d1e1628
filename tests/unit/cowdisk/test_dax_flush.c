/* SPDX-License-Identifier: BSD-2-Clause */
/* What becomes of a guest's writes; with io_uring and without. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>

#include "tests/unit/cowdisk/dax_bench.h"

#define BYTES (MIB(24) + 1536)
#define PAGES (BYTES / PAGE_BYTES + 1)

static int setup_ring(void **state)
{
	*state = dax_bench_make(BYTES, true, true);
	return 0;
}

static int setup_sync(void **state)
{
	*state = dax_bench_make(BYTES, true, false);
	return 0;
}

static int teardown(void **state)
{
	dax_bench_destroy(*state);
	return 0;
}

/* How many blocks the file has. */
static uint64_t present(struct dax_bench *b)
{
	struct disk *d = dax_bench_disk(b);
	uint64_t n = cow_map_count(cow_map(disk_cow(d)));

	disk_close(d);
	return n;
}

static void exactly_what_was_written(void **state)
{
	struct dax_bench *b = *state;
	uint64_t last = (PAGES - 1) * PAGE_BYTES;

	dax_guest_set(b, 3 * 4096 + 100, 4096, 1); /* 3 and 4 */
	dax_guest_set(b, 7 * 4096, 1, 2);
	dax_guest_set(b, 64 * 4096 - 1, 2, 3); /* on both sides of a word */
	dax_guest_set(b, last, 1536, 4);
	dax_guest_set(b, BYTES, 512, 5); /* of no disk */
	assert_int_equal(dax_flush_now(b), 0);
	assert_int_equal(dax_written(b), 6);
	assert_int_equal(dax_flush_now(b), 0);
	assert_int_equal(dax_written(b), 6); /* not again */
	dax_guest_set(b, 4 * 4096 + 200, 1, 6);
	assert_int_equal(dax_flush_now(b), 0);
	assert_int_equal(dax_written(b), 7);
	assert_int_equal(present(b), 6);
	dax_bench_reopen(b, 1000);
	dax_expect_base(b, 0, 3 * 4096);
	dax_expect(b, 3 * 4096 + 100, 4096 - 100, 1);
	dax_expect(b, 4 * 4096, 100, 1);
	dax_expect(b, 4 * 4096 + 200, 1, 6);
	dax_expect_base(b, 5 * 4096, 7 * 4096);
	dax_expect(b, 7 * 4096, 1, 2);
	dax_expect_base(b, 8 * 4096, 63 * 4096);
	dax_expect(b, 64 * 4096 - 1, 2, 3);
	dax_expect_base(b, 65 * 4096, last);
	dax_expect(b, last, 1536, 4);
	dax_expect_tail(b);
}

static void without_a_flush_nothing_is_promised(void **state)
{
	struct dax_bench *b = *state;

	dax_guest_set(b, 4096, 4096, 1);
	assert_int_equal(dax_flush_now(b), 0);
	dax_guest_set(b, 4096, 4096, 2);
	dax_guest_set(b, 8192, 4096, 2);
	dax_bench_reopen(b, 1000);
	dax_expect(b, 4096, 4096, 1);
	dax_expect_base(b, 8192, MIB(1));
	assert_int_equal(present(b), 1);
}

static void a_guests_end_is_a_flush(void **state)
{
	struct dax_bench *b = *state;

	dax_guest_set(b, 4096, 4096, 1);
	assert_int_equal(dax_settle(b->dax), 0);
	dax_bench_reopen(b, 1000);
	dax_expect(b, 4096, 4096, 1);
}

/* More than all buffers, and than one turn may write. */
static void many_pages(void **state)
{
	struct dax_bench *b = *state;
	uint64_t n = 0;

	dax_guest_set(b, 0, MIB(12), 9);
	for (uint64_t p = MIB(12) / 4096; p < PAGES - 1; p += 1 + p % 3, n++)
		dax_guest_set(b, p * 4096, 4096, (uint8_t)p);
	assert_int_equal(dax_flush_now(b), 0);
	assert_int_equal(dax_written(b), MIB(12) / 4096 + n);
	dax_bench_reopen(b, 100000);
	dax_expect(b, 0, MIB(12), 9);
	for (uint64_t p = MIB(12) / 4096; p < PAGES - 1; p += 1 + p % 3)
		dax_expect(b, p * 4096, 4096, (uint8_t)p);
	assert_int_equal(present(b), MIB(12) / 4096 + n);
}

/* A call does a part of it: what else this thread has to do comes in time. */
static void work_is_put_off(void **state)
{
	struct dax_bench *b = *state;
	struct dax_done f = { .r.done = dax_is_done };

	dax_guest_set(b, 0, MIB(24), 9);
	dax_flush(b->dax, &f.r);
	assert_false(f.done);
	assert_in_range(dax_written(b), 0, MIB(8) / 4096);
	dax_wait(b, &f);
	assert_int_equal(f.err, 0);
	assert_int_equal(dax_written(b), MIB(24) / 4096);
}

/* Flushes that come while one is under way cover what came before them. */
static void later_flushes_have_a_later_round(void **state)
{
	struct dax_bench *b = *state;
	struct dax_done f[4];

	for (unsigned i = 0; i < 4; i++)
		f[i] = (struct dax_done){ .r.done = dax_is_done };
	dax_guest_set(b, 0, MIB(20), 1); /* so that it is under way */
	dax_flush(b->dax, &f[0].r);
	assert_false(f[0].done);
	dax_guest_set(b, 4096, 4096, 2); /* was looked at already */
	for (unsigned i = 1; i < 4; i++)
		dax_flush(b->dax, &f[i].r);
	assert_int_equal(b->takes, 1);
	for (unsigned i = 0; i < 4; i++) {
		dax_wait(b, &f[i]);
		assert_int_equal(f[i].err, 0);
	}
	assert_int_equal(b->takes, 2); /* the three of them together */
	assert_int_equal(dax_written(b), MIB(20) / 4096 + 1);
	dax_bench_reopen(b, 1000);
	dax_expect(b, 4096, 4096, 2);
}

static void a_log_that_fails(void **state)
{
	struct dax_bench *b = *state;

	dax_guest_set(b, 4096, 4096, 1);
	b->refuse = -ENOENT;
	assert_int_equal(dax_flush_now(b), -ENOENT);
	assert_int_equal(dax_written(b), 0);
	b->refuse = 0;
	assert_int_equal(dax_flush_now(b), 0);
	dax_bench_reopen(b, 1000);
	dax_expect(b, 4096, 4096, 1);
}

/* A host without room: told, and done when there is room again. */
static void a_write_that_fails_is_done_again(void **state)
{
	struct dax_done f[2] = { { .r.done = dax_is_done },
				 { .r.done = dax_is_done } };
	struct dax_bench *b = *state;
	struct rlimit before, small;
	struct cow_layout l;

	assert_int_equal(cow_layout_of(BYTES, &l), 0);
	dax_guest_set(b, 0, MIB(12), 1); /* more than a turn */
	dax_guest_set(b, MIB(20), MIB(1), 2);
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = l.data_offset + MIB(16);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (unsigned i = 0; i < 2; i++)
		dax_flush(b->dax, &f[i].r);
	for (unsigned i = 0; i < 2; i++)
		dax_wait(b, &f[i]); /* also the one that had to wait */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_true(f[0].err < 0 && f[1].err < 0);
	assert_int_equal(dax_flush_now(b), 0);
	dax_bench_reopen(b, 1000);
	dax_expect(b, 0, MIB(12), 1);
	dax_expect(b, MIB(20), MIB(1), 2);
	assert_int_equal(present(b), MIB(13) / 4096);
}

/* No vCPU writes what a device writes. */
static void what_devices_write_is_written_each_time(void **state)
{
	struct dax_bench *b = *state;
	struct ram_window *w = dax_window(b->dax);
	struct ram_view view = { .nr_windows = 1, .windows = { w } };
	uint8_t *p;

	w->gpa = GIB(8);
	assert_null(ram_buffer(&view, gpa(GIB(8) - 1), 2, true));
	assert_null(ram_buffer(&view, gpa(GIB(8) + w->bytes - 1), 2, true));
	assert_int_equal(dax_flush_now(b), 0);
	assert_int_equal(dax_written(b), 0);
	p = ram_buffer(&view, gpa(GIB(8) + 8191), 2, true); /* 1 and 2 */
	assert_ptr_equal(p, dax_bench_at(b, 8191));
	assert_ptr_equal(ram_buffer(&view, gpa(GIB(8) + 65536), 512, false),
			 dax_bench_at(b, 65536)); /* only read */
	assert_int_equal(dax_flush_now(b), 0);
	memset(p, 8, 2); /* after the flush took the log */
	assert_int_equal(dax_flush_now(b), 0);
	assert_int_equal(dax_written(b), 4);
	dax_bench_reopen(b, 1000);
	dax_expect(b, 8191, 2, 8);
	assert_int_equal(present(b), 2);
}

struct vcpu {
	struct dax_bench *b;
	atomic_bool stop;
	_Atomic(uint64_t) stores;
};

static void *run_vcpu(void *arg)
{
	struct vcpu *c = arg;

	for (uint32_t x = 1; !atomic_load(&c->stop); c->stores++) {
		x = x * 1664525u + 1013904223u;
		dax_guest_set(c->b, (uint64_t)(x >> 12) % 4096 * 512, 512,
			      (uint8_t)x);
	}
	return NULL;
}

/* Flushes while the guest writes: the last one has all of it. */
static void no_write_is_lost_in_a_race(void **state)
{
	struct dax_bench *b = *state;
	struct vcpu c = { .b = b };
	uint8_t *copy = malloc(MIB(2));
	uint64_t end = clock_now_ns() + 200000000;
	unsigned flushes = 0;
	pthread_t t;

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
	SKIP("the race with the guest is meant");
#endif
#endif
	assert_non_null(copy);
	assert_int_equal(pthread_create(&t, NULL, run_vcpu, &c), 0);
	for (; clock_now_ns() < end || flushes < 20 ||
	       atomic_load(&c.stores) <= 100;
	     flushes++)
		assert_int_equal(dax_flush_now(b), 0);
	atomic_store(&c.stop, true);
	(void)pthread_join(t, NULL);
	assert_int_equal(dax_flush_now(b), 0);
	assert_true(atomic_load(&c.stores) > 100);
	memcpy(copy, dax_bench_at(b, 0), MIB(2));
	dax_bench_reopen(b, 1000);
	assert_memory_equal(copy, dax_bench_at(b, 0), MIB(2));
	free(copy);
}

int main(void)
{
#define RING(f)                                                                \
	{                                                                      \
#f "/ring", f, setup_ring, teardown, NULL                      \
	}
#define PLAIN(f)                                                               \
	{                                                                      \
#f "/plain", f, setup_sync, teardown, NULL                     \
	}
	const struct CMUnitTest tests[] = {
		RING(exactly_what_was_written),
		PLAIN(exactly_what_was_written),
		RING(without_a_flush_nothing_is_promised),
		RING(a_guests_end_is_a_flush),
		PLAIN(a_guests_end_is_a_flush),
		RING(many_pages),
		PLAIN(many_pages),
		RING(work_is_put_off),
		PLAIN(work_is_put_off),
		RING(later_flushes_have_a_later_round),
		PLAIN(later_flushes_have_a_later_round),
		RING(a_log_that_fails),
		PLAIN(a_log_that_fails),
		RING(a_write_that_fails_is_done_again),
		PLAIN(a_write_that_fails_is_done_again),
		RING(what_devices_write_is_written_each_time),
		RING(no_write_is_lost_in_a_race),
		PLAIN(no_write_is_lost_in_a_race),
	};

	return cmocka_run_group_tests_name("dax_flush", tests, NULL, NULL);
}
