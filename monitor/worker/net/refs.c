/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/net/refs.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "disco/clock.h"
#include "memory/lease.h"
#include "monitor/worker/vm/vm.h"

#define NONE	  UINT32_MAX /* no place in the ring */
#define RUN_MAX	  32u	     /* pages that are shown at a time */
#define PIECE	  64u	     /* bytes of a sample that lie together */
#define MEMORY	  (REFS_MAX * sizeof(struct ref) + REFS_BUCKETS * 4u)
#define NS_PER_MS 1000000ull

typedef uint64_t refs_bits[REFS_CHUNK / 64];

_Static_assert(REFS_CHUNK <= PMAP_OWN_MAX, "one call");
_Static_assert(VM_MAX_CACHED <= UINT8_MAX, "a disk fits");

static uint8_t *refs_page(const struct refs *r, uint64_t page)
{
	return r->vm->ram.hva + page * PAGE_BYTES;
}

static struct ref *refs_nth(const struct refs *r, uint32_t i)
{
	return &r->ring[(r->head + i) % REFS_MAX];
}

static void refs_arm(struct refs *r, uint64_t ms)
{
	const struct itimerspec t = {
		.it_value = { .tv_sec = (long)(ms / 1000),
			      .tv_nsec = (long)(ms % 1000 * NS_PER_MS) }
	};

	(void)timerfd_settime(r->timer.fd, 0, &t, NULL);
}

/* --- sending --- */

/* The part of guest memory that one buffer is, page by page. */
static void refs_find_in(struct refs *r, uint64_t off, uint64_t bytes,
			 struct vnet_refs *out)
{
	uint64_t end = off + bytes;

	for (uint64_t page = off / PAGE_BYTES; page * PAGE_BYTES < end;
	     page++) {
		uint64_t from = max_u64(off, page * PAGE_BYTES), at = page;
		uint64_t to = min_u64(end, (page + 1) * PAGE_BYTES), index;
		unsigned id = 0;
		uint64_t image;

		if (to - from >= REFS_PART)
			id = pmap_next_shown(r->vm->pmap, &at, page + 1,
					     &index);
		image = id ? cache_image_of(r->cache, id) : 0;
		if (image && vnet_refs_add(out, image, index))
			r->stats.sent++;
	}
}

static void refs_find(void *arg, const struct iovec *iov, unsigned nr_iov,
		      size_t skip, struct vnet_refs *out)
{
	struct refs *r = arg;

	for (unsigned i = 0; i < nr_iov; i++) {
		size_t less = min_u64(skip, iov[i].iov_len);
		size_t bytes = iov[i].iov_len - less;
		uint64_t off = (uintptr_t)iov[i].iov_base + less -
			       (uintptr_t)r->vm->ram.hva;

		skip -= less;
		if (bytes && range_fits(off, bytes, r->vm->ram.bytes))
			refs_find_in(r, off, bytes, out);
	}
}

/* --- the ring --- */

static bool refs_room(struct refs *r)
{
	void *p;

	if (r->ring)
		return true;
	p = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return false;
	r->ring = p;
	r->buckets = (uint32_t *)(void *)(r->ring + REFS_MAX);
	return true;
}

static void refs_push(struct refs *r, const struct ref *e)
{
	/* A pass may have it in its table: what takes its place ends a chain. */
	if (r->nr == REFS_MAX) {
		r->head = (r->head + 1) % REFS_MAX;
		r->nr--;
		r->of_pass -= r->of_pass > 0;
		r->indexed -= r->indexed > 0;
		r->stats.dropped++;
	}
	*refs_nth(r, r->nr++) = *e;
}

