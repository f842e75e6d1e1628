/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/boot/kernel_cache.h"
#include "monitor/ipc/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TRAILER_MAGIC 0x31656863614344ull /* "DCache1" */
#define KEY_EDGE      KIB(64)

struct trailer {
	uint64_t magic, key, bytes;
};

uint64_t kernel_cache_key(const struct stat *st, const uint8_t *file)
{
	uint64_t size = (uint64_t)st->st_size;
	uint64_t edge = min_u64(size, KEY_EDGE);
	uint64_t id[] = { size, (uint64_t)st->st_mtim.tv_sec,
			  (uint64_t)st->st_mtim.tv_nsec };
	uint64_t crc = lzma_crc64((const uint8_t *)id, sizeof(id), 0);

	crc = lzma_crc64(file, edge, crc);
	return lzma_crc64(file + size - edge, edge, crc);
}

static int path_of(char *out, size_t size, const char *dir, uint64_t key)
{
	int n = snprintf(out, size, "%s/vmlinux-%016" PRIx64, dir, key);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* Ours or root's, and nobody else may write to it. */
static bool kernel_cache_trusted(const struct stat *st)
{
	return S_ISREG(st->st_mode) &&
	       (st->st_uid == geteuid() || st->st_uid == 0) &&
	       !(st->st_mode & (S_IWGRP | S_IWOTH));
}

static bool kernel_cache_complete(int fd, uint64_t key, uint64_t *bytes)
{
	struct trailer t;
	struct stat st;
	off_t at;

	if (fstat(fd, &st) < 0 || !kernel_cache_trusted(&st) ||
	    st.st_size < (off_t)sizeof(t))
		return false;
	at = st.st_size - (off_t)sizeof(t);
	if (pread(fd, &t, sizeof(t), at) != (ssize_t)sizeof(t) ||
	    t.magic != TRAILER_MAGIC || t.key != key || t.bytes != (uint64_t)at)
		return false;
	*bytes = t.bytes;
	return true;
}

int kernel_cache_open(const char *dir, uint64_t key, uint64_t *bytes)
{
	char path[PATH_MAX];
	int fd;

	if (path_of(path, sizeof(path), dir, key) < 0)
		return -ENOENT;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -ENOENT;
	if (kernel_cache_complete(fd, key, bytes))
		return fd;
	(void)close(fd);
	return -ENOENT;
}

void kernel_cache_store(const char *dir, uint64_t key, const uint8_t *elf,
			uint64_t bytes)
{
	struct trailer t = { TRAILER_MAGIC, key, bytes };
	char path[PATH_MAX], temp[PATH_MAX + 8];
	bool good;
	int fd;

	if (path_of(path, sizeof(path), dir, key) < 0)
		return;
	(void)snprintf(temp, sizeof(temp), "%s.XXXXXX", path);
	(void)mkdir(dir, 0700); /* exists: fine; cannot: mkostemp says so */
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return;
	good = !fds_write(fd, elf, bytes) && !fds_write(fd, &t, sizeof(t)) &&
	       fchmod(fd, 0644) == 0;
	if (close(fd) < 0 || !good || rename(temp, path) < 0)
		(void)unlink(temp);
}
