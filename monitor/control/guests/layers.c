/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/guests/layers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/guests/guests.h"
#include "monitor/ipc/fds.h"
#include "monitor/ipc/merge_maps.h"
#include "numa/region.h"

#define COMPARED 8u	      /* other VMs, for a new layer */
#define GIVEN_NS 500000000ull /* until all have a new layer */

struct layer {
	int memory, table; /* sealed; for reading */
	struct region_view table_view;
	uint32_t entries; /* in it */
	uint64_t owner;	  /* the only guest (id) that gets it; 0: all */
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

struct layers {
	uint64_t merge_ns; /* 0: off */
	struct layer_set *sets;
};

enum layers_job { LAYERS_NONE = 0, LAYERS_SUM, LAYERS_GIVE, LAYERS_SHARE };

/* A VM's part. */
struct guest_layers {
	struct guest *g;
	struct loop_timer timer; /* of the job, else of the next look */
	uint64_t at_ns;		 /* the next look */
	/*
	 * Id of the request that its worker has not answered, although the job
	 * may have been given up; 0: none.
	 */
	uint64_t awaited;

	/* From here on: of its time in the set; see layers_reset(). */
	struct layer_set *set; /* NULL: not in one */
	enum layers_job job;   /* its worker is at */
	unsigned idle;	       /* looks that changed nothing, in a row */
	unsigned gave;	       /* layers, to the set */
	/*
	 * One bit per layer of the set. tried: offered since the last scan that
	 * was not one of several in a row (again); useless: offered once, saved
	 * nothing.
	 */
	uint64_t tried, useless;
	bool again;
	/* Of the last scan, in order, unique. NULL: none, or not valid now. */
	uint64_t *sums;
	size_t nr_sums;
	int sums_fd;	  /* LAYERS_SUM: for reading */
	int layer, table; /* LAYERS_GIVE: of the new one */
	uint32_t entries; /* LAYERS_GIVE, _SHARE: in the table */
	bool common;	  /* LAYERS_GIVE: it is for others, too */
	unsigned trying;  /* LAYERS_SHARE: which one */
};

static uint64_t layers_bytes_of(const struct guest *g)
{
	uint64_t low = min_u64(g->record.memory_bytes, MERGE_BYTES_MAX);

	return low / PAGE_BYTES * PAGE_BYTES;
}

/* --- sets --- */

static struct layer_set *find_set(const struct monitor *m,
				  const struct guest *g)
{
	struct layer_set *s = m->layers->sets;

	while (s && (s->origin != g->boot_origin || s->node != g->record.node ||
		     s->bytes != layers_bytes_of(g) ||
		     strcmp(s->group, g->record.group) != 0))
		s = s->next;
	return s;
}

static void layers_reset(struct guest_layers *l, struct layer_set *s)
{
	const size_t kept = offsetof(struct guest_layers, set);

	memset((char *)l + kept, 0, sizeof(*l) - kept);
	l->set = s;
	l->sums_fd = l->layer = l->table = -1;
}

static int layers_enter(struct monitor *m, struct guest *g)
{
	struct layer_set *s = find_set(m, g);

	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return -ENOMEM;
		s->origin = g->boot_origin;
		s->node = g->record.node;
		s->bytes = layers_bytes_of(g);
		memcpy(s->group, g->record.group, sizeof(s->group));
		s->next = m->layers->sets;
		m->layers->sets = s;
	}
	s->users++;
	layers_reset(g->layers, s);
	return 0;
}

static void layers_set_free(struct monitor *m, struct layer_set *s)
{
	struct layer_set **at = &m->layers->sets;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	for (unsigned i = 0; i < s->nr; i++) {
		fds_drop(&s->layers[i].memory);
		fds_drop(&s->layers[i].table);
		region_detach(&s->layers[i].table_view);
	}
	free(s);
}

static void drop_sums(struct guest_layers *l)
{
	free(l->sums);
	l->sums = NULL;
	l->nr_sums = 0;
}

static void drop_job(struct guest_layers *l)
{
	if (l->job == LAYERS_GIVE)
		l->set->giving = false;
	l->job = LAYERS_NONE;
	fds_drop(&l->sums_fd);
	fds_drop(&l->layer);
	fds_drop(&l->table);
}

/*
 * What is next: the end of a job's time, or the next look. None of either
 * while the VM moves (layers_arrived()) or owes an answer (layers_heard()).
 */
