/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The boot image as a source of guest pages (memory/pmap.h): page i of its
 * memfd is the initial content of guest frame i.
 *
 * After a move to another node a guest shows another copy of the image. Each
 * copy is a source from its first page shown until its last page is gone.
 *
 * A layer (monitor/worker/merge.h) is such a file as well, but has no copies: a
 * move makes private copies of its pages.
 *
 * Context of all functions: the worker's I/O thread, or before it runs its only
 * thread.
 */
#ifndef DISCO_MONITOR_BOOT_PAGES_H
#define DISCO_MONITOR_BOOT_PAGES_H

#include "disco/boot_layout.h"
#include "memory/pmap.h"

/*
 * Where pages of other sources go in a rebase: a callback as pmap_rebase() has
 * it. NULL: they are copied into RAM.
 */
struct boot_others {
	unsigned (*to)(void *arg, unsigned id, uint64_t index, uint64_t *nr);
	void *arg;
};

enum boot_kind { BOOT_COPY, BOOT_LAYER };

struct boot_pages_source;

/**
 * boot_source_create() - make a file of guest frames a source
 * @fd:  not owned; needed until boot_source_shown()
 * @out: release with boot_source_shown()
 *
 * Return: 0; -ENOMEM; -ENOSPC too many sources.
 */
MUST_CHECK int boot_source_create(struct pmap *pm, int fd, enum boot_kind kind,
				  struct boot_pages_source **out);

/* pmap_show() of @nr frames from @index on, at @hva. Return: as pmap_show(). */
MUST_CHECK int boot_source_show(struct boot_pages_source *b, void *hva,
				uint64_t nr, uint64_t index);

/* No more pages will be shown. The source lives until its last one is gone. */
void boot_source_shown(struct boot_pages_source *b);

/**
 * boot_pages_show() - overlay the image; copy runs beyond the budget
 * @fd: its memfd; not owned; needed until this function returns
 *
 * Return: 0; -ENOMEM; errors of pmap_add_source(), pmap_show(), ram_fill().
 */
MUST_CHECK int boot_pages_show(struct pmap *pm, const struct ram_view *ram,
			       const struct boot_layout *layout, int fd);

/**
 * boot_pages_rebase() - pmap_rebase() onto another copy of the image
 * @fd: the copy; not owned; needed until this function returns
 *
 * Return: 0; -ENOMEM; errors of pmap_add_source() and pmap_rebase().
 */
MUST_CHECK int boot_pages_rebase(struct pmap *pm, int pagemap, int fd,
				 const struct boot_others *others);

#endif
