/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker's part in merging: sums, copies, and what is shown in place of what.
 * The world's source 0 is the boot image here, and frame i a page like its i.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "monitor/ipc/merge_maps.h"
#include "tests/unit/memory/pmap_world.h"
#include "tests/unit/worker/merge_host.h"

#define BYTES ((uint64_t)PAGES * PAGE_BYTES)

static struct world w;
static struct machine m;
static int answers, last;
static uint64_t gained, last_id, answered_id;

static void done(void *arg, uint64_t id, uint64_t pages, int err)
{
	assert_ptr_equal(arg, &answers);
	answered_id = id;
	answers++;
	gained = pages;
	last = err;
}

/* Frame @i: no other has what it has, and none when @kind is another. */
static void fill(uint8_t *page, unsigned i, char kind)
{
	memset(page, kind, PAGE_BYTES);
	memcpy(page + 8, &i, sizeof(i));
}

static char kind_of(unsigned i)
{
	return i < 10 ? 'r' : 'g';
}

static void start_with(uint64_t budget)
{
	world_make(&w, budget);
	memset(&m, 0, sizeof(m));
	m.vm.ram = w.view;
	m.vm.pmap = w.pm;
	assert_int_equal(merge_create(&m.merge, &m.vm, &m.disks, w.pagemap,
				      done, &answers),
			 0);
	answers = 0;
	merge_parks = 0;
	merge_disks_rest = true;
	merge_when_parked = NULL;
}

/* Pages 0 to 9 are RAM, 20 to 69 the boot image: of those 30 to 39 written. */
static void start(void)
{
	start_with(UINT64_MAX);
	for (unsigned i = 0; i < 10; i++)
		fill(world_page(&w, i), i, 'r');
	assert_int_equal(world_show(&w, 20, 50, 0, 20), 0);
	for (unsigned i = 30; i < 40; i++)
		fill(world_page(&w, i), i, 'g');
}

static void end(void)
{
	assert_int_equal(m.merge.job, 0);
	merge_cancel(&m.merge);
	region_destroy(&m.merge.sums);
	(void)close(m.merge.timer.fd);
	world_end(&w);
}

static int finished(void)
{
	for (unsigned i = 0; i < 100 && !answers; i++)
		merge_step(&m.merge);
	assert_int_equal(answers, 1);
	return last;
}

static int memory(uint64_t bytes)
{
	int fd;

	assert_int_equal(region_prepare("test", bytes, NODE_AUTO, &fd), 0);
	return fd;
}

