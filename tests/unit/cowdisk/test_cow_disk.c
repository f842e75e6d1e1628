/* SPDX-License-Identifier: BSD-2-Clause */
/* A copy-on-write disk over real files; with io_uring and without. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "cowdisk/disk/disk.h"
#include "tests/unit/cowdisk/cow_files.h"

#define BYTES (MIB(1) + 1536)

struct bench {
	int base, cow;
	struct disk *d;
	bool ring;
	unsigned done;
	int err;
};

struct request {
	struct disk_req r;
	struct bench *b;
	struct iovec iov;
};

static void open_disk(struct bench *b, bool temporary)
{
	int base = fcntl(b->base, F_DUPFD_CLOEXEC, 0);
	int cow = fcntl(b->cow, F_DUPFD_CLOEXEC, 0);
	int fds[DISK_COW_FDS];
	struct rlimit before, none;
	const char *why = "";

	cow_disk_fds(base, cow, fds);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0; /* no descriptor, no ring */
	if (!b->ring)
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(disk_open_cow(fds, temporary, 8, &b->d, &why), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static struct bench *make(bool ring)
{
	struct bench *b = calloc(1, sizeof(*b));
	char block[512];

	assert_non_null(b);
	b->ring = ring;
	b->base = cow_temp_file(BYTES);
	for (unsigned i = 0; i < BYTES / 512; i++) {
		memset(block, 'a' + (int)(i % 26), sizeof(block));
		assert_int_equal(pwrite(b->base, block, 512, i * 512), 512);
	}
	b->cow = cow_temp_cow(b->base, BYTES);
	open_disk(b, false);
	return b;
}

static int setup_ring(void **state)
{
	*state = make(true);
	return 0;
}

static int setup_sync(void **state)
{
	*state = make(false);
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	disk_close(b->d);
	(void)close(b->base);
	(void)close(b->cow);
	free(b);
	return 0;
}

static void done(struct disk_req *r, int err)
{
	struct bench *b = container_of(r, struct request, r)->b;

	b->done++;
	b->err = err;
}

static int run(struct bench *b, enum disk_op op, uint64_t at, void *buf,
	       size_t bytes)
{
	struct request q = { .r = { .op = op,
				    .offset = at,
				    .bytes = bytes,
				    .iov = &q.iov,
				    .nr_iov = 1,
				    .done = done },
			     .b = b,
			     .iov = { buf, bytes } };
	unsigned before = b->done;
	int err = disk_submit(b->d, &q.r);

	if (err)
		return err;
	while (b->done == before) {
		assert_true(wait_readable(disk_event_fd(b->d)));
		disk_complete(b->d);
	}
	assert_int_equal(b->done, before + 1);
	return b->err;
}

static bool sector_is(struct bench *b, unsigned sector, char c)
{
	char got[512], want[512];

	memset(want, c, sizeof(want));
	assert_int_equal(run(b, DISK_READ, sector * 512, got, 512), 0);
	return memcmp(got, want, 512) == 0;
}

static char base_char(unsigned sector)
{
	return (char)('a' + (int)(sector % 26));
}

static void reopen(struct bench *b)
{
	disk_close(b->d);
	open_disk(b, false);
}

static uint64_t blocks_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks;
}

static void base_shows_through(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < BYTES / 512; i += 7)
		assert_true(sector_is(b, i, base_char(i)));
	assert_true(sector_is(b, BYTES / 512 - 1, base_char(BYTES / 512 - 1)));
	assert_int_equal(run(b, DISK_READ, BYTES, NULL, 512), -EINVAL);
}

static void a_part_of_a_block_is_filled_up(void **state)
{
	struct bench *b = *state;
	char x[1024];

	memset(x, 'X', sizeof(x));
	assert_int_equal(run(b, DISK_WRITE, 10 * 512, x, 1024), 0);
	for (unsigned i = 8; i < 16; i++)
		assert_true(sector_is(b, i,
				      i == 10 || i == 11 ? 'X' : base_char(i)));
	/* The short last block too. */
	assert_int_equal(run(b, DISK_WRITE, BYTES - 512, x, 512), 0);
	assert_true(sector_is(b, BYTES / 512 - 1, 'X'));
	assert_true(sector_is(b, BYTES / 512 - 2, base_char(BYTES / 512 - 2)));
}

