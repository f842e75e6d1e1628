/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libdisco-hint against the worker's end of the ring, both in this process: a
 * thread serves the "BAR", which is ordinary memory. What frames the library
 * names is compared with what the kernel says that this process's pages are in;
 * that takes root, as the library does without the module.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "guest-hints/guest/internal.h"
#include "guest-hints/host/hints.h"
#include "tests/unit/support.h"

#define PAGES	   600u /* more than one batch of pagemap, and one pipe */
#define FRAME_BITS ((1ull << 55) - 1)
#define MAX_FRAMES 4096u

static uint8_t *bar;
static struct hints hints;
static struct hint_log hint_log;
static struct disco_hint lib = { .fd = -1, .pagemap = -1 };
static pthread_t server;
static atomic_bool ends;

/* Frames that were freed, in the order that the host saw. */
static uint64_t frames[MAX_FRAMES];
static _Atomic(unsigned) nr_frames;

static uint64_t host_now(void *arg)
{
	(void)arg;
	return clock_now_ns();
}

static bool host_is_ram(void *arg, uint64_t page, uint64_t pages)
{
	(void)arg;
	(void)page;
	(void)pages;
	return true;
}

static uint64_t host_free(void *arg, uint64_t page, uint64_t pages)
{
	unsigned nr = atomic_load(&nr_frames);

	(void)arg;
	for (uint64_t i = 0; i < pages && nr < MAX_FRAMES; i++)
		frames[nr++] = page + i;
	atomic_store(&nr_frames, nr);
	return pages;
}

static void host_note(void *arg, uint64_t page, uint64_t pages)
{
	(void)host_free(arg, page, pages);
}

static const struct hints_ops ops = { .now_ns = host_now,
				      .is_ram = host_is_ram,
				      .free = host_free,
				      .zero = host_note,
				      .cold = host_note,
				      .merge = host_note };

/* As the I/O thread, but it looks all the time. */
static void *serve(void *arg)
{
	uint64_t wait_ns;

	(void)arg;
	while (!atomic_load(&ends)) {
		(void)hints_serve(&hints, &wait_ns);
		(void)poll(NULL, 0, 1);
	}
	return NULL;
}

static int begin(void **state)
{
	int fd = memfd_create("bar", MFD_CLOEXEC);
	const uint8_t distance[] = { 10, 21, 21, 10 };
	struct hints_config c = { .ops = &ops,
				  .log = &hint_log,
				  .nr_vcpus = 2 };

	(void)state;
	assert_int_equal(ftruncate(fd, HINTS_BAR_BYTES), 0);
	bar = mmap(NULL, HINTS_BAR_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		   fd, 0);
	c.bar = bar;
	c.ring = bar + HINTS_TAIL_AT;
	hints_init(&hints, &c);
	hints_tell_distances(&hints, distance, 2);
	hints_tell_home(&hints, 1);
	lib.backend = &hint_ring_backend;
	lib.bar = bar;
	lib.fd = fd;
	return pthread_create(&server, NULL, serve, NULL);
}

static int end(void **state)
{
	(void)state;
	atomic_store(&ends, true);
	return pthread_join(server, NULL);
}

/* Return: 0: it is not there, or hidden. */
static uint64_t frame_of(const void *page)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t e = 0;

	(void)!pread(fd, &e, sizeof(e),
		     (off_t)((uintptr_t)page / HINT_PAGE * sizeof(e)));
	(void)close(fd);
	return e >> 63 ? e & FRAME_BITS : 0;
}

