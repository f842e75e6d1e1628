/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bits of an entry of /proc/PID/pagemap. The file has one entry of 8 bytes per
 * page of the process.
 *
 * Source: Linux Documentation/admin-guide/mm/pagemap.rst.
 */
#ifndef DISCO_PAGEMAP_H
#define DISCO_PAGEMAP_H

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

#endif
