/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench-hints: what hints are worth to the placement engine, and what they cost
 * the worker. No guest and no hardware: accesses are drawn, and time is a model.
 *
 * As in bench-locality, all memory of a guest is at home on node 0 at first, and
 * its CPUs are of node 1. A CPU computes for COMPUTE_NS, then misses: 300 ns
 * locally, 900 ns from afar. Every TRIGGER misses of a page are a record for the
 * engine, with the policies as they are. The agent is modelled by its own code
 * (monitor/agent/placing/pace.h): it takes moves as often and as many as that
 * says, works on one after another, and each page takes MOVE_NS, for which a CPU
 * waits, too.
 * The same seed has the same accesses.
 *
 *	raytrace	reads a scene of 64 MiB, which is hinted as read-mostly
 *	pieces		the same, in 1024 pieces of 15 pages, as a guest's memory is:
 *			every 16th page is not hinted
 *	database	has buffers of 64 MiB, which are hinted as read-mostly, and
 *			every fifth miss there is a write; and memory of its own
 *	pmake		a toolchain of 16 MiB, hinted as read-mostly; and memory of
 *			short-lived processes
 *	unused		a hint of 256 MiB that have a tenth of all misses
 *	shared		as raytrace, but half of the CPUs are of node 0
 *	wrong		as raytrace, but the scene is hinted as private to a CPU of
 *			node 0
 *
 * Measured, with and without the hint: modelled time of WORK misses; until 85 % of
 * the misses in what is hinted (raytrace, database, pmake), or in all memory, are
 * local, in a window of WINDOW of them; and how much memory the engine takes.
 * Pages are moved, none is copied: the guest's own memory is as much either way.
 *
 * Cost: time of hints_serve() for a ring of bulk hints, of a guest of 1 GiB
 * whose pages are all hinted one by one: the worst case.
 */
#include "bench/measure.h"
#include "guest-hints/host/hints.h"
#include "memory/placement/engine.h"
#include "monitor/agent/placing/pace.h"

#define NODES	    2u
#define NR_CPUS	    4u
#define COMPUTE_NS  2000u
#define LOCAL_NS    300u
#define REMOTE_NS   900u
#define TRIGGER	    32u
#define MOVE_NS	    5000u
#define WORK	    6000000u /* misses */
#define WINDOW	    16384u   /* misses */
#define LIMIT_NS    20000000000ull
#define MAX_PAGES   81920u
#define GUEST_PAGES 262144u /* 1 GiB */

/* A part of a guest's memory, and of its misses. */
struct part {
	uint32_t pages, percent; /* of all misses; the rest is the second's */
	uint32_t writes;	 /* percent */
	/* 0: skewed. Else so many pages are in use, others from time to time. */
	uint32_t in_use;
};

struct workload {
	const char *name;
	struct part parts[2]; /* the first one is hinted */
	uint8_t kind, node;   /* of the hint */
	uint32_t measured; /* parts whose misses are to be local; from 0 on */
	bool shared;	   /* half of the CPUs are of node 0 */
	uint32_t piece;	   /* pages from one piece to the next; 0: it is one */
};

static const struct workload workloads[] = {
	{ .name = "raytrace",
	  .parts = { { 16384, 100, 0, 0 } },
	  .kind = HINTS_READ_MOSTLY,
	  .node = ACCESS_NO_NODE,
	  .measured = 1 },
	{ .name = "pieces",
	  .parts = { { 16384, 100, 0, 0 } },
	  .kind = HINTS_READ_MOSTLY,
	  .node = ACCESS_NO_NODE,
	  .measured = 1,
	  .piece = 16 },
	{ .name = "database",
	  .parts = { { 16384, 70, 20, 0 }, { 1024, 30, 50, 0 } },
	  .kind = HINTS_READ_MOSTLY,
	  .node = ACCESS_NO_NODE,
	  .measured = 1 },
	{ .name = "pmake",
	  .parts = { { 4096, 60, 0, 0 }, { 16384, 40, 50, 1024 } },
	  .kind = HINTS_READ_MOSTLY,
	  .node = ACCESS_NO_NODE,
	  .measured = 1 },
	{ .name = "unused",
	  .parts = { { 65536, 10, 0, 0 }, { 4096, 90, 20, 0 } },
	  .kind = HINTS_READ_MOSTLY,
	  .node = ACCESS_NO_NODE,
	  .measured = 2 },
	{ .name = "shared",
	  .parts = { { 16384, 100, 0, 0 } },
	  .kind = HINTS_READ_MOSTLY,
	  .node = ACCESS_NO_NODE,
	  .measured = 1,
	  .shared = true },
	{ .name = "wrong",
	  .parts = { { 16384, 100, 0, 0 } },
	  .kind = HINTS_PRIVATE,
	  .node = 0,
	  .measured = 1 },
};

