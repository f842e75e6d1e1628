/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accessed bits by /sys/kernel/mm/page_idle/bitmap (CONFIG_IDLE_PAGE_TRACKING):
 * a bit per frame of the machine, in words of 64. To set a bit marks the page idle
 * and clears its accessed bits in all page tables, KVM's as well; whoever accesses
 * it clears the mark.
 *
 * The mark is kept for pages of LRU lists only, and of a huge page for its first
 * one. A page that cannot be marked reads as "not idle", which must not be taken
 * for an access. So a mark is read back at once, and only pages that have it then
 * are looked at later. Reading does not change the mark.
 *
 * It says that a page was accessed, once or more, since it was marked: not how
 * often, by whom, or whether it was written.
 *
 * Context of all functions: any thread; pread(2) and pwrite(2) alone, of
 * microseconds per page. Opening takes root.
 * Source: Linux Documentation/admin-guide/mm/idle_page_tracking.rst.
 */
#ifndef DISCO_MEMORY_PAGE_IDLE_H
#define DISCO_MEMORY_PAGE_IDLE_H

#include "disco/base.h"
#include "disco/diag.h"

#define PAGE_IDLE_PATH "/sys/kernel/mm/page_idle/bitmap"

/**
 * page_idle_open() - open the bitmap and see that it answers
 * @path: PAGE_IDLE_PATH; tests have another
 * @d:    out on error: one line
 *
 * Return: a descriptor for reading and writing; -ENOENT no such kernel; -EACCES,
 * -EPERM for root alone; -EBADMSG it is cut; -errno.
 */
MUST_CHECK int page_idle_open(const char *path, struct diag *d);

/**
 * page_idle_mark() - mark a page idle
 * @fd: of page_idle_open()
 *
 * Return: 1; 0: the kernel keeps no mark of this page; -EBADMSG the bitmap has no
 * such frame, or is cut; -errno.
 */
MUST_CHECK int page_idle_mark(int fd, uint64_t frame);

/* Return: 1 it was accessed since it was marked; 0; as above. */
MUST_CHECK int page_idle_accessed(int fd, uint64_t frame);

#endif