static uint8_t *memory(void)
{
	uint8_t *m = mmap(NULL, (size_t)PAGES * HINT_PAGE,
			  PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	assert_ptr_not_equal(m, MAP_FAILED);
	atomic_store(&nr_frames, 0);
	return m;
}

static void need_frames(void)
{
	static uint8_t page[2 * HINT_PAGE];

	memset(page, 1, sizeof(page));
	if (!frame_of(page))
		SKIP("frames are hidden from who is not root");
}

static bool was_named(uint64_t frame)
{
	for (unsigned i = 0; i < nr_frames; i++)
		if (frames[i] == frame)
			return true;
	return false;
}

static void the_host_is_heard(void **state)
{
	uint64_t taken, refused;

	(void)state;
	assert_int_equal(disco_hint_vcpus(&lib), 2);
	assert_int_equal(disco_hint_nodes(&lib), 2);
	assert_int_equal(disco_hint_home(&lib, 1), 1);
	assert_int_equal(disco_hint_home(&lib, 2), -ENOENT);
	assert_int_equal(disco_hint_distance(&lib, 0, 1), 21);
	assert_int_equal(disco_hint_distance(&lib, 0, 2), -ENOENT);
	assert_int_equal(disco_hint_distance(&lib, 0, 64), -ENOENT);
	assert_int_equal(disco_hint_flags(&lib), 0);
	assert_int_equal(disco_hint_phase(&lib, 7, 1), 0);
	assert_int_equal(disco_hint_flush(&lib), 0);
	assert_int_equal(disco_hint_counts(&lib, &taken, &refused), 0);
	assert_int_equal(taken, 1);
	assert_int_equal(refused, 0);
}

/* Pages that are there, each once; those that are not are left out. */
static void frames_are_those_of_the_pages(void **state)
{
	uint8_t *m = memory();
	unsigned there = 0;

	(void)state;
	need_frames();
	for (unsigned i = 0; i < PAGES; i++)
		if (i % 7 != 3)
			m[i * HINT_PAGE] = 1;
	/* Half pages at both ends are left out. */
	assert_int_equal(disco_hint_range(&lib, m + 100,
					  (size_t)PAGES * HINT_PAGE - 200,
					  DISCO_HINT_COLD, 0),
			 0);
	assert_int_equal(disco_hint_flush(&lib), 0);
	for (unsigned i = 1; i + 1 < PAGES; i++) {
		if (i % 7 == 3)
			continue;
		there++;
		assert_true(was_named(frame_of(m + i * HINT_PAGE)));
	}
	assert_int_equal(nr_frames, there);
	(void)munmap(m, (size_t)PAGES * HINT_PAGE);
}

/* 1 on a kernel without a zero page: what is read has a frame of its own. */
static unsigned pages_by_reading(void)
{
	uint8_t *m = memory();
	uint64_t first, second;

	m[0] = m[HINT_PAGE] + m[2 * HINT_PAGE];
	first = frame_of(m + HINT_PAGE);
	second = frame_of(m + 2 * HINT_PAGE);
	(void)munmap(m, (size_t)PAGES * HINT_PAGE);
	return first != second;
}

static void only_own_pages_are_given_back(void **state)
{
	unsigned given = PAGES - 2 + pages_by_reading();
	uint8_t *m = memory();
	int fd = memfd_create("file", MFD_CLOEXEC);
	uint64_t shared;

	(void)state;
	need_frames();
	assert_int_equal(ftruncate(fd, HINT_PAGE), 0);
	assert_ptr_equal(mmap(m + 5 * HINT_PAGE, HINT_PAGE,
			      PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			      fd, 0),
			 m + 5 * HINT_PAGE);
	for (unsigned i = 0; i < PAGES; i++)
		if (i != 9)
			m[i * HINT_PAGE] = (uint8_t)i;
	shared = frame_of(m + 5 * HINT_PAGE);
	/* All but the file's, and the one that only the pipe reads. */
	assert_int_equal(disco_hint_free(&lib, m, (size_t)PAGES * HINT_PAGE),
			 given);
	assert_int_equal(nr_frames, given);
	assert_false(was_named(shared));
	for (unsigned i = 0; i < PAGES; i++)
		if (i != 5 && i != 9)
			assert_true(was_named(frame_of(m + i * HINT_PAGE)));
	/* Nothing holds them any more. */
	assert_int_equal(madvise(m, (size_t)PAGES * HINT_PAGE, MADV_DONTNEED),
			 0);
	assert_int_equal(m[3 * HINT_PAGE], 0);
	(void)munmap(m, (size_t)PAGES * HINT_PAGE);
	(void)close(fd);
}

static void unsafe_kinds_are_refused(void **state)
{
	uint8_t *m = memory();

	(void)state;
	m[0] = 1;
	assert_int_equal(disco_hint_range(&lib, m, HINT_PAGE, HINTS_FREE, 0),
			 -EINVAL);
	assert_int_equal(disco_hint_range(&lib, m, HINT_PAGE, HINTS_ZERO, 0),
			 -EINVAL);
	assert_int_equal(disco_hint_range(&lib, m, HINT_PAGE, 0, 0), -EINVAL);
	assert_int_equal(disco_hint_range(&lib, m, 10, DISCO_HINT_COLD, 0), 0);
	assert_int_equal(
		disco_hint_range(&lib, m, SIZE_MAX, DISCO_HINT_COLD, 0),
		0); /* it wraps: nothing */
	assert_int_equal(nr_frames, 0);
	(void)munmap(m, (size_t)PAGES * HINT_PAGE);
}

/* What the page cache has of a file, and no more is read. */
static void a_files_pages_are_named(void **state)
{
	char path[] = "/tmp/test_library.XXXXXX", page[HINT_PAGE];
	int fd = mkstemp(path);
	uint8_t *m;

	(void)state;
	need_frames();
	(void)unlink(path);
	memset(page, 7, sizeof(page));
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(write(fd, page, HINT_PAGE), HINT_PAGE);
	atomic_store(&nr_frames, 0);
	assert_int_equal(disco_hint_file(&lib, fd, 0, 0, DISCO_HINT_MERGE), 0);
	assert_int_equal(disco_hint_flush(&lib), 0);
	m = mmap(NULL, 20 * HINT_PAGE, PROT_READ, MAP_SHARED | MAP_POPULATE, fd,
		 0);
	assert_int_equal(nr_frames, 20);
	for (unsigned i = 0; i < 20; i++)
		assert_true(was_named(frame_of(m + i * HINT_PAGE)));
	assert_int_equal(disco_hint_file(&lib, fd, 0, 0, DISCO_HINT_PRIVATE),
			 -EINVAL);
	(void)munmap(m, 20 * HINT_PAGE);
	(void)close(fd);
}

/* More entries than the ring has, scattered: the library waits for room. */
static void a_full_ring_is_waited_for(void **state)
{
	struct hint_run r;
	uint64_t taken = 0, before = 0, refused;

	(void)state;
	assert_int_equal(disco_hint_counts(&lib, &before, &refused), 0);
	hint_run_init(&r, &lib, DISCO_HINT_REWRITE, 0);
	for (unsigned i = 0; i < 3 * HINTS_ENTRIES; i++)
		assert_int_equal(hint_run_add(&r, 2ull * i, 1), 0);
	assert_int_equal(hint_run_end(&r), 0);
	assert_int_equal(disco_hint_flush(&lib), 0);
	assert_int_equal(disco_hint_counts(&lib, &taken, &refused), 0);
	assert_int_equal(taken - before, 3 * HINTS_ENTRIES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_host_is_heard),
		cmocka_unit_test(frames_are_those_of_the_pages),
		cmocka_unit_test(only_own_pages_are_given_back),
		cmocka_unit_test(unsafe_kinds_are_refused),
		cmocka_unit_test(a_files_pages_are_named),
		cmocka_unit_test(a_full_ring_is_waited_for),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
