/* SPDX-License-Identifier: BSD-2-Clause */
/* A base and a COW file on a real file system. */
#ifndef TESTS_UNIT_COWDISK_COW_FILES_H
#define TESTS_UNIT_COWDISK_COW_FILES_H

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "cowdisk/cow.h"
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
