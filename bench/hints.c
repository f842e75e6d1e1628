/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench-hints: what hints are worth to the placement engine, and what they cost
 * the worker. No guest and no hardware: accesses are drawn, and time is a model.
 *
 * Placement: a scene of SCENE pages is at home on node 0, and CPUs of node 1
 * read it; which page, is drawn with a skew, as rays hit some objects more often.
 * A CPU computes for COMPUTE_NS, then misses: 300 ns locally, 900 ns from afar.
 * Every TRIGGER misses of a page are a record for the engine, with the policies
 * as they are; the owner of the engine takes TURN_PAGES moves every TURN_NS,
 * each of MOVE_NS, as the agent does. Measured: modelled time until 85 % of the
 * misses of a window are local, with and without a hint of the scene. The same
 * seed has the same accesses.
 *
 * Cost: time of hints_serve() for a ring of bulk hints, of a guest of 1 GiB
 * whose pages are all hinted one by one: the worst case.
 */
#include "bench/measure.h"
#include "guest-hints/host/hints.h"
#include "memory/placement/engine.h"

#define SCENE	    16384u /* pages: 64 MiB */
#define NODES	    2u
#define NR_CPUS	    4u
#define COMPUTE_NS  2000u
#define LOCAL_NS    300u
#define REMOTE_NS   900u
#define TRIGGER	    32u
#define MOVE_NS	    5000u
#define TURN_NS	    50000000ull
#define TURN_PAGES  128u
#define WINDOW	    65536u /* misses */
#define LIMIT_NS    30000000000ull
#define GUEST_PAGES 262144u /* 1 GiB */

struct machine {
	struct placement *engine;
	uint8_t home[SCENE];
	uint32_t misses[SCENE];
	uint64_t now_ns, turned_ns;
	uint64_t moved;
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

/* The square of a number in [0, 1): a quarter of the pages has half of all. */
static uint32_t machine_page(struct machine *m)
{
	double x = (double)(machine_random(m) >> 11) / 9007199254740992.0;
	uint32_t at = (uint32_t)(x * x * SCENE);

	/* Neighbours are not equally hot. */
	return at * 2654435761u % SCENE;
}

static void machine_start(struct machine *m, const char *policy, unsigned seed)
{
	static const uint32_t latency[] = { LOCAL_NS, REMOTE_NS, REMOTE_NS,
					    LOCAL_NS };
	struct placement_config c = { .pages = SCENE,
				      .nr_nodes = NODES,
				      .latency_ns = latency,
				      .move_ns = MOVE_NS };
	struct diag d = { 0 };

	*m = (struct machine){ .random = seed * 0x9e3779b97f4a7c15ull + 1 };
	must(policy_parse(policy, NULL, &c.choice, &d), policy);
	must(placement_create(&m->engine, &c), "engine");
}

static void machine_hint(struct machine *m)
{
	const struct access_record r = { .weight = SCENE,
					 .node = ACCESS_NO_NODE,
					 .home = ACCESS_NO_NODE,
					 .kind = HINTS_READ_MOSTLY,
					 .class = ACCESS_HINT };

	placement_record(m->engine, &r);
}

static void machine_turn(struct machine *m)
{
	struct placement_action a[TURN_PAGES];
	unsigned nr = placement_take(m->engine, a, TURN_PAGES);

	for (unsigned i = 0; i < nr; i++) {
		m->moved += m->home[a[i].page] != a[i].to;
		m->home[a[i].page] = a[i].to;
		placement_done(m->engine, &a[i], true, MOVE_NS);
	}
	m->turned_ns = m->now_ns;
}

/* Return: whether it was local. */
static bool machine_miss(struct machine *m)
{
	uint32_t page = machine_page(m);
	bool local = m->home[page] == 1;

	m->now_ns += (COMPUTE_NS + (local ? LOCAL_NS : REMOTE_NS)) / NR_CPUS;
	if (++m->misses[page] == TRIGGER) {
		const struct access_record r = { .time_ns = m->now_ns,
						 .page = page,
						 .weight = TRIGGER,
						 .vcpu = ACCESS_NO_VCPU,
						 .node = 1,
						 .home = m->home[page],
						 .kind = POLICY_READ,
						 .class = ACCESS_MISS };

		m->misses[page] = 0;
		placement_record(m->engine, &r);
	}
	if (m->now_ns - m->turned_ns >= TURN_NS)
		machine_turn(m);
	return local;
}

/* Modelled ms until 85 % are local; the limit if that does not come. */
static double placed_ms(const char *policy, bool hinted, unsigned seed)
{
	static struct machine m;
	double ms;

	machine_start(&m, policy, seed);
	if (hinted)
		machine_hint(&m);
	for (;;) {
		uint32_t local = 0;

		for (unsigned i = 0; i < WINDOW; i++)
			local += machine_miss(&m);
		if (local >= WINDOW / 100 * 85 || m.now_ns >= LIMIT_NS)
			break;
	}
	ms = (double)m.now_ns / 1e6;
	placement_destroy(m.engine);
	return ms;
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

struct row {
	double ms[2][MAX_ROUNDS]; /* without, with */
	double plain, hinted;
};

static void write_json(const struct bench_options *o, const struct row *rows,
		       double each_ns, double percent)
{
	FILE *f = json_open(o, "hints");

	fprintf(f,
		",\n \"hint_ns\": %.1f, \"percent_of_a_cpu\": %.4f,\n"
		" \"rows\": [",
		each_ns, percent);
	for (unsigned i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
		fprintf(f,
			"%s\n  {\"policy\": \"%s\", \"plain_ms\": %.1f, "
			"\"hinted_ms\": %.1f, \"times_sooner\": %.3f}",
			i ? "," : "", policies[i], rows[i].plain,
			rows[i].hinted, rows[i].plain / rows[i].hinted);
	fprintf(f, "\n ]}\n");
	if (fclose(f))
		fail(o->out);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = { BENCH_OPTIONS,
					       { NULL, 0, NULL, 0 } };
	struct bench_options o = { 5, 1, "unknown", NULL };
	static struct row rows[sizeof(policies) / sizeof(policies[0])];
	double costs[MAX_ROUNDS], each_ns, percent;
	int opt;

	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1)
		if (!bench_option(&o, opt))
			return 2;
	if (!bench_rounds_valid(&o))
		return 2;
	printf("modelled time to 85 %% local, %u pages, medians of %u\n", SCENE,
	       o.rounds);
	for (unsigned i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
		for (unsigned r = 0; r < o.rounds; r++)
			for (unsigned h = 0; h < 2; h++)
				rows[i].ms[h][r] =
					placed_ms(policies[i], h, o.seed + r);
		rows[i].plain = median(rows[i].ms[0], o.rounds);
		rows[i].hinted = median(rows[i].ms[1], o.rounds);
		printf("%-10s %8.0f ms without, %8.0f ms with hints: %.2f "
		       "times sooner\n",
		       policies[i], rows[i].plain, rows[i].hinted,
		       rows[i].plain / rows[i].hinted);
	}
	for (unsigned r = 0; r < o.rounds; r++)
		costs[r] = hint_ns();
	each_ns = median(costs, o.rounds);
	/* All pages of 1 GiB, one by one, in ten minutes: a bulk hint. */
	percent = each_ns * GUEST_PAGES / 600e9 * 100;
	printf("a hint takes the worker %.0f ns; all pages of 1 GiB, one by "
	       "one, every ten minutes: %.4f %% of a CPU\n",
	       each_ns, percent);
	if (o.out)
		write_json(&o, rows, each_ns, percent);
	return 0;
}
