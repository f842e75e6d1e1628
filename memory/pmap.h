/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pmap: what backs each guest page (gfn) of one view of guest RAM.
 *
 *	RAM		the page of the RAM memfd: what a page is at first
 *	overlay		page @index of a source, mapped privately over the
 *			view; a guest that writes it has a copy of its own
 *	written		such a copy that was found: what lies under it is not
 *			needed, its source was told; its mapping is there
 *
 * A source is a file whose pages do not change while they are shown: the boot
 * image, or the buffer cache of an image on a node (cowdisk/cache/cache.h). The
 * memmap of the design is nowhere stored: it is the union of what sources
 * were told by show() and gone().
 *
 * INVARIANTS
 *  1. An entry that is an overlay names what is mapped there, or what was
 *     when the guest wrote the page: the kernel alone knows (pagemap). Until
 *     pmap_sweep() finds that out, the source stays held.
 *  2. For each page of a source that is shown n times, the source was told n
 *     times more often that it is shown than that it is gone.
 *  3. The RAM page under an overlay is a hole: it was punched when the overlay
 *     came, and is zero when the overlay goes without its contents.
 *  4. Mappings made by overlays stay within the budget: every boundary between
 *     two neighbouring pages that are not consecutive pages of one source
 *     counts as one. So does one more for a run that is shown between two
 *     others that it continues: Linux may join it to one of them only. The
 *     view is never in more than 1 + these mappings, if nobody else changes
 *     the mappings or the memory policy of the view (bind the memfd by
 *     another mapping of it: ram_bind.h).
 *
 * Threads: one, the worker's I/O thread; vCPUs run and see each change at
 * once. Guest pages that are changed here must not be the target of I/O that
 * is under way.
 *
 * Source: Disco (SOSP'97) 4.2, 4.3; DESIGN 3.
 */
#ifndef DISCO_MEMORY_PMAP_H
#define DISCO_MEMORY_PMAP_H

#include "memory/guest_ram.h"

#define PMAP_MAX_SOURCES 256u
#define PMAP_RUN_MIN	 16u /* pages; see pmap_rebase() */
#define PMAP_OWN_MAX	 512u

/* What can be shown. Owned by whoever registers it; outlives its pages. */
struct pmap_source {
	int fd; /* a read-only descriptor is enough */
	/*
	 * One page less is shown, and not mapped any more; NULL: nobody needs
	 * to know. May call pmap_remove_source(), nothing else of pmap.
	 */
	void (*gone)(struct pmap_source *s, uint64_t index);
};

struct pmap;

struct pmap_stats {
	uint64_t overlaid_pages; /* entries; some may have been written since */
	uint64_t mappings;
	uint64_t budget;  /* of them */
	uint64_t refused; /* runs that were not shown: budget, mmap() */
};

/**
 * pmap_create() - all pages are RAM
 * @view:   outlives it
 * @budget: mappings; see pmap_budget()
 * @out:    release with pmap_destroy()
 *
 * Context: start of the worker. Memory: 8 bytes a guest page, touched when
 * used. Return: 0; -ENOMEM.
 */
MUST_CHECK int pmap_create(const struct ram_view *view, uint64_t budget,
			   struct pmap **out);

/* Does not tell sources. NULL is fine. */
void pmap_destroy(struct pmap *pm);

/* Half of what vm.max_map_count allows; less where it cannot be read. */
uint64_t pmap_budget(void);

/**
 * pmap_add_source() - name a source
 * @id: out, 1 .. PMAP_MAX_SOURCES - 1
 * Return: 0; -ENOSPC.
 */
MUST_CHECK int pmap_add_source(struct pmap *pm, struct pmap_source *s,
			       unsigned *id);

/* The source that has this id; NULL: none. */
struct pmap_source *pmap_source(const struct pmap *pm, unsigned id);

/* None of its pages is shown any more: all that were shown are gone(). */
void pmap_remove_source(struct pmap *pm, unsigned id);

/**
 * pmap_show() - overlay a run of guest pages
 * @hva:   page aligned, in the view
 * @nr:    pages, not 0, all inside one slot
 * @id:    a source
 * @index: its first page; the caller holds all @nr of them for the pmap,
 *         which tells gone() for each, once, later (not on error)
 *
 * What the pages held is lost; sources of overlays that go are told.
 *
 * Return: 0; -EFAULT not in the view; -EINVAL no such source, or no such page
 * of any; -ENOSPC the budget: copy instead; -errno of mmap(). On error the
 * pages are as they were.
 */
MUST_CHECK int pmap_show(struct pmap *pm, void *hva, uint64_t nr, unsigned id,
			 uint64_t index);

/**
 * pmap_overwrite() - all of these bytes are about to be written by the host
 *
 * Whole pages of it that are overlaid become RAM again, so that no copy of
 * what they show is made, and sources are told. Cheap when none is. Memory
 * that is not guest RAM is left alone. Pages that cannot be changed (budget,
 * mmap()) stay: writing them makes the copy after all.
 */
void pmap_overwrite(struct pmap *pm, void *hva, uint64_t bytes);

/**
 * pmap_free() - the guest does not need what these pages hold
 * @nr: pages, in one slot
 *
 * They are RAM again, and holes: they read as zeroes, and use no memory.
 * Return: 0; -EFAULT not RAM, nothing was done; -ENOSPC the budget, -errno of
 * mmap() or fallocate(): some pages are as they were.
 */
MUST_CHECK int pmap_free(struct pmap *pm, gfn_t gfn, uint64_t nr);

/**
 * pmap_sweep() - tell sources of pages that the guest has written since
 * @pagemap: /proc/self/pagemap
 * @budget:  guest pages to look at, of whatever kind; goes on where the last
 *           call stopped. 8 bytes are loaded for each, and pagemap is read
 *           only where there are overlays
 *
 * Return: pages that were found written; -errno of pread().
 */
MUST_CHECK int64_t pmap_sweep(struct pmap *pm, int pagemap, uint64_t budget);

/**
 * pmap_own() - which pages hold what no source has
 * @pagemap: /proc/self/pagemap
 * @first:   with @nr, pages of the view; @nr at most PMAP_OWN_MAX
 * @own:     out, a bit a page: RAM that is mapped, an overlay that the guest
 *           has written
 *
 * A guest that runs may write any of them meanwhile. Return: 0; -EINVAL;
 * -errno of pread().
 */
MUST_CHECK int pmap_own(const struct pmap *pm, int pagemap, uint64_t first,
			uint64_t nr, uint64_t own[PMAP_OWN_MAX / 64]);

/**
 * pmap_rebase() - show other copies of the same pages
 * @pagemap: /proc/self/pagemap
 * @to:      asked for each run of unwritten overlay pages: the source that
 *           holds the same bytes at the same index, for the first *@nr of
 *           them, which @to may make smaller (then it is asked again for the
 *           rest), and which it has to hold from now on as for pmap_show().
 *           Return: its id; 0: none, then they are copied to RAM; the id it
 *           was given: they stay.
 *
 * Written pages stay what they are. What would need more mappings than there
 * are is done for runs of PMAP_RUN_MIN pages and within the budget; shorter
 * ones become private copies where they are. Sources of what goes are told,
 * and so is a new one that held pages in vain.
 *
 * Context: nobody writes guest memory meanwhile (vCPUs parked, no I/O).
 * Return: 0; -errno of pread(), mmap(): what was done stays, and every page
 * shows what it showed before.
 */
MUST_CHECK int pmap_rebase(struct pmap *pm, int pagemap,
			   unsigned (*to)(void *arg, unsigned id,
					  uint64_t index, uint64_t *nr),
			   void *arg);

/**
 * pmap_bring() - pmap_rebase() of some pages, where it is worth it
 * @first, @nr: pages of the view, whatever is past its end is not there
 * @to:         as pmap_rebase() has it, but never 0
 * @brought:    out, also on error: pages that are shown from elsewhere now
 *
 * Nothing is copied: what would need more mappings than pmap_rebase() makes
 * stays where it is.
 *
 * Context: as pmap_rebase(). Return: 0; -errno of pread(), mmap(): what was
 * done stays, and every page shows what it showed before.
 */
MUST_CHECK int
pmap_bring(struct pmap *pm, int pagemap, uint64_t first, uint64_t nr,
	   unsigned (*to)(void *arg, unsigned id, uint64_t index, uint64_t *nr),
	   void *arg, uint64_t *brought);

/**
 * pmap_next_shown() - the next page that is an overlay, as far as is known
 * @at:    in: where to begin; out: which it is; pages of the view
 * @end:   where to stop
 * @index: out: of its source
 * Return: its source; 0: none, and *@at is @end or the end of the view.
 */
unsigned pmap_next_shown(const struct pmap *pm, uint64_t *at, uint64_t end,
			 uint64_t *index);

void pmap_get_stats(const struct pmap *pm, struct pmap_stats *out);

#endif
