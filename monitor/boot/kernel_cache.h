/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unpacked kernels, kept on the host.
 *
 * File: <dir>/vmlinux-<key>, the ELF followed by a trailer {magic, key, ELF
 * bytes}, written under another name and renamed: a name that exists is
 * complete. The key is made of the bzImage's size, time of modification and a
 * CRC of its first and last 64 KiB: cheap on every start, and as good as
 * make(1)'s idea of "changed". The trailer, the exact size and the owner are
 * checked on every use; what fails is made anew.
 */
#ifndef DISCO_MONITOR_KERNEL_CACHE_H
#define DISCO_MONITOR_KERNEL_CACHE_H

#include <sys/stat.h>

#include "disco/base.h"

/* Name of a kernel in the cache. @file: its @st->st_size bytes. */
uint64_t kernel_cache_key(const struct stat *st, const uint8_t *file);

/**
 * kernel_cache_open() - find an unpacked kernel
 * @bytes: out, size of the ELF
 * Return: a read-only descriptor; -ENOENT not there, or there and not usable.
 */
MUST_CHECK int kernel_cache_open(const char *dir, uint64_t key,
				 uint64_t *bytes);

/* Keep one. Failure is nobody's business: the kernel is in memory. */
void kernel_cache_store(const char *dir, uint64_t key, const uint8_t *elf,
			uint64_t bytes);

#endif
