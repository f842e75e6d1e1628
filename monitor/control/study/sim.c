/* SPDX-License-Identifier: BSD-2-Clause */
/* disco sim: what policies would have made of a recorded run. */
#include <errno.h>
#include <string.h>

#include "monitor/control/study/study.h"

enum { SIM_JSON = STUDY_NR_OPTIONS, SIM_CSV };

static const struct option_entry sim_options[] = {
	{ .name = "json", .help = "print all figures as JSON" },
	{ .name = "csv", .help = "print all figures as CSV" },
	{ .name = NULL },
};

static const char *const sim_standard[] = {
	"first-touch", "interleave", "migrate",	 "replicate", "disco",
	"carrefour",   "autonuma",   "balanced", NULL,
};

/* --- a table -------------------------------------------------------------- */

static double sim_seconds(uint64_t ns)
{
	return (double)ns / 1e9;
}

static void sim_print_head(const struct study_trace *t)
{
	const struct sim_result *r = &t->runs[0].result;

	printf("%s: %llu accesses of %u VM%s in %.3f s, %llu pages touched, "
	       "%u nodes, by %s%s\n",
	       t->path, (unsigned long long)t->totals.accesses, t->info->nr_vms,
	       t->info->nr_vms == 1 ? "" : "s",
	       sim_seconds(r->last_ns - r->first_ns),
	       (unsigned long long)r->pages, t->machine->nr_nodes,
	       t->info->origin[0] ? t->info->origin : "?",
	       t->cut ? "; the file was cut" : "");
	if (t->info->text[0])
		printf("%s\n", t->info->text);
	if (t->totals.lost)
		printf("%llu accesses were lost when it was recorded\n",
		       (unsigned long long)t->totals.lost);
	if (r->skipped)
		printf("%llu accesses are of no known node, and left out\n",
		       (unsigned long long)r->skipped);
	if (!t->totals.compute_ns)
		printf("What CPUs computed is not known: TIME is that of "
		       "memory alone.\n");
	printf("\n%-32s %7s %9s %9s %8s %8s %8s %9s %8s %8s\n", "POLICY",
	       "LOCAL", "TIME s", "STALL s", "MOVES", "COPIES", "COLLAPSE",
	       "COPIES MB", "COST s", "REGRET");
}

static void sim_print_run(const struct study *s, const struct study_trace *t,
			  const struct study_run *run)
{
	const struct sim_result *r = &run->result;
	char regret[16] = "-";

	/* An optimum of moves says nothing of a run with copies. */
	if (s->o.optimum && (!r->copies || t->optimum_has_replicas))
		(void)snprintf(regret, sizeof(regret), "%.1f %%",
			       100 * study_regret(s, t, run));
	printf("%-32s %5.1f %% %9.3f %9.3f %8llu %8llu %8llu %9.1f %8.3f "
	       "%8s\n",
	       run->policy, 100 * study_local(run),
	       sim_seconds(study_time_ns(t, run)), sim_seconds(r->stall_ns),
	       (unsigned long long)r->moves, (unsigned long long)r->copies,
	       (unsigned long long)r->collapses,
	       (double)r->replica_pages_max * PAGE_BYTES / 1e6,
	       sim_seconds(r->spent_ns), regret);
}

static void sim_print_bounds(const struct study *s, const struct study_trace *t)
{
	if (s->o.optimum)
		printf("%-32s %7s %9.3f %9.3f%s\n", "the offline optimum", "",
		       sim_seconds(study_best_ns(t)),
		       sim_seconds(t->optimum_ns),
		       s->o.replicas && !t->optimum_has_replicas
			       ? "   of moves; not of copies: too many nodes"
			       : "");
	printf("%-32s %5.1f %% %9.3f %9.3f\n\n", "all misses local (UMA)",
	       100.0, sim_seconds(study_uma_ns(t)),
	       sim_seconds(t->runs[0].result.uma_ns));
}

static void sim_print_table(const struct study *s)
{
	for (uint32_t i = 0; i < s->nr_traces; i++) {
		sim_print_head(&s->traces[i]);
		for (uint32_t k = 0; k < s->nr_runs; k++)
			sim_print_run(s, &s->traces[i], &s->traces[i].runs[k]);
		sim_print_bounds(s, &s->traces[i]);
	}
	if (s->nr_traces < 2 || !s->o.optimum)
		return;
	printf("%-32s %s\n", "POLICY", "REGRET, geometric mean of all");
	for (uint32_t k = 0; k < s->nr_runs; k++)
		printf("%-32s %5.1f %%\n", s->policies[k],
		       100 * study_mean_regret(s, k));
}

/* --- all figures ---------------------------------------------------------- */

/* Names and values, for both formats: in this order. */
struct sim_figure {
	const char *name;
	double value;
};

