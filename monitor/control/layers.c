/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/layers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/cache_images.h"
#include "monitor/control/monitor.h"
#include "monitor/control/move.h"
#include "monitor/ipc/fds.h"
#include "monitor/ipc/merge_maps.h"

#define COMPARED 8u	      /* other VMs, for a new layer */
#define GIVEN_NS 500000000ull /* until all have a new layer */

struct layer {
	int memory, bits; /* sealed; for reading */
};

struct layer_set {
	struct layer_set *next;
	uint64_t origin;
	nodeid_t node;
	char group[VM_NAME_MAX + 1];
	uint64_t bytes;
	unsigned users; /* VMs */
	bool giving;	/* one of them is; LAYERS_GIVE */
	unsigned nr;
	struct layer layers[LAYERS_MAX];
};

static uint64_t bytes_of(const struct guest *g)
{
	uint64_t low = min_u64(g->record.memory_bytes, MERGE_BYTES_MAX);

	return low / PAGE_BYTES * PAGE_BYTES;
}

/* --- sets --- */

static struct layer_set *find_set(const struct monitor *m,
				  const struct guest *g)
{
	struct layer_set *s = m->layer_sets;

	while (s && (s->origin != g->boot_origin || s->node != g->record.node ||
		     s->bytes != bytes_of(g) ||
		     strcmp(s->group, g->record.group) != 0))
		s = s->next;
	return s;
}

static int enter(struct monitor *m, struct guest *g)
{
	struct layer_set *s = find_set(m, g);

	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return -ENOMEM;
		s->origin = g->boot_origin;
		s->node = g->record.node;
		s->bytes = bytes_of(g);
		memcpy(s->group, g->record.group, sizeof(s->group));
		s->next = m->layer_sets;
		m->layer_sets = s;
	}
	s->users++;
	g->layers = (struct guest_layers){ .set = s,
					   .owed = g->layers.owed,
					   .sums_fd = -1,
					   .layer = -1,
					   .bits = -1 };
	return 0;
}

static void set_free(struct monitor *m, struct layer_set *s)
{
	struct layer_set **at = &m->layer_sets;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	for (unsigned i = 0; i < s->nr; i++) {
		fds_drop(&s->layers[i].memory);
		fds_drop(&s->layers[i].bits);
	}
	free(s);
}

static void drop_job(struct guest_layers *l)
{
	if (l->job == LAYERS_GIVE)
		l->set->giving = false;
	l->job = LAYERS_NONE;
	fds_drop(&l->sums_fd);
	fds_drop(&l->layer);
	fds_drop(&l->bits);
}

/* What its worker was asked for is not waited for any more; its answer is not
 * that of the next request. */
static void forget_job(struct guest_layers *l)
{
	l->owed = l->owed || l->job != LAYERS_NONE;
	drop_job(l);
}

void layers_leave(struct monitor *m, struct guest *g)
{
	struct guest_layers *l = &g->layers;
	struct layer_set *s = l->set;

	if (!s)
		return;
	forget_job(l);
	region_detach(&l->sums);
	*l = (struct guest_layers){ .at_ns = l->at_ns, .owed = l->owed };
	if (--s->users == 0)
		set_free(m, s);
}

void layers_destroy(struct monitor *m)
{
	for (struct guest *g = m->guests; g; g = g->next)
		layers_leave(m, g);
}

/* --- what is asked --- */

static int ask(struct guest *g, enum layers_job job,
	       enum worker_request_kind kind, const int *fds, unsigned nr)
{
	const struct worker_request r = { .kind = kind,
					  .bytes = g->layers.set->bytes };
	int err = fds_send(g->vm.worker.control, &r, sizeof(r), fds, nr,
			   MSG_DONTWAIT);

	if (err)
		return err;
	g->layers.job = job;
	g->layers.until_ns = clock_now_ns() + LAYERS_JOB_NS;
	return 0;
}

static int ask_share(struct guest *g)
{
	const struct layer *l = &g->layers.set->layers[g->layers.have];
	const int fds[] = { l->memory, l->bits };

	return ask(g, LAYERS_SHARE, WORKER_REQ_SHARE, fds, ARRAY_SIZE(fds));
}

