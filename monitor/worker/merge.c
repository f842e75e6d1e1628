/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/merge.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "disco/clock.h"
#include "monitor/ipc/fds.h"
#include "monitor/ipc/merge_maps.h"
#include "monitor/worker/disks.h"
#include "monitor/worker/vm/vm.h"

#define RUN_MAX 32u	   /* frames that give way at a time */
#define NONE	UINT32_MAX /* no frame of the layer */

typedef uint64_t frame_bits[MERGE_STEP / 64];

_Static_assert(MERGE_STEP <= PMAP_OWN_MAX, "one call");
_Static_assert(MERGE_BYTES_MAX / PAGE_BYTES < NONE, "a frame fits");

/* Frames are below the hole: a frame's number is its page's in the view. */
static uint8_t *merge_frame(const struct merge *g, uint64_t i)
{
	return g->vm->ram.hva + i * PAGE_BYTES;
}

static bool merge_bit(const uint64_t *bits, uint64_t i)
{
	return bits[i / 64] >> i % 64 & 1;
}

/* Which frame of the layer has this sum? NONE: no one. */
static uint32_t merge_first_of_sum(const struct merge *g, uint64_t sum)
{
	const struct merge_entry *t = g->table.base;
	uint32_t at = merge_find(t, g->entries, sum);

	return at < g->entries && t[at].frame < g->end ? (uint32_t)t[at].frame
						       : NONE;
}

static void merge_arm(struct merge *g, long ms)
{
	const struct itimerspec t = { .it_value = { .tv_nsec = ms * 1000000 } };

	(void)timerfd_settime(g->timer.fd, 0, &t, NULL);
}

static void merge_finish(struct merge *g, int err)
{
	if (g->job == WORKER_REQ_SUM && !err) {
		region_destroy(&g->sums);
		g->sums = g->new_sums;
		g->new_sums = (struct region){ 0 };
	}
	region_destroy(&g->new_sums);
	g->job = 0;
	/* That of a layer that is shown is kept. */
	if (!g->source)
		fds_close(&g->layer, 1);
	g->source = NULL;
	g->layer = -1;
	region_detach(&g->table);
	g->done(g->arg, g->id, g->gained, err);
}

/* --- sum, give --- */

static bool merge_is_zero(const struct merge *g, uint64_t i)
{
	const uint8_t *p = merge_frame(g, i);

	return p[0] == 0 && memcmp(p, p + 1, PAGE_BYTES - 1) == 0;
}

static uint64_t sum_of(const uint8_t *page)
{
	uint64_t sum = XXH3_64bits(page, PAGE_BYTES) & ~MERGE_STABLE;

	return sum ? sum : ~MERGE_STABLE; /* 0 is none */
}

/* As it was said. */
static uint64_t merge_said(const struct region *sums, uint64_t i)
{
	_Atomic(uint64_t) *s = sums->base;

	return atomic_load_explicit(&s[i], memory_order_relaxed) &
	       ~MERGE_STABLE;
}

void merge_nominate(struct merge *g, uint64_t page, uint64_t pages)
{
	const uint64_t end = MERGE_BYTES_MAX / PAGE_BYTES;

	for (uint64_t i = page; i < end && i - page < pages; i++)
		g->nominated[i / 64] |= 1ull << i % 64;
}

/* Whether the guest has said so; no second time. */
static bool merge_is_nominated(struct merge *g, uint64_t i)
{
	uint64_t bit = 1ull << i % 64;
	bool was = g->nominated[i / 64] & bit;

	if (was)
		g->nominated[i / 64] &= ~bit;
	return was;
}

/* Those of zeroes need no sum: they are given back. */
static void sum_frame(struct merge *g, uint64_t i)
{
	_Atomic(uint64_t) *sums = g->new_sums.base;
	uint64_t sum;

	if (merge_is_zero(g, i)) {
		g->zeroes = true;
		return;
	}
	sum = sum_of(merge_frame(g, i));
	if (merge_is_nominated(g, i) || (g->sums.bytes == g->new_sums.bytes &&
					 merge_said(&g->sums, i) == sum))
		sum |= MERGE_STABLE;
	/* Control reads it after our answer: relaxed will do. */
	atomic_store_explicit(&sums[i], sum, memory_order_relaxed);
}

