/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bits of an entry of /proc/PID/pagemap, 8 bytes a page of the process.
 *
 * Source: Linux Documentation/admin-guide/mm/pagemap.rst.
 */
#ifndef DISCO_PAGEMAP_H
#define DISCO_PAGEMAP_H

#define PM_FILE	   (1ull << 61) /* of a file, or shared */
#define PM_SWAP	   (1ull << 62)
#define PM_PRESENT (1ull << 63)

#endif
