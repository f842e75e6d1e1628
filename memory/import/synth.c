/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/import/synth.h"

#include <stdlib.h>

#include "disco/mix.h"

/*
 * A machine as in Disco's experiments (SOSP'97): 300 ns for a local miss, 900 for
 * a remote one, and about 50 us to move a page. A CPU computes 1 us between two
 * misses, and each access stands for 16 of them.
 */
#define LOCAL_NS      300u
#define REMOTE_NS     900u
#define MOVE_NS	      50000u
#define COMPUTE_NS    1000u
#define WEIGHT	      16u
#define CPU_STEP_NS   (WEIGHT * (COMPUTE_NS + LOCAL_NS))
#define MOST_MS	      600000u
#define MOST_CPUS     64u
#define TOUCH_STEP_NS 1000u

struct synth_region {
	uint32_t pages;
	uint32_t share;	 /* permille of the accesses */
	uint32_t writes; /* permille of those */
};

struct synth_kind {
	const char *name, *help;
	struct synth_region own, text, data; /* of each process; of all */
	uint32_t change_ms; /* two processes change places; 0: never */
	uint32_t life_ms;   /* processes end, and others begin; 0: never */
	bool one_begins;    /* node 0 touches all pages first */
	/* Every second phase of that many ms, data is read only; 0: never */
	uint32_t phase_ms;
};

static const struct synth_kind synth_kinds[] = {
	{ "engineering",
	  "processes with data of their own that change nodes, one program",
	  { 400, 650, 300 },
	  { 250, 350, 0 },
	  { 0, 0, 0 },
	  .change_ms = 1300 },
	{ "raytrace",
	  "a scene that node 0 has read in, and that all read",
	  { 60, 150, 400 },
	  { 150, 100, 0 },
	  { 1200, 750, 0 },
	  .one_begins = true },
	{ "splash",
	  "partitions that node 0 has initialised, of one process each",
	  { 450, 850, 400 },
	  { 60, 100, 0 },
	  { 40, 50, 500 },
	  .change_ms = 2600,
	  .one_begins = true },
	{ "database",
	  "a pool of blocks that all read and write",
	  { 60, 200, 300 },
	  { 100, 200, 0 },
	  { 2500, 600, 150 },
	  .change_ms = 0 },
	{ "pmake",
	  "short processes, where they began",
	  { 250, 700, 400 },
	  { 250, 300, 0 },
	  { 0, 0, 0 },
	  .life_ms = 700 },
	{ "radix",
	  "keys that all write all over",
	  { 40, 150, 400 },
	  { 20, 50, 0 },
	  { 1600, 800, 500 },
	  .one_begins = true },
	{ "phases",
	  "data that all read for a second, and all write for another one",
	  { 60, 200, 300 },
	  { 60, 100, 0 },
	  { 400, 700, 300 },
	  .phase_ms = 1000 },
};

bool synth_kind_at(unsigned i, const char **name, const char **help)
{
	if (i >= ARRAY_SIZE(synth_kinds))
		return false;
	*name = synth_kinds[i].name;
	*help = synth_kinds[i].help;
	return true;
}

/* --- what is asked for ---------------------------------------------------- */

static int synth_set(struct synth *s, const char *word, size_t len,
		     struct diag *d)
{
	static const struct {
		const char *key;
		uint64_t least, most;
	} keys[] = { { "nodes=", 1, POLICY_MAX_NODES },
		     { "cpus=", 1, MOST_CPUS },
		     { "ms=", 1, MOST_MS },
		     { "seed=", 0, UINT32_MAX } };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		size_t key = strlen(keys[i].key);
		uint64_t v;
		char *end;

		if (len <= key || strncmp(word, keys[i].key, key) != 0)
			continue;
		errno = word[key] >= '0' && word[key] <= '9' ? 0 : EINVAL;
		v = strtoull(word + key, &end, 10);
		if (errno || end != word + len || v < keys[i].least ||
		    v > keys[i].most)
			break;
		if (i == 0)
			s->nodes = (uint32_t)v;
		else if (i == 1)
			s->cpus = (uint32_t)v;
		else if (i == 2)
			s->ms = v;
		else
			s->seed = v;
		return 0;
	}
	return diag_fail(d, ST_USAGE, EINVAL,
			 "%.*s: it is nodes=1 to 64, cpus=1 to 64, ms=1 to "
			 "600000 or seed=N",
			 (int)min_u64(len, 64), word);
}