static void refs_got(void *arg, const struct vnet_refs *refs)
{
	struct refs *r = arg;
	unsigned disk = cache_find_image(r->cache, refs->image);
	uint64_t now;

	r->stats.received += vnet_refs_count(refs);
	if (disk == VM_MAX_CACHED || !refs_room(r)) {
		r->stats.dropped += vnet_refs_count(refs);
		return;
	}
	for (unsigned i = 0; i < VNET_REF_RUNS && refs->runs[i]; i++) {
		uint64_t first = vnet_ref_first(refs->runs[i]);
		unsigned blocks = vnet_ref_blocks(refs->runs[i]);

		for (unsigned k = 0; k < blocks; k++) {
			struct ref e = { .block = (uint32_t)(first + k),
					 .next = NONE,
					 .disk = (uint8_t)disk };

			if (first + k < LEASE_MAX_BLOCKS)
				refs_push(r, &e);
			else
				r->stats.dropped++;
		}
	}
	if (r->state != REFS_IDLE || !r->nr)
		return;
	now = clock_now_ns();
	r->state = REFS_WAITS;
	refs_arm(r, r->next_ns > now + REFS_WAIT_MS * NS_PER_MS
			    ? (r->next_ns - now) / NS_PER_MS
			    : REFS_WAIT_MS);
}

const struct net_refs_ops refs_ops = { .find = refs_find, .got = refs_got };

/* --- the table --- */

/* Of pieces from all of it. Return: 0: these are all zeroes. */
static uint32_t refs_sample(const uint8_t *page)
{
	static const uint16_t at[REFS_SAMPLE / PIECE] = { 0, 1088, 2240, 4032 };
	static const uint8_t zeroes[REFS_SAMPLE];
	uint8_t bytes[REFS_SAMPLE];
	uint32_t sum;

	for (unsigned i = 0; i < ARRAY_SIZE(at); i++)
		memcpy(bytes + i * PIECE, page + at[i], PIECE);
	if (memcmp(bytes, zeroes, sizeof(bytes)) == 0)
		return 0;
	sum = (uint32_t)XXH3_64bits(bytes, sizeof(bytes));
	return sum ? sum : 1;
}

/* Does a block have these bytes? The page may change meanwhile. */
static bool refs_equal(const struct refs *r, const struct ref *e,
		       const uint8_t *page)
{
	struct cache_ref ref;
	bool equal;

	if (!cache_take_ref(r->cache, e->disk, e->block, 1, &ref))
		return false;
	equal = memcmp(ref.page, page, PAGE_BYTES) == 0;
	cache_drop_ref(&ref, e->block, 1);
	return equal;
}

static bool refs_same_block(const struct ref *a, const struct ref *b)
{
	return a->disk == b->disk && a->block == b->block;
}

/* The next reference of this pass. */
static void refs_index(struct refs *r)
{
	uint32_t place = (r->head + r->indexed++) % REFS_MAX, *first;
	struct ref *e = &r->ring[place];
	struct cache_ref ref;
	unsigned n = 0;

	e->sample = 0;
	e->next = NONE;
	e->hits = 0;
	if (!cache_take_ref(r->cache, e->disk, e->block, 1, &ref))
		return;
	e->sample = refs_sample(ref.page);
	cache_drop_ref(&ref, e->block, 1);
	if (!e->sample)
		return;
	first = &r->buckets[e->sample % REFS_BUCKETS];
	for (uint32_t i = *first; i != NONE && n < REFS_CHAIN && !e->again;
	     i = r->ring[i].next, n++)
		e->again = refs_same_block(&r->ring[i], e);
	if (e->again) {
		e->sample = 0;
		return;
	}
	e->next = *first;
	*first = place;
	r->sampled++;
}

/* Which reference is this page the block of? NONE: no one. */
static uint32_t refs_match(const struct refs *r, const uint8_t *page)
{
	uint32_t sample = refs_sample(page), i;
	unsigned n = 0;

	if (!sample)
		return NONE;
	i = r->buckets[sample % REFS_BUCKETS];
	for (; i != NONE && n < REFS_CHAIN; i = r->ring[i].next, n++) {
		const struct ref *e = &r->ring[i];

		if (e->sample == sample && e->hits < REFS_HITS &&
		    refs_equal(r, e, page))
			return i;
	}
	return NONE;
}

/* --- showing --- */

