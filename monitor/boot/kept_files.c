/* SPDX-License-Identifier: BSD-2-Clause */
/* Kernels and initrds from disks: kernel_cache.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "monitor/boot/kernel_cache.h"
#include "monitor/ipc/fds.h"

#define NAMES_MAX 1024u /* that are looked at, to find the oldest */

struct kept_file {
	const uint8_t *at;
	uint64_t bytes;
};

static int kept_map(int fd, struct kept_file *f)
{
	struct stat st;
	void *at;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size <= 0)
		return -ENODATA;
	at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	*f = (struct kept_file){ at, (uint64_t)st.st_size };
	return 0;
}

static void kept_unmap(struct kept_file *f)
{
	(void)munmap((void *)(uintptr_t)f->at, f->bytes);
}

/* Ours or root's, and nobody else may write to it. */
static bool kept_is_trusted(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       (st.st_uid == geteuid() || st.st_uid == 0) &&
	       !(st.st_mode & (S_IWGRP | S_IWOTH));
}

/*
 * Is it there? A guest may have made other bytes of the same hash, so they are
 * compared. Return: 1; 0 it is not; -EEXIST.
 */
static int kept_find(int dir, const char *name, const struct kept_file *f)
{
	int fd = openat(dir, name,
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct kept_file old;
	int found = -EEXIST;

	if (fd < 0)
		return errno == ENOENT ? 0 : -EEXIST;
	if (kept_is_trusted(fd) && kept_map(fd, &old) == 0) {
		if (old.bytes == f->bytes &&
		    memcmp(old.at, f->at, f->bytes) == 0)
			found = 1;
		kept_unmap(&old);
	}
	(void)close(fd);
	return found;
}

static int kept_write(int fd, const struct kept_file *f)
{
	int err = fds_write(fd, f->at, f->bytes);

	if (!err && fchmod(fd, 0644) < 0)
		err = -errno;
	return err;
}

/* Under another name first: what has the right name is complete. */
static int kept_store(const char *dir, const char *name,
		      const struct kept_file *f)
{
	char *path = NULL, *temp = NULL;
	int fd, err = -ENOMEM;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		path = NULL;
	if (path && asprintf(&temp, "%s.XXXXXX", path) < 0)
		temp = NULL;
	if (!temp)
		goto free;
	fd = mkostemp(temp, O_CLOEXEC);
	err = fd < 0 ? -errno : kept_write(fd, f);
	if (fd >= 0 && close(fd) < 0 && !err)
		err = -errno;
	if (fd >= 0 && !err && rename(temp, path) < 0)
		err = -errno;
	if (fd >= 0 && err)
		(void)unlink(temp);
free:
	free(path);
	free(temp);
	return err;
}

/* --- the oldest go --- */

struct kept_name {
	char name[KERNEL_CACHE_NAME_MAX];
	struct timespec changed;
	uint64_t bytes;
};

static int by_age(const void *a, const void *b)
{
	const struct timespec *x = &((const struct kept_name *)a)->changed;
	const struct timespec *y = &((const struct kept_name *)b)->changed;

	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? 1 : -1;
	return x->tv_nsec < y->tv_nsec ? 1 : x->tv_nsec > y->tv_nsec ? -1 : 0;
}

/* Also what a process that was killed has left under another name. */
static bool kept_is_name(const char *name)
{
	return strlen(name) < KERNEL_CACHE_NAME_MAX &&
	       (strncmp(name, "disk-", 5) == 0 ||
		strncmp(name, "vmlinux-", 8) == 0);
}

static unsigned kept_list(DIR *d, struct kept_name *names)
{
	struct dirent *e;
	struct stat st;
	unsigned n = 0;

	while (n < NAMES_MAX && (e = readdir(d))) {
		if (!kept_is_name(e->d_name) ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		memcpy(names[n].name, e->d_name, strlen(e->d_name) + 1);
		names[n].changed = st.st_mtim;
		names[n++].bytes = (uint64_t)st.st_blocks * 512;
	}
	return n;
}

static void kept_trim(DIR *d)
{
	struct kept_name *names = calloc(NAMES_MAX, sizeof(*names));
	unsigned n = names ? kept_list(d, names) : 0;
	uint64_t bytes = 0;

	if (n)
		qsort(names, n, sizeof(*names), by_age);
	for (unsigned i = 0; i < n; i++) {
		bytes += names[i].bytes;
		if (i >= KERNEL_CACHE_FILES || bytes > KERNEL_CACHE_BYTES)
			(void)unlinkat(dirfd(d), names[i].name, 0);
	}
	free(names);
}

int kernel_cache_keep(const char *dir, int fd, char name[KERNEL_CACHE_NAME_MAX])
{
	struct kept_file f = { .at = NULL };
	XXH128_hash_t hash;
	DIR *d = NULL;
	int err = kept_map(fd, &f);

	if (err)
		return err;
	hash = XXH3_128bits(f.at, f.bytes);
	(void)snprintf(name, KERNEL_CACHE_NAME_MAX,
		       "disk-%016" PRIx64 "%016" PRIx64, (uint64_t)hash.high64,
		       (uint64_t)hash.low64);
	d = opendir(dir);
	err = d ? kept_find(dirfd(d), name, &f) : -errno;
	if (!err) {
		err = kept_store(dir, name, &f);
		kept_trim(d);
	}
	if (d)
		(void)closedir(d);
	kept_unmap(&f);
	return err < 0 ? err : 0;
}
