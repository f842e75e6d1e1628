/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The boot image as a source of guest pages (memory/pmap.h): page i of its
 * memfd is what the boot protocol wants in guest frame i.
 *
 * After a move to another node a guest shows another copy of it. A copy is a
 * source from the first page that is shown of it to the last that is gone.
 *
 * A layer (monitor/worker/merge.h) is such a file as well, but there are no
 * copies of it: a move makes its pages the guest's own.
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

enum boot_kind { BOOT_COPY, BOOT_LAYER };

struct boot_pages_source;

/**
 * boot_source_create() - a file of guest frames as a source
 * @fd:  needed until boot_source_shown()
 * @out: release with boot_source_shown()
 *
 * Return: 0; -ENOMEM; -ENOSPC too many sources.
 */
MUST_CHECK int boot_source_create(struct pmap *pm, int fd, enum boot_kind kind,
				  struct boot_pages_source **out);

/* pmap_show() of @nr frames from @index on, at @hva. Return: as that. */
MUST_CHECK int boot_source_show(struct boot_pages_source *b, void *hva,
				uint64_t nr, uint64_t index);

/* No page more will be shown: it stays as long as those that are. */
void boot_source_shown(struct boot_pages_source *b);

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
