/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/replica/ram_copies_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "disco/clock.h"
#include "memory/replica/marks.h"
#include "numa/bind.h"

#define COPIES_STACK  KIB(64)
#define COPIES_BATCH  32u /* orders that are taken at a time */
#define SCAN_SLICE    16u /* pages that are proposed at a time */
#define SCAN_SHARE    4u  /* of the owner's time, at most 1 in so many */
#define SCAN_LEAST_NS 5000000ull
/* All answers come from this thread: one that is late is one that is lost. */
#define COPIES_BOUND_NS 60000000000ull

/* A write to @page waits, in mapping @map. */
struct copies_fault {
	uint64_t map, page;
};

/* See ram_copies_ask(), ram_copies_link(). */
struct copies_order {
	bool link; /* .fds, else the others */
	int fds[COPIES_LINK_FDS];
	uint64_t page, views;
};

/* Guarantee 6. Context: any thread of these. */
static void copies_break(struct ram_copies *c, int err)
{
	/* First, so that whoever goes on finds out that the guest ends. */
	c->spec.failed(c->spec.arg, err);
	if (!atomic_exchange(&c->broken, true))
		segment_map_cut(&c->maps[c->spec.nr_views].map);
}

void ram_copies_cut(struct ram_copies *c)
{
	for (unsigned i = 0; atomic_load(&c->broken) && i < c->spec.nr_views;
	     i++)
		segment_map_cut(&c->maps[i].map);
}

/* --- messages ------------------------------------------------------------ */

static bool queue_push(struct ram_copies *c, bool to_home, unsigned map,
		       const struct replica_msg *m)
{
	if (c->count == COPIES_QUEUE)
		return false;
	c->queue[(c->first + c->count++) % COPIES_QUEUE] =
		(struct copies_msg){ to_home, (uint16_t)map, *m };
	return true;
}

static void copies_fail(struct ram_copies *c, int err)
{
	if (!c->err)
		c->err = err;
}

void copies_pump(struct ram_copies *c)
{
	while (c->count && !c->err) {
		struct copies_msg q = c->queue[c->first];
		int err;

		c->first = (c->first + 1) % COPIES_QUEUE;
		c->count--;
		c->home.crowded = c->count >= RAM_COPIES_CROWD;
		err = q.to_home ? home_receive(&c->home, q.map, &q.m,
					       clock_now_ns())
				: holder_receive(&c->maps[q.map].holder, &q.m);
		if (err)
			copies_fail(c, err);
	}
}

/* --- what the home needs -------------------------------------------------- */

static bool copies_op_send(void *arg, unsigned holder,
			   const struct replica_msg *m)
{
	struct ram_copies *c = arg;

	if (!queue_push(c, false, holder, m))
		return false;
	c->home.crowded = c->count >= RAM_COPIES_CROWD;
	return true;
}

static int copies_op_copy(void *arg, uint32_t page, unsigned node)
{
	struct ram_copies *c = arg;
	uint64_t at = (uint64_t)page * PAGE_BYTES;
	ssize_t n = pwrite(c->maps[node].copies_fd, c->pages_of_ram + at,
			   PAGE_BYTES, (off_t)at);

	if (n != (ssize_t)PAGE_BYTES)
		return n < 0 ? -errno : -ENOSPC;
	c->stats.made[node]++;
	return 0;
}

static void copies_op_drop(void *arg, uint32_t page, unsigned node)
{
	struct ram_copies *c = arg;

	c->stats.dropped[node]++;
	/* What stays there is written over by the next copy, at worst. */
	(void)!fallocate(c->maps[node].copies_fd,
			 FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (off_t)page * PAGE_BYTES, PAGE_BYTES);
}

static void copies_op_settled(void *arg, uint32_t page,
			      enum home_outcome outcome)
{
	static const enum copies_kind kinds[HOME_NR_OUTCOMES] = {
		[HOME_COPIED] = COPIES_COPIED,
		[HOME_WRITTEN] = COPIES_WRITTEN,
		[HOME_FULL] = COPIES_FULL,
		[HOME_ENDED] = COPIES_ENDED,
	};
	struct ram_copies *c = arg;

	copies_link_tell(&c->link, page, kinds[outcome], 0);
}

