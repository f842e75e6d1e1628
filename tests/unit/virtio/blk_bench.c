/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/virtio/blk_bench.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADERS	  0x30000u
#define MAX_TESTS 64u

int blk_temp_file(uint64_t bytes)
{
	char path[256];
	const char *dir = getenv("TMPDIR");
	int fd;

	(void)snprintf(path, sizeof(path), "%s/disco-test.XXXXXX",
		       dir ? dir : "/tmp");
	fd = mkostemp(path, O_CLOEXEC);
	must(fd >= 0);
	must(unlink(path) == 0);
	must(ftruncate(fd, (off_t)bytes) == 0);
	return fd;
}

struct disk *blk_open_disk(int fd, bool read_only, bool ring)
{
	struct rlimit before, none;
	struct disk *d;

	must(getrlimit(RLIMIT_NOFILE, &before) == 0);
	none = before;
	none.rlim_cur = 0; /* open descriptors stay, new ones are refused */
	must(ring || setrlimit(RLIMIT_NOFILE, &none) == 0);
	must(disk_open(fd, read_only, VIRTIO_BLK_DEPTH, &d) == 0);
	must(setrlimit(RLIMIT_NOFILE, &before) == 0);
	must(ring || !disk_is_async(d));
	return d;
}

static int setup(void **state, bool ring)
{
	struct blk_bench *b = calloc(1, sizeof(*b));
	struct disk *disk;

	must(b);
	fake_host_create(&b->h, BLK_RAM);
	b->file = blk_temp_file(BLK_SECTORS * 512);
	disk = blk_open_disk(fcntl(b->file, F_DUPFD_CLOEXEC, 0), false, ring);
	must(virtio_blk_create(&b->h.host, disk, BLK_SECTORS * 512, false,
			       "serial-0", 1, &b->blk) == 0);
	driver_attach(&b->d, &b->h, virtio_blk_dev(b->blk));
	blk_restart(b);
	b->data = fake_guest(&b->h, DATA_GPA, BLK_RAM - DATA_GPA);
	*state = b;
	return 0;
}

static int setup_ring(void **state)
{
	return setup(state, true);
}

static int setup_sync(void **state)
{
	return setup(state, false);
}

int blk_teardown(void **state)
{
	struct blk_bench *b = *state;

	virtio_blk_destroy(b->blk);
	(void)close(b->file);
	fake_host_destroy(&b->h);
	free(b);
	return 0;
}

void blk_restart(struct blk_bench *b)
{
	driver_start(&b->d, BLK_F_FLUSH, 1, 16);
}

/* --- requests --- */

static void header_at(struct blk_bench *b, uint64_t at, uint32_t type,
		      uint64_t sector)
{
	uint32_t head[2] = { type, 0 };
	uint8_t *p = fake_guest(&b->h, at, 16);

	memcpy(p, head, 8);
	memcpy(p + 8, &sector, 8);
}

void blk_header(struct blk_bench *b, uint32_t type, uint64_t sector)
{
	header_at(b, BLK_HEADER, type, sector);
}

int blk_run(struct blk_bench *b)
{
	uint8_t *status = fake_guest(&b->h, BLK_STATUS, 1);
	uint32_t id;

	*status = 0xff;
	ring_offer(&b->d.rings[0], 0);
	driver_kick(&b->d, 0);
	for (unsigned i = 0; i < 100; i++) {
		if (ring_used(&b->d.rings[0], &id, &b->written)) {
			must(id == 0);
			return *status;
		}
		(void)fake_host_wait(&b->h, 100);
	}
	fail_msg("the request does not come back");
	return -1;
}

int blk_rw(struct blk_bench *b, uint32_t type, uint64_t sector, uint32_t bytes)
{
	struct ring *r = &b->d.rings[0];
	unsigned dir = type == BLK_OUT ? 0 : D_WRITE;

	blk_header(b, type, sector);
	ring_desc(r, 0, BLK_HEADER, 16, D_NEXT, 1);
	ring_desc(r, 1, DATA_GPA, bytes, D_NEXT | dir, 2);
	ring_desc(r, 2, BLK_STATUS, 1, D_WRITE, 0);
	return blk_run(b);
}