static int by_sum(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t sum_of(const uint8_t *page)
{
	return XXH3_64bits(page, PAGE_BYTES) & ~MERGE_STABLE;
}

/* What frames from @first on hold at first. */
static int table(unsigned first, unsigned nr)
{
	int fd = memory(merge_table_bytes(nr));
	struct merge_entry e[PAGES] = { 0 };
	static uint8_t page[PAGE_BYTES];

	for (unsigned i = 0; i < nr; i++) {
		fill(page, first + i, kind_of(first + i));
		e[i] = (struct merge_entry){ sum_of(page), first + i };
	}
	qsort(e, nr, sizeof(e[0]), by_sum);
	assert_int_equal(pwrite(fd, e, nr * sizeof(e[0]), 0),
			 nr * sizeof(e[0]));
	return fd;
}

static uint32_t entries_of(int fd)
{
	struct merge_entry e = { 0 };
	uint32_t n = 0;

	while (pread(fd, &e, sizeof(e), (off_t)(n * sizeof(e))) == sizeof(e) &&
	       e.sum)
		n++;
	return n ? n : 1;
}

static void ask(enum worker_request_kind kind, int first, int second)
{
	uint32_t entries = second < 0 ? 0 : entries_of(second);
	struct worker_request r = { .kind = kind, .id = ++last_id };
	const int fds[4] = { first < 0 ? -1 : dup(first),
			     second < 0 ? -1 : dup(second), -1, -1 };

	if (kind == WORKER_REQ_SUM)
		r.sum.ram_bytes = BYTES;
	if (kind == WORKER_REQ_GIVE)
		r.give = (struct worker_req_give){ .ram_bytes = BYTES,
						   .entries = entries };
	if (kind == WORKER_REQ_SHARE)
		r.share = (struct worker_req_share){ .ram_bytes = BYTES,
						     .entries = entries };
	answers = 0;
	merge_obey(&m.merge, &r, fds);
}

static bool is_own(unsigned i)
{
	return i < 10 || (i >= 30 && i < 40);
}

static void own_frames_are_summed(void **state)
{
	int fd = memory(merge_sums_bytes(PAGES)),
	    again = memory(merge_sums_bytes(PAGES));
	uint64_t sums[PAGES];

	(void)state;
	start();
	ask(WORKER_REQ_SUM, fd, -1);
	assert_int_equal(finished(), 0);
	assert_int_equal(pread(fd, sums, sizeof(sums), 0), sizeof(sums));
	for (unsigned i = 0; i < PAGES; i++)
		assert_true(sums[i] ==
			    (is_own(i) ? sum_of(world_page(&w, i)) : 0));
	/* What has not changed says so, the next time. */
	world_page(&w, 4)[99] = 'x';
	ask(WORKER_REQ_SUM, again, -1);
	assert_int_equal(finished(), 0);
	assert_int_equal(pread(again, sums, sizeof(sums), 0), sizeof(sums));
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(sums[i] & MERGE_STABLE, is_own(i) && i != 4);
	assert_true(sums[4] == sum_of(world_page(&w, 4)));
	assert_int_equal(merge_parks, 0);
	(void)close(fd);
	(void)close(again);
	end();
}

/* They read the same, and use no memory. */
static void zeroes_are_given_back(void **state)
{
	int fd = memory(merge_sums_bytes(PAGES));
	uint64_t sums[PAGES];

	(void)state;
	start();
	memset(world_page(&w, 2), 0, 3 * PAGE_BYTES);
	memset(world_page(&w, 35), 0, PAGE_BYTES);
	memset(world_page(&w, 7), 0, PAGE_BYTES - 1);
	ask(WORKER_REQ_SUM, fd, -1);
	assert_int_equal(finished(), 0);
	assert_int_equal(m.merge.zeroed, 4);
	assert_true(merge_parks > 0);
	assert_int_equal(pread(fd, sums, sizeof(sums), 0), sizeof(sums));
	for (unsigned i = 0; i < 10; i++) {
		bool zero = i >= 2 && i < 5;

		assert_int_equal(sums[i] == 0, zero);
		assert_int_equal(world_hole(&w, i), zero);
		assert_int_equal(*world_page(&w, i), zero || i == 7 ? 0 : 'r');
	}
	assert_int_equal(*world_page(&w, 35), 0);
	assert_int_equal(*world_page(&w, 36), 'g');
	(void)close(fd);
	end();
}

static void what_is_wanted_is_given(void **state)
{
	int layer = memory(BYTES), want = table(8, 24); /* 8 to 31 */
	int sums = memory(merge_sums_bytes(PAGES));
	uint8_t page[PAGE_BYTES];

	(void)state;
	start();
	ask(WORKER_REQ_SUM, sums, -1);
	assert_int_equal(finished(), 0);
	(void)close(sums);
	world_page(&w, 31)[100] = 'n'; /* not what it was summed with */
	ask(WORKER_REQ_GIVE, layer, want);
	assert_int_equal(finished(), 0);
	for (unsigned i = 0; i < PAGES; i++) {
		bool given = is_own(i) && i >= 8 && i < 31;
		off_t at = (off_t)(i * PAGE_BYTES);

		assert_int_equal(lseek(layer, at, SEEK_DATA) == at, given);
		if (!given)
			continue;
		assert_int_equal(pread(layer, page, sizeof(page), at),
				 sizeof(page));
		assert_memory_equal(page, world_page(&w, i), PAGE_BYTES);
	}
	(void)close(layer);
	(void)close(want);
	end();
}

/* A layer in which frames 0 to 39 are 'r', then 'g'. */
static int make_layer(void)
{
	static uint8_t page[PAGE_BYTES];
	int fd = memory(BYTES);

	for (unsigned i = 0; i < 40; i++) {
		fill(page, i, kind_of(i));
		assert_int_equal(
			pwrite(fd, page, sizeof(page), (off_t)(i * PAGE_BYTES)),
			sizeof(page));
	}
	return fd;
}

static uint64_t overlaid(void)
{
	struct pmap_stats s;

	pmap_get_stats(w.pm, &s);
	return s.overlaid_pages;
}

/* The page is the layer's: not the guest's own, and not the image's. */
static bool is_shared(unsigned i)
{
	uint64_t own[PMAP_OWN_MAX / 64];

	assert_int_equal(pmap_own(w.pm, w.pagemap, i, 1, own), 0);
	return !own[0] && is_own(i);
}

static void equal_frames_are_shared(void **state)
{
	int layer = make_layer(), all = table(0, 40);

	(void)state;
	start();
	world_page(&w, 3)[17] = 'x';
	ask(WORKER_REQ_SHARE, layer, all);
	assert_int_equal(finished(), 0);
	for (unsigned i = 0; i < 40; i++) {
		assert_int_equal(is_shared(i), is_own(i) && i != 3);
		if (is_own(i))
			assert_int_equal(*world_page(&w, i), kind_of(i));
		if (i < 10)
			assert_int_equal(world_hole(&w, i), i != 3);
	}
	assert_int_equal(m.merge.merged, 19);
	assert_int_equal(overlaid(), 40 + 19);
	assert_false(merge_parked);
	assert_true(merge_parks > 0);
	/* A write makes a copy again, of this guest alone. */
	memset(world_page(&w, 5), 'n', PAGE_BYTES);
	assert_int_equal(*world_page(&w, 4), 'r');
	assert_int_equal(*world_page(&w, 5), 'n');
	assert_false(is_shared(5));
	(void)close(layer);
	(void)close(all);
	end();
}

/* Several of one content, at other places than the layer has it. */
static void equal_frames_are_shared_wherever_they_are(void **state)
{
	static const unsigned at[] = { 3, 4, 9, 36 };
	int layer = make_layer(), one = table(20, 1), two = table(21, 2);

	(void)state;
	start();
	for (unsigned i = 0; i < ARRAY_SIZE(at); i++)
		fill(world_page(&w, at[i]), 20, 'g');
	ask(WORKER_REQ_SHARE, layer, one);
	assert_int_equal(finished(), 0);
	assert_int_equal(gained, ARRAY_SIZE(at));
	for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
		assert_true(is_shared(at[i]));
		assert_true(sum_of(world_page(&w, at[i])) ==
			    sum_of(world_page(&w, 3)));
	}
	assert_int_equal(*world_page(&w, 3), 'g');
	assert_false(is_shared(5));
	/* Neighbours that are the layer's neighbours are one mapping. */
	fill(world_page(&w, 0), 21, 'g');
	fill(world_page(&w, 1), 22, 'g');
	ask(WORKER_REQ_SHARE, layer, two);
	assert_int_equal(finished(), 0);
	assert_int_equal(gained, 2);
	assert_true(is_shared(0) && is_shared(1));
	assert_int_equal(m.merge.merged, ARRAY_SIZE(at) + 2);
	(void)close(layer);
	(void)close(one);
	(void)close(two);
	end();
}

