/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unpacks the bzImage of a disk in a child that is confined, so that control
 * finds it unpacked in the cache: whoever made the image does not get to see
 * control's decompressors.
 */
#ifndef DISCO_BOOTDISK_KERNEL_UNPACKER_H
#define DISCO_BOOTDISK_KERNEL_UNPACKER_H

#include "disco/diag.h"

#define KERNEL_UNPACKER_LIMIT_NS 300000000000ull

/**
 * kernel_unpacker_run() - unpack a kernel into the cache
 * @dir:  the cache of kernels
 * @path: a file of kernel_cache_keep()
 * @d:    out on error: ST_KERNEL_CUT damaged; ST_BOOT the child was killed;
 *        ST_HOST. Text that follows "FILE: "
 *
 * Context: control; forks; blocks. Return: 1 the cache has it, unpacked; 0 it
 * has not, as the file is no bzImage that disco unpacks, or the cache cannot be
 * written to: control must not unpack it; -errno.
 */
MUST_CHECK int kernel_unpacker_run(const char *dir, const char *path,
				   struct diag *d);

#endif
