/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The simulator against sums made by hand; the optimum against all schedules of
 * small traces; the order of policies on synthetic runs; and a live engine's
 * decisions, which a replay makes again.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory/sim/optimum.h"
#include "memory/sim/replay.h"
#include "memory/trace/trace_tap.h"
#include "memory/trace/trace_write.h"
#include "tests/unit/support.h"
#include "tests/unit/trace/files.h"

static struct trace_info *info;
static struct sim_machine machine;

static int set_up(void **state)
{
	(void)state;
	info = info_make();
	machine_of(info, &machine);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(info);
	return 0;
}

static struct sim *sim_of(const char *policy, bool replicas)
{
	struct sim_config c = { .info = info,
				.machine = &machine,
				.replicas = replicas,
				.proof_ns = 200000000 };
	struct diag d = { .status = ST_OK };
	struct sim *s;

	if (policy)
		assert_int_equal(policy_parse(policy, NULL, &c.choice, &d), 0);
	assert_int_equal(sim_create(&s, &c), 0);
	return s;
}

/* --- costs ---------------------------------------------------------------- */

static void accesses_cost_by_where_pages_are(void **state)
{
	struct access_record r[] = { access_of(0, 1, 0), access_of(1, 1, 1),
				     access_of(2, 2, 1), access_of(3, 3, 0) };
	struct sim *s = sim_of("first-touch", false);
	const struct sim_result *x;

	(void)state;
	r[1].weight = 10;
	r[3].home = 1; /* as recorded */
	r[2].node = ACCESS_NO_NODE;
	assert_int_equal(sim_feed(s, r, 4), 0);
	x = sim_result(s);
	assert_int_equal(x->accesses, 4);
	assert_int_equal(x->skipped, 1);
	assert_int_equal(x->local, 1);
	assert_int_equal(x->remote, 11);
	assert_int_equal(x->stall_ns, 300 + 10 * 900 + 900);
	assert_int_equal(x->uma_ns, 12 * 300);
	assert_int_equal(x->pages, 2);
	assert_int_equal(x->moves, 0);
	sim_destroy(s);
}

static void a_hot_page_moves_once(void **state)
{
	struct sim *s = sim_of("disco,trigger=100", false);
	struct access_record r = access_of(0, 1, 0);
	const struct sim_result *x;

	(void)state;
	assert_int_equal(sim_feed(s, &r, 1), 0);
	for (unsigned i = 0; i < 200; i++) {
		r = access_of(1, 1, 1);
		assert_int_equal(sim_feed(s, &r, 1), 0);
	}
	x = sim_result(s);
	assert_int_equal(x->moves, 1);
	assert_int_equal(x->spent_ns, 10000);
	/* The 100th access of node 1 moves it. */
	assert_int_equal(x->remote, 100);
	assert_int_equal(x->local, 101);
	assert_int_equal(sim_copies(s, 0, 1), 2);
	sim_destroy(s);
}

/* Both nodes read it; one gets a copy, until somebody writes. */
static void a_read_page_is_copied_until_it_is_written(void **state)
{
	struct sim *s = sim_of("disco,trigger=100", true);
	const struct sim_result *x;
	struct access_record r;

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		r = access_of(300, 1, i % 2);
		assert_int_equal(sim_feed(s, &r, 1), 0);
	}
	x = sim_result(s);
	assert_int_equal(x->copies, 1);
	assert_int_equal(x->moves, 0);
	assert_int_equal(x->replica_pages, 1);
	assert_int_equal(sim_copies(s, 0, 1), 3);
	assert_int_equal(x->remote, 100);
	r = access_of(301, 1, 1);
	r.kind = POLICY_WRITE;
	assert_int_equal(sim_feed(s, &r, 1), 0);
	x = sim_result(s);
	assert_int_equal(x->collapses, 1);
	assert_int_equal(x->replica_pages, 0);
	assert_int_equal(sim_copies(s, 0, 1), 1);
	assert_int_equal(x->spent_ns, 10000 + 5000);
	assert_int_equal(x->remote, 101);
	sim_destroy(s);
}

static void times_have_buckets(void **state)
{
	struct sim *s = sim_of("first-touch", false);
	const struct sim_result *x;
	uint64_t local = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		struct access_record r = access_of(i, 1, 0);

		assert_int_equal(sim_feed(s, &r, 1), 0);
	}
	x = sim_result(s);
	assert_int_equal(x->bucket_ns, 8000000);
	assert_int_equal(x->nr_buckets, 125);
	for (unsigned i = 0; i < x->nr_buckets; i++) {
		assert_int_equal(x->buckets[i].local, 8);
		local += x->buckets[i].local;
	}
	assert_int_equal(local, 1000);
	sim_destroy(s);
}

