/* SPDX-License-Identifier: BSD-2-Clause */
/* Control's side of the figures, with this process as the worker. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "disco/worker_spec.h"
#include "monitor/control/workers/figures.h"
#include "numa/bind.h"
#include "tests/unit/support.h"

/* What a worker finds at WORKER_FD_FIGURES, and takes. */
static struct figures *become_worker(struct region *r)
{
	int fd;

	assert_int_equal(
		region_prepare(FIGURES_NAME, FIGURES_BYTES, NODE_AUTO, &fd), 0);
	assert_int_equal(dup2(fd, WORKER_FD_FIGURES), WORKER_FD_FIGURES);
	if (fd != WORKER_FD_FIGURES)
		(void)close(fd);
	assert_int_equal(region_take(r, WORKER_FD_FIGURES, FIGURES_BYTES), 0);
	return r->base;
}

static void what_is_counted_is_seen(void **state)
{
	struct figures_view f = { .known = false };
	struct figures *w;
	struct region r;

	(void)state;
	w = become_worker(&r);
	assert_int_equal(figures_open(&f, getpid(), 2), 0);
	assert_int_equal(figures_open(&f, getpid(), 2), 0);
	figures_look(&f);
	assert_false(f.known); /* the worker has not come to it */
	atomic_store(&w->magic, FIGURES_MAGIC);
	figures_count(&w->vcpus[1].exits[FIGURES_OTHER], 1);
	figures_count(&w->vcpus[1].exits[FIGURES_OTHER], 2);
	figures_count(&w->io.events, 7);
	figures_count(&w->io.freed_pages, 9);
	figures_set(&w->huge.words[FIGURES_HUGE_SPLITS], 5);
	figures_look(&f);
	assert_true(f.known);
	assert_int_equal(f.last.exits[1][FIGURES_OTHER], 3);
	assert_int_equal(f.last.exits[0][FIGURES_OTHER], 0);
	assert_int_equal(f.last.io_events, 7);
	assert_int_equal(f.last.freed_pages, 9);
	assert_int_equal(f.last.huge[FIGURES_HUGE_SPLITS], 5);
	figures_count(&w->io.wakeups, 4);
	figures_close(&f);
	figures_count(&w->io.wakeups, 1);
	figures_look(&f);
	figures_close(&f);
	assert_int_equal(f.last.io_wakeups, 4); /* when it was closed */
	assert_true(f.known);
	region_destroy(&r);
}

/* Whatever a worker writes there: one of three, and "runs" if in doubt. */
static void whether_the_guest_can_go_on(void **state)
{
	struct figures_view f = { .known = false };
	struct figures *w;
	struct region r;

	(void)state;
	assert_int_equal(figures_stand_now(&f), FIGURES_RUNS);
	w = become_worker(&r);
	figures_set(&w->io.stand, FIGURES_HALTED);
	assert_int_equal(figures_open(&f, getpid(), 1), 0);
	assert_int_equal(figures_stand_now(&f), FIGURES_RUNS); /* no magic */
	atomic_store(&w->magic, FIGURES_MAGIC);
	assert_int_equal(figures_stand_now(&f), FIGURES_HALTED);
	figures_set(&w->io.stand, FIGURES_PANICKED);
	assert_int_equal(figures_stand_now(&f), FIGURES_PANICKED);
	figures_set(&w->io.stand, (1ull << 32) + FIGURES_HALTED);
	assert_int_equal(figures_stand_now(&f), FIGURES_RUNS);
	figures_close(&f);
	region_destroy(&r);
}

/* move_pages(2) wants a page that one process has mapped. */
static void pages_can_be_pulled_meanwhile(void **state)
{
	struct figures_view f = { .known = false };
	struct figures *w;
	struct region r;

	(void)state;
	w = become_worker(&r);
	atomic_store(&w->magic, FIGURES_MAGIC);
	figures_count(&w->io.wakeups, 1);
	assert_int_equal(figures_open(&f, getpid(), 1), 0);
	figures_leave(&f, 0);
	assert_null(f.region.base);
	figures_count(&w->io.wakeups, 1);
	figures_look(&f);
	assert_true(f.known);
	assert_int_equal(f.last.io_wakeups, 1); /* those from before */
	assert_int_equal(figures_open(&f, getpid(), 1), 0);
	figures_look(&f);
	assert_int_equal(f.last.io_wakeups, 2);
	figures_leave(&f, NODE_ID_MAX); /* refused: closed all the same */
	assert_null(f.region.base);
	figures_leave(&f, 0);
	region_destroy(&r);
}

