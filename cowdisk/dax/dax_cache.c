/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A region that shows a node's buffer cache: the cache's memory, mapped
 * privately, registered with userfaultfd for missing and for minor faults.
 *
 * Why minor faults too: a page that its agent is filling is in the memory
 * before its bytes are. So only this code maps a page, while its block is
 * leased, which guarantees that the bytes are there (lease.h, ordering 1).
 *
 * Why no lease after that: to evict a page its agent punches it, and that
 * removes it from all page tables, so the next access faults. Copies that the
 * guest made by writing stay, because punching removes no private pages.
 *
 * Why a lease meanwhile: without it the agent could punch a page between the
 * check of its presence and UFFDIO_CONTINUE, and begin to fill it again; then a
 * page would be mapped whose bytes are not there yet. With the lease, a hole is
 * punched
 *   - after the lease was dropped, so after the page was mapped (lease.h,
 *     ordering 3): the punch removes this page table entry; or
 *   - before the lease was taken: then the block was absent, or its bytes had
 *     been filled anew before it was present again.
 *
 * KVM lets a kernel thread bring absent pages, and that thread asks for them as
 * if it wrote (async_pf_execute(), Linux 6.1). So where the guest may write,
 * the touched page becomes a copy. To limit the copies, a fault maps the
 * present pages around it as well, DAX_RUN_PAGES at most, and requests a run of
 * ASK_PAGES from the agent: at most one page of each run is copied. Larger
 * requests bring data that nobody reads: for the root disk of eight guests that
 * compile, 31 MiB with 64 pages, 18 MiB with 16.
 *
 * A page of the region maps
 *	the home node's memory		"home": faults are served here
 *	another memory of the cache	it stayed in a rebase: the pager copies
 *	a file, or a private copy	it never causes a userfaultfd event
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cowdisk/base/bit_tree.h"
#include "cowdisk/cache/cache_internal.h"
#include "cowdisk/disk/cow.h"
#include "cowdisk/dax/dax_internal.h"
#include "cowdisk/dax/pager.h"
#include "disco/pagemap.h"
#include "memory/uffd.h"

#define BATCH	  512u /* entries a read: 4 KiB of stack */
#define ASK_PAGES 16u

struct dax_cache {
	struct dax *d;
	struct cache *c;
	struct pager *pager;
	struct pager_region region;
	struct cache_queue q;
	uint64_t memory; /* cache_memory() of "home"; 0: there is none */
	uint64_t *home;	 /* a bit a page */
	uint64_t *seams; /* a bit a page: a mapping may begin here, by us */
};

static uint64_t dax_cache_whole_pages(const struct dax *d)
{
	return d->src.bytes / PAGE_BYTES;
}

static uint8_t *dax_cache_page_at(const struct dax *d, uint64_t page)
{
	return d->window.hva + page * PAGE_BYTES;
}

/* --- mapping --- */

static uint64_t count_bits(const uint64_t *bits, uint64_t first, uint64_t end)
{
	uint64_t n = 0;

	for (uint64_t i = dax_find_bit(bits, first, end, false); i < end;
	     i = dax_find_bit(bits, i + 1, end, false))
		n++;
	return n;
}

/*
 * The run must not be accessible before it is registered: a fault would turn a
 * hole of the cache's memory into an empty page, for all users of the cache.
 */
static int map_run(struct dax *d, uint64_t first, uint64_t nr, int fd)
{
	size_t bytes = nr * PAGE_BYTES;
	void *at = dax_cache_page_at(d, first);
	int err, lost;

	if (mmap(at, bytes, PROT_NONE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
		 fd, (off_t)(first * PAGE_BYTES)) == MAP_FAILED)
		err = -errno;
	else
		err = uffd_register(pager_uffd(d->cached->pager), at, bytes);
	if (!err && mprotect(at, bytes, PROT_READ | PROT_WRITE) < 0)
		err = -errno;
	if (!err)
		return 0;
	lost = dax_show_base(d, first, nr);
	return lost ? lost : err;
}