static void only_what_is_wanted_is_shared(void **state)
{
	int layer = make_layer(), want = table(2, 3), none = table(60, 5);

	(void)state;
	start();
	ask(WORKER_REQ_SHARE, layer, none);
	assert_int_equal(finished(), 0);
	assert_int_equal(merge_parks, 0);
	ask(WORKER_REQ_SHARE, layer, want);
	assert_int_equal(finished(), 0);
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(is_shared(i), i >= 2 && i < 5);
	(void)close(layer);
	(void)close(want);
	(void)close(none);
	end();
}

/* Equal when it was looked at, another when the vCPUs were out. */
static void write_one(void *arg)
{
	world_page(&w, 4)[0] = *(char *)arg;
}

static void what_changes_meanwhile_is_not(void **state)
{
	int layer = make_layer(), all = table(0, 40);
	char c = 'z';

	(void)state;
	start();
	merge_when_parked = write_one;
	merge_when_parked_arg = &c;
	ask(WORKER_REQ_SHARE, layer, all);
	assert_int_equal(finished(), 0);
	assert_int_equal(world_page(&w, 4)[0], 'z');
	assert_false(is_shared(4));
	assert_true(is_shared(3) && is_shared(6) && is_shared(39));
	merge_when_parked = NULL;
	(void)close(layer);
	(void)close(all);
	end();
}

