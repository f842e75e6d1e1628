/* SPDX-License-Identifier: BSD-2-Clause */
/* What a region shows; see test_dax_flush.c for what becomes of writes. */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/unit/cowdisk/dax_bench.h"

static void lengths_are_what_linux_maps(void **state)
{
	(void)state;
	assert_int_equal(dax_region_bytes(512), MIB(2));
	assert_int_equal(dax_region_bytes(MIB(2)), MIB(2));
	assert_int_equal(dax_region_bytes(MIB(2) + 512), MIB(4));
	assert_int_equal(dax_region_bytes(GIB(16384)), GIB(16384));
}

static void an_image_of_any_size(void **state)
{
	static const uint64_t sizes[] = {
		512,	       4096 - 512,   4096,	    4096 + 512,
		MIB(2),	       MIB(2) - 512, MIB(2) + 1536, MIB(3) + 7 * 4096,
		MIB(4) + 4096,
	};
	struct dax_stats s;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		for (unsigned cow = 0; cow < 2; cow++) {
			struct dax_bench *b =
				dax_bench_make(sizes[i], cow, true);

			assert_int_equal(dax_window(b->dax)->bytes,
					 align_up(sizes[i], MIB(2)));
			dax_expect_base(b, 0, sizes[i]);
			dax_expect_tail(b);
			dax_get_stats(b->dax, &s);
			assert_int_equal(s.copied_pages, sizes[i] % 4096 != 0);
			dax_bench_destroy(b);
		}
}

static bool in_core(const uint8_t *page)
{
	unsigned char v = 0;

	assert_int_equal(mincore((void *)(uintptr_t)page, PAGE_BYTES, &v), 0);
	return v & 1;
}

/* Whole pages are the file's, not copies of it: what changes there shows. */
static void pages_are_shared_until_written(void **state)
{
	struct dax_bench *b = dax_bench_make(MIB(1) + 512, false, true);
	const uint8_t other = 0xa5;

	(void)state;
	dax_expect_base(b, 8192, 12288);
	assert_true(in_core(dax_bench_at(b, 8192)));
	assert_int_equal(pwrite(b->base, &other, 1, 8192), 1);
	assert_int_equal(*dax_bench_at(b, 8192), other);
	*dax_bench_at(b, 8193) = 1; /* from now on a copy */
	assert_int_equal(pwrite(b->base, "", 1, 8192), 1);
	assert_int_equal(*dax_bench_at(b, 8192), other);
	dax_bench_destroy(b);
}

static void two_guests_do_not_see_each_other(void **state)
{
	struct dax_bench *a = dax_bench_make(MIB(2) + 512, false, true);
	struct dax_source src = { .bytes = a->bytes,
				  .base = dax_dup(a->base),
				  .cow = -1 };
	struct dax_bench other = *a;

	(void)state;
	assert_int_equal(dax_create(&src, 10, &other.dax), 0);
	memset(dax_bench_at(a, 0), 1, a->bytes);
	memset(dax_bench_at(a, a->bytes), 1, 4096);
	dax_expect_base(&other, 0, a->bytes);
	dax_expect_tail(&other);
	assert_int_equal(dax_flush_now(a), 0); /* of which there is nothing */
	dax_destroy(other.dax);
	dax_bench_reopen(a, 10);
	dax_expect_base(a, 0, a->bytes);
	assert_int_equal(dax_settle(a->dax), 0);
	assert_int_equal(dax_event_fd(a->dax), -1);
	dax_bench_destroy(a);
}

struct answer {
	struct disk_req r;
	bool done;
};

static void answered(struct disk_req *r, int err)
{
	assert_int_equal(err, 0);
	container_of(r, struct answer, r)->done = true;
}

static void disk_do(struct disk *d, enum disk_op op, uint64_t offset,
		    uint64_t n, uint8_t value)
{
	uint8_t *buf = malloc(n + 1);
	struct iovec v = { buf, n };
	struct answer a = { .r = { .op = op,
				   .offset = offset,
				   .bytes = n,
				   .iov = &v,
				   .nr_iov = 1,
				   .done = answered } };

	assert_non_null(buf);
	memset(buf, value, n);
	assert_int_equal(disk_submit(d, &a.r), 0);
	while (!a.done)
		disk_complete(d);
	free(buf);
}

#define COW_BYTES (MIB(3) + 1536)

/* Blocks of a disk that was used as a block device before. */
static struct dax_bench *used_disk(void)
{
	struct dax_bench *b = dax_bench_make(COW_BYTES, true, true);
	struct disk *d;