static int ask_sum(struct guest *g)
{
	struct layer_set *s = g->layers.set;
	int fd, err;

	region_detach(&g->layers.sums);
	err = cache_region("disco-sums",
			   merge_sums_bytes(s->bytes / PAGE_BYTES), s->node,
			   &fd, &g->layers.sums_fd);
	if (err)
		return err;
	err = ask(g, LAYERS_SUM, WORKER_REQ_SUM, &fd, 1);
	fds_drop(&fd);
	if (err)
		fds_drop(&g->layers.sums_fd);
	return err;
}

/* --- equal frames --- */

/* Of @a's frames those that are @b's. Return: how many bits are new. */
static unsigned mark_equal(const struct guest *a, const struct guest *b,
			   uint64_t *bits)
{
	const _Atomic(uint64_t) *x = a->layers.sums.base;
	const _Atomic(uint64_t) *y = b->layers.sums.base;
	uint64_t nr = a->layers.set->bytes / PAGE_BYTES;
	unsigned found = 0;

	for (uint64_t i = 0; i < nr; i++) {
		uint64_t sum =
			atomic_load_explicit(&x[i], memory_order_relaxed);

		if (!sum || merge_bit(bits, i) ||
		    sum != atomic_load_explicit(&y[i], memory_order_relaxed))
			continue;
		bits[i / 64] |= 1ull << i % 64;
		found++;
	}
	return found;
}

static unsigned mark_all(const struct monitor *m, const struct guest *g,
			 uint64_t *bits)
{
	unsigned found = 0, others = 0;

	for (const struct guest *o = m->guests; o && others < COMPARED;
	     o = o->next) {
		if (o == g || o->layers.set != g->layers.set ||
		    !o->layers.sums.base)
			continue;
		found += mark_equal(g, o, bits);
		others++;
	}
	return found;
}