static void copies_op_late(void *arg, unsigned holder)
{
	(void)holder;
	copies_fail(arg, -ETIMEDOUT);
}

static const struct home_ops copies_home_ops = {
	.send = copies_op_send,
	.copy = copies_op_copy,
	.drop = copies_op_drop,
	.late = copies_op_late,
	.settled = copies_op_settled,
};

/* --- what holders need ---------------------------------------------------- */

/* All of it: at the start, when there is nothing to be protected from. */
static int copies_op_protect(void *arg, uint32_t first, uint32_t nr)
{
	struct copies_map *v = arg;

	return nr > 1 ? 0 : segment_map_protect(&v->map, first, nr);
}

static int copies_op_show(void *arg, uint32_t page)
{
	return segment_map_show(&((struct copies_map *)arg)->map, page);
}

static int copies_op_hide(void *arg, uint32_t page, struct holder_range *hidden)
{
	return segment_map_hide(&((struct copies_map *)arg)->map, page, hidden);
}

static void copies_op_allow(void *arg, uint32_t first, uint32_t nr)
{
	/* At the start, see copies_op_protect(). */
	if (nr == 1)
		segment_map_allow(&((struct copies_map *)arg)->map, first, nr);
}

static bool copies_op_answer(void *arg, const struct replica_msg *m)
{
	struct copies_map *v = arg;

	return queue_push(v->c, true, v->index, m);
}

static const struct holder_ops copies_holder_ops = {
	.protect = copies_op_protect,
	.show = copies_op_show,
	.hide = copies_op_hide,
	.allow = copies_op_allow,
	.send = copies_op_answer,
};

/* --- the owner's thread --------------------------------------------------- */

static void copies_publish_stats(struct ram_copies *c)
{
	const struct home_stats *h = &c->home.stats;
	uint64_t plain[ARRAY_SIZE(c->shown)] = { 0 };

	c->stats.shared = h->shared_pages;
	memcpy(c->stats.now, h->copies, sizeof(c->stats.now));
	c->stats.replicated = h->replicated;
	c->stats.collapsed = h->collapsed;
	c->stats.reclaimed = h->reclaimed;
	c->stats.disproved = h->disproved;
	memcpy(plain, &c->stats, sizeof(plain));
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		atomic_store_explicit(&c->shown[i], plain[i],
				      memory_order_relaxed);
}

int copies_replicate(struct ram_copies *c, uint64_t page, uint64_t views)
{
	/* Before it is protected: see marks.h. */
	marks_set(c->guarded, page);
	return home_replicate(&c->home, (uint32_t)page, views, clock_now_ns());
}

static void copies_take_fault(struct ram_copies *c,
			      const struct copies_fault *f)
{
	c->stats.writes[f->map]++;
	if (holder_fault(&c->maps[f->map].holder, f->page))
		copies_fail(c, -EOVERFLOW);
	copies_pump(c);
}

static void copies_take_ask(struct ram_copies *c, const struct copies_order *a)
{
	uint64_t views = a->views & ((1ull << c->spec.nr_views) - 1);

	c->stats.asked++;
	if (a->page >= copies_pages(c))
		return;
	if (views)
		(void)!copies_replicate(c, a->page, views);
	else
		home_collapse(&c->home, (uint32_t)a->page, clock_now_ns());
	copies_pump(c);
}

/* Those that have room, also for all pages that are tried now. */
static uint64_t views_with_room(const struct ram_copies *c, uint64_t views)
{
	const struct home_stats *h = &c->home.stats;

	for (unsigned i = 0; i < c->spec.nr_views; i++)
		if (h->copies[i] + h->protected_pages >= c->spec.limit)
			views &= ~(1ull << i);
	return views;
}

/*
 * A slice of work; writers that wait come in between. Return: when the next one
 * is due.
 */
