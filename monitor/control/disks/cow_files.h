/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A base and its copy-on-write file, as control opens them: for a worker and
 * for `disco image`.
 */
#ifndef DISCO_MONITOR_COW_FILES_H
#define DISCO_MONITOR_COW_FILES_H

#include "cowdisk/disk/cow_format.h"
#include "monitor/control/disks/disk_path.h"

struct cow_pair {
	int base, cow; /* -1: not open; both locked */
	uint64_t cow_bytes;
	struct cow_header header;
	struct cow_base now; /* what the base is */
	struct io_fd io;
};

#define COW_PAIR_NONE ((struct cow_pair){ .base = -1, .cow = -1 })

enum cow_pair_flags {
	COW_PAIR_READ = 1,	 /* the COW file is only read */
	COW_PAIR_WRITE_BASE = 2, /* the base is written: nobody else has it */
	COW_PAIR_ANY_BASE = 4,	 /* do not compare the base */
};

/**
 * cow_base_open() - open a base, and find out what it is
 * @p: base, now and io are set
 *
 * Return: 0; as disk_path_open(); -errno of a read.
 */
MUST_CHECK int cow_base_open(const struct disk_name *base, struct cow_pair *p,
			     struct diag *d);

/* What an open base is now, after it was written. */
MUST_CHECK int cow_base_look(const struct disk_name *base, struct cow_pair *p,
			     struct diag *d);

/**
 * cow_file_open() - open and lock a COW file, read its header
 * @p: cow, cow_bytes, header and io are set
 * @d: ST_DISK missing, unreadable, in use; ST_COW_FILE truncated, damaged,
 *     foreign
 *
 * Return: 0; -errno of open(); -EBUSY; as cow_header_decode().
 */
MUST_CHECK int cow_file_open(const struct disk_name *cow, struct cow_pair *p,
			     struct diag *d);

/**
 * cow_pair_open() - both, and that they belong together
 * @vm:    for messages; NULL: an image command
 * @flags: enum cow_pair_flags
 * @p:     release with cow_pair_close(), also after an error
 * @d:     as above, and ST_COW_BASE: the base is another one, or has changed
 *
 * Return: 0; as above; -ESTALE.
 */
MUST_CHECK int cow_pair_open(const char *vm, const char *base, const char *cow,
			     unsigned flags, struct cow_pair *p,
			     struct diag *d);
void cow_pair_close(struct cow_pair *p);

/**
 * cow_file_make() - an empty COW file for @p's open base
 * @path: NULL: in $TMPDIR or /var/tmp, without a name, gone with the last
 *        descriptor
 *
 * Return: 0 with p->cow set, not locked; -EEXIST; -errno; @d says why
 * (ST_DISK, ST_NO_SPACE). Nothing is left behind on error.
 */
MUST_CHECK int cow_file_make(const char *vm, const char *path,
			     struct cow_pair *p, struct diag *d);

/* ST_NO_SPACE for a full disk, ST_DISK for anything else. */
enum exit_status cow_status_of(int err);

#endif
