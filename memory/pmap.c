/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An entry is 0 for RAM. Other entries consist of these bits:
 *
 *	63	written: the mapping is there, but the page in it is a private
 *		copy of the guest, and the source was notified
 *	62	seam: the page is in another mapping than the page before it,
 *		although it is the next page of the same source
 *	44-61	generation of the id: which of the sources that had it
 *	36-43	id
 *	0-35	index
 *
 * A written page keeps source and index because its mapping does: it is no
 * boundary. A seam is needed because Linux does not merge two private mappings
 * in which pages were written independently (vma_merge(): each has its own
 * anon_vma). A run that is shown between two such mappings joins the first one.
 */
#include "memory/pmap.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "disco/pagemap.h"

#define WRITTEN	   (1ull << 63)
#define SEAM	   (1ull << 62)
#define KEY	   (SEAM - 1) /* source and index */
#define GEN_SHIFT  44
#define GEN_MAX	   ((1u << 18) - 1)
#define ID_SHIFT   36
#define INDEX_LAST ((1ull << ID_SHIFT) - 2) /* + 1 does not touch the id */

#define BATCH 512u /* entries per read: 4 KiB of stack */
_Static_assert(PMAP_OWN_MAX <= BATCH, "one read");

#define MAX_MAP_COUNT 65530u /* Linux's default */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

struct source {
	struct pmap_source *s; /* NULL: free */
	uint64_t shown;
	uint32_t gen;
};

struct pmap {
	const struct ram_view *view;
	struct ram_huge *huge;	   /* NULL: all pages are small */
	uint64_t *e;		   /* one per page of the view, in its order */
	uint64_t nr;		   /* entries */
	_Atomic(uint32_t) *chunks; /* entries that are not RAM, per chunk */
	uint64_t not_ram;	   /* the same of all chunks */
	uint64_t overlaid;	   /* of them, those not known to be written */
	uint64_t mappings, budget, refused;
	uint64_t swept; /* page at which pmap_sweep() continues */
	unsigned last_id;
	struct source src[PMAP_MAX_SOURCES];
};

/* The effect of a change of a run's entries on the number of mappings. */
struct change {
	uint64_t before, after;
	unsigned edges; /* mappings that runs of huge pages cost, besides */
	bool seam;	/* a seam follows the run */
	bool ram;	/* the run contains RAM pages now */
};

static unsigned id_of(uint64_t e)
{
	return e >> ID_SHIFT & (PMAP_MAX_SOURCES - 1);
}

static uint64_t index_of(uint64_t e)
{
	return e & ((1ull << ID_SHIFT) - 1);
}

static uint64_t pmap_entry(const struct pmap *pm, unsigned id, uint64_t index)
{
	return (uint64_t)pm->src[id].gen << GEN_SHIFT |
	       (uint64_t)id << ID_SHIFT | index;
}

static bool is_overlay(uint64_t e)
{
	return e && !(e & WRITTEN);
}

static bool pmap_follows(uint64_t before, uint64_t e)
{
	return before && e && (e & KEY) == (before & KEY) + 1;
}

static bool pmap_boundary(uint64_t before, uint64_t e)
{
	return (before || e) && (!pmap_follows(before, e) || e & SEAM);
}

static uint8_t *pmap_page_at(const struct pmap *pm, uint64_t page)
{
	return pm->view->hva + page * PAGE_BYTES;
}

/*
 * Compute the change for @nr pages from @at on. @e: new entry of the first
 * page, with consecutive entries for the others; 0: RAM. Only boundaries inside
 * the run and at its two ends can change, so only these are counted. If the run
 * continues its neighbours on both sides, Linux joins it to the one before it,
 * and a seam stays after it.
 */
static struct change change_of(const struct pmap *pm, uint64_t at, uint64_t nr,
			       uint64_t e)
{
	uint64_t end = at + nr, last = e ? e + nr - 1 : 0;
	struct change c = { .ram = false };

	for (uint64_t i = at; i < end; i++) {
		c.before += i > 0 && pmap_boundary(pm->e[i - 1], pm->e[i]);
		c.ram |= pm->e[i] == 0;
	}
	if (e && c.ram && pm->huge)
		c.edges = ram_huge_cost(pm->huge, at, nr);
	c.after = at > 0 && pmap_boundary(pm->e[at - 1], e);
	if (end == pm->nr)
		return c;
	c.seam = at > 0 && pmap_follows(pm->e[at - 1], e) &&
		 pmap_follows(last, pm->e[end]);
	c.before += pmap_boundary(pm->e[end - 1], pm->e[end]);
	c.after += c.seam || pmap_boundary(last, pm->e[end] & ~SEAM);
	return c;
}

