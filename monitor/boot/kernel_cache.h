/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unpacked kernels, kept on the host; and kernels and initrds that were read
 * from disks, as they were, in files <dir>/disk-<hash> (kernel_cache_keep()).
 *
 * A file <dir>/vmlinux-<key> holds the ELF, followed by a trailer {magic, key,
 * ELF bytes}. It is written under another name and then renamed, so a file with
 * such a name is complete. The key is made from the bzImage's size,
 * modification time and a CRC of its first and last 64 KiB. That is cheap at
 * every start, and detects changes as well as make(1) does. Trailer, exact size
 * and owner are checked on every use; a file that fails the check is made anew.
 */
#ifndef DISCO_MONITOR_KERNEL_CACHE_H
#define DISCO_MONITOR_KERNEL_CACHE_H

#include <sys/stat.h>

#include "disco/base.h"

/* Key of a kernel in the cache. @file: the bzImage, @st->st_size bytes. */
uint64_t kernel_cache_key(const struct stat *st, const uint8_t *file);

/**
 * kernel_cache_open() - find an unpacked kernel
 * @bytes: out, size of the ELF
 *
 * Return: a read-only descriptor, owned by the caller; -ENOENT there is no such
 * file, or none that is usable.
 */
MUST_CHECK int kernel_cache_open(const char *dir, uint64_t key,
				 uint64_t *bytes);

/*
 * Keep an unpacked kernel. A failure is ignored, since the caller has the
 * kernel in memory.
 */
void kernel_cache_store(const char *dir, uint64_t key, const uint8_t *elf,
			uint64_t bytes);

#define KERNEL_CACHE_NAME_MAX 64u

/**
 * kernel_cache_keep() - keep a file that came from a disk, by its contents
 * @fd:   a file that nobody writes to any more
 * @name: out: its name in @dir, "disk-<hash>". What is there by that name has
 *        these very bytes
 *
 * The oldest files of the cache are removed as long as it has more than
 * KERNEL_CACHE_FILES, or KERNEL_CACHE_BYTES: guests choose what is on disks.
 *
 * Return: 0; -ENODATA an empty file; -EEXIST other bytes have that hash; -errno.
 */
MUST_CHECK int kernel_cache_keep(const char *dir, int fd,
				 char name[KERNEL_CACHE_NAME_MAX]);

#define KERNEL_CACHE_FILES 64u
#define KERNEL_CACHE_BYTES GIB(4)

#endif
