/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/buffers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "disco/clock.h"
#include "disco/huge.h"
#include "monitor/worker/disks.h"
#include "monitor/worker/vm/vm.h"

#define SWEEP_MS      1000
#define SWEEP_PAGES   65536u /* at a time, where pages are shown */
#define PREFETCH_MS   100
#define PREFETCH_MOST 100u
#define SEARCH_PAGES  16384u /* at a time, for what may come nearer */
#define BRING_PAGES   2048u  /* with the guest stopped */

static void buffers_arm(struct buffers *b, long ms)
{
	const struct itimerspec t = { .it_value = { .tv_sec = ms / 1000,
						    .tv_nsec = ms % 1000 *
							       1000000 } };

	b->timed = timerfd_settime(b->timer.fd, 0, &t, NULL) == 0;
}

static void buffers_sweep(struct buffers *b)
{
	uint64_t passed;

	/* In vain: those pages are given up when they are used anew. */
	if (pmap_sweep(b->vm->pmap, b->pagemap, SWEEP_PAGES, &passed) < 0)
		passed = b->left;
	b->left -= min_u64(b->left, passed);
}

/* --- pages that are shown from other nodes --- */

struct bringing {
	struct cache *cache;
	uint64_t until_ns;
	bool late;
};

static unsigned bring_run(void *arg, unsigned id, uint64_t index, uint64_t *nr)
{
	struct bringing *g = arg;

	g->late = g->late || clock_now_ns() >= g->until_ns;
	return g->late ? id : cache_nearer(g->cache, id, index, nr);
}

/* With the guest stopped. Return: the page to go on at. */
static uint64_t buffers_bring(struct buffers *b, uint64_t at)
{
	uint64_t start = clock_now_ns(), brought;
	struct bringing g = { .cache = b->cache };
	int err;

	vm_park(b->vm, PARK_BRING);
	g.until_ns = clock_now_ns() + BUFFERS_BRING_NS;
	/* In vain: they stay where they are, and are right there. */
	err = pmap_bring(b->vm->pmap, b->pagemap, at, BRING_PAGES, bring_run,
			 &g, &brought);
	vm_unpark(b->vm, PARK_BRING);
	b->brought += brought;
	b->longest_ns = max_u64(b->longest_ns, clock_now_ns() - start);
	return !err && g.late && brought ? at : at + BRING_PAGES;
}

/* Some pages more. */
static void bring_some(struct buffers *b)
{
	uint64_t index, end;
	unsigned id;

	if (!disks_idle(b->disks))
		return;
	b->bring_at = pmap_skip(b->vm->pmap, b->bring_at);
	end = b->bring_at + SEARCH_PAGES;
	while ((id = pmap_next_shown(b->vm->pmap, &b->bring_at, end, &index))) {
		if (cache_is_nearer(b->cache, id, index)) {
			b->bring_at = buffers_bring(b, b->bring_at);
			return;
		}
		b->bring_at++;
	}
	b->bring_at = end;
	b->bringing = end < b->vm->ram.bytes / PAGE_BYTES;
}

/* Return: how long until there is more to do, in ms; 0: nothing is. */
static long look_afar(struct buffers *b)
{
	if (b->bringing) {
		bring_some(b);
	} else if (b->looks) {
		b->looks--;
		b->bringing = cache_count_shown(b->cache);
		b->bring_at = 0;
		if (!b->bringing)
			b->looks = 0;
	}
	if (b->bringing)
		return BUFFERS_BRING_MS;
	return b->looks ? SWEEP_MS : 0;
}

static void buffers_timer_ready(struct io_watch *w, uint32_t events)
{
	struct buffers *b = container_of(w, struct buffers, timer);
	uint64_t times, now = clock_now_ns();
	long ms = PREFETCH_MS;

	(void)events;
	if (read(w->fd, &times, sizeof(times)) < 0)
		return;
	b->timed = false;
	if (b->prefetches) {
		b->prefetches--;
		cache_prefetch(b->cache);
	}
	if (b->left && now >= b->next_sweep_ns) {
		b->next_sweep_ns = now + SWEEP_MS * 900000ull;
		buffers_sweep(b);
	}
	/* On the way to another node its pages come with the rest. */
	if (!b->prefetches)
		ms = look_afar(b);
	if (!ms && b->left)
		ms = SWEEP_MS;
	if (ms)
		buffers_arm(b, ms);
}

static void cache_is_ready(struct io_watch *w, uint32_t events)
{
	(void)events;
	cache_ready(container_of(w, struct buffers, ready)->cache);
}

