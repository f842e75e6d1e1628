/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads a disk's boot entry, and its files, in a child process: whoever wrote
 * the disk is not trusted, and neither is the code that parses it. The child has
 * the disk's descriptors, for reading, and those that it writes its results to.
 * It has no other file, no capability, and few system calls. Its memory, its CPU
 * time, what it reads, what it writes and how long it lives are bounded. What it
 * says is checked.
 */
#ifndef DISCO_BOOTDISK_BOOT_READER_H
#define DISCO_BOOTDISK_BOOT_READER_H

#include "disco/diag.h"
#include "monitor/bootdisk/boot_disk.h"
#include "monitor/bootdisk/disk_volume.h"

#define BOOT_READER_LIMIT_NS 90000000000ull /* the child is killed after that */

/* memfds that the files are written to. */
struct boot_files_out {
	int kernel, initrd;
};

/**
 * boot_reader_run() - find a disk's boot entry, and read its files
 * @files: open for reading, locked by the caller
 * @to:    empty files; NULL: the entry is found, and nothing is read
 * @out:   its texts end with a NUL; they have no control characters, and those
 *         for people have ASCII only. Untouched on error
 * @d:     out on error: ST_BOOT no entry, a broken one, one that is too large,
 *         a child that was killed; ST_DISK the disk cannot be read; ST_COW_FILE;
 *         ST_HOST. Text that follows "FILE: "
 *
 * Context: control; forks; blocks until the child has ended. Return: 0; -errno.
 */
MUST_CHECK int boot_reader_run(const struct disk_volume_files *files,
			       const struct boot_files_out *to,
			       struct boot_found *out, struct diag *d);

#endif