static uint64_t pmap_mappings(const struct pmap *pm)
{
	return pm->mappings + (pm->huge ? ram_huge_edges(pm->huge) : 0);
}

static bool pmap_room(const struct pmap *pm, uint64_t more)
{
	return pmap_mappings(pm) + more <= pm->budget;
}

static bool pmap_over_budget(const struct pmap *pm, const struct change *c)
{
	uint64_t after = c->after + c->edges;

	return after > c->before &&
	       pmap_mappings(pm) + after - c->before > pm->budget;
}

/*
 * An entry is replaced: notify its source, whose gone() may remove the source.
 * Called after the entry was changed, so that the pmap is consistent then.
 */
static void pmap_forget(struct pmap *pm, uint64_t old)
{
	struct source *s = &pm->src[id_of(old)];

	if (!is_overlay(old))
		return;
	pm->overlaid--;
	s->shown--;
	if (s->s->gone)
		s->s->gone(s->s, index_of(old));
}

/* One entry of the chunk of @page stopped, or began, to be RAM. */
static void pmap_count(struct pmap *pm, uint64_t page, int more)
{
	_Atomic(uint32_t) *c = &pm->chunks[page / PMAP_CHUNK];
	uint32_t now = atomic_load_explicit(c, memory_order_relaxed);

	/* One writer. Readers (pmap_skip()) order nothing by it. */
	atomic_store_explicit(c, now + (uint32_t)more, memory_order_relaxed);
	pm->not_ram += (uint64_t)more;
	if (pm->huge)
		ram_huge_count(pm->huge, page, more);
}

static void pmap_change(struct pmap *pm, uint64_t at, uint64_t nr, uint64_t e,
			const struct change *c)
{
	uint64_t end = at + nr;

	pm->mappings += c->after - c->before;
	if (end < pm->nr)
		pm->e[end] = (pm->e[end] & ~SEAM) | (c->seam ? SEAM : 0);
	for (uint64_t i = at; i < end; i++) {
		uint64_t old = pm->e[i];

		pm->e[i] = e;
		if (!e != !old)
			pmap_count(pm, i, e ? 1 : -1);
		e += e != 0;
		pmap_forget(pm, old);
	}
}

static int pmap_punch(const struct pmap *pm, uint64_t at, uint64_t nr)
{
	const struct ram_view *v = pm->view;

	if (v->change)
		v->change(v->change_arg, at * PAGE_BYTES, nr * PAGE_BYTES);
	if (fallocate(v->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)(at * PAGE_BYTES), (off_t)(nr * PAGE_BYTES)) < 0)
		return -errno;
	return 0;
}

/*
 * Invariant 3. A failure costs memory only, because whoever maps RAM back fills or
 * punches it.
 */
static void pmap_hide(struct pmap *pm, uint64_t at, uint64_t nr)
{
	uint64_t end = at + nr;

	if (pmap_punch(pm, at, nr) || !pm->huge)
		return;
	while (at < end) {
		off_t data = lseek(pm->view->fd, (off_t)(at * PAGE_BYTES),
				   SEEK_DATA);

		if (data < 0 || (uint64_t)data >= end * PAGE_BYTES)
			return;
		at = (uint64_t)data / PAGE_BYTES;
		ram_huge_stuck(pm->huge, at);
		at = (at / RAM_HUGE_PAGES + 1) * RAM_HUGE_PAGES;
	}
}

/* Replace the overlays of @nr pages, none of them RAM, by their RAM. */
static int map_ram(struct pmap *pm, uint64_t at, uint64_t nr)
{
	struct change c = change_of(pm, at, nr, 0);

	if (pmap_over_budget(pm, &c))
		return -ENOSPC;
	if (mmap(pmap_page_at(pm, at), nr * PAGE_BYTES, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, pm->view->fd,
		 (off_t)(at * PAGE_BYTES)) == MAP_FAILED)
		return -errno;
	if (pm->huge)
		ram_huge_mapped(pm->huge, at, nr);
	pmap_change(pm, at, nr, 0, &c);
	return 0;
}