static const struct synth_kind *synth_find(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(synth_kinds); i++)
		if (strlen(synth_kinds[i].name) == len &&
		    strncmp(synth_kinds[i].name, name, len) == 0)
			return &synth_kinds[i];
	return NULL;
}

int synth_parse(const char *text, struct synth *out, struct diag *d)
{
	size_t len = strcspn(text, ",");
	struct synth s = { .kind = synth_find(text, len),
			   .nodes = 4,
			   .cpus = 8,
			   .ms = 4000,
			   .seed = 1 };
	int err = 0;

	if (!s.kind)
		return diag_fail(d, ST_USAGE, EINVAL,
				 "no kind '%.*s'; there are: engineering, "
				 "raytrace, splash, database, pmake, radix, "
				 "phases",
				 (int)min_u64(len, 64), text);
	for (text += len; !err && *text == ','; text += len) {
		len = strcspn(++text, ",");
		err = synth_set(&s, text, len, d);
	}
	if (err)
		return err;
	if (s.cpus % s.nodes)
		return diag_fail(d, ST_USAGE, EINVAL,
				 "%u CPUs cannot be divided among %u nodes",
				 s.cpus, s.nodes);
	*out = s;
	return 0;
}

/* --- sizes ---------------------------------------------------------------- */

static uint64_t synth_lives(const struct synth *s)
{
	return s->kind->life_ms ? s->ms / s->kind->life_ms + 2 : 1;
}

/* Pages of the processes come first, one life after the other. */
static uint64_t synth_own_pages(const struct synth *s)
{
	return synth_lives(s) * s->cpus * s->kind->own.pages;
}

static uint64_t synth_pages(const struct synth *s)
{
	return synth_own_pages(s) + s->kind->text.pages + s->kind->data.pages;
}

static uint64_t synth_touches(const struct synth *s)
{
	return s->kind->one_begins ? synth_pages(s) : 0;
}

static uint64_t synth_runs(const struct synth *s)
{
	return s->ms * 1000000 / CPU_STEP_NS * s->cpus;
}

uint64_t synth_accesses(const struct synth *s)
{
	return synth_touches(s) + synth_runs(s);
}

uint64_t synth_compute_ns(const struct synth *s)
{
	return synth_runs(s) * WEIGHT * COMPUTE_NS;
}

void synth_info(const struct synth *s, struct trace_info *out)
{
	*out = (struct trace_info){ .nr_nodes = s->nodes, .nr_vms = 1 };
	(void)snprintf(out->origin, sizeof(out->origin), "synthetic");
	(void)snprintf(out->text, sizeof(out->text),
		       "%s,nodes=%u,cpus=%u,ms=%llu,seed=%llu: %s",
		       s->kind->name, s->nodes, s->cpus,
		       (unsigned long long)s->ms, (unsigned long long)s->seed,
		       s->kind->help);
	out->vms[0].pages = synth_pages(s);
	(void)snprintf(out->vms[0].name, sizeof(out->vms[0].name), "%s",
		       s->kind->name);
	for (uint32_t i = 0; i < s->nodes; i++) {
		out->nodes[i] =
			(struct trace_node){ .number = (int32_t)i,
					     .cpus = s->cpus / s->nodes };
		for (uint32_t j = 0; j < s->nodes; j++) {
			uint32_t at = i * s->nodes + j;

			out->distance[at] = i == j ? 10 : 30;
			out->latency_ns[at] = i == j ? LOCAL_NS : REMOTE_NS;
			out->move_ns[at] = i == j ? 0 : MOVE_NS;
		}
	}
}

/* --- accesses ------------------------------------------------------------- */

/* A run that is being made. */
struct synth_run {
	const struct synth *s;
	uint64_t random;
	uint32_t process[MOST_CPUS]; /* by CPU */
};

static uint64_t synth_random(struct synth_run *r)
{
	return mix_u64(r->random += MIX_STEP);
}

static uint32_t synth_below(struct synth_run *r, uint32_t n)
{
	return (uint32_t)((synth_random(r) >> 32) * n >> 32);
}

/* The first pages are the most used. */
static uint32_t synth_page(struct synth_run *r, uint32_t pages)
{
	uint64_t u = synth_random(r) >> 32;

	return (uint32_t)(((u * u >> 32) * u >> 32) * pages >> 32);
}