	dax_destroy(b->dax);
	d = dax_bench_disk(b);
	disk_do(d, DISK_WRITE, 0, 4096, 0xc0);		   /* the first one */
	disk_do(d, DISK_WRITE, MIB(1), 20 * 4096, 0xc1);   /* a run */
	disk_do(d, DISK_WRITE, MIB(2) + 512, 512, 0xc2);   /* a part of one */
	disk_do(d, DISK_DISCARD, MIB(2) + 65536, 8192, 0); /* a hole */
	disk_do(d, DISK_WRITE, MIB(3) + 1024, 512, 0xc3);  /* the last one */
	disk_do(d, DISK_FLUSH, 0, 0, 0);
	disk_close(d);
	return b;
}

static void expect_used(const struct dax_bench *b)
{
	dax_expect(b, 0, 4096, 0xc0);
	dax_expect_base(b, 4096, MIB(1));
	dax_expect(b, MIB(1), 20 * 4096, 0xc1);
	dax_expect_base(b, MIB(1) + 20 * 4096, MIB(2) + 512);
	dax_expect(b, MIB(2) + 512, 512, 0xc2);
	dax_expect_base(b, MIB(2) + 1024, MIB(2) + 65536);
	dax_expect(b, MIB(2) + 65536, 8192, 0);
	dax_expect_base(b, MIB(2) + 65536 + 8192, MIB(3) + 1024);
	dax_expect(b, MIB(3) + 1024, 512, 0xc3);
	dax_expect_tail(b);
}

static void blocks_of_a_cow_file(void **state)
{
	/* budget, mappings then made, pages copied instead */
	static const struct {
		uint64_t budget, mappings, copied;
	} cases[] = {
		{ 1000, 10, 1 },
		{ 10, 10, 1 },
		{ 9, 8, 1 + 2 },
		{ 7, 6, 1 + 2 + 1 },
		{ 2, 2, 1 + 2 + 1 + 20 + 1 },
	};
	struct dax_bench *b = used_disk();
	struct dax_stats s;

	(void)state;
	dax_bench_open(b, 1000);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		dax_bench_reopen(b, cases[i].budget);
		expect_used(b);
		dax_get_stats(b->dax, &s);
		assert_int_equal(s.mappings, cases[i].mappings);
		assert_int_equal(s.copied_pages, cases[i].copied);
		/* Copies are no writes of the guest. */
		assert_int_equal(dax_flush_now(b), 0);
		assert_int_equal(dax_written(b), 0);
	}
	dax_bench_destroy(b);
}

/* Bytes of a foreign hand after the end of the disk are not shown. */
static void the_tail_is_zero_whatever_the_file_says(void **state)
{
	struct dax_bench *b = used_disk();
	struct cow_layout l;

	(void)state;
	assert_int_equal(cow_layout_of(COW_BYTES, &l), 0);
	assert_int_equal(pwrite(b->cow, "rubbish", 7,
				(off_t)(l.data_offset + COW_BYTES)),
			 7);
	dax_bench_open(b, 1000);
	expect_used(b);
	dax_bench_destroy(b);
}

static void a_base_that_is_too_short(void **state)
{
	struct dax_source src = { .bytes = MIB(1) + 512, .cow = -1 };
	struct dax *d = NULL;

	(void)state;
	src.base = dax_base_file(MIB(1));
	assert_int_equal(dax_create(&src, 10, &d), -EIO);
	assert_null(d);
	(void)close(src.base); /* still the caller's */
	src.base = -1;
	src.bytes = MIB(1);
	assert_int_equal(dax_create(&src, 10, &d), -EBADF);
}

/* A page that is gone ends who touches it, and leaves the others. */
static void a_base_that_is_cut_is_a_bus_error(void **state)
{
	struct dax_bench *b = dax_bench_make(MIB(1), false, true);
	int status = 0;
	pid_t pid;

	(void)state;
#ifdef DISCO_SANITIZED
	SKIP("the sanitizer has its own end for SIGBUS");
#endif
	dax_expect_base(b, 0, MIB(1));
	assert_int_equal(ftruncate(b->base, 65536), 0);
	dax_expect_base(b, 0, 65536);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)signal(SIGBUS, SIG_DFL);
		_exit(*(volatile uint8_t *)dax_bench_at(b, 65536));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
	dax_bench_destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lengths_are_what_linux_maps),
		cmocka_unit_test(an_image_of_any_size),
		cmocka_unit_test(pages_are_shared_until_written),
		cmocka_unit_test(two_guests_do_not_see_each_other),
		cmocka_unit_test(blocks_of_a_cow_file),
		cmocka_unit_test(the_tail_is_zero_whatever_the_file_says),
		cmocka_unit_test(a_base_that_is_too_short),
		cmocka_unit_test(a_base_that_is_cut_is_a_bus_error),
	};

	return cmocka_run_group_tests_name("dax", tests, NULL, NULL);
}