static void a_busy_disk_is_waited_for(void **state)
{
	int layer = make_layer(), all = table(0, 40);

	(void)state;
	start();
	merge_disks_rest = false;
	ask(WORKER_REQ_SHARE, layer, all);
	for (unsigned i = 0; i < 5; i++)
		merge_step(&m.merge);
	assert_int_equal(answers, 0);
	assert_int_equal(merge_parks, 0);
	merge_disks_rest = true;
	assert_int_equal(finished(), 0);
	assert_int_equal(m.merge.merged, 20);
	/* Not for ever. */
	merge_disks_rest = false;
	ask(WORKER_REQ_SHARE, layer, all);
	m.merge.refused = PARK_MERGE_REFUSALS - 3;
	assert_int_equal(finished(), -EBUSY);
	(void)close(layer);
	(void)close(all);
	end();
}

/*
 * What the guest writes and has again costs no source more, as there are not
 * many; and a layer that is not known any more is one of another number.
 */
static void a_layer_that_comes_again_is_known(void **state)
{
	int layer = make_layer(), one = table(5, 1), fd;

	(void)state;
	start();
	for (unsigned i = 0; i < PMAP_MAX_SOURCES + 10; i++) {
		fill(world_page(&w, 5), 5, 'r');
		ask(WORKER_REQ_SHARE, layer, one);
		assert_int_equal(finished(), 0);
		assert_int_equal(gained, 1);
	}
	fd = m.merge.layers[0].fd;
	merge_cancel(&m.merge);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_true(is_shared(5));
	assert_int_equal(*world_page(&w, 5), 'r');
	(void)close(layer);
	(void)close(one);
	end();
}

/* Pages of a layer are nowhere else: they become RAM. */
static void a_move_makes_them_own_again(void **state)
{
	const struct boot_others nobody = { 0 };
	int layer = make_layer(), all = table(0, 40);

	(void)state;
	start();
	ask(WORKER_REQ_SHARE, layer, all);
	assert_int_equal(finished(), 0);
	assert_int_equal(
		boot_pages_rebase(w.pm, w.pagemap, w.src[1].s.fd, &nobody), 0);
	for (unsigned i = 0; i < 40; i++) {
		if (is_own(i))
			assert_int_equal(*world_page(&w, i), kind_of(i));
		assert_false(is_shared(i));
	}
	(void)close(layer);
	(void)close(all);
	end();
}

static void a_job_is_cancelled(void **state)
{
	int fd = memory(merge_sums_bytes(PAGES));

	(void)state;
	start();
	merge_cancel(&m.merge);
	assert_int_equal(answers, 0);
	ask(WORKER_REQ_SUM, fd, -1);
	assert_int_equal(answers, 0);
	merge_cancel(&m.merge);
	assert_int_equal(answers, 1);
	assert_int_equal(last, -ECANCELED);
	(void)close(fd);
	end();
}