static int dax_cache_rebase_run(struct dax *d, uint64_t first, uint64_t nr,
				int fd)
{
	struct dax_cache *k = d->cached;
	uint64_t end = first + nr, fewer;
	int err;

	if (nr < DAX_RUN_MIN)
		return 0;
	fewer = count_bits(k->seams, first, end + 1);
	if (d->stats.mappings + 2 > d->budget + fewer)
		return 0;
	/* Counted also if map_run() fails: it maps the file's pages then. */
	dax_set_bits(k->seams, first, nr + 1, false);
	dax_set_bits(k->seams, first, 1, true);
	dax_set_bits(k->seams, end, 1, true);
	d->stats.mappings = d->stats.mappings + 2 - fewer;
	err = map_run(d, first, nr, fd);
	if (err)
		return err;
	dax_set_bits(k->home, first, nr, true);
	d->stats.cached_pages += nr;
	return 0;
}

static bool can_replace(const struct dax *d, uint64_t page, uint64_t entry)
{
	const struct cow *c = d->src.cow < 0 ? NULL : disk_cow(d->src.disk);

	return !pagemap_is_private(entry) && !bits_test(d->touched, page) &&
	       !(c && cow_map_has(cow_map(c), page));
}

static int rebase_all(struct dax *d, int pagemap, int fd)
{
	uint64_t e[BATCH], end = dax_cache_whole_pages(d), first = 0, nr = 0;
	uint64_t at = (uintptr_t)d->window.hva / PAGE_BYTES;
	int err = 0;

	for (uint64_t i = 0; i < end && !err; i++) {
		int64_t n = (int64_t)min_u64(end - i, BATCH), got = n;

		if (i % BATCH == 0)
			got = pagemap_read(pagemap, at + i, e, (uint64_t)n);
		if (got != n)
			return got < 0 ? (int)got : -EIO;
		if (can_replace(d, i, e[i % BATCH])) {
			first = nr ? first : i;
			nr++;
			continue;
		}
		err = dax_cache_rebase_run(d, first, nr, fd);
		nr = 0;
	}
	return err ? err : dax_cache_rebase_run(d, first, nr, fd);
}

bool dax_wants_rebase(const struct dax *d)
{
	uint64_t memory = 0;
	int fd;

	if (d->cached)
		memory = cache_memory(d->cached->c, d->cached->q.disk, &fd);
	return memory && memory != d->cached->memory;
}

int dax_rebase(struct dax *d, int pagemap)
{
	struct dax_cache *k = d->cached;
	int fd = -1;

	if (!dax_wants_rebase(d))
		return 0;
	k->memory = cache_memory(k->c, k->q.disk, &fd);
	dax_set_bits(k->home, 0, dax_cache_whole_pages(d), false);
	d->stats.cached_pages = 0;
	errno = 0;
	return rebase_all(d, pagemap, fd);
}

/* --- faults --- */

struct window {
	uint64_t first, end;
};

/*
 * The pages around @page that are in one mapping of home pages and in the same
 * aligned @run.
 */
static struct window window_of(const struct dax_cache *k, uint64_t page,
			       unsigned run)
{
	struct window w = { page, page + 1 };

	while (w.first % run && !bits_test(k->seams, w.first) &&
	       bits_test(k->home, w.first - 1))
		w.first--;
	while (w.end % run && !bits_test(k->seams, w.end) &&
	       bits_test(k->home, w.end))
		w.end++;
	return w;
}

static bool has_block(const struct dax_cache *k, uint64_t block)
{
	return cache_has(k->c, k->q.disk, k->memory, block);
}

static int map_leased(struct dax_cache *k, uint64_t first, unsigned nr)
{
	struct dax *d = k->d;

	return uffd_continue(pager_uffd(k->pager), dax_cache_page_at(d, first),
			     (uint64_t)nr * PAGE_BYTES,
			     &d->stats.continued_pages);
}

/* Map all present pages around one. Return: false: that page is absent. */
static bool map_around(struct dax_cache *k, uint64_t page)
{
	struct window w = window_of(k, page, DAX_RUN_PAGES);
	bool there = false;

	if (!has_block(k, page))
		return false;
	for (uint64_t at = w.first; at < w.end; at++) {
		unsigned n = 0;

		if (has_block(k, at))
			n = cache_hold(k->c, k->q.disk, k->memory, at,
				       (unsigned)(w.end - at));
		if (!n)
			continue;
		if (map_leased(k, at, n) == 0)
			there |= page - at < n;
		cache_let_go(k->c, k->q.disk, k->memory, at, n);
		at += n - 1;
	}
	/*
	 * The thread may have begun to wait after its page was mapped by an
	 * earlier call; UFFDIO_CONTINUE does not wake it then.
	 */
	if (there)
		uffd_wake(pager_uffd(k->pager), dax_cache_page_at(k->d, page));
	return there;
}