static uint64_t copies_scan_slice(struct ram_copies *c)
{
	uint64_t begun = clock_now_ns(), rest = SCAN_LEAST_NS;

	if (begun < c->scan_due_ns)
		return c->scan_due_ns;
	if (c->next_found == c->nr_found) {
		int n = copies_scan_next(&c->scan, c->found);

		c->next_found = 0;
		c->nr_found = n > 0 ? (unsigned)n : 0;
		if (n < 0 || c->scan.at == 0)
			rest = c->spec.round_ns;
	}
	for (unsigned i = 0; i < SCAN_SLICE && c->next_found < c->nr_found;
	     i++) {
		const struct copies_found *f = &c->found[c->next_found++];
		uint64_t views = views_with_room(c, f->views);

		if (views)
			(void)!copies_replicate(c, f->page, views);
		copies_pump(c);
	}
	rest = max_u64(rest, (SCAN_SHARE - 1) * (clock_now_ns() - begun));
	c->scan_due_ns = clock_now_ns() + rest;
	return c->scan_due_ns;
}

static int wait_ms(uint64_t due_ns)
{
	uint64_t now = clock_now_ns();

	if (due_ns == UINT64_MAX)
		return -1;
	return due_ns <= now ? 0
			     : (int)min_u64((due_ns - now) / 1000000 + 1, 1000);
}

static void copies_take_order(struct ram_copies *c)
{
	struct copies_order o;

	if (read(c->asks[0], &o, sizeof(o)) != (ssize_t)sizeof(o))
		return;
	if (o.link)
		copies_take_link(c, o.fds);
	else
		copies_take_ask(c, &o);
}

/* Those who wait for a page come before those who ask for copies. */
static void copies_orders(struct ram_copies *c, uint64_t due_ns)
{
	bool linked = copies_link_is_open(&c->link);
	int notes = copies_link_look(c);
	struct pollfd p[] = { { .fd = c->faults[0], .events = POLLIN },
			      { .fd = c->asks[0], .events = POLLIN },
			      { .fd = c->link.wake, .events = POLLIN } };
	struct copies_fault f[COPIES_BATCH];
	ssize_t n;

	/* The link was broken: the scan is due, and the caller knows when. */
	if (linked && notes < 0)
		return;
	n = poll(p, notes < 0 ? 2 : 3, notes > 0 ? 0 : wait_ms(due_ns));
	if (notes >= 0)
		chan_sleep_end(&c->link.rx);
	if (n < 0)
		return;
	if (p[0].revents) {
		n = read(c->faults[0], f, sizeof(f));
		for (ssize_t i = 0; i < n / (ssize_t)sizeof(f[0]); i++)
			copies_take_fault(c, &f[i]);
	} else if (notes >= 0 && p[2].revents & (POLLHUP | POLLERR)) {
		copies_unlink(c);
	} else {
		if (p[1].revents)
			copies_take_order(c);
		if (copies_link_is_open(&c->link))
			copies_take_notes(c);
	}
}

static void copies_begin(struct ram_copies *c)
{
	const struct home_config config = {
		.nr_pages = (uint32_t)copies_pages(c),
		.trial_ns = c->spec.trial_ns,
		.bound_ns = COPIES_BOUND_NS,
		.backoff_ns = c->spec.backoff_ns,
		.limit = c->spec.limit,
	};

	home_init(&c->home, &config, &copies_home_ops, c, c->pages);
	/* The host's own is a node that nobody asks copies for. */
	for (unsigned i = 0; i < c->nr_maps; i++)
		home_add(&c->home, i, i, clock_now_ns());
	home_complete(&c->home);
	copies_pump(c);
}

static void *copies_main(void *arg)
{
	struct ram_copies *c = arg;

	if (c->spec.enter)
		c->spec.enter(c->spec.arg);
	copies_begin(c);
	while (!c->err) { /* until the process ends */
		uint64_t due = home_turn(&c->home, clock_now_ns()), scan_due;

		copies_pump(c);
		if (copies_link_is_open(&c->link))
			scan_due = UINT64_MAX;
		else
			scan_due = copies_scan_slice(c);
		copies_publish_stats(c);
		if (!c->err)
			copies_orders(c, min_u64(due, scan_due));
	}
	copies_break(c, c->err);
	return NULL;
}

/* --- other threads -------------------------------------------------------- */

/* Pipes live as long as the process. */
static int pipe_send(int fd, const void *what, size_t bytes)
{
	ssize_t n;

	do
		n = write(fd, what, bytes);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)bytes ? 0 : -EPIPE;
}

