/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The threads of copies of guest RAM do all that they do within their filter of
 * system calls, and so does the thread that hands them a link: whoever makes a
 * call that is not allowed ends this program.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/replica/ram_copies.h"
#include "monitor/sandbox/sandbox.h"
#include "tests/unit/replica/copies_ends.h"
#include "tests/unit/support.h"

#define PAGES 64u
#define BYTES ((uint64_t)PAGES * PAGE_BYTES)

static struct ram_copies *copies;
static struct copies_link decider;
static _Atomic(int) failure;

static void enter(void *arg)
{
	int err = sandbox_enter(SANDBOX_COPIES);

	(void)arg;
	if (err)
		failure = err;
}

static void when_failed(void *arg, int err)
{
	(void)arg;
	failure = err;
}

static void open_link(void)
{
	int fds[COPIES_LINK_FDS], owner[COPIES_LINK_FDS];

	copies_link_close(&decider);
	copies_ends_make(fds, owner);
	assert_int_equal(copies_link_open(&decider, fds, true), 0);
	ram_copies_link(copies, owner);
}

static uint32_t answer(void)
{
	uint64_t end = wait_end_ns();
	struct copies_note n = { 0 };

	while (chan_try_recv(&decider.rx, &n)) {
		assert_true(clock_now_ns() < end);
		(void)usleep(200);
	}
	return n.kind;
}

static uint32_t asked(enum copies_kind kind, uint64_t page, int node)
{
	const struct copies_note n = { .page = page,
				       .kind = kind,
				       .node = node };

	assert_int_equal(chan_try_send(&decider.tx, &n), 0);
	return answer();
}

static volatile uint8_t *at(unsigned view, uint64_t page)
{
	return ram_copies_base(copies, view) + page * PAGE_BYTES;
}

static void threads_of_copies_are_confined(void **state)
{
	struct ram_copies_spec s = { .bytes = BYTES,
				     .nr_views = 2,
				     .nodes = { NODE_AUTO, NODE_AUTO },
				     .limit = 4,
				     .max_mappings = 1000,
				     .trial_ns = 1000000,
				     .backoff_ns = 1000,
				     .round_ns = 1000000,
				     .enter = enter,
				     .failed = when_failed };
	struct ram_copies_stats stats;
	uint64_t end = wait_end_ns();
	uint32_t kind;
	int err = ram_copies_probe();

	(void)state;
	if (err)
		SKIP("no write-protection by userfaultfd: %s", strerror(-err));
	s.ram_fd = memfd_create("ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(s.ram_fd, BYTES), 0);
	s.base = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, s.ram_fd,
		      0);
	assert_int_equal(ram_copies_create(&s, &copies), 0);
	assert_int_equal(ram_copies_start(copies), 0);
	open_link();
	assert_int_equal(asked(COPIES_REPLICATE, 3, NODE_AUTO), COPIES_COPIED);
	at(1, 3)[0] = 1;
	assert_int_equal(answer(), COPIES_WRITTEN);
	kind = asked(COPIES_MOVE, 3, 0);
	assert_true(kind == COPIES_MOVED || kind == COPIES_NOT_MOVED);
	assert_int_equal(at(0, 3)[0], 1);
	/* A wake-up that a hostile decider makes it send goes nowhere. */
	atomic_store(&((struct chan_reader *)((uint8_t *)decider.own.base +
					      COPIES_LINK_READER_OFF))
			      ->sleep,
		     77);
	assert_int_equal(asked(COPIES_REPLICATE, 4, NODE_AUTO), COPIES_COPIED);
	/* Another link; one that is none; then the scan. */
	open_link();
	assert_int_equal(asked(COPIES_REPLICATE, 5, NODE_AUTO), COPIES_COPIED);
	ram_copies_link(
		copies,
		(const int[]){ open("/dev/null", O_RDONLY | O_CLOEXEC),
			       open("/dev/null", O_RDONLY | O_CLOEXEC),
			       open("/dev/null", O_RDONLY | O_CLOEXEC) });
	(void)at(0, 8)[0];
	(void)at(1, 8)[0];
	do {
		assert_true(clock_now_ns() < end);
		(void)usleep(1000);
		ram_copies_read_stats(copies, &stats);
	} while (stats.shared < 3);
	assert_int_equal(failure, 0);
	copies_link_close(&decider);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_of_copies_are_confined),
	};

	return cmocka_run_group_tests_name("copies_sandbox", tests, NULL, NULL);
}