static void wrong_values_are_refused(void **state)
{
	struct sim_config c = { .info = info, .machine = &machine };
	struct sim *s;

	(void)state;
	machine.nr_nodes = 1;
	assert_int_equal(sim_create(&s, &c), -EINVAL);
	machine.nr_nodes = 2;
	c.turn_ns = 1;
	assert_int_equal(sim_create(&s, &c), -EINVAL);
	sim_destroy(NULL);
	optimum_destroy(NULL);
	replay_destroy(NULL);
}

/* --- the optimum ---------------------------------------------------------- */

#define LENGTH 6u

/* Change from set @s to set @t of two nodes, as optimum.h has the costs. */
static uint64_t change_cost(unsigned s, unsigned t)
{
	if (s == t)
		return 0;
	if (s == 3)
		return 5000;
	return 10000; /* a move or a copy */
}

static uint64_t access_cost(const struct access_record *r, unsigned set)
{
	if (r->kind == POLICY_WRITE && set == 3)
		return 1ull << 50;
	return r->weight * (set >> r->node & 1 ? 300u : 900u);
}

/* Every schedule there is: 3^LENGTH. */
static uint64_t try_all(const struct access_record *r, bool replicas)
{
	uint64_t best = UINT64_MAX;

	for (unsigned n = 0; n < 729; n++) {
		uint64_t cost = 0;
		unsigned code = n, set = 0;
		bool possible = true;

		for (unsigned i = 0; i < LENGTH; i++, code /= 3) {
			unsigned next = code % 3 + 1;

			possible = possible && (replicas || next != 3);
			if (set)
				cost += change_cost(set, next);
			else if (next == 3)
				cost += 10000; /* one is free, one a copy */
			set = next;
			cost += access_cost(&r[i], set);
		}
		if (possible && cost < best)
			best = cost;
	}
	return best;
}

static void the_optimum_is_that_of_all_schedules(void **state)
{
	uint32_t random = 7;

	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		bool replicas = round % 2;
		struct access_record r[LENGTH];
		struct optimum *o;

		for (unsigned i = 0; i < LENGTH; i++) {
			random = random * 1664525u + 1013904223u;
			r[i] = access_of(i, 5, random >> 20 & 1);
			r[i].weight = 1 + (random >> 8) % 40;
			r[i].kind = random >> 24 & 3 ? POLICY_READ
						     : POLICY_WRITE;
		}
		assert_int_equal(optimum_create(&o, info, &machine, replicas),
				 0);
		assert_int_equal(optimum_feed(o, r, LENGTH), 0);
		assert_int_equal(optimum_has_replicas(o), replicas);
		assert_int_equal(optimum_cost_ns(o), try_all(r, replicas));
		optimum_destroy(o);
	}
}

/* --- policies on synthetic runs ------------------------------------------- */

#define POLICIES 5u

static const char *const policies[POLICIES] = { "interleave", "first-touch",
						"migrate", "disco",
						"balanced" };

/* Modelled times of a run by policy, and of the optimum. */
static void play(const char *text, double time[POLICIES], double *best)
{
	struct diag d = { .status = ST_OK };
	struct trace_reader *r;
	struct trace_chunk c;
	struct optimum *o;
	double compute;

	free(info);
	assert_int_equal(trace_open(&r, synth_file(text), "s", &d), 0);
	info = malloc(sizeof(*info));
	assert_non_null(info);
	*info = *trace_info(r);
	machine_of(info, &machine);
	assert_int_equal(optimum_create(&o, info, &machine, true), 0);
	while (trace_next(r, &c, &d) > 0)
		assert_int_equal(optimum_feed(o, c.records, c.nr), 0);
	compute = (double)trace_totals(r)->compute_ns;
	*best = compute + (double)optimum_cost_ns(o);
	optimum_destroy(o);
	for (unsigned i = 0; i < POLICIES; i++) {
		struct sim *s = sim_of(policies[i], true);
		const struct sim_result *x;

		trace_rewind(r);
		while (trace_next(r, &c, &d) > 0)
			assert_int_equal(sim_feed(s, c.records, c.nr), 0);
		x = sim_result(s);
		time[i] = compute + (double)(x->stall_ns + x->spent_ns);
		print_message("# %-14s %-12s %5.1f %% local, regret %.1f %%\n",
			      text, policies[i],
			      100.0 * (double)x->local /
				      (double)(x->local + x->remote),
			      100 * (time[i] / *best - 1));
		assert_true(time[i] >= *best);
		sim_destroy(s);
	}
	trace_close(r);
}