static void *copies_wait_main(void *arg)
{
	struct copies_map *v = arg;
	struct ram_copies *c = v->c;
	struct copies_fault f = { .map = v->index };
	int err;

	if (c->spec.enter)
		c->spec.enter(c->spec.arg);
	while ((err = segment_map_wait(&v->map, &f.page)) == 0) {
		err = pipe_send(c->faults[1], &f, sizeof(f));
		if (err)
			break;
	}
	copies_break(c, err);
	return NULL;
}

static int copies_thread(void *(*run)(void *arg), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, COPIES_STACK);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = -pthread_create(&thread, &attr, run, arg);
	(void)pthread_attr_destroy(&attr);
	return err;
}

int ram_copies_start(struct ram_copies *c)
{
	int err = 0;

	for (unsigned i = 0; i < c->nr_maps && !err; i++)
		err = copies_thread(copies_wait_main, &c->maps[i]);
	return err ? err : copies_thread(copies_main, c);
}

void ram_copies_ask(struct ram_copies *c, uint64_t page, uint64_t views)
{
	const struct copies_order o = { .page = page, .views = views };

	(void)!pipe_send(c->asks[1], &o, sizeof(o));
}

void ram_copies_link(struct ram_copies *c, const int *fds)
{
	struct copies_order o = { .link = true };

	memcpy(o.fds, fds, sizeof(o.fds));
	(void)!pipe_send(c->asks[1], &o, sizeof(o));
}

/*
 * Changes nothing, and faults if the page is protected: a compare-and-swap is a
 * write for the CPU even if it finds something else. Not an "or" with 0, of which
 * clang makes a fence, as nobody uses its result.
 */
static void copies_write(void *at)
{
	atomic_uchar *byte = at;
	uint8_t same = atomic_load_explicit(byte, memory_order_relaxed);

	(void)atomic_compare_exchange_strong(byte, &same, same);
}

void ram_copies_change(struct ram_copies *c, uint64_t offset, uint64_t bytes)
{
	struct segment_map *m = &c->maps[c->spec.nr_views].map;
	uint64_t end = (offset + bytes + PAGE_BYTES - 1) / PAGE_BYTES;

	segment_map_busy(m, offset, bytes);
	atomic_thread_fence(memory_order_seq_cst);
	for (uint64_t p = offset / PAGE_BYTES; p < end; p++) {
		if (marks_look(c->guarded, p))
			copies_write(m->base + p * PAGE_BYTES);
	}
}

void ram_copies_idle(struct ram_copies *c)
{
	segment_map_idle(&c->maps[c->spec.nr_views].map);
}

void ram_copies_read_stats(const struct ram_copies *c,
			   struct ram_copies_stats *out)
{
	uint64_t plain[ARRAY_SIZE(c->shown)] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		plain[i] = atomic_load_explicit(&c->shown[i],
						memory_order_relaxed);
	memcpy(out, plain, sizeof(*out));
}

uint8_t *ram_copies_base(const struct ram_copies *c, unsigned view)
{
	return c->maps[view].map.base;
}

/* --- all of it ------------------------------------------------------------ */

int ram_copies_probe(void)
{
	return segment_map_probe();
}

