/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The boot image as a source of guest pages (memory/pmap.h): page i of its
 * memfd is what the boot protocol wants in guest frame i.
 *
 * After a move to another node a guest shows another copy of it. A copy is a
 * source from the first page that is shown of it to the last that is gone.
 *
 * Threads: the worker's I/O thread; before that its only one.
 */
#ifndef DISCO_MONITOR_BOOT_PAGES_H
#define DISCO_MONITOR_BOOT_PAGES_H

#include "disco/boot_layout.h"
#include "memory/pmap.h"

/* Pages of other sources in a rebase: as pmap_rebase()'s. NULL: into RAM. */
struct boot_others {
	unsigned (*to)(void *arg, unsigned id, uint64_t index, uint64_t *nr);
	void *arg;
};

/**
 * boot_pages_show() - overlay the image; copy what the budget has no room for
 * @fd: its memfd; needed until this returns
 *
 * Return: 0; -ENOMEM; what pmap_add_source(), pmap_show(), ram_fill() return.
 */
MUST_CHECK int boot_pages_show(struct pmap *pm, const struct ram_view *ram,
			       const struct boot_layout *layout, int fd);

/**
 * boot_pages_rebase() - pmap_rebase() onto another copy of the image
 * @fd: the copy; needed until this returns
 *
 * Return: 0; -ENOMEM; what pmap_add_source() and pmap_rebase() return.
 */
MUST_CHECK int boot_pages_rebase(struct pmap *pm, int pagemap, int fd,
				 const struct boot_others *others);

#endif
