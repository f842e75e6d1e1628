/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which files a boot image was made of: images with the same key hold the
 * same, as far as stat(2) can tell.
 */
#ifndef DISCO_MONITOR_BOOT_KEY_H
#define DISCO_MONITOR_BOOT_KEY_H

#include "disco/base.h"

struct boot_key_file {
	uint64_t dev, ino, bytes;
	uint64_t changed_ns, modified_ns;
};

/* No padding: keys are compared as bytes. */
struct boot_key {
	uint64_t known; /* 0: like no other image */
	uint64_t keep_packed;
	struct boot_key_file kernel, initrd; /* initrd: zeroes: none */
};

/**
 * boot_key_make() - of files that are there now
 * @kernel: path
 * @initrd: path, or NULL
 *
 * Files that were changed in the last two seconds, or are not there, have no
 * key: they can be changed again without their times telling.
 *
 * Context: any; two stat(2).
 */
struct boot_key boot_key_make(const char *kernel, const char *initrd,
			      bool keep_packed);

/* Never true of an image without a key. */
bool boot_key_same(const struct boot_key *a, const struct boot_key *b);

#endif
