/* SPDX-License-Identifier: BSD-2-Clause */
/* Direct reads of a real file into a memfd, more at once than can land. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cowdisk/store/fetch.h"
#include "tests/unit/support.h"

#define BYTES MIB(8)
#define JOBS  64u

struct bench {
	int file, memory;
	uint8_t *bytes, *to;
	struct fetcher *f;
	struct fetch_job jobs[JOBS];
	unsigned under_way;
};

static int direct_file(const uint8_t *bytes)
{
	char path[] = "/var/tmp/disco-test.XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC), direct;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, BYTES), BYTES);
	direct = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	(void)unlink(path);
	(void)close(fd);
	return direct;
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->bytes = malloc(BYTES);
	assert_non_null(b->bytes);
	for (size_t i = 0; i < BYTES; i++)
		b->bytes[i] = (uint8_t)(i * 0x9e3779b97f4a7c15ull >> 56);
	b->file = direct_file(b->bytes);
	b->memory = memfd_create("cache", MFD_CLOEXEC);
	assert_int_equal(ftruncate(b->memory, BYTES), 0);
	b->to = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, b->memory,
		     0);
	assert_ptr_not_equal(b->to, MAP_FAILED);
	assert_int_equal(fetcher_create(JOBS, &b->f), 0);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	b->f->ops->destroy(b->f);
	(void)munmap(b->to, BYTES);
	(void)close(b->memory);
	if (b->file >= 0)
		(void)close(b->file);
	free(b->bytes);
	free(b);
	return 0;
}

static void need(const struct bench *b)
{
	if (b->file < 0)
		SKIP("/var/tmp cannot be read with O_DIRECT");
	if (b->f->event_fd < 0)
		SKIP("no io_uring here");
}

static void start(struct bench *b, unsigned i, uint64_t offset, size_t bytes)
{
	b->jobs[i] = (struct fetch_job){ .fd = b->file,
					 .direct = true,
					 .to = b->to + offset,
					 .memory = b->memory,
					 .bytes = bytes,
					 .offset = offset };
	assert_true(b->f->ops->start(b->f, &b->jobs[i]));
	b->under_way++;
}

/* What comes short is gone on with, as a pool does. */
static void end_all(struct bench *b)
{
	while (b->under_way) {
		struct fetch_job *j = b->f->ops->ended(b->f, true);

		assert_non_null(j);
		b->under_way--;
		assert_true(j->result > 0);
		if ((size_t)j->result < j->bytes)
			start(b, (unsigned)(j - b->jobs),
			      j->offset + (uint64_t)j->result,
			      j->bytes - (size_t)j->result);
	}
}

/* 8 MiB where 2 can land: some come short, some need no landing. */
static void all_of_it_arrives(void **state)
{
	struct bench *b = *state;

	need(b);
	for (unsigned round = 0; round < 8; round++) {
		size_t bytes = (size_t)BYTES / JOBS << (round % 4);

		memset(b->to, 0, BYTES);
		for (unsigned i = 0; i * bytes < BYTES; i++)
			start(b, i, i * bytes, bytes);
		end_all(b);
		assert_memory_equal(b->to, b->bytes, BYTES);
	}
}

/* Nothing beside what was asked for is touched. */
static void single_pages_arrive(void **state)
{
	struct bench *b = *state;

	need(b);
	for (unsigned i = 0; i < JOBS; i++)
		start(b, i, i * 2 * (uint64_t)PAGE_BYTES, PAGE_BYTES);
	end_all(b);
	for (unsigned i = 0; i < 2 * JOBS; i++) {
		uint64_t at = i * (uint64_t)PAGE_BYTES;

		if (i % 2)
			assert_int_equal(lseek(b->memory, (off_t)at, SEEK_HOLE),
					 at);
		else
			assert_memory_equal(b->to + at, b->bytes + at,
					    PAGE_BYTES);
	}
}

/* It is said; and who failed so leaves room for others. */
static void what_cannot_be_written_was_not_read(void **state)
{
	struct bench *b = *state;

	need(b);
	for (unsigned i = 0; i < JOBS; i++) {
		struct fetch_job *j;

		b->jobs[0] = (struct fetch_job){ .fd = b->file,
						 .direct = true,
						 .to = b->to,
						 .memory = b->file,
						 .bytes = MIB(2) };
		assert_true(b->f->ops->start(b->f, &b->jobs[0]));
		j = b->f->ops->ended(b->f, true);
		assert_ptr_equal(j, &b->jobs[0]);
		assert_int_equal(j->result, -EBADF);
	}
	start(b, 0, 0, MIB(2));
	end_all(b);
	assert_memory_equal(b->to, b->bytes, MIB(2));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(all_of_it_arrives),
		TEST(single_pages_arrive),
		TEST(what_cannot_be_written_was_not_read),
	};

	return cmocka_run_group_tests_name("fetch", tests, NULL, NULL);
}
