/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "numa/bind.h"
#include "numa/region.h"

#define BYTES ((size_t)4 * PAGE_BYTES)

static void make(struct region *r, int *fd, unsigned flags)
{
	assert_int_equal(region_create(r, "test", BYTES, NODE_AUTO, flags), 0);
	assert_int_equal(region_reader_fd(r->fd, fd), 0);
}

static void *map(int fd, int prot)
{
	return mmap(NULL, BYTES, prot, MAP_SHARED, fd, 0);
}

static void refused(long result, int err)
{
	assert_int_equal(result, -1);
	assert_int_equal(errno, err);
}

static int reopen(int fd, int how)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, how | O_CLOEXEC);
}

static void reader_sees_what_the_writer_writes(void **state)
{
	struct region_view v;
	struct region r;
	int fd;

	(void)state;
	make(&r, &fd, 0);
	assert_int_equal(region_attach(&v, fd, BYTES), 0);
	close(fd); /* the mapping stays */
	assert_memory_equal(v.base, "\0\0\0\0", 4);
	memcpy((char *)r.base + PAGE_BYTES, "once", 4);
	assert_memory_equal((const char *)v.base + PAGE_BYTES, "once", 4);
	region_detach(&v);
	assert_null(v.base);
	region_destroy(&r);
	assert_null(r.base);
}

static void writable_mapping_is_refused(void **state)
{
	struct region r;
	int fd;

	(void)state;
	for (unsigned flags = 0; flags <= REGION_PUNCHED; flags++) {
		void *p;

		make(&r, &fd, flags);
		refused((long)map(fd, PROT_READ | PROT_WRITE), EACCES);
		refused((long)map(fd, PROT_WRITE), EACCES);
		p = map(fd, PROT_READ);
		assert_true(p != MAP_FAILED);
		refused(mprotect(p, BYTES, PROT_READ | PROT_WRITE), EACCES);
		munmap(p, BYTES);
		refused(pwrite(fd, "x", 1, 0), EBADF);
		refused(fallocate(fd,
				  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				  PAGE_BYTES),
			EBADF);
		close(fd);
		region_destroy(&r);
	}
}

/* What a reader with /proc could try, and the writer after it was taken. */
static void sealed_even_when_opened_anew(void **state)
{
	struct region r;
	int fd, rw;

	(void)state;
	make(&r, &fd, 0);
	rw = reopen(fd, O_RDWR);
	assert_true(rw >= 0);
	refused((long)map(rw, PROT_READ | PROT_WRITE), EPERM);
	refused(pwrite(rw, "x", 1, 0), EPERM);
	refused(fallocate(rw, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			  PAGE_BYTES),
		EPERM);
	refused((long)map(r.fd, PROT_READ | PROT_WRITE), EPERM);
	*(char *)r.base = 1; /* but the first mapping */
	close(rw);
	close(fd);
	region_destroy(&r);
}

static void one_that_was_prepared_is_taken_once(void **state)
{
	struct region_view v;
	struct region r, again;
	int fd, ro, rw;

	(void)state;
	assert_int_equal(region_prepare("test", BYTES, NODE_AUTO, &fd), 0);
	ro = reopen(fd, O_RDONLY);
	refused((long)map(ro, PROT_READ | PROT_WRITE), EACCES);
	assert_int_equal(region_take(&again, fd, 2 * BYTES), -EPROTO);
	assert_int_equal(region_take(&again, ro, BYTES), -EACCES);
	assert_int_equal(region_take(&r, fd, BYTES), 0);
	assert_int_equal(region_take(&again, fd, BYTES), -EPERM);
	assert_null(again.base);
	rw = reopen(fd, O_RDWR);
	refused((long)map(rw, PROT_READ | PROT_WRITE), EPERM);
	refused(ftruncate(fd, 0), EPERM);
	assert_int_equal(region_attach(&v, ro, BYTES), 0);
	memcpy(r.base, "once", 4);
	assert_memory_equal(v.base, "once", 4);
	refused(mprotect((void *)(uintptr_t)v.base, BYTES, PROT_WRITE), EACCES);
	region_detach(&v);
	region_destroy(&r);
	close(ro);
	close(rw);
	assert_int_equal(region_prepare("test", 1, NODE_AUTO, &fd), -EINVAL);
	assert_true(region_prepare("test", BYTES, NODE_ID_MAX, &fd) < 0);
}