/* Two processes run on each other's CPU from now on. */
static void synth_change_places(struct synth_run *r)
{
	uint32_t a = synth_below(r, r->s->cpus), b, p;

	b = (a + 1 + synth_below(r, r->s->cpus - 1)) % r->s->cpus;
	p = r->process[a];
	r->process[a] = r->process[b];
	r->process[b] = p;
}

static struct access_record synth_access(struct synth_run *r, uint32_t cpu,
					 uint64_t time_ns)
{
	const struct synth *s = r->s;
	const struct synth_kind *k = s->kind;
	uint64_t ms = time_ns / 1000000, base, process = r->process[cpu];
	uint32_t dice = synth_below(r, 1000);
	const struct synth_region *g;
	uint32_t writes;

	if (dice < k->own.share) {
		g = &k->own;
		if (k->life_ms)
			process += (ms + 97 * process) / k->life_ms * s->cpus;
		base = process * g->pages;
	} else if (dice < k->own.share + k->text.share) {
		g = &k->text;
		base = synth_own_pages(s);
	} else {
		g = &k->data;
		base = synth_own_pages(s) + k->text.pages;
	}
	writes = g->writes;
	if (g == &k->data && k->phase_ms && ms / k->phase_ms % 2 == 0)
		writes = 0;
	return (struct access_record){
		.time_ns = time_ns,
		.page = base + synth_page(r, g->pages),
		.weight = WEIGHT,
		.vcpu = (uint16_t)cpu,
		.node = (uint8_t)(cpu / (s->cpus / s->nodes)),
		.home = ACCESS_NO_NODE,
		.kind = synth_below(r, 1000) < writes ? POLICY_WRITE
						      : POLICY_READ,
		.class = ACCESS_MISS,
	};
}

static int synth_touch_all(const struct synth *s,
			   int (*add)(void *arg, const struct access_record *r),
			   void *arg)
{
	int err = 0;

	for (uint64_t i = 0; !err && i < synth_touches(s); i++) {
		struct access_record r = { .time_ns = i * TOUCH_STEP_NS,
					   .page = i,
					   .weight = 1,
					   .home = ACCESS_NO_NODE,
					   .kind = POLICY_WRITE,
					   .class = ACCESS_MISS };

		err = add(arg, &r);
	}
	return err;
}

int synth_make(const struct synth *s,
	       int (*add)(void *arg, const struct access_record *r),
	       int (*mark)(void *arg, uint64_t time_ns, const char *text),
	       void *arg)
{
	const struct synth_kind *k = s->kind;
	uint64_t begin = synth_touches(s) * TOUCH_STEP_NS, changes = 0;
	struct synth_run r = { .s = s, .random = s->seed };
	int err = 0;

	for (uint32_t i = 0; i < s->cpus; i++)
		r.process[i] = i;
	if (begin) {
		err = mark(arg, 0, "first touch");
		if (!err)
			err = synth_touch_all(s, add, arg);
	}
	if (!err)
		err = mark(arg, begin, "run");
	for (uint64_t i = 0; !err && i < synth_runs(s); i++) {
		uint64_t time = i * CPU_STEP_NS / s->cpus;
		struct access_record a;

		if (k->change_ms && s->cpus > 1 &&
		    time / 1000000 / k->change_ms > changes) {
			changes++;
			for (uint32_t c = 0; c < s->cpus / 2; c++)
				synth_change_places(&r);
			err = mark(arg, begin + time, "processes move");
			if (err)
				break;
		}
		a = synth_access(&r, (uint32_t)(i % s->cpus), time);
		a.time_ns += begin;
		err = add(arg, &a);
	}
	return err;
}

static int synth_add(void *arg, const struct access_record *r)
{
	return trace_writer_add(arg, r);
}

static int synth_mark(void *arg, uint64_t time_ns, const char *text)
{
	return trace_writer_mark(arg, time_ns, text);
}

int synth_write(const struct synth *s, int fd)
{
	struct trace_info *info = malloc(sizeof(*info));
	struct trace_writer *w = NULL;
	int err;

	if (!info)
		return -ENOMEM;
	synth_info(s, info);
	err = trace_writer_create(&w, fd, info);
	if (!err)
		err = synth_make(s, synth_add, synth_mark, w);
	if (!err)
		err = trace_writer_end(w, 0, synth_compute_ns(s));
	trace_writer_destroy(w);
	free(info);
	return err;
}