static void layers_plan(struct guest_layers *l)
{
	struct loop *loop = &l->g->m->watcher.loop;

	if (l->job != LAYERS_NONE)
		return; /* layers_ask() */
	if (l->g->moving || l->awaited)
		loop_timer_cancel(loop, &l->timer);
	else
		loop_timer_set(loop, &l->timer, l->at_ns);
}

static void layers_out(struct monitor *m, struct guest_layers *l)
{
	struct layer_set *s = l->set;

	if (!s)
		return;
	drop_job(l); /* its answer is for nobody, but awaited */
	drop_sums(l);
	layers_reset(l, NULL);
	if (--s->users == 0)
		layers_set_free(m, s);
}

void layers_leave(struct monitor *m, struct guest *g)
{
	if (!g->layers)
		return;
	layers_out(m, g->layers);
	layers_plan(g->layers);
}

void layers_arrived(struct guest *g)
{
	if (g->layers && !g->ended)
		layers_plan(g->layers);
}

/* --- what is asked --- */

static int layers_ask(struct guest *g, enum layers_job job,
		      struct worker_request *r, const int *fds)
{
	int err = vm_watch_send(&g->vm, r, fds);

	if (err)
		return err;
	g->layers->job = job;
	g->layers->awaited = r->id;
	loop_timer_set(&g->m->watcher.loop, &g->layers->timer,
		       clock_now_ns() + LAYERS_JOB_NS);
	return 0;
}

static int ask_share(struct guest *g, unsigned nr)
{
	const struct layer *l = &g->layers->set->layers[nr];
	const int fds[] = { l->memory, l->table };
	struct worker_request r = {
		.kind = WORKER_REQ_SHARE,
		.share = { .ram_bytes = g->layers->set->bytes,
			   .entries = l->entries,
			   .layer = nr },
	};
	int err;

	g->layers->entries = l->entries;
	g->layers->trying = nr;
	err = layers_ask(g, LAYERS_SHARE, &r, fds);
	if (!err)
		g->layers->tried |= 1ull << nr;
	return err;
}

static int ask_sum(struct guest *g)
{
	struct layer_set *s = g->layers->set;
	struct worker_request r = { .kind = WORKER_REQ_SUM,
				    .sum.ram_bytes = s->bytes };
	int fd, err;

	err = region_prepare_pair("disco-sums",
				  merge_sums_bytes(s->bytes / PAGE_BYTES),
				  s->node, &fd, &g->layers->sums_fd);
	if (err)
		return err;
	err = layers_ask(g, LAYERS_SUM, &r, &fd);
	fds_drop(&fd);
	if (err)
		fds_drop(&g->layers->sums_fd);
	return err;
}

/* --- equal frames --- */

static int by_sum(const void *a, const void *b)
{
	const struct merge_entry *x = a, *y = b;

	if (x->sum != y->sum)
		return x->sum < y->sum ? -1 : 1;
	return x->frame < y->frame ? -1 : x->frame > y->frame;
}

/*
 * Those that have not changed since they were summed before, in the order of
 * their sums. Each is read once: what its worker does there later is no matter.
 * @out: to be freed; @nr: in it. Return: 0; -errno.
 */
static int take_sums(struct guest_layers *l, struct merge_entry **out,
		     size_t *nr)
{
	uint64_t frames = l->set->bytes / PAGE_BYTES;
	struct merge_entry *e;
	const _Atomic(uint64_t) *sums;
	struct region_view v;
	int err = region_attach(&v, l->sums_fd, merge_sums_bytes(frames));

	if (err)
		return err;
	*nr = 0;
	sums = v.base;
	e = malloc(frames * sizeof(*e));
	for (uint64_t i = 0; e && i < frames; i++) {
		uint64_t sum =
			atomic_load_explicit(&sums[i], memory_order_relaxed);

		if (sum & MERGE_STABLE)
			e[(*nr)++] =
				(struct merge_entry){ sum & ~MERGE_STABLE, i };
	}
	region_detach(&v);
	if (!e)
		return -ENOMEM;
	qsort(e, *nr, sizeof(*e), by_sum);
	*out = e;
	return 0;
}

/* For others to compare theirs with. Return: 0; -ENOMEM. */
static int keep_sums(struct guest_layers *l, const struct merge_entry *e,
		     size_t nr)
{
	drop_sums(l);
	l->sums = malloc((nr + 1) * sizeof(*l->sums));
	if (!l->sums)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		if (i == 0 || e[i].sum != e[i - 1].sum)
			l->sums[l->nr_sums++] = e[i].sum;
	return 0;
}