/*
 * Verghese et al. (ASPLOS'96): round robin is worst or as bad as first touch;
 * migration gains where processes move, replication where all read; both
 * together are best or as good as the better one everywhere; and where data is
 * write-shared (database) no policy gains or loses much.
 */
static void policies_are_in_the_order_of_the_paper(void **state)
{
	static const struct {
		const char *kind;
		double migrate_gains, disco_gains; /* over first touch, least */
		double disco_over_migrate;
	} want[] = { { "engineering", 0.05, 0.09, 0.03 },
		     { "raytrace", 0.02, 0.08, 0.04 },
		     { "splash", 0.12, 0.14, 0.0 },
		     { "database", -0.01, 0.0, 0.0 },
		     { "pmake", -0.01, 0.0, 0.0 } };
	double sum = 0;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(want); i++) {
		double t[POLICIES], best;

		play(want[i].kind, t, &best);
		assert_true(t[0] > t[1] * 0.99);
		assert_true(t[2] < t[1] * (1 - want[i].migrate_gains));
		assert_true(t[3] < t[1] * (1 - want[i].disco_gains));
		assert_true(t[3] < t[2] * (1 - want[i].disco_over_migrate));
		/* Ours: never more than 2 % worse than first touch. */
		assert_true(t[4] < t[1] * 1.02);
		sum += log(t[4] / best);
	}
	sum = exp(sum / ARRAY_SIZE(want)) - 1;
	print_message("# balanced: %.1f %% over the optimum\n", 100 * sum);
	assert_true(sum < 0.03);
}

/* --- live and replayed ---------------------------------------------------- */

static struct trace_writer *writer;

static void write_item(void *arg, const struct trace_item *i)
{
	(void)arg;
	assert_int_equal(i->is_event ? trace_writer_event(writer, &i->event)
				     : trace_writer_add(writer, &i->access),
			 0);
}

static bool live_copies; /* the next live run's owner replicates pages */

/* What the owner says of copies besides: some are written, then all are lost. */
static void live_say_of_copies(const struct trace_tap *tap, struct placement *e,
			       const struct placement_action *a, unsigned nr,
			       uint64_t turn)
{
	for (unsigned k = 0; k < nr; k++)
		if ((k + turn) % 3 == 0)
			trace_tap_copies(tap, e, a[k].page, false, k % 2);
		else if ((k + turn) % 7 == 0)
			trace_tap_copies(tap, e, a[k].page + 1, true, false);
	if (turn % 9 == 0)
		trace_tap_forget(tap, e);
}

/*
 * An engine with an owner as an agent is: turns of 50 ms, 128 moves at most,
 * some of which fail, costs that vary, nodes that fill up, and another policy in
 * the middle. All of it through a tap, into a file.
 */
static void live_run(const struct access_record *r, uint64_t nr)
{
	const struct trace_tap tap = { .to = write_item };
	struct placement_config c = { .pages = info->vms[0].pages,
				      .nr_nodes = info->nr_nodes,
				      .latency_ns = info->latency_ns,
				      .move_ns = info->move_ns[1] };
	static struct placement_action a[128];
	struct diag d = { .status = ST_OK };
	uint8_t *home = calloc(1, c.pages);
	struct policy_choice other;
	struct placement *e;
	uint64_t turn = 0;

	assert_int_equal(policy_parse("balanced", NULL, &c.choice, &d), 0);
	assert_int_equal(policy_parse("disco,trigger=64,sharing=32,reset=200",
				      NULL, &other, &d),
			 0);
	assert_int_equal(placement_create(&e, &c), 0);
	trace_tap_policy(&tap, 0, "balanced");
	if (live_copies)
		assert_int_equal(trace_tap_track(&tap, e), 0);
	for (uint64_t i = 0; i < nr; i++) {
		struct access_record live = r[i];

		if (live_copies)
			live.page_flags = POLICY_PAGE_SHARED |
					  POLICY_PAGE_UNWRITTEN;
		live.home = home[live.page];
		trace_tap_record(&tap, e, &live);
		if (i == nr / 2) {
			assert_int_equal(placement_set_policy(e, &other), 0);
			trace_tap_policy(
				&tap, live.time_ns,
				"disco,trigger=64,sharing=32,reset=200");
		}
		if (live.time_ns / 50000000 == turn)
			continue;
		turn = live.time_ns / 50000000;
		unsigned taken = trace_tap_take(&tap, e, a, ARRAY_SIZE(a));
		for (unsigned k = 0; k < taken; k++) {
			bool moved = (k + turn) % 5 != 0;

			if (moved && a[k].action == POLICY_MOVE)
				home[a[k].page] = a[k].to;
			trace_tap_done(&tap, e, &a[k], moved,
				       5000 + (k * 977 + turn) % 30000);
		}
		if (live_copies)
			live_say_of_copies(&tap, e, a, taken, turn);
		trace_tap_node(&tap, e, 1,
			       &(struct policy_node){
				       .free_pages = turn % 7 ? 100000 : 3,
				       .has_memory = 1 });
	}
	if (live_copies) {
		const struct placement_figures *f = placement_figures(e);

		print_message(
			"# %llu copied, %llu rest, %llu have copies\n",
			(unsigned long long)f->replicas,
			(unsigned long long)f->reasons[POLICY_RESTS],
			(unsigned long long)f->reasons[POLICY_HAS_COPIES]);
		assert_true(f->replicas > 100 &&
			    f->reasons[POLICY_RESTS] > 100 &&
			    f->reasons[POLICY_HAS_COPIES] > 10);
	}
	placement_destroy(e);
	free(home);
}