#define NR_WORKLOADS (sizeof(workloads) / sizeof(workloads[0]))

struct agent {
	struct pace pace;
	struct placement_action taken[PACE_ACTIONS]; /* it works on these */
	unsigned nr_taken;
	uint64_t turn_ns; /* begin of its turn */
	uint64_t next_ns; /* when it goes on */
};

struct machine {
	const struct workload *w;
	struct placement *engine;
	struct agent agent;
	uint8_t home[MAX_PAGES];
	uint32_t misses[MAX_PAGES];
	uint64_t now_ns, made; /* made: misses */
	uint64_t random;
};

static uint64_t machine_random(struct machine *m)
{
	/* xorshift64* */
	m->random ^= m->random >> 12;
	m->random ^= m->random << 25;
	m->random ^= m->random >> 27;
	return m->random * 0x2545f4914f6cdd1dull;
}

static double machine_draw(struct machine *m)
{
	return (double)(machine_random(m) >> 11) / 9007199254740992.0;
}

/* Which part, and which page of it. */
static uint32_t machine_page(struct machine *m, const struct part **part)
{
	const struct part *p = m->w->parts;
	uint32_t first = 0, at;
	double x;

	if (p[1].pages && machine_draw(m) * 100 >= p[0].percent) {
		first = p->pages;
		p++;
	}
	*part = p;
	x = machine_draw(m);
	if (p->in_use)
		return first +
		       (uint32_t)(m->made / 64 + (uint64_t)(x * p->in_use)) %
			       p->pages;
	/* Squared, so that a quarter of the pages has half of all misses. */
	at = (uint32_t)(x * x * p->pages);
	/* Neighbours are not equally hot. */
	return first + at * 2654435761u % p->pages;
}

static void machine_start(struct machine *m, const struct workload *w,
			  const char *policy, unsigned seed)
{
	static const uint32_t latency[] = { LOCAL_NS, REMOTE_NS, REMOTE_NS,
					    LOCAL_NS };
	struct placement_config c = { .pages = w->parts[0].pages +
					       w->parts[1].pages,
				      .nr_nodes = NODES,
				      .latency_ns = latency,
				      .move_ns = MOVE_NS,
				      .run_pages = PACE_RUN };
	struct diag d = { 0 };

	memset(m, 0, sizeof(*m));
	m->w = w;
	m->random = seed * 0x9e3779b97f4a7c15ull + 1;
	must(policy_parse(policy, NULL, &c.choice, &d), policy);
	must(placement_create(&m->engine, &c), "engine");
}

static void machine_hint(struct machine *m)
{
	uint32_t pages = m->w->parts[0].pages;
	uint32_t piece = m->w->piece ? m->w->piece : pages;
	struct access_record r = { .weight = piece - (piece < pages),
				   .node = m->w->node,
				   .home = ACCESS_NO_NODE,
				   .kind = m->w->kind,
				   .class = ACCESS_HINT };

	for (; r.page < pages; r.page += piece)
		placement_record(m->engine, &r);
}

/* What the agent has worked on is done. Return: pages that moved. */
static unsigned machine_moved(struct machine *m)
{
	struct agent *g = &m->agent;
	unsigned moved = 0;

	for (unsigned i = 0; i < g->nr_taken; i++)
		for (uint32_t k = 0; k < g->taken[i].pages; k++) {
			struct placement_action one = g->taken[i];
			uint8_t *home = &m->home[one.page + k];

			one.page += k;
			one.pages = 1;
			if (*home == one.to) {
				placement_needless(m->engine, &one);
				continue;
			}
			*home = one.to;
			placement_done(m->engine, &one, true, MOVE_NS);
			moved++;
		}
	g->nr_taken = 0;
	return moved;
}

/* Pages that it takes on now, and works on. Return: whether there are any. */
static bool machine_take(struct machine *m)
{
	struct agent *g = &m->agent;

	if (m->now_ns - g->turn_ns >= PACE_MOVES_NS ||
	    !pace_is_due(&g->pace, placement_pending(m->engine), m->now_ns))
		return false;
	g->nr_taken = placement_take(m->engine, g->taken, PACE_ACTIONS);
	pace_made(&g->pace);
	for (unsigned i = 0; i < g->nr_taken; i++)
		for (uint32_t k = 0; k < g->taken[i].pages; k++)
			if (m->home[g->taken[i].page + k] != g->taken[i].to)
				g->next_ns += MOVE_NS;
	return g->nr_taken;
}

static void machine_agent(struct machine *m)
{
	struct agent *g = &m->agent;

	/* The CPU that a page is taken from waits, or the agent's own. */
	m->now_ns += (uint64_t)machine_moved(m) * MOVE_NS / NR_CPUS;
	g->next_ns = m->now_ns;
	if (machine_take(m))
		return;
	/* The next turn. */
	if (!pace_hurries(placement_pending(m->engine)))
		g->next_ns += PACE_TURN_NS;
	g->turn_ns = g->next_ns;
}