static void expect_refused(enum worker_request_kind kind, int first, int second,
			   int err)
{
	ask(kind, first, second);
	assert_int_equal(answers, 1);
	assert_int_equal(last, err);
}

static void refusals(void **state)
{
	int sums = memory(merge_sums_bytes(PAGES)),
	    small = memory(2 * PAGE_BYTES);
	int layer = memory(BYTES), all = table(0, 40), free_fd = dup(0);
	struct worker_request r = { .kind = WORKER_REQ_SUM, .id = ++last_id };
	const int none[4] = { -1, -1, -1, -1 };

	(void)state;
	start();
	(void)close(free_fd);
	expect_refused(WORKER_REQ_SUM, -1, -1, -EPROTO);
	expect_refused(WORKER_REQ_SUM, sums, all, -EPROTO);
	expect_refused(WORKER_REQ_SHARE, layer, -1, -EPROTO);
	expect_refused(WORKER_REQ_GIVE, -1, -1, -EPROTO);
	expect_refused(WORKER_REQ_GIVE, layer, all, -EPROTO); /* no sums */
	expect_refused(WORKER_REQ_SUM, layer, -1, -EPROTO);
	expect_refused(WORKER_REQ_SHARE, layer, layer, -EPROTO);
	expect_refused(WORKER_REQ_SUM, small, -1, -EPROTO);
	for (unsigned i = 0; i < 3; i++) {
		static const uint64_t bad[] = { 0, 4095, BYTES + PAGE_BYTES };
		const int fds[4] = { dup(sums), -1, -1, -1 };

		r.sum.ram_bytes = bad[i];
		answers = 0;
		merge_obey(&m.merge, &r, fds);
		assert_int_equal(last, -EINVAL);
	}
	ask(WORKER_REQ_SUM, sums, -1);
	r.sum.ram_bytes = BYTES;
	r.id = ++last_id;
	merge_obey(&m.merge, &r, none);
	assert_int_equal(last, -EBUSY);
	assert_int_equal(answered_id, last_id);
	answers = 0;
	assert_int_equal(finished(), 0);
	assert_int_equal(answered_id, last_id - 1);
	region_destroy(&m.merge.sums);
	/* None was left open. */
	assert_int_equal(dup(0), free_fd);
	(void)close(free_fd);
	(void)close(sums);
	(void)close(small);
	(void)close(layer);
	(void)close(all);
	end();
}

/* No room for mappings: they stay what they are. */
static void no_budget_changes_nothing(void **state)
{
	int layer = make_layer(), all = table(0, 40);

	(void)state;
	start_with(1);
	fill(world_page(&w, 3), 3, 'r');
	ask(WORKER_REQ_SHARE, layer, all);
	assert_int_equal(finished(), -ENOSPC);
	assert_int_equal(m.merge.merged, 0);
	assert_int_equal(merge_parks, 0);
	assert_int_equal(*world_page(&w, 3), 'r');
	(void)close(layer);
	(void)close(all);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_frames_are_summed),
		cmocka_unit_test(zeroes_are_given_back),
		cmocka_unit_test(what_is_wanted_is_given),
		cmocka_unit_test(equal_frames_are_shared),
		cmocka_unit_test(equal_frames_are_shared_wherever_they_are),
		cmocka_unit_test(only_what_is_wanted_is_shared),
		cmocka_unit_test(what_changes_meanwhile_is_not),
		cmocka_unit_test(a_busy_disk_is_waited_for),
		cmocka_unit_test(a_layer_that_comes_again_is_known),
		cmocka_unit_test(a_move_makes_them_own_again),
		cmocka_unit_test(a_job_is_cancelled),
		cmocka_unit_test(refusals),
		cmocka_unit_test(no_budget_changes_nothing),
	};

	return cmocka_run_group_tests_name("merge", tests, NULL, NULL);
}