static const struct replay_result *replay_file(int fd, struct replay **out)
{
	struct diag d = { .status = ST_OK };
	struct trace_reader *r;
	struct trace_chunk c;

	assert_int_equal(trace_open(&r, fd, "live", &d), 0);
	assert_int_equal(replay_create(out, info, NULL), 0);
	while (trace_next(r, &c, &d) > 0)
		assert_int_equal(replay_feed(*out, &c, &d), 0);
	assert_int_equal(d.status, ST_OK);
	trace_close(r);
	return replay_end(*out);
}

static int live_file(bool spoil)
{
	struct diag d = { .status = ST_OK };
	int fd = file_make();
	struct trace_reader *r;
	struct trace_chunk c;

	assert_int_equal(
		trace_open(&r, synth_file("engineering,ms=1500"), "s", &d), 0);
	free(info);
	info = malloc(sizeof(*info));
	assert_non_null(info);
	*info = *trace_info(r);
	assert_int_equal(trace_writer_create(&writer, fd, info), 0);
	struct access_record *all = malloc(1000000 * sizeof(*all));
	uint64_t nr = 0;

	assert_non_null(all);
	while (trace_next(r, &c, &d) > 0)
		for (uint32_t i = 0; i < c.nr && nr < 1000000; i++)
			all[nr++] = c.records[i];
	live_run(all, nr);
	if (spoil) {
		struct trace_event e = { .kind = TRACE_DECISION };

		assert_int_equal(trace_writer_event(writer, &e), 0);
	}
	assert_int_equal(trace_writer_end(writer, 0, 0), 0);
	trace_writer_destroy(writer);
	trace_close(r);
	free(all);
	return fd;
}

static void a_replay_decides_as_the_live_engine(void **state)
{
	const struct replay_result *x;
	struct replay *r;

	(void)state;
	x = replay_file(live_file(false), &r);
	print_message("# %llu accesses, %llu decisions\n",
		      (unsigned long long)x->accesses,
		      (unsigned long long)x->decisions);
	assert_int_equal(x->engines, 1);
	assert_true(x->decisions > 10000);
	assert_int_equal(x->equal, x->decisions);
	assert_false(x->lost);
	replay_destroy(r);
	x = replay_file(live_file(true), &r);
	assert_int_equal(x->equal + 1, x->decisions);
	assert_int_equal(x->recorded.kind, TRACE_DECISION);
	replay_destroy(r);
	live_copies = true;
	x = replay_file(live_file(false), &r);
	live_copies = false;
	assert_true(x->decisions > 10000);
	assert_int_equal(x->equal, x->decisions);
	replay_destroy(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accesses_cost_by_where_pages_are),
		cmocka_unit_test(a_hot_page_moves_once),
		cmocka_unit_test(a_read_page_is_copied_until_it_is_written),
		cmocka_unit_test(times_have_buckets),
		cmocka_unit_test(wrong_values_are_refused),
		cmocka_unit_test(the_optimum_is_that_of_all_schedules),
		cmocka_unit_test(policies_are_in_the_order_of_the_paper),
		cmocka_unit_test(a_replay_decides_as_the_live_engine),
	};
	struct CMUnitTest all[ARRAY_SIZE(tests)];

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		all[i] = tests[i];
		all[i].setup_func = set_up;
		all[i].teardown_func = tear_down;
	}
	return cmocka_run_group_tests_name("sim", all, NULL, NULL);
}