/* Return: whether it was local; @counts: whether it is one that is measured. */
static bool machine_miss(struct machine *m, bool *counts)
{
	const struct part *part;
	uint32_t page = machine_page(m, &part);
	uint8_t node = m->w->shared ? (uint8_t)(machine_random(m) >> 63) : 1;
	bool local = m->home[page] == node;
	bool write = machine_draw(m) * 100 < part->writes;

	m->made++;
	*counts = part < m->w->parts + m->w->measured;
	m->now_ns += (COMPUTE_NS + (local ? LOCAL_NS : REMOTE_NS)) / NR_CPUS;
	if (++m->misses[page] == TRIGGER) {
		const struct access_record r = { .time_ns = m->now_ns,
						 .page = page,
						 .weight = TRIGGER,
						 .vcpu = ACCESS_NO_VCPU,
						 .node = 1,
						 .home = m->home[page],
						 .kind = write ? POLICY_WRITE
							       : POLICY_READ,
						 .class = ACCESS_MISS };

		m->misses[page] = 0;
		placement_record(m->engine, &r);
	}
	if (m->now_ns >= m->agent.next_ns)
		machine_agent(m);
	return local;
}

struct run {
	double placed_ms; /* the limit, if it is not reached */
	double work_ms;
	double engine_kib;
};

static void machine_run(const struct workload *w, const char *policy,
			bool hinted, unsigned seed, struct run *out)
{
	static struct machine m;
	bool placed = false, worked = false, counts;

	machine_start(&m, w, policy, seed);
	if (hinted)
		machine_hint(&m);
	while ((!placed && m.now_ns < LIMIT_NS) || !worked) {
		uint32_t local = 0, all = 0;

		while (all < WINDOW) {
			bool l = machine_miss(&m, &counts);

			all += counts;
			local += counts && l;
			if (m.made == WORK) {
				worked = true;
				out->work_ms = (double)m.now_ns / 1e6;
			}
		}
		if (!placed) {
			placed = local >= WINDOW / 100 * 85;
			out->placed_ms = (double)m.now_ns / 1e6;
		}
	}
	out->engine_kib = (double)atomic_load(
				  &placement_figures(m.engine)->counter_bytes) /
			  1024;
	placement_destroy(m.engine);
}

/* --- cost ----------------------------------------------------------------------- */

static uint8_t bar[HINTS_BAR_BYTES] __attribute__((aligned(4096)));
static struct hint_log hint_log;
static uint64_t fast_ns; /* a clock that stands still: no budget */

static uint64_t cost_now(void *arg)
{
	(void)arg;
	return fast_ns;
}

static bool cost_is_ram(void *arg, uint64_t page, uint64_t pages)
{
	(void)arg;
	return range_fits(page, pages, GUEST_PAGES);
}

static uint64_t cost_free(void *arg, uint64_t page, uint64_t pages)
{
	(void)arg;
	(void)page;
	return pages;
}

static void cost_nothing(void *arg, uint64_t page, uint64_t pages)
{
	(void)arg;
	(void)page;
	(void)pages;
}

/* Real ns for each hint of one page. */
static double hint_ns(void)
{
	static const struct hints_ops ops = { .now_ns = cost_now,
					      .is_ram = cost_is_ram,
					      .free = cost_free,
					      .zero = cost_nothing,
					      .cold = cost_nothing,
					      .merge = cost_nothing };
	const struct hints_config c = { .ops = &ops,
					.bar = bar,
					.ring = bar + HINTS_TAIL_AT,
					.log = &hint_log,
					.nr_vcpus = 1 };
	struct hints_entry *ring = (void *)(bar + HINTS_ENTRIES_AT);
	struct hints_tail *tail = (void *)(bar + HINTS_TAIL_AT);
	static struct hints h;
	uint64_t wait, begun = 0, spent = 0;

	memset(bar, 0, sizeof(bar));
	hints_init(&h, &c);
	for (uint32_t n = 0; n < GUEST_PAGES; n += HINTS_ENTRIES) {
		for (uint32_t i = 0; i < HINTS_ENTRIES; i++)
			ring[i] =
				(struct hints_entry){ .page = n + i,
						      .pages = 1,
						      .kind = HINTS_REWRITE,
						      .vcpu = HINTS_ANY_VCPU };
		tail->tail = n + HINTS_ENTRIES;
		fast_ns += 1000000000;
		begun = clock_now_ns();
		while (hints_serve(&h, &wait) == HINTS_MORE)
			;
		spent += clock_now_ns() - begun;
	}
	if (h.counts.kinds[HINTS_REWRITE] != GUEST_PAGES)
		fail("not all hints were taken");
	return (double)spent / GUEST_PAGES;
}