int buffers_create(struct buffers *b, struct vm *vm, const struct disks *disks)
{
	int err;

	*b = (struct buffers){
		.vm = vm, .disks = disks, .pagemap = -1, .home = NODE_AUTO
	};
	b->timer = (struct io_watch){ .fd = -1, .ready = buffers_timer_ready };
	b->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (b->pagemap < 0)
		return -errno;
	b->timer.fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (b->timer.fd < 0)
		return -errno;
	/* Small pages shown in a huge one would take it apart. */
	err = cache_create(vm->spec->huge == HUGE_THP ? NULL : vm->pmap,
			   &b->cache);
	if (err)
		return err;
	vm->others = (struct boot_others){ cache_rehome, b->cache };
	b->ready = (struct io_watch){ .fd = cache_event_fd(b->cache),
				      .ready = cache_is_ready };
	err = io_loop_watch(&vm->loop, &b->ready, EPOLLIN);
	return err ? err : io_loop_watch(&vm->loop, &b->timer, EPOLLIN);
}

static int make_link(struct buffers *b, nodeid_t node, const int fds[4])
{
	int err;

	cache_set_home(b->cache, node);
	b->home = node;
	err = cache_link(b->cache, fds[0], fds[1], fds[2], fds[3]);
	if (err || node == b->vm->node)
		return err;
	/* On the way to another node: have there what is shown from here. */
	b->prefetches = PREFETCH_MOST;
	cache_prefetch(b->cache);
	buffers_arm(b, PREFETCH_MS);
	return 0;
}

void buffers_obey(struct buffers *b, const struct worker_request *r,
		  const int fds[4])
{
	nodeid_t node = NODE_AUTO;
	int err = 0;

	switch ((enum worker_request_kind)r->kind) {
	case WORKER_REQ_CACHE:
		node = r->cache.node;
		err = cache_attach(b->cache, r->cache.disk, node,
				   r->cache.image_bytes, fds[0], fds[1],
				   fds[2]);
		if (!err)
			cache_set_image(b->cache, r->cache.disk,
					r->cache.image);
		break;
	case WORKER_REQ_LINK:
		node = r->link.node;
		err = make_link(b, node, fds);
		break;
	case WORKER_REQ_CACHE_END:
		cache_detach(b->cache, r->cache_end.disk, r->cache_end.node);
		break;
	default:
		cache_unlink(b->cache);
	}
	if (err)
		(void)fprintf(stderr, "buffer cache of node %d: %s\n", node,
			      strerror(-err));
}

void buffers_turned(struct buffers *b)
{
	struct figures_cache *f = &b->vm->figures->cache;
	struct pmap_stats p;
	struct cache_stats c;

	cache_get_stats(b->cache, &c);
	pmap_get_stats(b->vm->pmap, &p);
	figures_set(&f->words[FIGURES_HIT_BLOCKS], c.hit_blocks);
	figures_set(&f->words[FIGURES_OVERLAID_BLOCKS], c.overlaid_blocks);
	figures_set(&f->words[FIGURES_MISSED_BLOCKS], c.missed_blocks);
	figures_set(&f->words[FIGURES_DIRECT_BLOCKS], c.direct_blocks);
	figures_set(&f->words[FIGURES_ASKED], c.asked);
	figures_set(&f->words[FIGURES_LOST], c.lost);
	figures_set(&f->words[FIGURES_LATE], c.late);
	figures_set(&f->words[FIGURES_DEPTH], c.depth);
	figures_set(&f->words[FIGURES_SHOWN_PAGES], p.overlaid_pages);
	figures_set(&f->words[FIGURES_MAPPINGS], p.mappings);
	figures_set(&f->words[FIGURES_REMOTE_BLOCKS], c.remote_blocks);
	figures_set(&f->words[FIGURES_BROUGHT_PAGES], b->brought);
	figures_set(&f->words[FIGURES_BROUGHT_NS], b->longest_ns);
	/* Once over all of memory after pages were shown. */
	if (c.overlaid_blocks + c.ref_blocks == b->overlaid)
		return;
	b->overlaid = c.overlaid_blocks + c.ref_blocks;
	b->left = b->vm->ram.bytes / PAGE_BYTES;
	b->looks = BUFFERS_LOOKS;
	if (!b->timed)
		buffers_arm(b, SWEEP_MS);
}

void buffers_moved(struct buffers *b)
{
	b->prefetches = 0;
}