/* May the page that is @i after r->at be shown? */
static bool refs_wanted(const struct refs *r, unsigned i)
{
	return r->match[i] != NONE && r->ring[r->match[i]].hits < REFS_HITS;
}

/* How many of the pages from @i on are consecutive blocks? */
static unsigned refs_run(const struct refs *r, unsigned i, unsigned nr)
{
	const struct ref *first = &r->ring[r->match[i]];
	unsigned n = 1;

	while (n < RUN_MAX && i + n < nr && refs_wanted(r, i + n) &&
	       r->ring[r->match[i + n]].disk == first->disk &&
	       r->ring[r->match[i + n]].block == first->block + n)
		n++;
	return n;
}

/*
 * Show pages from r->at + @i on, those that are equal still. Return: 0; -ENOSPC the
 * budget; -errno.
 */
static int refs_show_run(struct refs *r, unsigned i, unsigned nr)
{
	const struct ref *first = &r->ring[r->match[i]];
	uint8_t *hva = refs_page(r, r->at + i);
	unsigned n = 0, leased;
	struct cache_ref ref;
	int err = 0;

	leased = cache_take_ref(r->cache, first->disk, first->block, nr, &ref);
	while (n < leased &&
	       memcmp(ref.page + (size_t)n * PAGE_BYTES,
		      hva + (size_t)n * PAGE_BYTES, PAGE_BYTES) == 0)
		n++;
	if (n)
		err = pmap_over_half(r->vm->pmap)
			      ? -ENOSPC
			      : pmap_show(r->vm->pmap, hva, n, ref.id,
					  first->block);
	if (err)
		n = 0;
	if (leased)
		cache_drop_ref(&ref, first->block + n, leased - n);
	for (unsigned k = 0; k < n; k++)
		r->ring[r->match[i + k]].hits++;
	cache_shown_ref(r->cache, n);
	r->stats.merged += n;
	r->gained += n;
	return err;
}

/* With the guest stopped. Return: as refs_show_run(). */
static int refs_show_parked(struct refs *r, unsigned nr)
{
	uint64_t until = clock_now_ns() + PARK_MERGE_NS;
	unsigned i = 0;
	int err = 0;

	while (i < nr && !err && clock_now_ns() < until) {
		unsigned n = 1;

		if (refs_wanted(r, i)) {
			n = refs_run(r, i, nr);
			err = refs_show_run(r, i, n);
		}
		i += n;
	}
	r->at += i;
	return err;
}

/* A request under way may write to a page at any time. */
static int refs_refuse(struct refs *r)
{
	return ++r->refused < PARK_MERGE_REFUSALS ? PARK_MERGE_MS : -EBUSY;
}

static int refs_show(struct refs *r, unsigned nr)
{
	uint64_t start;
	int err;

	if (pmap_over_half(r->vm->pmap))
		return -ENOSPC;
	if (!r->rests(r->arg))
		return refs_refuse(r);
	r->refused = 0;
	start = clock_now_ns();
	vm_park(r->vm, PARK_MERGE);
	err = refs_show_parked(r, nr);
	vm_unpark(r->vm, PARK_MERGE);
	r->stats.longest_ns =
		max_u64(r->stats.longest_ns, clock_now_ns() - start);
	return err ? err : PARK_MERGE_MS;
}

/* --- passes --- */

static void refs_begin(struct refs *r)
{
	memset(r->buckets, 0xff, REFS_BUCKETS * sizeof(r->buckets[0]));
	r->of_pass = r->nr;
	r->indexed = 0;
	r->sampled = 0;
	r->at = 0;
	r->refused = 0;
	r->gained = 0;
	r->state = REFS_INDEXES;
}