static int map_source(struct pmap *pm, uint64_t at, uint64_t nr, unsigned id,
		      uint64_t index, const struct change *c)
{
	int err = c->ram && pm->huge ? ram_huge_shut(pm->huge, at, nr) : 0;

	if (!err &&
	    mmap(pmap_page_at(pm, at), nr * PAGE_BYTES, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_FIXED, pm->src[id].s->fd,
		 (off_t)(index * PAGE_BYTES)) == MAP_FAILED)
		err = -errno;
	if (err) {
		pm->refused++;
		return err;
	}
	/* After the new mapping is there, so that a vCPU never sees a hole. */
	if (c->ram)
		pmap_hide(pm, at, nr);
	pm->src[id].shown += nr;
	pm->overlaid += nr;
	pmap_change(pm, at, nr, pmap_entry(pm, id, index), c);
	return 0;
}

/* --- the contract --- */

static uint64_t nr_chunks(const struct pmap *pm)
{
	return (pm->nr + PMAP_CHUNK - 1) / PMAP_CHUNK;
}

/* Zeroes, which use memory from their first use on. NULL: none left. */
static void *pmap_zeroes(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int pmap_create(const struct ram_view *view, uint64_t budget, struct pmap **out)
{
	struct pmap *pm = calloc(1, sizeof(*pm));

	if (!pm)
		return -ENOMEM;
	pm->view = view;
	pm->nr = view->bytes / PAGE_BYTES;
	pm->budget = budget;
	pm->e = pmap_zeroes(pm->nr * sizeof(*pm->e));
	pm->chunks = pmap_zeroes(nr_chunks(pm) * sizeof(*pm->chunks));
	if (!pm->e || !pm->chunks) {
		pmap_destroy(pm);
		return -ENOMEM;
	}
	*out = pm;
	return 0;
}

void pmap_destroy(struct pmap *pm)
{
	if (!pm)
		return;
	if (pm->e)
		(void)munmap(pm->e, pm->nr * sizeof(*pm->e));
	if (pm->chunks)
		(void)munmap((void *)pm->chunks,
			     nr_chunks(pm) * sizeof(*pm->chunks));
	free(pm);
}

void pmap_set_huge(struct pmap *pm, struct ram_huge *huge)
{
	assert(!pm->not_ram);
	pm->huge = huge;
}

uint64_t pmap_skip(const struct pmap *pm, uint64_t at)
{
	while (at < pm->nr &&
	       !atomic_load_explicit(&pm->chunks[at / PMAP_CHUNK],
				     memory_order_relaxed))
		at = (at / PMAP_CHUNK + 1) * PMAP_CHUNK;
	return min_u64(at, pm->nr);
}

uint64_t pmap_budget(void)
{
	FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
	unsigned long long max;
	bool known;

	if (!f)
		return MAX_MAP_COUNT / 4;
	known = fscanf(f, "%llu", &max) == 1;
	(void)fclose(f);
	return known ? max / 2 : MAX_MAP_COUNT / 4;
}

int pmap_add_source(struct pmap *pm, struct pmap_source *s, unsigned *id)
{
	for (unsigned i = 1; i < PMAP_MAX_SOURCES; i++) {
		unsigned at =
			1 + (pm->last_id + i - 1) % (PMAP_MAX_SOURCES - 1);

		if (pm->src[at].s)
			continue;
		/*
		 * Written pages may still have mappings of the last source
		 * with this id. The generation keeps a new source's pages from
		 * seeming to continue them.
		 */
		pm->src[at].gen = (pm->src[at].gen + 1) & GEN_MAX;
		pm->src[at].s = s;
		pm->last_id = at;
		*id = at;
		return 0;
	}
	return -ENOSPC;
}

struct pmap_source *pmap_source(const struct pmap *pm, unsigned id)
{
	return id < PMAP_MAX_SOURCES ? pm->src[id].s : NULL;
}

void pmap_remove_source(struct pmap *pm, unsigned id)
{
	assert(id < PMAP_MAX_SOURCES && pm->src[id].shown == 0);
	pm->src[id].s = NULL;
}

int pmap_show(struct pmap *pm, void *hva, uint64_t nr, unsigned id,
	      uint64_t index)
{
	uint64_t off = (uintptr_t)hva - (uintptr_t)pm->view->hva;
	uint64_t at = off / PAGE_BYTES;
	struct change c;

	if (off % PAGE_BYTES != 0 || nr == 0 || !range_fits(at, nr, pm->nr))
		return -EFAULT;
	if (!pmap_source(pm, id) || !range_fits(index, nr, INDEX_LAST + 1))
		return -EINVAL;
	c = change_of(pm, at, nr, pmap_entry(pm, id, index));
	if (pmap_over_budget(pm, &c)) {
		pm->refused++;
		return -ENOSPC;
	}
	return map_source(pm, at, nr, id, index, &c);
}

/* Make all pages of [@at, @end) RAM. */
static int pmap_uncover(struct pmap *pm, uint64_t at, uint64_t end)
{
	int err = 0;

	while (at < end && pm->not_ram && !err) {
		uint64_t nr = 0;

		while (at + nr < end && pm->e[at + nr])
			nr++;
		if (nr)
			err = map_ram(pm, at, nr);
		at += nr + 1;
	}
	return err;
}

void pmap_overwrite(struct pmap *pm, void *hva, uint64_t bytes)
{
	uint64_t off = (uintptr_t)hva - (uintptr_t)pm->view->hva;

	if (!pm->not_ram || !range_fits(off, bytes, pm->view->bytes))
		return;
	/* Only whole pages. One that stays is copied when it is written. */
	(void)pmap_uncover(pm, (off + PAGE_BYTES - 1) / PAGE_BYTES,
			   (off + bytes) / PAGE_BYTES);
}

int pmap_free(struct pmap *pm, gfn_t gfn, uint64_t nr)
{
	const uint64_t max = UINT64_MAX / PAGE_BYTES;
	const uint8_t *hva;
	uint64_t at;
	int err, one;

	if (gfn.v > max || nr > max)
		return -EFAULT;
	hva = ram_at(pm->view, gpa(gfn.v * PAGE_BYTES), nr * PAGE_BYTES);
	if (!hva)
		return -EFAULT;
	if (nr == 0)
		return 0;
	at = (uint64_t)(hva - pm->view->hva) / PAGE_BYTES;
	err = pmap_uncover(pm, at, at + nr);
	if (pm->huge)
		ram_huge_punch(pm->huge, at, nr,
			       pmap_room(pm, RAM_HUGE_SHUT_COST));
	one = pmap_punch(pm, at, nr);
	if (pm->huge && !one)
		ram_huge_punched(pm->huge, at, nr,
				 pmap_room(pm, RAM_HUGE_OPEN_COST));
	return err ? err : one;
}

void pmap_split(struct pmap *pm, uint64_t page)
{
	if (pm->huge)
		ram_huge_split(pm->huge, page);
}

bool pmap_next_candidate(struct pmap *pm, uint64_t now_ns, uint64_t *run)
{
	return pm->huge && pmap_room(pm, RAM_HUGE_OPEN_COST) &&
	       ram_huge_next(pm->huge, now_ns, run);
}

/* Punch the holes of a run once more. */
static void pmap_hide_run(struct pmap *pm, uint64_t run)
{
	uint64_t at = run * RAM_HUGE_PAGES;
	uint64_t end = min_u64(at + RAM_HUGE_PAGES, pm->nr);

	while (at < end) {
		uint64_t nr = 0;

		while (at + nr < end && pm->e[at + nr])
			nr++;
		if (nr)
			pmap_hide(pm, at, nr);
		at += nr + 1;
	}
}

void pmap_collapsed(struct pmap *pm, uint64_t run, enum ram_huge_result how,
		    uint64_t now_ns)
{
	if (ram_huge_tried(pm->huge, run, how, now_ns))
		pmap_hide_run(pm, run);
}

void pmap_hide_again(struct pmap *pm)
{
	uint64_t run = 0;

	for (unsigned i = 0; i < PMAP_HIDE_RUNS && pm->huge &&
			     ram_huge_next_stuck(pm->huge, &run);
	     i++)
		pmap_hide_run(pm, run++);
}

/* --- what the guest has written --- */

static void set_written(struct pmap *pm, uint64_t page)
{
	uint64_t old = pm->e[page];

	pm->e[page] |= WRITTEN;
	pmap_forget(pm, old);
}

/* Read pagemap for @nr pages, at most BATCH. */
static int pmap_look(const struct pmap *pm, int pagemap, uint64_t at,
		     uint64_t nr, uint64_t *e)
{
	int64_t got = pagemap_read(
		pagemap, (uintptr_t)pmap_page_at(pm, at) / PAGE_BYTES, e, nr);

	if (got == (int64_t)nr)
		return 0;
	return got < 0 ? (int)got : -EIO;
}

/*
 * Sweep at most BATCH pages. Pages at both ends that are no overlays are left
 * out, so that pagemap is read only where there are overlays.
 */
static int64_t sweep_batch(struct pmap *pm, int pagemap, uint64_t at,
			   uint64_t end)
{
	uint64_t e[BATCH], nr;
	int64_t found = 0;
	int err;

	while (at < end && !is_overlay(pm->e[at]))
		at++;
	while (at < end && !is_overlay(pm->e[end - 1]))
		end--;
	nr = end - at;
	if (nr == 0)
		return 0;
	err = pmap_look(pm, pagemap, at, nr, e);
	if (err)
		return err;
	for (uint64_t i = 0; i < nr; i++) {
		if (!is_overlay(pm->e[at + i]) || !pagemap_is_private(e[i]))
			continue;
		set_written(pm, at + i);
		found++;
	}
	return found;
}

/*
 * The next batch, at most @most pages. @left: in and out, pages until all were
 * passed. Return: as pmap_sweep().
 */
static int64_t sweep_next(struct pmap *pm, int pagemap, uint64_t *most,
			  uint64_t *left)
{
	uint64_t from = pm->swept, at = pmap_skip(pm, from), nr;
	int64_t found;

	nr = min_u64(min_u64(*most, BATCH), pm->nr - at);
	found = sweep_batch(pm, pagemap, at, at + nr);
	if (found < 0)
		return found;
	*most -= nr;
	*left -= min_u64(*left, at + nr - from);
	pm->swept = at + nr == pm->nr ? 0 : at + nr;
	return found;
}

int64_t pmap_sweep(struct pmap *pm, int pagemap, uint64_t budget,
		   uint64_t *passed)
{
	uint64_t left = pm->nr;
	int64_t found = 0, one = 0;

	while (budget && left && pm->overlaid && one >= 0) {
		one = sweep_next(pm, pagemap, &budget, &left);
		found += one > 0 ? one : 0;
	}
	/* Without overlays there is nothing left to pass. */
	if (passed)
		*passed = pm->overlaid ? pm->nr - left : pm->nr;
	return one < 0 ? one : found;
}

bool pmap_is_ram(const struct pmap *pm, uint64_t page)
{
	return page < pm->nr && !pm->e[page];
}

int pmap_own(const struct pmap *pm, int pagemap, uint64_t first, uint64_t nr,
	     uint64_t own[PMAP_OWN_MAX / 64])
{
	uint64_t e[BATCH];
	int err;

	if (nr == 0 || nr > PMAP_OWN_MAX || !range_fits(first, nr, pm->nr))
		return -EINVAL;
	err = pmap_look(pm, pagemap, first, nr, e);
	if (err)
		return err;
	memset(own, 0, PMAP_OWN_MAX / 8);
	for (uint64_t i = 0; i < nr; i++)
		if (pm->e[first + i] ? pagemap_is_private(e[i])
				     : e[i] & PM_PRESENT)
			own[i / 64] |= 1ull << i % 64;
	return 0;
}

/* --- other copies of the same pages --- */

/* Is a change worth the mappings that it costs? */
static bool pmap_worth(const struct pmap *pm, const struct change *c,
		       uint64_t nr)
{
	return c->after <= c->before ||
	       (nr >= PMAP_RUN_MIN && !pmap_over_budget(pm, c));
}

/* Make a private copy of each page in the mapping that is there. */
static int copy_here(struct pmap *pm, uint64_t at, uint64_t nr)
{
	if (madvise(pmap_page_at(pm, at), nr * PAGE_BYTES,
		    MADV_POPULATE_WRITE) < 0)
		return -errno;
	for (uint64_t i = 0; i < nr; i++)
		set_written(pm, at + i);
	return 0;
}

/* Copy pages into the RAM under them, which then replaces them. */
static int copy_to_ram(struct pmap *pm, uint64_t at, uint64_t nr)
{
	uint64_t done = 0, bytes = nr * PAGE_BYTES;
	int err = 0;

	while (done < bytes && !err) {
		ssize_t n = pwrite(pm->view->fd, pmap_page_at(pm, at) + done,
				   bytes - done,
				   (off_t)(at * PAGE_BYTES + done));

		if (n > 0)
			done += (uint64_t)n;
		else if (n == 0 || errno != EINTR)
			err = n == 0 ? -EIO : -errno;
	}
	if (!err)
		err = map_ram(pm, at, nr);
	if (err)
		(void)pmap_punch(pm, at, nr);
	return err;
}

static int rebase_to_ram(struct pmap *pm, uint64_t at, uint64_t nr)
{
	struct change c = change_of(pm, at, nr, 0);

	return pmap_worth(pm, &c, nr) ? copy_to_ram(pm, at, nr)
				      : copy_here(pm, at, nr);
}

/* The arguments and the result of a rebase. */
struct rebase {
	unsigned (*to)(void *arg, unsigned id, uint64_t index, uint64_t *nr);
	void *arg;
	bool copy;	  /* copy runs not worth their mappings, or keep them */
	uint64_t brought; /* pages that are shown from another source now */
};

static int rebase_to_source(struct pmap *pm, struct rebase *r, uint64_t at,
			    uint64_t nr, unsigned id)
{
	uint64_t index = index_of(pm->e[at]);
	struct change c = change_of(pm, at, nr, pmap_entry(pm, id, index));
	struct pmap_source *s = pm->src[id].s;
	bool show = pmap_worth(pm, &c, nr);
	int err = 0;

	if (show)
		err = map_source(pm, at, nr, id, index, &c);
	else if (r->copy)
		err = copy_here(pm, at, nr);
	/* The new source holds the pages for the pmap: drop them if unused. */
	if (show && !err)
		r->brought += nr;
	else if (s->gone)
		for (uint64_t i = 0; i < nr; i++)
			s->gone(s, index + i);
	return err;
}

/* Number of unwritten pages from @at on that are one run of one source. */
static uint64_t run_from(const struct pmap *pm, uint64_t at)
{
	uint64_t nr = 0;

	while (at + nr < pm->nr && is_overlay(pm->e[at + nr]) &&
	       (nr == 0 || pmap_follows(pm->e[at + nr - 1], pm->e[at + nr])))
		nr++;
	return nr;
}

/*
 * Rebase pages that were just swept, so that no entry in the range is an
 * overlay that the guest has written. The callback may shorten a run; the rest
 * of it is then the next run.
 */
static int pmap_rebase_range(struct pmap *pm, struct rebase *r, uint64_t at,
			     uint64_t end)
{
	int err = 0;

	while (at < end && pm->overlaid && !err) {
		uint64_t nr = min_u64(run_from(pm, at), end - at), max = nr;
		unsigned old = id_of(pm->e[at]), id;

		if (nr == 0) {
			at = pmap_skip(pm, at + 1);
			continue;
		}
		id = r->to(r->arg, old, index_of(pm->e[at]), &nr);
		assert(nr && nr <= max);
		if (id == 0)
			err = rebase_to_ram(pm, at, nr);
		else if (id != old)
			err = rebase_to_source(pm, r, at, nr, id);
		at += nr;
	}
	return err;
}

int pmap_rebase(struct pmap *pm, int pagemap,
		unsigned (*to)(void *arg, unsigned id, uint64_t index,
			       uint64_t *nr),
		void *arg)
{
	struct rebase r = { .to = to, .arg = arg, .copy = true };
	int64_t found = pmap_sweep(pm, pagemap, pm->nr, NULL);

	return found < 0 ? (int)found : pmap_rebase_range(pm, &r, 0, pm->nr);
}

int pmap_bring(struct pmap *pm, int pagemap, uint64_t first, uint64_t nr,
	       unsigned (*to)(void *arg, unsigned id, uint64_t index,
			      uint64_t *nr),
	       void *arg, uint64_t *brought)
{
	struct rebase r = { .to = to, .arg = arg };
	uint64_t end = range_fits(first, nr, pm->nr) ? first + nr : pm->nr;
	int err = 0;

	for (uint64_t at = first; at < end && !err; at += BATCH) {
		int64_t found =
			sweep_batch(pm, pagemap, at, min_u64(at + BATCH, end));

		err = found < 0 ? (int)found : 0;
	}
	if (!err)
		err = pmap_rebase_range(pm, &r, first, end);
	*brought = r.brought;
	return err;
}

unsigned pmap_next_shown(const struct pmap *pm, uint64_t *at, uint64_t end,
			 uint64_t *index)
{
	uint64_t page = *at;

	end = min_u64(end, pm->nr);
	while (page < end && !is_overlay(pm->e[page]))
		page = pmap_skip(pm, page + 1);
	*at = max_u64(*at, min_u64(page, end));
	if (*at >= end)
		return 0;
	*index = index_of(pm->e[*at]);
	return id_of(pm->e[*at]);
}

void pmap_get_stats(const struct pmap *pm, struct pmap_stats *out)
{
	*out = (struct pmap_stats){ .overlaid_pages = pm->overlaid,
				    .mappings = pmap_mappings(pm),
				    .budget = pm->budget,
				    .refused = pm->refused };
}