int blk_plain(struct blk_bench *b, uint32_t type, uint64_t sector)
{
	struct ring *r = &b->d.rings[0];

	blk_header(b, type, sector);
	ring_desc(r, 0, BLK_HEADER, 16, D_NEXT, 1);
	ring_desc(r, 1, BLK_STATUS, 1, D_WRITE, 0);
	return blk_run(b);
}

void blk_offer_reads(struct blk_bench *b, unsigned n)
{
	struct ring *r = &b->d.rings[0];

	for (unsigned i = 0; i < n; i++) {
		uint64_t data = DATA_GPA + 1024u * i;

		header_at(b, HEADERS + 16u * i, BLK_IN, i);
		ring_desc(r, 3 * i, HEADERS + 16u * i, 16, D_NEXT, 3 * i + 1);
		ring_desc(r, 3 * i + 1, data, 512, D_NEXT | D_WRITE, 3 * i + 2);
		ring_desc(r, 3 * i + 2, data + 512, 1, D_WRITE, 0);
		*(uint8_t *)fake_guest(&b->h, data + 512, 1) = 0xff;
		ring_offer(r, (uint16_t)(3 * i));
	}
	driver_kick(&b->d, 0);
}

/* --- what is where --- */

void blk_data_fill(struct blk_bench *b, char c, size_t bytes)
{
	memset(b->data, c, bytes);
}

static bool all(const char *p, char c, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (p[i] != c)
			return false;
	return true;
}

bool blk_data_is(const struct blk_bench *b, char c, size_t bytes)
{
	return all(b->data, c, bytes);
}

void blk_file_fill(struct blk_bench *b, uint64_t sector, char c)
{
	char buf[512];

	memset(buf, c, sizeof(buf));
	must(pwrite(b->file, buf, 512, (off_t)(sector * 512)) == 512);
}

bool blk_file_is(const struct blk_bench *b, uint64_t sector, char c)
{
	char buf[512];

	must(pread(b->file, buf, 512, (off_t)(sector * 512)) == 512);
	return all(buf, c, sizeof(buf));
}

uint64_t blk_file_bytes(const struct blk_bench *b)
{
	struct stat st;

	must(fstat(b->file, &st) == 0);
	return (uint64_t)st.st_size;
}

/* --- both ways --- */

static bool have_rings(void)
{
	struct disk *d = blk_open_disk(blk_temp_file(512), false, true);
	bool yes = disk_is_async(d);

	disk_close(d);
	return yes;
}

static void no_io_uring(void **state)
{
	(void)state;
	SKIP("the kernel refuses io_uring");
}

static struct CMUnitTest variant(const struct CMUnitTest *t, bool ring)
{
	static char names[2 * MAX_TESTS][80];
	static unsigned n;
	char *name = names[n++];

	(void)snprintf(name, sizeof(names[0]), "%s/%s", ring ? "ring" : "sync",
		       t->name);
	if (ring && !have_rings())
		return (struct CMUnitTest){ .name = name,
					    .test_func = no_io_uring };
	return (struct CMUnitTest){ name, t->test_func,
				    ring ? setup_ring : setup_sync,
				    blk_teardown, NULL };
}

int blk_main(const char *name, const struct CMUnitTest *tests)
{
	static struct CMUnitTest all_tests[2 * MAX_TESTS];
	size_t n = 0;

	for (; tests->name; tests++) {
		must(n + 2 <= ARRAY_SIZE(all_tests));
		all_tests[n++] = variant(tests, true);
		all_tests[n++] = variant(tests, false);
	}
	return _cmocka_run_group_tests(name, all_tests, n, NULL, NULL);
}
