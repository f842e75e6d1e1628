/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /proc/PID/pagemap, and the bits of its entries. The file has one entry of 8
 * bytes per page of the process.
 *
 * Source: Linux Documentation/admin-guide/mm/pagemap.rst.
 */
#ifndef DISCO_PAGEMAP_H
#define DISCO_PAGEMAP_H

#include <errno.h>
#include <unistd.h>

#include "disco/base.h"

#define PM_EXCLUSIVE (1ull << 56) /* no other mapping has the page */
#define PM_FILE	     (1ull << 61) /* the page belongs to a file, or is shared */
#define PM_SWAP	     (1ull << 62)
#define PM_PRESENT   (1ull << 63)

/*
 * For an entry of a private mapping of a file: is the page a private copy, not
 * the file's page? An entry with both "swap" and "file" is a page of the file
 * that is being migrated to another node at this moment: the mapping still
 * shows the file.
 */
static inline bool pagemap_is_private(uint64_t entry)
{
	return entry & (PM_PRESENT | PM_SWAP) && !(entry & PM_FILE);
}

/**
 * pagemap_read() - read the entries of some pages
 * @fd:   of a process's pagemap; not owned
 * @page: address of the first one, in pages
 * @e:    out: room for @nr entries, not 0
 *
 * Context: any thread; takes the process's mmap_lock for reading; makes no
 * system call but pread(2).
 * Return:  how many entries were read, fewer than @nr where the process's
 *          addresses end; 0: the process has no memory any more; -errno of
 *          pread(2).
 */
MUST_CHECK static inline int64_t pagemap_read(int fd, uint64_t page,
					      uint64_t *e, uint64_t nr)
{
	ssize_t got =
		pread(fd, e, nr * sizeof(e[0]), (off_t)(page * sizeof(e[0])));

	return got < 0 ? -errno : (int64_t)((size_t)got / sizeof(e[0]));
}

#endif