/* How many of these frames does it hold? */
static unsigned layers_held(const struct layer *l, const struct merge_entry *e,
			    size_t nr)
{
	const struct merge_entry *t = l->table_view.base;
	unsigned found = 0;

	for (size_t i = 0, k = 0; i < nr; i++) {
		while (k < l->entries && t[k].sum < e[i].sum)
			k++;
		found += k < l->entries && t[k].sum == e[i].sum;
	}
	return found;
}

/*
 * The layer that holds most of them, of those not tried; -1: none is worth
 * it.
 */
static int best_layer(const struct guest *g, const struct merge_entry *e,
		      size_t nr)
{
	const struct guest_layers *l = g->layers;
	unsigned most = LAYERS_PAGES - 1;
	int best = -1;

	for (unsigned i = 0; i < l->set->nr; i++) {
		const struct layer *at = &l->set->layers[i];
		bool may = !(l->tried >> i & 1) &&
			   (!at->owner || at->owner == g->id);
		unsigned n = may ? layers_held(at, e, nr) : 0;

		if (n > most) {
			most = n;
			best = (int)i;
		}
	}
	return best;
}

/* Another VM's sums, from where we are in them. */
struct other {
	const uint64_t *at, *end;
};

static unsigned others_of(const struct monitor *m, const struct guest *g,
			  struct other out[COMPARED])
{
	unsigned nr = 0;

	for (const struct guest *o = m->guests; o && nr < COMPARED; o = o->next)
		if (o != g && o->layers && o->layers->set == g->layers->set &&
		    o->layers->sums)
			out[nr++] =
				(struct other){ o->layers->sums,
						o->layers->sums +
							o->layers->nr_sums };
	return nr;
}

/* @sum: never less than the last time */
static bool others_have(struct other *o, unsigned nr, uint64_t sum)
{
	bool found = false;

	for (unsigned i = 0; i < nr; i++) {
		while (o[i].at < o[i].end && *o[i].at < sum)
			o[i].at++;
		found |= o[i].at < o[i].end && *o[i].at == sum;
	}
	return found;
}

static bool layers_holds(const struct layer *l, uint64_t sum)
{
	return merge_find(l->table_view.base, l->entries, sum) < l->entries;
}

/* Was it given a layer with it just now, which was of use? */
static bool just_shown(const struct guest_layers *l, uint64_t sum)
{
	uint64_t left = l->tried & ~l->useless;

	for (; left; left &= left - 1)
		if (layers_holds(&l->set->layers[__builtin_ctzll(left)], sum))
			return true;
	return false;
}

/*
 * One frame of each content that is worth a layer: @common: that another VM
 * has, too; else: that this one alone has several times.
 * @out: room for @nr. @saved: frames that it would free.
 * Return: how many.
 */
static uint32_t layers_pick(const struct monitor *m, const struct guest *g,
			    const struct merge_entry *e, size_t nr, bool common,
			    struct merge_entry *out, unsigned *saved)
{
	struct other others[COMPARED];
	unsigned nr_others = others_of(m, g, others);
	uint32_t picked = 0;

	*saved = 0;
	for (size_t i = 0, next; i < nr; i = next) {
		bool have = others_have(others, nr_others, e[i].sum);

		for (next = i + 1; next < nr && e[next].sum == e[i].sum;)
			next++;
		if (have != common || (!common && next - i == 1) ||
		    just_shown(g->layers, e[i].sum))
			continue;
		*saved += (unsigned)(next - i - 1) + have;
		out[picked++] = e[i];
	}
	return picked;
}

