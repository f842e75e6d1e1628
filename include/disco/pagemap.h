/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bits of an entry of /proc/PID/pagemap, 8 bytes a page of the process.
 *
 * Source: Linux Documentation/admin-guide/mm/pagemap.rst.
 */
#ifndef DISCO_PAGEMAP_H
#define DISCO_PAGEMAP_H

#include "disco/base.h"

#define PM_FILE	   (1ull << 61) /* of a file, or shared */
#define PM_SWAP	   (1ull << 62)
#define PM_PRESENT (1ull << 63)

/*
 * Of a private mapping of a file: a page that is not the file's. What says both
 * "swap" and "file" is a page of the file that is just being moved to another
 * node: it is still shown.
 */
static inline bool pagemap_is_private(uint64_t entry)
{
	return entry & (PM_PRESENT | PM_SWAP) && !(entry & PM_FILE);
}

#endif
