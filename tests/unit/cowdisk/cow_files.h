/* SPDX-License-Identifier: BSD-2-Clause */
/* A base and a COW file on a real file system. */
#ifndef TESTS_UNIT_COWDISK_COW_FILES_H
#define TESTS_UNIT_COWDISK_COW_FILES_H

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "cowdisk/disk/cow.h"
#include "cowdisk/disk/disk.h"
#include "tests/unit/support.h"

static inline int cow_temp_file(uint64_t bytes)
{
	char path[] = "/tmp/disco-test.XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	return fd;
}

/* Once more, to read it with O_DIRECT; -1: its file system cannot. */
static inline int cow_direct(int fd)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
}

/* All that a disk is opened with; the two are the disk's then. */
static inline void cow_disk_fds(int base, int cow, int fds[DISK_COW_FDS])
{
	fds[DISK_BASE] = base;
	fds[DISK_COW] = cow;
	fds[DISK_BASE_DIRECT] = cow_direct(base);
	fds[DISK_COW_DIRECT] = cow_direct(cow);
}

/* An empty COW file for a base of @bytes. */
static inline int cow_temp_cow(int base, uint64_t bytes)
{
	struct cow_base id = { .bytes = bytes };
	struct cow_layout l;
	struct io_fd f;
	int fd;

	assert_int_equal(cow_layout_of(bytes, &l), 0);
	fd = cow_temp_file(l.file_bytes);
	io_fd_init(&f, base, fd);
	assert_int_equal(cow_format(&f.io, &id), 0);
	return fd;
}

#endif
