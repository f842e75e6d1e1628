/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Identifies the files that a boot image was made of. Images with the same key
 * have the same contents, as far as stat(2) can tell.
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
	uint64_t known; /* 0: no key; equals no other image */
	uint64_t keep_packed;
	struct boot_key_file kernel, initrd; /* all-zero initrd: none */
};

/**
 * boot_key_make() - make the key of files as they are now
 * @kernel: path
 * @initrd: path, or NULL
 * @keep_packed: as in struct boot_source
 *
 * Files that do not exist, or were changed in the last two seconds, have no
 * key: another change in that time might leave their times the same.
 *
 * Context: any; two stat(2).
 */
struct boot_key boot_key_make(const char *kernel, const char *initrd,
			      bool keep_packed);

/* Are the keys equal? Always false for an image without a key. */
bool boot_key_same(const struct boot_key *a, const struct boot_key *b);

#endif