static void flushed_is_there_afterwards(void **state)
{
	struct bench *b = *state;
	char *x = malloc(MIB(1));

	assert_non_null(x);
	memset(x, 'P', MIB(1));
	assert_int_equal(run(b, DISK_WRITE, 512, x, 100 * 512), 0);
	assert_int_equal(run(b, DISK_FLUSH, 0, NULL, 0), 0);
	reopen(b);
	assert_true(sector_is(b, 0, base_char(0)));
	for (unsigned i = 1; i <= 100; i++)
		assert_true(sector_is(b, i, 'P'));
	assert_true(sector_is(b, 101, base_char(101)));
	/* A guest that never flushed: what settle() is for. */
	assert_int_equal(run(b, DISK_WRITE, 512 * 200, x, 512), 0);
	assert_int_equal(disk_settle(b->d), 0);
	reopen(b);
	assert_true(sector_is(b, 200, 'P'));
	free(x);
}

static void not_flushed_is_gone(void **state)
{
	struct bench *b = *state;
	char x[512];

	memset(x, 'U', sizeof(x));
	assert_int_equal(run(b, DISK_WRITE, 0, x, 512), 0);
	assert_true(sector_is(b, 0, 'U'));
	reopen(b);
	assert_true(sector_is(b, 0, base_char(0)));
}

static void temporary_writes_no_bitmap(void **state)
{
	struct bench *b = *state;
	char x[512];

	disk_close(b->d);
	open_disk(b, true);
	memset(x, 'T', sizeof(x));
	assert_int_equal(run(b, DISK_WRITE, 0, x, 512), 0);
	assert_int_equal(run(b, DISK_FLUSH, 0, NULL, 0), 0);
	assert_true(sector_is(b, 0, 'T'));
	reopen(b);
	assert_true(sector_is(b, 0, base_char(0)));
}

static void zeroes(void **state)
{
	struct bench *b = *state;
	char x[512];

	memset(x, 'Z', sizeof(x));
	assert_int_equal(run(b, DISK_WRITE, 512 * 40, x, 512), 0);
	assert_int_equal(run(b, DISK_WRITE_ZEROES, 512 * 3, NULL, 512 * 40), 0);
	assert_true(sector_is(b, 2, base_char(2)));
	for (unsigned i = 3; i < 43; i++)
		assert_true(sector_is(b, i, 0));
	assert_true(sector_is(b, 43, base_char(43)));
	assert_int_equal(run(b, DISK_FLUSH, 0, NULL, 0), 0);
	reopen(b);
	assert_true(sector_is(b, 20, 0));
}

static void discard_gives_space_back(void **state)
{
	struct bench *b = *state;
	char *x = malloc(MIB(1));
	uint64_t before;

	assert_non_null(x);
	memset(x, 'D', MIB(1));
	assert_int_equal(run(b, DISK_WRITE, 0, x, MIB(1)), 0);
	assert_int_equal(run(b, DISK_FLUSH, 0, NULL, 0), 0);
	before = blocks_of(b->cow);
	/* Odd ends: only the whole blocks between go. */
	assert_int_equal(run(b, DISK_DISCARD, 512, NULL, MIB(1) - 1024), 0);
	assert_int_equal(run(b, DISK_DISCARD, 512, NULL, 512), 0);
	assert_true(sector_is(b, 0, 'D'));
	assert_true(sector_is(b, 7, 'D'));
	assert_true(sector_is(b, 8, 0));
	assert_true(sector_is(b, 2039, 0));
	assert_true(sector_is(b, 2040, 'D'));
	assert_int_equal(run(b, DISK_FLUSH, 0, NULL, 0), 0);
	if (blocks_of(b->cow) + 2000 > before)
		assert_true(before < 2000); /* a file system without holes */
	free(x);
}