/* References that have found no page get another pass, or are forgotten. */
static void refs_end(struct refs *r)
{
	for (uint32_t n = r->of_pass; n; n--) {
		struct ref e = *refs_nth(r, 0);

		r->head = (r->head + 1) % REFS_MAX;
		r->nr--;
		if (e.hits)
			continue;
		if (e.again)
			r->stats.dropped++;
		else if (++e.tries < REFS_TRIES)
			refs_push(r, &e);
		else if (e.sample)
			r->stats.wrong++;
		else
			r->stats.dropped++; /* it was in no cache, or zeroes */
	}
	r->of_pass = r->indexed = 0;
	r->wait_ms = r->gained ? REFS_WAIT_MS
			       : (unsigned)min_u64(2ull * r->wait_ms,
						   REFS_WAIT_MAX_MS);
	r->next_ns = clock_now_ns() + r->wait_ms * NS_PER_MS;
	r->state = r->nr ? REFS_WAITS : REFS_IDLE;
	if (r->nr) {
		refs_arm(r, r->wait_ms);
		return;
	}
	(void)munmap(r->ring, MEMORY);
	r->ring = NULL;
}

/* The next pages of the guest. Return: how long to wait, in ms; -errno. */
static int refs_scan(struct refs *r)
{
	uint64_t pages = r->vm->ram.bytes / PAGE_BYTES;
	uint64_t until = clock_now_ns() + REFS_STEP_NS;

	while (r->at < pages && clock_now_ns() < until) {
		unsigned nr = (unsigned)min_u64(pages - r->at, REFS_CHUNK);
		bool found = false;
		refs_bits own;
		int err = pmap_own(r->vm->pmap, r->pagemap, r->at, nr, own);

		if (err)
			return err;
		for (unsigned i = 0; i < nr; i++) {
			r->match[i] =
				own[i / 64] >> i % 64 & 1
					? refs_match(r, refs_page(r, r->at + i))
					: NONE;
			found |= r->match[i] != NONE;
		}
		if (found)
			return refs_show(r, nr);
		r->at += nr;
	}
	return REFS_STEP_MS;
}

static void refs_timer_ready(struct io_watch *w, uint32_t events)
{
	struct refs *r = container_of(w, struct refs, timer);
	uint64_t times;
	int ms = REFS_STEP_MS;

	(void)events;
	if (read(w->fd, &times, sizeof(times)) < 0 || r->state == REFS_IDLE)
		return;
	if (r->state == REFS_WAITS)
		refs_begin(r);
	if (r->state == REFS_INDEXES) {
		for (unsigned i = 0; i < REFS_CHUNK && r->indexed < r->of_pass;
		     i++)
			refs_index(r);
		if (r->indexed == r->of_pass) {
			r->state = REFS_SCANS;
			/* Of nothing that is in a cache: nothing is looked for. */
			if (!r->sampled)
				r->at = r->vm->ram.bytes / PAGE_BYTES;
		}
	} else {
		ms = refs_scan(r);
	}
	if (ms < 0 || r->at == r->vm->ram.bytes / PAGE_BYTES)
		refs_end(r);
	else
		refs_arm(r, (uint64_t)ms);
}

int refs_create(struct refs *r, struct vm *vm, struct cache *cache, int pagemap,
		bool (*rests)(void *arg), void *arg)
{
	*r = (struct refs){ .vm = vm,
			    .cache = cache,
			    .pagemap = pagemap,
			    .rests = rests,
			    .arg = arg,
			    .wait_ms = REFS_WAIT_MS };
	r->timer.ready = refs_timer_ready;
	r->timer.fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (r->timer.fd < 0)
		return -errno;
	return io_loop_watch(&vm->loop, &r->timer, EPOLLIN);
}

void refs_turned(struct refs *r)
{
	struct figures_cache *f = &r->vm->figures->cache;

	figures_set(&f->words[FIGURES_REFS_SENT], r->stats.sent);
	figures_set(&f->words[FIGURES_REFS_RECEIVED], r->stats.received);
	figures_set(&f->words[FIGURES_REFS_DROPPED], r->stats.dropped);
	figures_set(&f->words[FIGURES_REFS_WRONG], r->stats.wrong);
	figures_set(&f->words[FIGURES_REFS_MERGED], r->stats.merged);
	figures_set(&f->words[FIGURES_REFS_NS], r->stats.longest_ns);
}