/* What it was summed with, and nothing that came there since. */
static int give_frame(struct merge *g, uint64_t i)
{
	uint64_t sum = merge_said(&g->sums, i);
	uint8_t page[PAGE_BYTES];
	ssize_t n;

	if (merge_first_of_sum(g, sum) != i)
		return 0;
	memcpy(page, merge_frame(g, i), PAGE_BYTES);
	if (sum_of(page) != sum)
		return 0;
	n = pwrite(g->layer, page, PAGE_BYTES, (off_t)(i * PAGE_BYTES));
	if (n == (ssize_t)PAGE_BYTES)
		return 0;
	return n < 0 ? -errno : -EIO;
}

/* The next frames. Return: how long to wait, in ms; -errno. */
static int merge_step(struct merge *g)
{
	uint64_t nr = min_u64(g->end - g->at, MERGE_STEP);
	frame_bits own;
	int err = pmap_own(g->vm->pmap, g->pagemap, g->at, nr, own);

	for (uint64_t i = 0; i < nr && !err; i++) {
		if (!merge_bit(own, i))
			continue;
		if (g->job == WORKER_REQ_SUM)
			sum_frame(g, g->at + i);
		else
			err = give_frame(g, g->at + i);
	}
	g->at += nr;
	return err ? err : MERGE_STEP_MS;
}

/* --- share --- */

/* Of find_shown(): the frame of the layer that may take its place; or NONE. */
static uint32_t merge_from(const struct merge *g, uint64_t i)
{
	return g->from[i - g->at];
}

/* Does what takes its place hold the same? */
static bool gives_way(const struct merge *g, uint64_t i)
{
	uint8_t theirs[PAGE_BYTES];

	if (g->scrubs)
		return merge_is_zero(g, i);
	return merge_from(g, i) != NONE &&
	       pread(g->layer, theirs, PAGE_BYTES,
		     (off_t)merge_from(g, i) * (off_t)PAGE_BYTES) ==
		       (ssize_t)PAGE_BYTES &&
	       memcmp(theirs, merge_frame(g, i), PAGE_BYTES) == 0;
}

/* Is what takes its place next to what takes that of the one before it? */
static bool merge_continues(const struct merge *g, uint64_t i)
{
	return g->scrubs || merge_from(g, i) == merge_from(g, i - 1) + 1;
}

/*
 * What the frames from g->at on may be shown from, by their sums. Return: the
 * first that may give way; @end: none.
 */
static uint64_t find_shown(struct merge *g, const frame_bits own, uint64_t end)
{
	uint64_t first = end;

	for (uint64_t i = end; i-- > g->at;) {
		bool is_own = merge_bit(own, i - g->at);
		uint32_t f = is_own && !g->scrubs
				     ? merge_first_of_sum(
					       g, sum_of(merge_frame(g, i)))
				     : NONE;

		g->from[i - g->at] = f;
		if (f != NONE || (g->scrubs && is_own && merge_is_zero(g, i)))
			first = i;
	}
	return first;
}

/*
 * The next frames from *@at on that give way, RUN_MAX at most; one is looked at
 * whatever the time is. Return: how many, from *@at on; 0: none before *@at.
 */
static uint64_t next_run(const struct merge *g, const frame_bits own,
			 uint64_t *at, uint64_t end, uint64_t until_ns)
{
	uint64_t nr = 0;

	do {
		while (*at + nr < end && nr < RUN_MAX &&
		       merge_bit(own, *at + nr - g->at) &&
		       (!nr || merge_continues(g, *at + nr)) &&
		       gives_way(g, *at + nr))
			nr++;
		if (nr)
			return nr;
	} while (++*at < end && clock_now_ns() < until_ns);
	return 0;
}

