/* SPDX-License-Identifier: BSD-2-Clause */
/* On which nodes the pages of a shared segment are, as its home looks it up. */
#include <numaif.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "disco/segment_figures.h"
#include "monitor/agent/segment_figures.h"
#include "monitor/agent/segment_home.h"
#include "tests/unit/support.h"

static struct segment_home home;
static struct segment_figures figures;
static uint8_t *all;

static void make(uint64_t bytes)
{
	home = (struct segment_home){ .bytes = bytes, .nr_nodes = 1 };
	home.shown.base = &figures;
	for (unsigned i = 0; i < HOME_NR_STATES; i++)
		home.home.lists[i] = (struct home_list){ HOME_NONE, HOME_NONE };
	home.fd = memfd_create("segment", MFD_CLOEXEC);
	assert_int_equal(ftruncate(home.fd, (off_t)bytes), 0);
	all = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, home.fd, 0);
	home.base = mmap(NULL, bytes, PROT_READ, MAP_SHARED, home.fd, 0);
	assert_true(all != MAP_FAILED && home.base != MAP_FAILED);
}

static void end(void)
{
	(void)munmap(all, home.bytes);
	(void)munmap((void *)(uintptr_t)home.base, home.bytes);
	(void)close(home.fd);
}

static void need_nodes(void)
{
	void *page = all;
	int node = -1;

	all[0] = 1;
	if (move_pages(0, 1, &page, NULL, &node, 0) == 0 && node >= 0)
		return;
	end();
	SKIP("the kernel does not say on which node a page is");
}

static uint64_t pages_there(void)
{
	struct stat st;

	assert_int_equal(fstat(home.fd, &st), 0);
	return (uint64_t)st.st_blocks * 512 / PAGE_BYTES;
}

static void pages_that_are_there_are_counted(void **state)
{
	(void)state;
	make(2000 * PAGE_BYTES);
	need_nodes();
	for (unsigned p = 0; p < 2000; p += p < 1000 ? 3 : 1)
		all[p * PAGE_BYTES] = 1;
	segment_figures_count(&home);
	assert_int_equal(figures.pages[0], pages_there());
	assert_in_range(pages_there(), 1300, 1350);
	end();
}

/* The first pages alone are, whatever is behind them. */
static uint64_t count_ns(uint64_t bytes)
{
	struct timespec from, to;
	uint64_t best = UINT64_MAX;

	make(bytes);
	memset(all, 1, bytes);
	for (unsigned i = 0; i < 5; i++) {
		(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
		segment_figures_count(&home);
		(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
		best = min_u64(best, (uint64_t)(to.tv_sec - from.tv_sec) *
						     1000000000u +
					     (uint64_t)to.tv_nsec -
					     (uint64_t)from.tv_nsec);
	}
	end();
	return best;
}

static void a_large_segment_takes_no_longer(void **state)
{
	uint64_t small, large;

	(void)state;
	small = count_ns(MIB(64));
	large = count_ns(MIB(512));
	print_message("# 64 MiB: %llu ns, 512 MiB: %llu ns\n",
		      (unsigned long long)small, (unsigned long long)large);
	assert_true(large < 4 * small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_that_are_there_are_counted),
		cmocka_unit_test(a_large_segment_takes_no_longer),
	};

	return cmocka_run_group_tests_name("segment_figures", tests, NULL,
					   NULL);
}
