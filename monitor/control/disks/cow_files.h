/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening a base and its copy-on-write file in control, for a worker and for
 * `disco image`.
 */
#ifndef DISCO_MONITOR_COW_FILES_H
#define DISCO_MONITOR_COW_FILES_H

#include "cowdisk/disk/cow_format.h"
#include "monitor/control/disks/disk_path.h"

struct cow_pair {
	int base, cow; /* -1: not open; both locked */
	uint64_t cow_bytes;
	struct cow_header header;
	struct cow_base now; /* identity of the base as it is now */
	struct io_fd io;
};

#define COW_PAIR_NONE ((struct cow_pair){ .base = -1, .cow = -1 })

enum cow_pair_flags {
	COW_PAIR_READ = 1,	 /* the COW file is only read */
	COW_PAIR_WRITE_BASE = 2, /* the base is written, exclusively */
	COW_PAIR_ANY_BASE = 4,	 /* do not compare base and header */
	COW_PAIR_RAW_BASE = 8,	 /* the base may look like another format */
};

/**
 * cow_base_open() - open a base, and compute its identity
 * @p: base, now and io are set
 * @d: out on error, as for disk_path_open()
 *
 * Return: 0; errors of disk_path_open(); -errno of a read.
 */
MUST_CHECK int cow_base_open(const struct disk_name *base, struct cow_pair *p,
			     struct diag *d);

/* Compute the identity of an open base again, after it was written. */
MUST_CHECK int cow_base_look(const struct disk_name *base, struct cow_pair *p,
			     struct diag *d);

/**
 * cow_file_open() - open and lock a COW file, read its header
 * @p: cow, cow_bytes, header and io are set
 * @d: out on error: ST_DISK missing, unreadable, in use; ST_COW_FILE truncated,
 *     damaged, not a COW file
 *
 * Return: 0; -errno of open(); -EBUSY; errors of cow_header_decode().
 */
MUST_CHECK int cow_file_open(const struct disk_name *cow, struct cow_pair *p,
			     struct diag *d);

/**
 * cow_pair_open() - open both files, and check that they belong together
 * @vm:    name of the VM, for messages; NULL: an image command
 * @flags: enum cow_pair_flags, ORed
 * @p:     release with cow_pair_close(), also after an error
 * @d:     out on error: as above, and ST_COW_BASE: the base is another one, or
 *         has changed
 *
 * Return: 0; errors of the two functions above; -ESTALE.
 */
MUST_CHECK int cow_pair_open(const char *vm, const char *base, const char *cow,
			     unsigned flags, struct cow_pair *p,
			     struct diag *d);
void cow_pair_close(struct cow_pair *p);

/**
 * cow_file_make() - make an empty COW file for @p's open base
 * @path: NULL: a file in $TMPDIR or /var/tmp, without a name, which goes with
 *        its last descriptor
 * @d:    out on error: ST_DISK, ST_NO_SPACE
 *
 * Return: 0 with p->cow set, not locked; -EEXIST; -errno. On error nothing is
 * left behind.
 */
MUST_CHECK int cow_file_make(const char *vm, const char *path,
			     struct cow_pair *p, struct diag *d);

/* ST_NO_SPACE for errors of a full disk, ST_DISK for all others. */
enum exit_status cow_status_of(int err);

#endif