/* Return: 0; -ENOSPC the budget; -errno. */
static int give_way(struct merge *g, uint64_t i, uint64_t nr)
{
	int err;

	if (g->scrubs) {
		err = pmap_free(g->vm->pmap, (gfn_t){ i }, nr);
		g->zeroed += err ? 0 : nr;
		return err == -ENOSPC ? 0 : err; /* it stays what it is */
	}
	err = pmap_over_half(g->vm->pmap)
		      ? -ENOSPC
		      : boot_source_show(g->source->s, merge_frame(g, i), nr,
					 merge_from(g, i));
	if (err)
		return err;
	g->gained += nr;
	g->merged += nr;
	return 0;
}

/* With the guest stopped. Return: 0; -errno. */
static int share_parked(struct merge *g, uint64_t at, uint64_t end)
{
	uint64_t until = clock_now_ns() + PARK_MERGE_NS;
	frame_bits own;
	int err = pmap_own(g->vm->pmap, g->pagemap, g->at, end - g->at, own);

	if (err)
		return err;
	do {
		uint64_t nr = next_run(g, own, &at, end, until);

		if (nr)
			err = give_way(g, at, nr);
		at += nr;
	} while (!err && at < end && clock_now_ns() < until);
	g->at = at;
	return err;
}

/* A disk that never rests: another time. */
static int merge_refuse(struct merge *g)
{
	if (++g->refused < PARK_MERGE_REFUSALS)
		return PARK_MERGE_MS;
	if (!g->scrubs)
		return -EBUSY;
	g->at = g->end;
	return MERGE_STEP_MS;
}

/* Return: as merge_step(). */
static int merge_share(struct merge *g)
{
	uint64_t end = min_u64(g->at + MERGE_STEP, g->end), at, start;
	frame_bits own;
	int err = pmap_own(g->vm->pmap, g->pagemap, g->at, end - g->at, own);

	if (!err && !g->scrubs && pmap_over_half(g->vm->pmap))
		err = -ENOSPC;
	if (err)
		return err;
	/* A request under way may write to a page at any time. */
	if (!disks_idle(g->disks))
		return merge_refuse(g);
	g->refused = 0;
	at = find_shown(g, own, end);
	if (at == end) {
		g->at = end;
		return MERGE_STEP_MS;
	}
	start = clock_now_ns();
	vm_park(g->vm, PARK_MERGE);
	err = share_parked(g, at, end);
	vm_unpark(g->vm, PARK_MERGE);
	g->longest_ns = max_u64(g->longest_ns, clock_now_ns() - start);
	return err ? err : PARK_MERGE_MS;
}

/* --- jobs --- */

static void merge_timer_ready(struct io_watch *w, uint32_t events)
{
	struct merge *g = container_of(w, struct merge, timer);
	uint64_t times;
	int ms;

	(void)events;
	if (read(w->fd, &times, sizeof(times)) < 0 || !g->job)
		return;
	ms = g->scrubs || g->job == WORKER_REQ_SHARE ? merge_share(g)
						     : merge_step(g);
	if (ms >= 0 && g->at == g->end && g->zeroes && !g->scrubs) {
		g->scrubs = true;
		g->at = 0;
	}
	if (ms < 0 || g->at == g->end)
		merge_finish(g, ms < 0 ? ms : 0);
	else
		merge_arm(g, ms);
}

int merge_create(struct merge *g, struct vm *vm, const struct disks *disks,
		 int pagemap,
		 void (*done)(void *arg, uint64_t id, uint64_t pages, int err),
		 void *arg)
{
	*g = (struct merge){ .vm = vm,
			     .disks = disks,
			     .pagemap = pagemap,
			     .done = done,
			     .arg = arg,
			     .layer = -1 };
	g->timer.ready = merge_timer_ready;
	g->timer.fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (g->timer.fd < 0)
		return -errno;
	return io_loop_watch(&vm->loop, &g->timer, EPOLLIN);
}

static int begin_sum(struct merge *g, int fd)
{
	int err = region_take(&g->new_sums, fd, merge_sums_bytes(g->end));

	if (err)
		(void)close(fd);
	return err;
}