#define SIM_FIGURES 20u

static unsigned sim_figures(const struct study *s, const struct study_trace *t,
			    const struct study_run *run,
			    struct sim_figure f[SIM_FIGURES])
{
	const struct sim_result *r = &run->result;
	double ns = (double)(r->last_ns - r->first_ns);
	const struct sim_figure all[] = {
		{ "accesses", (double)r->accesses },
		{ "skipped", (double)r->skipped },
		{ "local_share", study_local(run) },
		{ "time_ns", (double)study_time_ns(t, run) },
		{ "compute_ns", (double)t->totals.compute_ns },
		{ "stall_ns", (double)r->stall_ns },
		{ "cost_ns", (double)r->spent_ns },
		{ "moves", (double)r->moves },
		{ "bounced", (double)r->bounced },
		{ "copies", (double)r->copies },
		{ "collapses", (double)r->collapses },
		{ "pages", (double)r->pages },
		{ "replica_pages_max", (double)r->replica_pages_max },
		{ "replica_pages_mean", ns > 0 ? r->replica_page_ns / ns : 0 },
		{ "uma_ns", (double)study_uma_ns(t) },
		{ "optimum_ns", s->o.optimum ? (double)study_best_ns(t) : 0.0 },
		{ "regret", study_regret(s, t, run) },
		{ "cpu_ns", (double)run->cpu_ns },
	};

	_Static_assert(ARRAY_SIZE(all) <= SIM_FIGURES, "room");
	memcpy(f, all, sizeof(all));
	return ARRAY_SIZE(all);
}

static void sim_print_csv(const struct study *s)
{
	struct sim_figure f[SIM_FIGURES];
	unsigned nr = sim_figures(s, &s->traces[0], &s->traces[0].runs[0], f);

	printf("trace,policy");
	for (unsigned i = 0; i < nr; i++)
		printf(",%s", f[i].name);
	printf("\n");
	for (uint32_t i = 0; i < s->nr_traces * s->nr_runs; i++) {
		const struct study_trace *t = &s->traces[i / s->nr_runs];
		const struct study_run *run = &t->runs[i % s->nr_runs];

		(void)sim_figures(s, t, run, f);
		/* A policy's text has commas. */
		printf("\"%s\",\"%s\"", t->path, run->policy);
		for (unsigned k = 0; k < nr; k++)
			printf(",%.17g", f[k].value);
		printf("\n");
	}
}

static json_t *sim_run_json(const struct study *s, const struct study_trace *t,
			    const struct study_run *run)
{
	json_t *o = json_pack("{s:s, s:s, s:b}", "trace", t->path, "policy",
			      run->policy, "cut", t->cut);
	struct sim_figure f[SIM_FIGURES];
	unsigned nr = sim_figures(s, t, run, f);

	for (unsigned i = 0; i < nr; i++) {
		double whole = (double)(int64_t)f[i].value;

		(void)json_object_set_new(
			o, f[i].name,
			whole == f[i].value &&
					strstr(f[i].name, "share") == NULL &&
					strcmp(f[i].name, "regret") != 0
				? json_integer((json_int_t)whole)
				: json_real(f[i].value));
	}
	return o;
}

static int sim_print_json(const struct study *s, struct diag *d)
{
	json_t *list = json_array();
	int err;

	for (uint32_t i = 0; i < s->nr_traces * s->nr_runs; i++)
		(void)json_array_append_new(
			list, sim_run_json(s, &s->traces[i / s->nr_runs],
					   &s->traces[i / s->nr_runs]
						    .runs[i % s->nr_runs]));
	err = json_dumpf(list, stdout, JSON_INDENT(2));
	json_decref(list);
	if (err)
		return diag_fail(d, ST_HOST, EIO, "cannot write the output");
	printf("\n");
	return 0;
}

static int sim_run(const struct command_args *a, struct diag *d)
{
	struct study s;
	int err = study_create(a, sim_standard, &s, d);

	if (!err)
		err = study_run(&s, d);
	if (!err && a->given[SIM_JSON])
		err = sim_print_json(&s, d);
	else if (!err && a->given[SIM_CSV])
		sim_print_csv(&s);
	else if (!err)
		sim_print_table(&s);
	study_destroy(&s);
	return err;
}

const struct command sim_command = {
	.name = "sim",
	.brief = "play recorded runs with other placement policies",
	.words = "TRACE...",
	.help = "Play recorded runs with policies of the placement of pages, "
		"by the same engine and policies that place pages of running "
		"virtual machines, and print what each policy would have made "
		"of each run. No monitor is needed.",
	.min_words = 1,
	.max_words = STUDY_MAX_TRACES,
	.options = { study_option_table, sim_options },
	.run = sim_run,
};
