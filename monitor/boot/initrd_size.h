/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How large an initial RAM disk is when Linux has unpacked it: archives one
 * after the other, each plain cpio or compressed, with zeroes in between.
 * Source: Linux Documentation/driver-api/early-userspace/buffer-format.rst.
 */
#ifndef DISCO_MONITOR_INITRD_SIZE_H
#define DISCO_MONITOR_INITRD_SIZE_H

#include "disco/base.h"

/**
 * initrd_unpacked_bytes() - bytes of the archives in @at, decompressed
 *
 * What cannot be decompressed counts as it is: the result is an estimate, and
 * never less than @bytes without the zeroes in between. Nothing in it is
 * trusted. Decompresses all of it, in pieces: that takes seconds for a large
 * one. Context: control process.
 */
uint64_t initrd_unpacked_bytes(const uint8_t *at, uint64_t bytes);

/**
 * initrd_memory() - memory with which Linux can unpack an initrd
 * @path:     of the initrd
 * @boot_end: end of the boot image, which has kernel and packed initrd
 *
 * Linux unpacks into a tmpfs that may fill half of what is free beside the
 * kernel and the packed initrd, which is freed only after that.
 *
 * Return: bytes, a multiple of 16 MiB; 0: the file cannot be read.
 */
uint64_t initrd_memory(const char *path, uint64_t boot_end);

#endif