static int make_table(const struct merge_entry *e, uint32_t nr, int *out)
{
	size_t bytes = nr * sizeof(*e);
	int err, fd = memfd_create("disco-table",
				   MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (write(fd, e, bytes) == (ssize_t)bytes &&
	    ftruncate(fd, (off_t)merge_table_bytes(nr)) == 0)
		err = fds_seal_to_read(&fd);
	else
		err = -ENOSPC;
	if (err)
		fds_drop(&fd);
	*out = fd;
	return err;
}

/* With the table in g->layers->table. */
static int ask_give(struct guest *g)
{
	struct guest_layers *l = g->layers;
	struct worker_request r = { .kind = WORKER_REQ_GIVE,
				    .give = { .ram_bytes = l->set->bytes,
					      .entries = l->entries } };
	int fds[2], err;

	err = region_prepare("disco-layer", l->set->bytes, l->set->node,
			     &l->layer);
	if (err)
		return err;
	fds[0] = l->layer;
	fds[1] = l->table;
	err = layers_ask(g, LAYERS_GIVE, &r, fds);
	if (err)
		return err;
	l->set->giving = true;
	return 0;
}

/* Return: 1 a layer is on its way; 0 not enough is equal; -errno. */
static int layers_give(struct monitor *m, struct guest *g,
		       const struct merge_entry *e, size_t nr, bool common)
{
	struct guest_layers *l = g->layers;
	struct merge_entry *out = malloc((nr + 1) * sizeof(*out));
	unsigned saved = 0;
	int err = 0;

	if (!out)
		return -ENOMEM;
	l->entries = layers_pick(m, g, e, nr, common, out, &saved);
	l->common = common;
	if (saved >= LAYERS_PAGES) {
		err = make_table(out, l->entries, &l->table);
		if (!err)
			err = ask_give(g);
		if (err)
			drop_job(l);
	}
	free(out);
	return err ? err : saved >= LAYERS_PAGES;
}

/* Return: as layers_give(). */
static int try_give(struct monitor *m, struct guest *g,
		    const struct merge_entry *e, size_t nr)
{
	const struct guest_layers *l = g->layers;
	int ret;

	if (l->set->giving || l->set->nr == LAYERS_MAX ||
	    l->gave == LAYERS_GIVEN)
		return 0;
	ret = layers_give(m, g, e, nr, true);
	return ret ? ret : layers_give(m, g, e, nr, false);
}

/* --- answers --- */

/* Return: 1 there is something to do; 0; -errno. */
static int layers_compare(struct monitor *m, struct guest *g,
			  const struct merge_entry *e, size_t nr)
{
	struct guest_layers *l = g->layers;
	int best, err = keep_sums(l, e, nr);

	if (err)
		return err;
	best = best_layer(g, e, nr);
	if (best >= 0) {
		err = ask_share(g, (unsigned)best);
		return err ? err : 1;
	}
	return try_give(m, g, e, nr);
}

/* Return: as layers_compare(). */
static int layers_summed(struct monitor *m, struct guest *g)
{
	struct guest_layers *l = g->layers;
	struct merge_entry *e = NULL;
	size_t nr = 0;
	int ret = take_sums(l, &e, &nr);

	fds_drop(&l->sums_fd);
	l->job = LAYERS_NONE;
	if (!ret)
		ret = layers_compare(m, g, e, nr);
	free(e);
	return ret;
}

/* Not all at the same time. */
static uint64_t layers_spread(const struct guest *g, uint64_t ns)
{
	return clock_now_ns() + g->id % 8 * ns / 8;
}

static int add_layer(struct layer_set *s, struct guest_layers *l,
		     uint64_t owner)
{
	struct layer to = { .entries = l->entries, .owner = owner };
	int err = region_attach(&to.table_view, l->table,
				merge_table_bytes(l->entries));

	if (err)
		return err;
	/* A worker that keeps it mapped for writing gives nothing: -EBUSY. */
	err = fds_seal_to_read(&l->layer);
	if (err) {
		region_detach(&to.table_view);
		return err;
	}
	to.memory = l->layer;
	to.table = l->table;
	l->layer = l->table = -1;
	s->layers[s->nr++] = to;
	return 0;
}

static int layers_given(struct monitor *m, struct guest *g)
{
	struct guest_layers *l = g->layers;
	struct layer_set *s = l->set;
	int err = add_layer(s, l, l->common ? 0 : g->id);

	drop_job(l);
	if (err)
		return err;
	l->gave++;
	for (struct guest *o = m->guests; o; o = o->next) {
		if (o != g && !(l->common && o->layers && o->layers->set == s))
			continue;
		o->layers->at_ns = layers_spread(o, GIVEN_NS);
		layers_plan(o->layers);
	}
	sink_line(&m->watcher.err,
		  "disco: %s: gave %u pages of memory for %s of group %s on "
		  "node %d to share",
		  g->record.name, s->layers[s->nr - 1].entries,
		  l->common ? "the guests" : "itself", s->group, s->node);
	return 1;
}

/* Return: 1 it shows more pages than before; 0; -errno. */
static int layers_shared(struct guest_layers *l, uint64_t pages, int err)
{
	drop_job(l);
	if (err)
		return err;
	if (pages)
		drop_sums(l); /* they are of pages that it shares now */
	else
		l->useless |= 1ull << l->trying;
	return pages != 0;
}

static void layers_note(struct guest_layers *l, enum layers_job job, int ret)
{
	if (ret == -ENOSPC && job == LAYERS_SHARE)
		l->idle = LAYERS_IDLE; /* no mappings are left */
	else if (ret > 0 && job != LAYERS_SUM)
		l->idle = 0;
	else if (ret < 0 || (ret == 0 && job == LAYERS_SUM))
		l->idle++;
	/* The next layer; there are LAYERS_MAX of them. */
	if (ret >= 0 && job == LAYERS_SHARE) {
		l->at_ns = clock_now_ns() + GIVEN_NS;
		l->again = true;
	}
}

void layers_heard(struct monitor *m, struct guest *g,
		  const struct worker_event *ev)
{
	struct guest_layers *l = g->layers;
	enum layers_job job;
	int ret;

	if (ev->kind != WORKER_MERGED || !l || ev->id != l->awaited)
		return;
	l->awaited = 0;
	job = l->job;
	if (job == LAYERS_NONE) {
		/* It took too long, or the VM has left its set. */
		layers_plan(l);
		return;
	}
	ret = -(int)ev->merged.error;
	if (job == LAYERS_SHARE)
		ret = layers_shared(l, ev->merged.pages, ret);
	else if (ret)
		drop_job(l);
	else
		ret = job == LAYERS_SUM ? layers_summed(m, g)
					: layers_given(m, g);
	layers_note(l, job, ret);
	layers_plan(l);
	if (ret < 0 && ret != -ECANCELED && ret != -EBUSY)
		sink_line(&m->watcher.err,
			  "disco: %s: equal pages are not merged: %s",
			  g->record.name, strerror(-ret));
}

/* --- looks --- */

/* What is not said here is known to those who plan a look. */
static bool layers_wanted(const struct guest *g)
{
	return g->boot_origin && !g->vm.end.asked;
}

static void layers_look(struct monitor *m, struct guest *g)
{
	struct guest_layers *l = g->layers;
	int err = l->set ? 0 : layers_enter(m, g);

	l->tried = l->again ? l->tried : l->useless;
	l->again = false;
	l->at_ns = clock_now_ns() +
		   (m->layers->merge_ns << min_u64(l->idle, LAYERS_IDLE));
	/* It does not read: another time. */
	if (!err && ask_sum(g))
		l->idle++;
}

static void layers_on_timer(struct loop_timer *t)
{
	struct guest_layers *l = container_of(t, struct guest_layers, timer);

	if (l->job != LAYERS_NONE) {
		drop_job(l);
		l->idle++;
	} else if (layers_wanted(l->g)) {
		layers_look(l->g->m, l->g);
		layers_plan(l);
	}
}

/* --- life --- */

int layers_create(struct monitor *m, uint64_t merge_ns)
{
	m->layers = calloc(1, sizeof(*m->layers));
	if (!m->layers)
		return -ENOMEM;
	m->layers->merge_ns = merge_ns;
	return 0;
}

void layers_destroy(struct monitor *m)
{
	if (!m->layers)
		return;
	for (struct guest *g = m->guests; g; g = g->next)
		layers_guest_remove(m, g);
	free(m->layers);
	m->layers = NULL;
}

void layers_guest_add(struct monitor *m, struct guest *g)
{
	uint64_t merge_ns = m->layers->merge_ns;
	struct guest_layers *l;

	if (!merge_ns || !g->record.merge || g->adopted)
		return;
	l = calloc(1, sizeof(*l));
	if (!l) {
		sink_line(&m->watcher.err,
			  "disco: %s: equal pages are not merged: %s",
			  g->record.name, strerror(ENOMEM));
		return;
	}
	l->g = g;
	l->timer.expired = layers_on_timer;
	layers_reset(l, NULL);
	/* The first look: not before it can have booted. */
	l->at_ns = merge_ns + layers_spread(g, merge_ns);
	g->layers = l;
	layers_plan(l);
}

void layers_guest_remove(struct monitor *m, struct guest *g)
{
	struct guest_layers *l = g->layers;

	if (!l)
		return;
	layers_out(m, l);
	loop_timer_cancel(&m->watcher.loop, &l->timer);
	free(l);
	g->layers = NULL;
}