/* --- results ---------------------------------------------------------------------- */

static const char *const policies[] = { "balanced", "migrate", "disco" };

#define NR_POLICIES (sizeof(policies) / sizeof(policies[0]))

/* Medians: without and with the hint. */
struct row {
	const char *workload, *policy;
	struct run runs[2];
};

static double median_of(const struct run *runs, unsigned nr, size_t field)
{
	double all[MAX_ROUNDS] = { 0 };

	for (unsigned i = 0; i < nr; i++)
		memcpy(&all[i], (const char *)&runs[i] + field, sizeof(all[i]));
	return median(all, nr);
}

static void measure(struct row *row, const struct workload *w,
		    const char *policy, const struct bench_options *o)
{
	static struct run runs[MAX_ROUNDS];

	row->workload = w->name;
	row->policy = policy;
	for (unsigned h = 0; h < 2; h++) {
		for (unsigned r = 0; r < o->rounds; r++)
			machine_run(w, policy, h, o->seed + r, &runs[r]);
		row->runs[h] = (struct run){
			median_of(runs, o->rounds,
				  offsetof(struct run, placed_ms)),
			median_of(runs, o->rounds,
				  offsetof(struct run, work_ms)),
			median_of(runs, o->rounds,
				  offsetof(struct run, engine_kib)),
		};
	}
	printf("%-9s %-9s %7.0f %7.0f %7.2f   %7.0f %7.0f %7.3f   %5.0f "
	       "%5.0f\n",
	       w->name, policy, row->runs[0].placed_ms, row->runs[1].placed_ms,
	       row->runs[0].placed_ms / row->runs[1].placed_ms,
	       row->runs[0].work_ms, row->runs[1].work_ms,
	       row->runs[1].work_ms / row->runs[0].work_ms,
	       row->runs[0].engine_kib, row->runs[1].engine_kib);
	(void)fflush(stdout);
}

static void write_json(const struct bench_options *o, const struct row *rows,
		       unsigned nr, double each_ns, double percent)
{
	FILE *f = json_open(o, "hints");

	fprintf(f,
		",\n \"hint_ns\": %.1f, \"percent_of_a_cpu\": %.4f,\n"
		" \"rows\": [",
		each_ns, percent);
	for (unsigned i = 0; i < nr; i++) {
		const struct run *plain = &rows[i].runs[0];
		const struct run *hinted = &rows[i].runs[1];

		fprintf(f,
			"%s\n  {\"workload\": \"%s\", \"policy\": \"%s\", "
			"\"plain_ms\": %.1f, \"hinted_ms\": %.1f, "
			"\"times_sooner\": %.3f, \"plain_work_ms\": %.1f, "
			"\"hinted_work_ms\": %.1f, \"plain_kib\": %.0f, "
			"\"hinted_kib\": %.0f}",
			i ? "," : "", rows[i].workload, rows[i].policy,
			plain->placed_ms, hinted->placed_ms,
			plain->placed_ms / hinted->placed_ms, plain->work_ms,
			hinted->work_ms, plain->engine_kib, hinted->engine_kib);
	}
	fprintf(f, "\n ]}\n");
	if (fclose(f))
		fail(o->out);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = { BENCH_OPTIONS,
					       { NULL, 0, NULL, 0 } };
	struct bench_options o = { 5, 1, "unknown", NULL };
	static struct row rows[NR_WORKLOADS * NR_POLICIES];
	double costs[MAX_ROUNDS], each_ns, percent;
	unsigned nr = 0;
	int opt;

	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1)
		if (!bench_option(&o, opt))
			return 2;
	if (!bench_rounds_valid(&o))
		return 2;
	printf("modelled ms, medians of %u, without and with a hint\n"
	       "%-19s %-25s   %-23s   counters, KiB\n",
	       o.rounds, "", "85 % local", "all work");
	for (unsigned w = 0; w < NR_WORKLOADS; w++)
		for (unsigned i = 0; i < NR_POLICIES; i++)
			measure(&rows[nr++], &workloads[w], policies[i], &o);
	for (unsigned r = 0; r < o.rounds; r++)
		costs[r] = hint_ns();
	each_ns = median(costs, o.rounds);
	/* All pages of 1 GiB, one by one, in ten minutes: a bulk hint. */
	percent = each_ns * GUEST_PAGES / 600e9 * 100;
	printf("a hint takes the worker %.0f ns; all pages of 1 GiB, one by "
	       "one, every ten minutes: %.4f %% of a CPU\n",
	       each_ns, percent);
	if (o.out)
		write_json(&o, rows, nr, each_ns, percent);
	return 0;
}
