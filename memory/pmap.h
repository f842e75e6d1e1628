/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pmap: what backs each guest page (gfn) of one view of guest RAM. A page is
 * one of three kinds:
 *
 *	RAM		the page of the RAM memfd; all pages are RAM at first
 *	overlay		page @index of a source, mapped privately over the
 *			view; a guest that writes to it gets a private copy
 *	written		an overlay whose private copy was found: the source was
 *			notified, and its page is not needed any more; the
 *			mapping stays
 *
 * A source is a file whose pages do not change while they are shown: the boot
 * image, or the buffer cache of an image on a node (cowdisk/cache/cache.h). The
 * design's memmap is not stored anywhere: it is the union of what sources learn
 * from show() and gone().
 *
 * INVARIANTS
 *  1. An entry that is an overlay names the page that is mapped there, or that
 *     was mapped when the guest wrote to it: only the kernel knows which
 *     (pagemap). Until pmap_sweep() finds out, the source's page stays held.
 *  2. For each page of a source that is shown n times, the number of show()
 *     minus the number of gone() is n.
 *  3. The RAM page under an overlay is a hole: it was punched when the overlay
 *     was made, and it is zero when the overlay goes without its contents.
 *  4. Mappings made by overlays stay within the budget: every boundary between
 *     two neighbouring pages that are not consecutive pages of one source
 *     counts as one mapping. A run that is shown between two others that it
 *     continues counts as one more, because Linux may merge it with only one
 *     of them. The view never consists of more than 1 + these mappings,
 *     provided that nothing else changes the mappings or the memory policy of
 *     the view (bind the memfd by another mapping of it: ram_bind.h). With
 *     huge pages, what runs cost (ram_huge_edges()) is a part of these.
 *
 * What goes over all pages skips chunks of PMAP_CHUNK pages that are all RAM. So
 * its time depends on what is shown, and hardly on the size of the view: there
 * is a counter of 4 bytes per chunk.
 *
 * Context of all functions: the worker's I/O thread, and for pmap_skip() any
 * thread. vCPUs keep running and see
 * each change at once. Guest pages that are changed here must not be the target
 * of I/O that is under way.
 *
 * Source: Disco (SOSP'97) 4.2, 4.3; DESIGN 3.
 */
#ifndef DISCO_MEMORY_PMAP_H
#define DISCO_MEMORY_PMAP_H

#include "memory/guest_ram.h"
#include "memory/ram_huge.h"

#define PMAP_MAX_SOURCES 256u
#define PMAP_RUN_MIN	 16u  /* pages; see pmap_rebase() */
#define PMAP_OWN_MAX	 512u /* pages per call of pmap_own() */
#define PMAP_HIDE_RUNS	 64u
#define PMAP_CHUNK	 4096u /* pages that pmap_skip() skips at a time */

/* What can be shown. Owned by its creator; outlives its pages in the pmap. */
struct pmap_source {
	int fd; /* a read-only descriptor is enough */
	/*
	 * Called when a page of the source is shown once less, after it was
	 * unmapped. May be NULL. It may call pmap_remove_source(), and no other
	 * function of pmap.
	 */
	void (*gone)(struct pmap_source *s, uint64_t index);
};

struct pmap;

struct pmap_stats {
	uint64_t overlaid_pages; /* entries; the guest may have written some */
	uint64_t mappings;	 /* that overlays cost */
	uint64_t budget;	 /* limit of mappings */
	uint64_t refused;	 /* runs that were not shown: budget, mmap() */
};

/**
 * pmap_create() - create a pmap in which all pages are RAM
 * @view:   outlives the pmap
 * @budget: number of mappings; see pmap_budget()
 * @out:    release with pmap_destroy()
 *
 * Context: start of the worker. Memory: 8 bytes per guest page, touched when
 * used. Return: 0; -ENOMEM.
 */
MUST_CHECK int pmap_create(const struct ram_view *view, uint64_t budget,
			   struct pmap **out);

/*
 * The view has huge pages from now on. @huge: of the same view; it outlives the
 * pmap, which makes all changes of it. Context: all pages are
 * RAM.
 */
void pmap_set_huge(struct pmap *pm, struct ram_huge *huge);

/* Does not call gone() of sources. NULL is accepted. */
void pmap_destroy(struct pmap *pm);

/*
 * Return: half of the number of mappings that vm.max_map_count allows, or less
 * if that file cannot be read.
 */
uint64_t pmap_budget(void);

/**
 * pmap_add_source() - register a source
 * @id: out, 1 .. PMAP_MAX_SOURCES - 1; untouched on error
 *
 * Return: 0; -ENOSPC too many sources.
 */
MUST_CHECK int pmap_add_source(struct pmap *pm, struct pmap_source *s,
			       unsigned *id);

/* The source with this id; NULL: there is none. */
struct pmap_source *pmap_source(const struct pmap *pm, unsigned id);

/* Unregister a source. Its gone() was called for every page that was shown. */
void pmap_remove_source(struct pmap *pm, unsigned id);

/**
 * pmap_show() - overlay a run of guest pages
 * @hva:   page-aligned address in the view
 * @nr:    pages, not 0, all inside one slot
 * @id:    a source
 * @index: first page of the source; the caller holds all @nr pages for the
 *         pmap, which calls gone() once for each of them later (not on error)
 *
 * The contents of the guest pages are lost. gone() is called for overlays that
 * are replaced.
 *
 * Return: 0; -EFAULT not in the view; -EINVAL no such source, or no such page
 * of any; -ENOSPC the budget does not allow it, so copy instead; -errno of
 * mmap(). On error the pages are unchanged.
 */
MUST_CHECK int pmap_show(struct pmap *pm, void *hva, uint64_t nr, unsigned id,
			 uint64_t index);

/**
 * pmap_overwrite() - prepare for the host to write all of these bytes
 *
 * Whole overlaid pages in the range become RAM again, so that the kernel does
 * not copy what they show, and gone() is called for them. Cheap if no page is
 * overlaid. Memory that is not guest RAM is not changed. Pages that cannot be
 * changed (budget, mmap()) stay overlays; writing to them then makes the copy.
 */
void pmap_overwrite(struct pmap *pm, void *hva, uint64_t bytes);

/**
 * pmap_free() - drop the contents of pages that the guest does not need
 * @nr: pages, in one slot
 *
 * The pages become RAM again, and holes: they read as zeroes, and use no
 * memory. Return: 0; -EFAULT not RAM, and nothing was done; -ENOSPC the budget
 * does not allow it, -errno of mmap() or fallocate(): some pages are unchanged.
 */
MUST_CHECK int pmap_free(struct pmap *pm, gfn_t gfn, uint64_t nr);

/* Take the huge page of a page of RAM apart, if there is one. */
void pmap_split(struct pmap *pm, uint64_t page);

/* ram_huge_next(), if the budget allows it. @run is ended by pmap_collapsed(). */
bool pmap_next_candidate(struct pmap *pm, uint64_t now_ns, uint64_t *run);

/**
 * pmap_collapsed() - end what pmap_next_candidate() has begun
 * @run: of it
 * @how: of ram_huge_collapse()
 *
 * What was overlaid meanwhile is given back, if the kernel has filled it in.
 */
void pmap_collapsed(struct pmap *pm, uint64_t run, enum ram_huge_result how,
		    uint64_t now_ns);

/*
 * Punch holes again under overlays that have memory still (ram_huge_stuck()), in
 * PMAP_HIDE_RUNS runs at most.
 */
void pmap_hide_again(struct pmap *pm);

/**
 * pmap_sweep() - find overlays that the guest has written, call gone() for them
 * @pagemap: descriptor of /proc/self/pagemap
 * @budget:  number of guest pages, of any kind, to check; the check goes on
 *           where the last call stopped. It loads 8 bytes for each page, and
 *           reads pagemap only where there are overlays. Chunks that are all
 *           RAM are skipped, and do not count
 * @passed:  out, also on error: pages that were checked or skipped, at most
 *           all; NULL: not wanted
 *
 * Return: number of pages that were found written; -errno of pread().
 */
MUST_CHECK int64_t pmap_sweep(struct pmap *pm, int pagemap, uint64_t budget,
			      uint64_t *passed);

/**
 * pmap_skip() - skip chunks of pages that are all RAM
 * @at: a page of the view
 *
 * Context: any thread; lock-free. A change that another thread makes meanwhile
 * may be seen or not. Return: the first page, @at or later, of a chunk with a
 * page that is not RAM; the number of pages of the view if there is none.
 */
uint64_t pmap_skip(const struct pmap *pm, uint64_t at);

/*
 * Whether a page of the view is a page of the RAM memfd, mapped shared; false
 * past the end. Context: the I/O thread, which alone can change it.
 */
bool pmap_is_ram(const struct pmap *pm, uint64_t page);

/**
 * pmap_own() - find the pages whose contents no source has
 * @pagemap: descriptor of /proc/self/pagemap
 * @first:   first of @nr pages of the view; @nr is at most PMAP_OWN_MAX
 * @own:     out, one bit per page: RAM that is mapped, or an overlay that the
 *           guest has written
 *
 * A running guest may write to any of the pages meanwhile. Return: 0; -EINVAL;
 * -errno of pread().
 */
MUST_CHECK int pmap_own(const struct pmap *pm, int pagemap, uint64_t first,
			uint64_t nr, uint64_t own[PMAP_OWN_MAX / 64]);

/**
 * pmap_rebase() - show other copies of the same pages
 * @pagemap: descriptor of /proc/self/pagemap
 * @to:      called for each run of unwritten overlay pages. It chooses the
 *           source that holds the same bytes at the same index. It may reduce
 *           *@nr, the length of the run, and is then called again for the rest.
 *           It has to hold the chosen pages from then on, as for pmap_show().
 *           Return: the id of that source; 0: none, and the pages are copied to
 *           RAM; the id it was called with: they stay.
 *
 * Written pages are unchanged. A change that needs more mappings is made only
 * for runs of PMAP_RUN_MIN pages or more, and within the budget; shorter runs
 * become private copies where they are. gone() is called for pages of sources
 * that are replaced, and for pages that a new source held in vain.
 *
 * Context: nobody writes guest memory meanwhile (vCPUs parked, no I/O).
 * Return: 0; -errno of pread(), mmap(): what was done stays, and every page
 * shows the same bytes as before.
 */
MUST_CHECK int pmap_rebase(struct pmap *pm, int pagemap,
			   unsigned (*to)(void *arg, unsigned id,
					  uint64_t index, uint64_t *nr),
			   void *arg);

/**
 * pmap_bring() - pmap_rebase() for some pages, where it costs no mappings
 * @first, @nr: pages of the view; the part beyond its end is ignored
 * @to:         as for pmap_rebase(), but never returns 0
 * @brought:    out, also on error: number of pages that are shown from another
 *              source now
 *
 * Nothing is copied. A change that needs more mappings, and that pmap_rebase()
 * would replace by a copy, is not made.
 *
 * Context: as pmap_rebase(). Return: 0; -errno of pread(), mmap(): what was
 * done stays, and every page shows the same bytes as before.
 */
MUST_CHECK int
pmap_bring(struct pmap *pm, int pagemap, uint64_t first, uint64_t nr,
	   unsigned (*to)(void *arg, unsigned id, uint64_t index, uint64_t *nr),
	   void *arg, uint64_t *brought);

/**
 * pmap_next_shown() - find the next page that is recorded as an overlay
 * @at:    in: page of the view to begin at; out: the page that was found
 * @end:   page to stop at
 * @index: out: the page of the source
 *
 * Return: id of the source; 0: none, and *@at is @end or the end of the view.
 */
unsigned pmap_next_shown(const struct pmap *pm, uint64_t *at, uint64_t end,
			 uint64_t *index);

void pmap_get_stats(const struct pmap *pm, struct pmap_stats *out);

/*
 * Is half of the budget in use? What shows pages in place of equal ones stops there:
 * the other half is for the cached blocks that disks show.
 */
static inline MUST_CHECK bool pmap_over_half(const struct pmap *pm)
{
	struct pmap_stats s;

	pmap_get_stats(pm, &s);
	return s.mappings >= s.budget / 2;
}

#endif