/* A limit on file size makes the kernel write a part, then fail. */
static void full_file_system_is_an_error(void **state)
{
	struct bench *b = *state;
	struct rlimit before, small;
	char *x = malloc(KIB(64));

	assert_non_null(x);
	memset(x, 'F', KIB(64));
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = MIB(1) + KIB(20) + 100;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(run(b, DISK_WRITE, 0, x, KIB(64)), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_true(sector_is(b, 0, base_char(0)) || sector_is(b, 0, 'F'));
	assert_true(sector_is(b, 127, base_char(127)));
	assert_int_equal(run(b, DISK_WRITE, 0, x, KIB(64)), 0);
	assert_int_equal(run(b, DISK_FLUSH, 0, NULL, 0), 0);
	assert_true(sector_is(b, 127, 'F'));
	free(x);
}

static void base_is_never_written(void **state)
{
	struct bench *b = *state;
	char got[512], want[512];

	a_part_of_a_block_is_filled_up(state);
	zeroes(state);
	for (unsigned i = 0; i < BYTES / 512; i++) {
		memset(want, base_char(i), 512);
		assert_int_equal(pread(b->base, got, 512, i * 512), 512);
		assert_memory_equal(got, want, 512);
	}
}

/* Out of the kernel's cache, once it is on disk. */
static void forget(int fd)
{
	assert_int_equal(fdatasync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
}

/*
 * A disk that is read from front to back, so that what is in its COW file is
 * read ahead, while it is written to and zeroed: behind, at and before what is
 * read. Every read has what was written last.
 */
static void reads_in_a_row_see_writes(void **state)
{
	enum { AT_ONCE = 16 * 1024 };
	struct bench *b = *state;
	static char want[BYTES], got[AT_ONCE], block[3 * 512];

	for (unsigned i = 0; i < BYTES; i++)
		want[i] = base_char(i / 512);
	for (size_t at = 0; at + AT_ONCE <= BYTES; at += 2 * AT_ONCE) {
		memset(want + at, 'A' + (int)(at / AT_ONCE % 26), AT_ONCE);
		assert_int_equal(run(b, DISK_WRITE, at, want + at, AT_ONCE), 0);
	}
	srandom(7);
	for (unsigned round = 0; round < 20; round++) {
		assert_int_equal(run(b, DISK_FLUSH, 0, NULL, 0), 0);
		forget(b->cow);
		for (size_t at = 0; at + AT_ONCE <= BYTES; at += AT_ONCE) {
			size_t to = (at + (size_t)random() % (BYTES / 4)) %
				    (BYTES - sizeof(block)) / 512 * 512;
			bool zero = random() % 4 == 0;

			assert_int_equal(run(b, DISK_READ, at, got, AT_ONCE),
					 0);
			assert_memory_equal(got, want + at, AT_ONCE);
			if (random() % 3)
				continue;
			memset(block, zero ? 0 : '0' + (int)(round % 10),
			       sizeof(block));
			memcpy(want + to, block, sizeof(block));
			assert_int_equal(
				run(b, zero ? DISK_WRITE_ZEROES : DISK_WRITE,
				    to, block, sizeof(block)),
				0);
		}
	}
}

#define BOTH(f)                                                                \
	cmocka_unit_test_setup_teardown(f, setup_ring, teardown),              \
		cmocka_unit_test_setup_teardown(f, setup_sync, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(base_shows_through),
		BOTH(a_part_of_a_block_is_filled_up),
		BOTH(flushed_is_there_afterwards),
		BOTH(not_flushed_is_gone),
		BOTH(temporary_writes_no_bitmap),
		BOTH(zeroes),
		BOTH(discard_gives_space_back),
		BOTH(full_file_system_is_an_error),
		BOTH(base_is_never_written),
		BOTH(reads_in_a_row_see_writes),
	};

	return cmocka_run_group_tests_name("cow_disk", tests, NULL, NULL);
}