static int make_bits(const void *bits, size_t bytes, int *out)
{
	int err, fd = memfd_create("disco-bits",
				   MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	err = write(fd, bits, bytes) == (ssize_t)bytes ? fds_seal_to_read(&fd)
						       : -ENOSPC;
	if (err)
		fds_drop(&fd);
	*out = fd;
	return err;
}

/* With the bits in g->layers.bits. */
static int ask_give(struct guest *g, unsigned pages)
{
	struct guest_layers *l = &g->layers;
	int fds[2], err;

	err = region_prepare("disco-layer", l->set->bytes, l->set->node,
			     &l->layer);
	if (err)
		return err;
	fds[0] = l->layer;
	fds[1] = l->bits;
	err = ask(g, LAYERS_GIVE, WORKER_REQ_GIVE, fds, ARRAY_SIZE(fds));
	if (err)
		return err;
	l->pages = pages;
	l->set->giving = true;
	return 0;
}

/* Return: 1 a layer is on its way; 0 not enough is equal; -errno. */
static int try_give(struct monitor *m, struct guest *g)
{
	struct layer_set *s = g->layers.set;
	size_t bytes = merge_bits_bytes(s->bytes / PAGE_BYTES);
	uint64_t *bits;
	unsigned found;
	int err = 0;

	if (s->giving || s->nr == LAYERS_MAX)
		return 0;
	bits = calloc(1, bytes);
	if (!bits)
		return -ENOMEM;
	found = mark_all(m, g, bits);
	if (found >= LAYERS_PAGES) {
		err = make_bits(bits, bytes, &g->layers.bits);
		if (!err)
			err = ask_give(g, found);
		if (err)
			drop_job(&g->layers);
	}
	free(bits);
	return err ? err : found >= LAYERS_PAGES;
}

/* --- answers --- */

/* Return: did it change anything? -errno. */
static int summed(struct monitor *m, struct guest *g)
{
	struct guest_layers *l = &g->layers;
	int err = region_attach(&l->sums, l->sums_fd,
				merge_sums_bytes(l->set->bytes / PAGE_BYTES));

	fds_drop(&l->sums_fd);
	l->job = LAYERS_NONE;
	return err ? err : try_give(m, g);
}

/* Not all at the same time. */
static uint64_t spread(const struct guest *g, uint64_t ns)
{
	return clock_now_ns() + g->id % 8 * ns / 8;
}

/* A worker that keeps it mapped for writing gives nothing: -EBUSY. */
static int given(struct monitor *m, struct guest *g)
{
	struct guest_layers *l = &g->layers;
	struct layer_set *s = l->set;
	struct layer *to = &s->layers[s->nr];
	int err = fds_seal_to_read(&l->layer);

	if (!err) {
		*to = (struct layer){ l->layer, l->bits };
		l->layer = l->bits = -1;
		s->nr++;
		for (struct guest *o = m->guests; o; o = o->next)
			if (o->layers.set == s)
				o->layers.at_ns = spread(o, GIVEN_NS);
		sink_line(&m->watcher.err,
			  "disco: %s: gave %u pages of memory for the guests "
			  "of group %s on node %d to share",
			  g->record.name, l->pages, s->group, s->node);
	}
	drop_job(l);
	return err ? err : 1;
}

static int shared(struct guest_layers *l, int ret)
{
	drop_job(l);
	/* Its sums are of pages that it shares now. */
	region_detach(&l->sums);
	if (ret != -EBUSY && ret != -ECANCELED)
		l->have++; /* failed, too: not again */
	return ret ? ret : 1;
}

static void note(struct guest_layers *l, enum layers_job job, int ret)
{
	if (ret == -ENOSPC && job == LAYERS_SHARE)
		l->idle = LAYERS_IDLE; /* no mappings are left */
	else if (ret < 0 || (job == LAYERS_SUM && ret == 0))
		l->idle++;
	else if (job != LAYERS_SUM)
		l->idle = 0;
	if (job == LAYERS_SHARE && ret > 0)
		l->at_ns = 0;
}

void layers_heard(struct monitor *m, struct guest *g,
		  const struct worker_event *ev)
{
	struct guest_layers *l = &g->layers;
	enum layers_job job = l->job;
	int ret = ev->error ? -(int)ev->error : 0;

	if (ev->kind != WORKER_MERGED)
		return;
	if (l->owed || job == LAYERS_NONE) {
		l->owed = false;
		return;
	}
	if (job == LAYERS_SHARE)
		ret = shared(l, ret);
	else if (ret)
		drop_job(l);
	else
		ret = job == LAYERS_SUM ? summed(m, g) : given(m, g);
	note(l, job, ret);
	if (ret < 0 && ret != -ECANCELED && ret != -EBUSY)
		sink_line(&m->watcher.err,
			  "disco: %s: equal pages are not merged: %s",
			  g->record.name, strerror(-ret));
}

/* --- looks --- */

static bool has_work(const struct guest_layers *l)
{
	return !l->set || l->have < l->set->nr || l->idle < LAYERS_IDLE;
}

/* To be looked at, when its time has come. */
static bool waits(const struct monitor *m, const struct guest *g)
{
	return m->settings.merge_ns && g->record.merge && g->boot_origin &&
	       !g->adopted && !g->ended && !g->vm.end.asked &&
	       !move_is_of(m, g) && !g->layers.owed &&
	       g->layers.job == LAYERS_NONE && has_work(&g->layers);
}

static void look(struct monitor *m, struct guest *g, uint64_t now)
{
	struct guest_layers *l = &g->layers;
	int err = l->set ? 0 : enter(m, g);

	l->at_ns = now + m->settings.merge_ns;
	if (err)
		return;
	if (l->have < l->set->nr)
		err = ask_share(g);
	else
		err = ask_sum(g);
	/* It does not read: another time. */
	if (err)
		l->idle++;
}

void layers_tick(struct monitor *m, uint64_t now)
{
	for (struct guest *g = m->guests; g; g = g->next) {
		struct guest_layers *l = &g->layers;

		if (l->job != LAYERS_NONE && now >= l->until_ns) {
			forget_job(l);
			l->idle++;
		}
		if (!waits(m, g) || now < l->at_ns)
			continue;
		/* The first look: not before it can have booted. */
		if (!l->at_ns && !l->set)
			l->at_ns = m->settings.merge_ns +
				   spread(g, m->settings.merge_ns);
		else
			look(m, g, now);
	}
}

int layers_timeout_ms(const struct monitor *m, uint64_t now)
{
	int ms = -1;

	for (const struct guest *g = m->guests; g; g = g->next) {
		const struct guest_layers *l = &g->layers;

		if (l->job != LAYERS_NONE)
			ms = loop_ms_sooner(ms,
					    loop_ms_until(l->until_ns, now));
		else if (waits(m, g))
			ms = loop_ms_sooner(ms, loop_ms_until(l->at_ns, now));
	}
	return ms;
}