/* From g->layer; or what it was shown from before, if it was. */
static int begin_share(struct merge *g, struct merge_layer *l)
{
	int err = 0;

	if (l->s) {
		(void)close(g->layer);
		g->layer = l->fd;
	} else {
		err = boot_source_create(g->vm->pmap, g->layer, BOOT_LAYER,
					 &l->s);
	}
	if (err)
		return err;
	l->fd = g->layer;
	g->source = l;
	return 0;
}

/* @fds: a layer, and its table. */
static int begin_other(struct merge *g, const int fds[2], uint32_t nr)
{
	int err =
		region_attach(&g->table, fds[1], merge_table_bytes(g->entries));

	g->layer = fds[0];
	(void)close(fds[1]);
	if (!err && g->job == WORKER_REQ_GIVE &&
	    g->sums.bytes != merge_sums_bytes(g->end))
		err = -EPROTO;
	if (!err && g->job == WORKER_REQ_SHARE)
		err = begin_share(g, &g->layers[nr]);
	return err;
}

/* What a request says of guest memory and of a table. */
struct merge_ask {
	uint64_t ram_bytes;
	uint32_t entries; /* 0: it has no table */
	uint32_t layer;
};

static struct merge_ask merge_ask_of(const struct worker_request *r)
{
	switch ((enum worker_request_kind)r->kind) {
	case WORKER_REQ_GIVE:
		return (struct merge_ask){ r->give.ram_bytes, r->give.entries,
					   0 };
	case WORKER_REQ_SHARE:
		return (struct merge_ask){ r->share.ram_bytes, r->share.entries,
					   r->share.layer };
	default:
		return (struct merge_ask){ r->sum.ram_bytes, 0, 0 };
	}
}

static int merge_refusal(const struct merge *g, const struct merge_ask *a,
			 bool sum, const int fds[4])
{
	const struct ram_slot *low = &g->vm->ram.slots[0];

	if (g->job)
		return -EBUSY;
	if (fds[0] < 0 || (fds[1] < 0) != sum || fds[2] >= 0)
		return -EPROTO;
	if (!a->ram_bytes || a->ram_bytes % PAGE_BYTES ||
	    a->ram_bytes > min_u64(low->bytes, MERGE_BYTES_MAX) ||
	    (!sum && (!a->entries || a->entries > a->ram_bytes / PAGE_BYTES)) ||
	    a->layer >= MERGE_LAYERS)
		return -EINVAL;
	return 0;
}

void merge_obey(struct merge *g, const struct worker_request *r,
		const int fds[4])
{
	const struct merge_ask a = merge_ask_of(r);
	bool sum = r->kind == WORKER_REQ_SUM;
	int err = merge_refusal(g, &a, sum, fds);

	if (err) {
		fds_close(fds, 4);
		g->done(g->arg, r->id, 0, err);
		return;
	}
	g->job = r->kind;
	g->id = r->id;
	g->zeroes = g->scrubs = false;
	g->refused = 0;
	g->at = 0;
	g->end = a.ram_bytes / PAGE_BYTES;
	g->entries = a.entries;
	g->gained = 0;
	err = sum ? begin_sum(g, fds[0]) : begin_other(g, fds, a.layer);
	if (err)
		merge_finish(g, err);
	else
		merge_arm(g, MERGE_STEP_MS);
}

void merge_cancel(struct merge *g)
{
	if (g->job)
		merge_finish(g, -ECANCELED);
	for (unsigned i = 0; i < MERGE_LAYERS; i++) {
		if (!g->layers[i].s)
			continue;
		boot_source_shown(g->layers[i].s);
		(void)close(g->layers[i].fd);
		g->layers[i].s = NULL;
	}
}

void merge_turned(struct merge *g)
{
	struct figures_cache *f = &g->vm->figures->cache;

	figures_set(&f->words[FIGURES_MERGED_PAGES], g->merged);
	figures_set(&f->words[FIGURES_ZERO_PAGES], g->zeroed);
	figures_set(&f->words[FIGURES_MERGED_NS], g->longest_ns);
}