/* Return: true: the agent was asked, *@w waits. */
static bool dax_cache_ask(struct dax_cache *k, struct cache_wait **w,
			  struct pager_fault *f)
{
	uint64_t first = pager_fault_page(f), end = first;
	struct window win = window_of(k, first, ASK_PAGES);
	int fd;

	if (cache_memory(k->c, k->q.disk, &fd) != k->memory ||
	    !cache_can_ask(k->c, k->q.disk))
		return false;
	if (!*w)
		*w = link_wait_get(k->c, &k->q, f);
	if (!*w || (*w)->last || (*w)->rounds == CACHE_ROUNDS)
		return false;
	(*w)->rounds++;
	while (first > win.first && !has_block(k, first - 1))
		first--;
	while (end < win.end && !has_block(k, end))
		end++;
	return link_ask(k->c, *w, first, (unsigned)max_u64(end - first, 1));
}

/* Serve a fault until it has to wait. @w: its wait; NULL: none yet. */
static void dax_cache_go_on(struct dax_cache *k, struct cache_wait *w,
			    struct pager_fault *f)
{
	uint64_t page = pager_fault_page(f);
	bool mapped = false;

	if (bits_test(k->home, page) && !(w && w->direct)) {
		mapped = map_around(k, page);
		if (!mapped && dax_cache_ask(k, &w, f))
			return;
	}
	if (w)
		link_wait_put(k->c, w);
	if (mapped)
		pager_mapped(k->pager, f);
	else
		pager_refuse(k->pager, f);
}

static void dax_cache_serve(struct pager_region *r, struct pager_fault *f)
{
	dax_cache_go_on(container_of(r, struct dax_cache, region), NULL, f);
}

static void dax_cache_turn(struct pager_region *r)
{
	struct dax_cache *k = container_of(r, struct dax_cache, region);
	struct cache_wait *w;

	while ((w = link_wait_next(&k->q)))
		dax_cache_go_on(k, w, w->what);
}

/* --- life --- */

static void dax_cache_drop(struct dax_cache *k, uint64_t bitmap_bytes)
{
	if (k->home)
		(void)munmap(k->home, bitmap_bytes);
	if (k->seams)
		(void)munmap(k->seams, bitmap_bytes);
	free(k);
}

/* One more bit than pages, for the end of a last mapping. */
static uint64_t bitmap_bytes_of(const struct dax *d)
{
	return d->bitmap_bytes + sizeof(uint64_t);
}

static void dax_cache_uncache(struct dax *d)
{
	struct dax_cache *k = d->cached;
	struct cache_wait *w;

	link_give_up(k->c, &k->q);
	while ((w = link_wait_next(&k->q))) {
		pager_refuse(k->pager, w->what);
		link_wait_put(k->c, w);
	}
	dax_cache_drop(k, bitmap_bytes_of(d));
	d->cached = NULL;
}

int dax_use_cache(struct dax *d, struct cache *c, unsigned nr, struct pager *p)
{
	struct dax_cache *k = calloc(1, sizeof(*k));
	int err;

	if (!k)
		return -ENOMEM;
	k->d = d;
	k->c = c;
	k->pager = p;
	k->q = (struct cache_queue){ .disk = nr,
				     .event_fd = pager_event_fd(p) };
	STAILQ_INIT(&k->q.ready);
	k->region = (struct pager_region){ .hva = d->window.hva,
					   .nr_pages = dax_cache_whole_pages(d),
					   .base = d->src.base,
					   .serve = dax_cache_serve,
					   .turn = dax_cache_turn };
	k->home = dax_lazy_zeroes(bitmap_bytes_of(d));
	k->seams = dax_lazy_zeroes(bitmap_bytes_of(d));
	err = k->home && k->seams ? pager_add(p, &k->region) : -ENOMEM;
	if (err) {
		dax_cache_drop(k, bitmap_bytes_of(d));
		return err;
	}
	d->cached = k;
	d->uncache = dax_cache_uncache;
	return 0;
}