static void size_and_seals_stay(void **state)
{
	struct region r;
	int fd;

	(void)state;
	for (unsigned flags = 0; flags <= REGION_PUNCHED; flags++) {
		make(&r, &fd, flags);
		refused(ftruncate(r.fd, PAGE_BYTES), EPERM);
		refused(ftruncate(r.fd, 2 * BYTES), EPERM);
		refused(ftruncate(fd, 0), EINVAL);
		refused(fcntl(r.fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
		refused(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
		close(fd);
		region_destroy(&r);
	}
}

static void punched_page_reads_as_zeroes(void **state)
{
	struct region_view v;
	struct region r;
	int fd;

	(void)state;
	make(&r, &fd, REGION_PUNCHED);
	assert_int_equal(region_attach(&v, fd, BYTES), 0);
	memset(r.base, 7, BYTES);
	assert_int_equal(fallocate(r.fd,
				   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   0, PAGE_BYTES),
			 0);
	assert_memory_equal(v.base, "\0\0\0\0", 4);
	assert_memory_equal((const char *)v.base + PAGE_BYTES, "\7\7", 2);
	region_detach(&v);
	close(fd);
	region_destroy(&r);
}

static void attach_fails(int fd, int err)
{
	struct region_view v = { &v, 1 };

	assert_int_equal(region_attach(&v, fd, BYTES), err);
	assert_null(v.base);
}

/* Descriptors a hostile peer may hand over instead of a region's. */
static void attach_refuses_what_is_no_region(void **state)
{
	int fd, pipes[2];

	(void)state;
	attach_fails(-1, -EBADF);

	fd = memfd_create("shrinks", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(fd, (off_t)BYTES), 0);
	attach_fails(fd, -EPROTO);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	attach_fails(fd, -EPROTO);
	close(fd);

	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	attach_fails(fd, -EPROTO);
	close(fd);

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	attach_fails(pipes[0], -EPROTO);
	close(pipes[0]);
	close(pipes[1]);

	fd = memfd_create("huge",
			  MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
	if (fd >= 0 && ftruncate(fd, (off_t)MIB(2)) == 0) {
		struct region_view v;

		assert_int_equal(
			fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
		assert_int_equal(region_attach(&v, fd, MIB(2)), -EPROTO);
	}
	if (fd >= 0)
		close(fd);
}

static void attach_checks_the_size(void **state)
{
	const size_t wrong[] = { BYTES - PAGE_BYTES, BYTES + PAGE_BYTES };
	const size_t bad[] = { 0, BYTES - 1, SIZE_MAX, (size_t)1 << 63 };
	struct region_view v;
	struct region r;
	int fd, wo;

	(void)state;
	make(&r, &fd, 0);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(region_attach(&v, fd, wrong[i]), -EPROTO);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(region_attach(&v, fd, bad[i]), -EINVAL);
	wo = reopen(fd, O_WRONLY);
	assert_int_equal(region_attach(&v, wo, BYTES), -EACCES);
	close(wo);
	close(fd);
	region_destroy(&r);
}

static void create_refuses_bad_arguments(void **state)
{
	struct region r;

	(void)state;
	memset(&r, 0x5a, sizeof(r));
	assert_int_equal(region_create(&r, "t", 0, NODE_AUTO, 0), -EINVAL);
	assert_null(r.base);
	assert_int_equal(region_create(&r, "t", 100, NODE_AUTO, 0), -EINVAL);
	assert_int_equal(region_create(&r, "t", BYTES, NODE_AUTO, 2), -EINVAL);
	assert_int_equal(region_create(&r, "t", (size_t)1 << 62, NODE_AUTO, 0),
			 -ENOMEM);
	assert_null(r.base);
	region_destroy(&r);
	region_destroy(NULL);
	region_detach(NULL);
	region_destroy(&(struct region){ 0 });
	region_detach(&(struct region_view){ 0 });
}

static unsigned nr_open(void)
{
	unsigned nr = 0;

	for (int fd = 0; fd < 64; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

static void errors_leak_no_descriptor(void **state)
{
	unsigned before = nr_open();
	struct region r;
	int err;

	(void)state;
	err = region_create(&r, "t", BYTES, NODE_ID_MAX, 0);
	if (!err && node_bind_optional(node_bind_probe(0)))
		region_destroy(&r);
	else
		assert_int_equal(err, -ENODEV);
	assert_null(r.base);
	assert_int_equal(nr_open(), before);
}

static void pages_are_on_the_writers_node(void **state)
{
	uint64_t touched = 0, local = 0;
	struct region r;
	int err = region_create(&r, "t", BYTES, 0, 0);

	(void)state;
	assert_int_equal(err, 0);
	err = node_bind_probe(0);
	if (err) {
		print_message("SKIP: NUMA system calls: %s\n", strerror(-err));
		skip();
	}
	memset(r.base, 1, BYTES);
	assert_int_equal(node_pages_local(r.base, BYTES, 0, &touched, &local),
			 0);
	assert_int_equal(touched, BYTES / PAGE_BYTES);
	assert_int_equal(local, touched);
	region_destroy(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reader_sees_what_the_writer_writes),
		cmocka_unit_test(writable_mapping_is_refused),
		cmocka_unit_test(sealed_even_when_opened_anew),
		cmocka_unit_test(one_that_was_prepared_is_taken_once),
		cmocka_unit_test(size_and_seals_stay),
		cmocka_unit_test(punched_page_reads_as_zeroes),
		cmocka_unit_test(attach_refuses_what_is_no_region),
		cmocka_unit_test(attach_checks_the_size),
		cmocka_unit_test(create_refuses_bad_arguments),
		cmocka_unit_test(errors_leak_no_descriptor),
		cmocka_unit_test(pages_are_on_the_writers_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