static void counts_are_cut(void **state)
{
	struct figures_view f = { .known = false };
	uint64_t sum = 0;
	struct region r;

	(void)state;
	memset(become_worker(&r), 0xff, FIGURES_BYTES);
	assert_int_equal(figures_open(&f, getpid(), ~0u), 0);
	assert_int_equal(f.nr_vcpus, VM_MAX_VCPUS);
	figures_look(&f);
	assert_false(f.known);
	for (unsigned i = 0; i < f.nr_vcpus; i++)
		for (unsigned k = 0; k < FIGURES_NR_EXITS; k++) {
			assert_int_equal(f.last.exits[i][k], FIGURES_MAX);
			sum += f.last.exits[i][k];
		}
	assert_true(sum <= INT64_MAX);
	assert_true(f.last.nets[0][FIGURES_NET_CLAIMS - 1] == FIGURES_MAX);
	/* No counts, but halves of addresses. */
	assert_true(f.last.claims[0][0] == UINT64_MAX);
	figures_close(&f);
	region_destroy(&r);
}

static void nobody_but_the_worker_writes(void **state)
{
	struct figures_view f = { .known = false };
	struct region r;
	char path[64];
	void *view;
	int fd;

	(void)state;
	(void)become_worker(&r);
	assert_int_equal(figures_open(&f, getpid(), 1), 0);
	view = (void *)(uintptr_t)f.region.base;
	assert_int_equal(mprotect(view, FIGURES_BYTES, PROT_READ | PROT_WRITE),
			 -1);
	assert_int_equal(errno, EACCES);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d",
		       WORKER_FD_FIGURES);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_ptr_equal(mmap(NULL, FIGURES_BYTES, PROT_READ | PROT_WRITE,
			      MAP_SHARED, fd, 0),
			 MAP_FAILED);
	assert_int_equal(errno, EPERM);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(errno, EPERM);
	(void)close(fd);
	figures_close(&f);
	region_destroy(&r);
}

/* What a hostile worker, or one of another build, has there. */
static void what_is_no_region_is_refused(void **state)
{
	struct figures_view f = { .known = false };
	int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(ftruncate(fd, FIGURES_BYTES), 0);
	assert_int_equal(dup2(fd, WORKER_FD_FIGURES), WORKER_FD_FIGURES);
	assert_int_equal(figures_open(&f, getpid(), 1), -EPROTO); /* shrinks */
	assert_int_equal(ftruncate(fd, PAGE_BYTES), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW),
			 0);
	assert_int_equal(figures_open(&f, getpid(), 1), -EPROTO); /* small */
	(void)close(fd);
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(dup2(fd, WORKER_FD_FIGURES), WORKER_FD_FIGURES);
	(void)close(fd);
	assert_int_equal(figures_open(&f, getpid(), 1), -EBADF);
	(void)close(WORKER_FD_FIGURES);
	assert_int_equal(figures_open(&f, getpid(), 1), -ENOENT);
	figures_look(&f);
	figures_close(&f);
	assert_false(f.known);
	assert_null(f.region.base);
}

/* Rows of pairs are read when they are asked for, and bounded as all figures. */
static void rows_of_pairs_are_read(void **state)
{
	const uint64_t counts[VNET_PAIR_WORDS] = { 1, 2, 3, UINT64_MAX };
	uint64_t who, got[VNET_PAIR_WORDS];
	struct figures_view f = { .known = false };
	struct figures *w;
	struct region r;

	(void)state;
	assert_false(figures_pair(&f, 0, 0, &who, got)); /* not open */
	w = become_worker(&r);
	assert_int_equal(figures_open(&f, getpid(), 1), 0);
	vnet_pair_begin(&w->pairs[1][5], vnet_pair_who(7, 9), counts);
	assert_false(figures_pair(&f, 1, 5, &who, got)); /* no magic */
	atomic_store(&w->magic, FIGURES_MAGIC);
	assert_true(figures_pair(&f, 1, 5, &who, got));
	assert_true(who == vnet_pair_who(7, 9));
	assert_int_equal(got[VNET_PAIR_SENT], 1);
	assert_int_equal(got[VNET_PAIR_FULL], 3);
	assert_true(got[VNET_PAIR_RECEIVED] == FIGURES_MAX);
	assert_int_equal(got[VNET_PAIR_BAD], 0);
	assert_false(figures_pair(&f, 1, 4, &who, got));
	assert_false(figures_pair(&f, 0, 5, &who, got));
	assert_false(figures_pair(&f, VM_MAX_NETS, 0, &who, got));
	assert_false(figures_pair(&f, 1, VNET_PAIRS, &who, got));
	vnet_pair_end(&w->pairs[1][5]);
	assert_false(figures_pair(&f, 1, 5, &who, got));
	figures_close(&f);
	assert_false(figures_pair(&f, 1, 5, &who, got));
	region_destroy(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_counted_is_seen),
		cmocka_unit_test(rows_of_pairs_are_read),
		cmocka_unit_test(whether_the_guest_can_go_on),
		cmocka_unit_test(pages_can_be_pulled_meanwhile),
		cmocka_unit_test(counts_are_cut),
		cmocka_unit_test(nobody_but_the_worker_writes),
		cmocka_unit_test(what_is_no_region_is_refused),
	};

	return cmocka_run_group_tests_name("figures", tests, NULL, NULL);
}