/* The memory of a view's copies: a memfd with RAM's own offsets. */
static int copies_memory(struct copies_map *v, nodeid_t node)
{
	uint64_t bytes = v->c->spec.bytes;
	void *at;
	int err;

	v->copies_fd = memfd_create("disco-copies", MFD_CLOEXEC);
	if (v->copies_fd < 0 || ftruncate(v->copies_fd, (off_t)bytes) < 0)
		return -errno;
	if (node == NODE_AUTO)
		return 0;
	at = mmap(NULL, bytes, PROT_READ, MAP_SHARED, v->copies_fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	/* The file's policy: it outlives this mapping. */
	err = node_bind_memory(at, bytes, node, false);
	(void)munmap(at, bytes);
	return node_bind_optional(err) ? 0 : err;
}

static int copies_map_create(struct ram_copies *c, unsigned i)
{
	struct copies_map *v = &c->maps[i];
	const struct ram_copies_spec *s = &c->spec;
	bool host = i == s->nr_views;
	int fd, err;

	*v = (struct copies_map){ .c = c, .index = i, .copies_fd = -1 };
	err = segment_map_open(&v->map, s->ram_fd, s->bytes,
			       host ? s->base : NULL, s->huge);
	if (err)
		return err;
	holder_init(&v->holder, (uint32_t)copies_pages(c), &copies_holder_ops,
		    v, v->map.shown, v->map.waiting);
	if (host)
		return 0;
	/* A run of copies in the middle costs two mappings more. */
	v->map.max_runs = (uint32_t)min_u64(SEGMENT_MAP_RUNS,
					    s->max_mappings / s->nr_views / 2);
	err = copies_memory(v, s->nodes[i]);
	if (err)
		return err;
	fd = fcntl(v->copies_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	segment_map_set_replicas(&v->map, fd);
	return 0;
}

static void copies_destroy(struct ram_copies *c)
{
	for (unsigned i = 0; i < COPIES_MAPS; i++) {
		segment_map_destroy(&c->maps[i].map);
		if (c->maps[i].c && c->maps[i].copies_fd >= 0)
			(void)close(c->maps[i].copies_fd);
	}
	for (unsigned i = 0; i < 2; i++) {
		if (c->faults[i] >= 0)
			(void)close(c->faults[i]);
		if (c->asks[i] >= 0)
			(void)close(c->asks[i]);
	}
	if (c->scan.pagemap >= 0)
		(void)close(c->scan.pagemap);
	if (c->pages_of_ram)
		(void)munmap((void *)(uintptr_t)c->pages_of_ram, c->spec.bytes);
	if (c->pages)
		(void)munmap(c->pages, copies_pages(c) * sizeof(*c->pages));
	free(c->guarded);
	free(c);
}

static int copies_tables(struct ram_copies *c)
{
	void *pages = mmap(NULL, copies_pages(c) * sizeof(*c->pages),
			   PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	void *ram;

	if (pages == MAP_FAILED)
		return -errno;
	c->pages = pages;
	ram = mmap(NULL, c->spec.bytes, PROT_READ, MAP_SHARED, c->spec.ram_fd,
		   0);
	if (ram == MAP_FAILED)
		return -errno;
	c->pages_of_ram = ram;
	c->guarded = calloc(HOLDER_WORDS(copies_pages(c)), sizeof(*c->guarded));
	if (!c->guarded)
		return -ENOMEM;
	if (pipe2(c->faults, O_CLOEXEC) < 0 || pipe2(c->asks, O_CLOEXEC) < 0)
		return -errno;
	return 0;
}

static int copies_scan_create(struct ram_copies *c)
{
	c->scan_due_ns = UINT64_MAX;
	if (!c->spec.round_ns)
		return 0;
	c->scan.nr_views = c->spec.nr_views;
	c->scan.nr_pages = copies_pages(c);
	for (unsigned i = 0; i < c->spec.nr_views; i++) {
		c->scan.base[i] = c->maps[i].map.base;
		c->scan.shown[i] = c->maps[i].map.shown;
		c->scan.nodes[i] = c->spec.nodes[i];
	}
	c->scan.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	c->scan_due_ns = 0;
	return c->scan.pagemap < 0 ? -errno : 0;
}

int ram_copies_create(const struct ram_copies_spec *spec,
		      struct ram_copies **out)
{
	struct ram_copies *c;
	int err;

	if (spec->nr_views == 0 || spec->nr_views > RAM_COPIES_MAX_VIEWS ||
	    spec->bytes == 0 || spec->bytes % PAGE_BYTES ||
	    spec->bytes / PAGE_BYTES > HOME_MAX_PAGES)
		return -EINVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->spec = *spec;
	c->faults[0] = c->faults[1] = c->asks[0] = c->asks[1] = -1;
	c->scan.pagemap = c->link.wake = -1;
	c->nr_maps = spec->nr_views + 1;
	err = copies_tables(c);
	for (unsigned i = 0; i < c->nr_maps && !err; i++)
		err = copies_map_create(c, i);
	if (!err)
		err = copies_scan_create(c);
	if (err)
		copies_destroy(c);
	else
		*out = c;
	return err;
}
