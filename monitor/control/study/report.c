/* SPDX-License-Identifier: BSD-2-Clause */
/* disco report: a page about recorded runs, for a browser. */
#include "monitor/control/study/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/control/base/new_file.h"
#include "monitor/control/study/trace_commands.h"

#define LITTLE 0.02 /* of the time: not worth a reader's while */

enum { REPORT_OUTPUT = STUDY_NR_OPTIONS };

static const struct option_entry report_options[] = {
	{ .name = "output",
	  .letter = 'o',
	  .arg = "HTML",
	  .needed = true,
	  .help = "the new file" },
	{ .name = NULL },
};

static const char *const report_standard[] = { "first-touch", "interleave",
					       "migrate",     "disco",
					       "balanced",    NULL };

/* --- what a reader wants first -------------------------------------------- */

/* The run that takes least time, and the first one that is given. */
static const struct study_run *report_best(const struct study *s,
					   const struct study_trace *t)
{
	const struct study_run *best = &t->runs[0];

	for (uint32_t k = 1; k < s->nr_runs; k++)
		if (study_time_ns(t, &t->runs[k]) < study_time_ns(t, best))
			best = &t->runs[k];
	return best;
}

static void report_lead(FILE *out, const struct study *s,
			const struct study_trace *t)
{
	const struct study_run *first = &t->runs[0], *best = report_best(s, t);
	double was = (double)study_time_ns(t, first);
	double now = (double)study_time_ns(t, best);
	double least = s->o.optimum ? (double)study_best_ns(t) : now;
	double saved = was > 0 ? 1 - now / was : 0;
	double room = was > 0 ? 1 - least / was : 0;

	(void)fputs("<p class=\"lead\">", out);
	if (was <= 0) {
		(void)fputs("No access in this trace is of a known node: it is "
			    "good for the maps alone.</p>\n",
			    out);
		return;
	}
	if (room < LITTLE) {
		(void)fprintf(out,
			      "Placement is not the problem here: not even the "
			      "best possible one would save more than %.1f %% "
			      "of the time. With <b>",
			      100 * room);
		report_text(out, first->policy);
		(void)fprintf(out, "</b>, %.1f %% of accesses are local.",
			      100 * study_local(first));
	} else if (saved < LITTLE) {
		(void)fputs("None of these policies saves 2 % of the time that "
			    "<b>",
			    out);
		report_text(out, first->policy);
		(void)fprintf(out,
			      "</b> takes, with %.1f %% of accesses local; the "
			      "best possible placement would save %.1f %%.",
			      100 * study_local(first), 100 * room);
	} else {
		(void)fputs("<b>", out);
		report_text(out, best->policy);
		(void)fprintf(out, "</b> saves %.1f %% of the time that <b>",
			      100 * saved);
		report_text(out, first->policy);
		(void)fprintf(out,
			      "</b> takes: %.1f %% of accesses are local "
			      "instead of %.1f %%. The best possible placement "
			      "would save %.1f %%.",
			      100 * study_local(best), 100 * study_local(first),
			      100 * room);
	}
	(void)fputs("</p>\n", out);
}

static void report_facts(FILE *out, const struct study_trace *t)
{
	const struct sim_result *r = &t->runs[0].result;
	char accesses[16];

	(void)fputs("<p class=\"dim\">", out);
	report_text(out, t->path);
	(void)fprintf(out,
		      ": %s accesses recorded in %.3f s, of %u VM%s; %.1f MiB "
		      "touched; %u nodes; by ",
		      report_number((double)t->totals.accesses, accesses),
		      (double)(r->last_ns - r->first_ns) / 1e9, t->info->nr_vms,
		      t->info->nr_vms == 1 ? "" : "s",
		      (double)r->pages * PAGE_BYTES / (double)MIB(1),
		      t->machine->nr_nodes);
	report_text(out, t->info->origin);
	(void)fputs(". ", out);
	report_text(out, t->info->text);
	if (!t->totals.compute_ns)
		(void)fputs(" What CPUs computed is not known: times are of "
			    "memory alone.",
			    out);
	if (t->totals.lost)
		(void)fprintf(out, " %llu accesses were lost.",
			      (unsigned long long)t->totals.lost);
	if (t->cut)
		(void)fputs(" The file was cut.", out);
	(void)fputs("</p>\n", out);
}

/* --- the table ------------------------------------------------------------ */

static void report_table(FILE *out, const struct study *s,
			 const struct study_trace *t)
{
	(void)fputs("<div class=\"w\"><table><tr><th>policy</th><th>local"
		    "</th><th>time, s</th><th>waiting, s</th><th>moves</th>"
		    "<th>copies</th><th>collapses</th><th>copies, MiB at most"
		    "</th><th>cost, s</th><th>over the optimum</th></tr>\n",
		    out);
	for (uint32_t k = 0; k < s->nr_runs; k++) {
		const struct study_run *run = &t->runs[k];
		const struct sim_result *r = &run->result;

		(void)fputs("<tr><td>", out);
		report_text(out, run->policy);
		(void)fprintf(out,
			      "</td><td>%.1f %%</td><td>%.3f</td><td>%.3f"
			      "</td><td>%llu</td><td>%llu</td><td>%llu</td>"
			      "<td>%.1f</td><td>%.3f</td><td>%.1f %%</td>"
			      "</tr>\n",
			      100 * study_local(run),
			      (double)study_time_ns(t, run) / 1e9,
			      (double)r->stall_ns / 1e9,
			      (unsigned long long)r->moves,
			      (unsigned long long)r->copies,
			      (unsigned long long)r->collapses,
			      (double)r->replica_pages_max * PAGE_BYTES /
				      (double)MIB(1),
			      (double)r->spent_ns / 1e9,
			      100 * study_regret(s, t, run));
	}
	(void)fputs("</table></div>\n", out);
}

/* Of several traces: the mean of each policy. */
static void report_means(FILE *out, const struct study *s)
{
	if (s->nr_traces < 2)
		return;
	(void)fprintf(out,
		      "<h2>All %u traces</h2><div class=\"w\"><table><tr><th>"
		      "policy</th><th>over the optimum, geometric mean</th>"
		      "</tr>\n",
		      s->nr_traces);
	for (uint32_t k = 0; k < s->nr_runs; k++) {
		(void)fputs("<tr><td>", out);
		report_text(out, s->policies[k]);
		(void)fprintf(out, "</td><td>%.1f %%</td></tr>\n",
			      100 * study_mean_regret(s, k));
	}
	(void)fputs("</table></div>\n", out);
}

/* --- the page ------------------------------------------------------------- */

static int report_trace(FILE *out, const struct study *s,
			const struct study_trace *t, struct heat *h,
			struct diag *d)
{
	const char *name = t->info->vms[0].name;
	int err = heat_make(t->path, h, d);

	if (err)
		return err;
	(void)fputs("<h2>", out);
	report_text(out, name[0] ? name : t->path);
	(void)fputs("</h2>\n", out);
	report_lead(out, s, t);
	report_facts(out, t);
	(void)fputs("<div class=\"grid\">\n", out);
	report_times(out, s, t);
	report_local(out, s, t);
	report_heat(out, h);
	report_owners(out, h, t->info->nr_nodes);
	report_moves(out, s, t);
	report_copies(out, s, t);
	(void)fputs("</div>\n", out);
	report_table(out, s, t);
	return 0;
}

static int report_page(FILE *out, const struct study *s, struct diag *d)
{
	struct heat *h = malloc(sizeof(*h));
	int err = h ? 0 : diag_fail(d, ST_HOST, ENOMEM, "out of memory");

	report_begin(out, "Where memory is used: disco report");
	(void)fprintf(out, "<h1>Where memory is used, and what placement would "
			   "save</h1>\n");
	for (uint32_t i = 0; !err && i < s->nr_traces; i++)
		err = report_trace(out, s, &s->traces[i], h, d);
	report_means(out, s);
	(void)fputs("<p class=\"dim\">Made by disco report. The time is "
		    "modelled: computing, waiting for memory by the latency "
		    "between nodes, and the cost of moves and copies; "
		    "docs/placement.md explains each figure.</p>\n",
		    out);
	report_end(out);
	free(h);
	return err;
}

static int report_run(const struct command_args *a, struct diag *d)
{
	const char *path = a->value[REPORT_OUTPUT];
	struct new_file f = NEW_FILE_NONE;
	struct study s = { 0 };
	FILE *out = NULL;
	int err = path ? study_create(a, report_standard, &s, d)
		       : diag_fail(d, ST_USAGE, EINVAL, "--output is needed");

	if (!err)
		err = study_run(&s, d);
	if (!err)
		err = trace_new_file(&f, path, d);
	if (!err && !(out = fdopen(dup(f.fd), "w")))
		err = diag_fail(d, ST_HOST, errno, "%s: %s", path,
				strerror(errno));
	if (!err)
		err = report_page(out, &s, d);
	if (out && (fclose(out) && !err))
		err = diag_fail(d, ST_TRACE, EIO, "%s: cannot be written",
				path);
	if (!err)
		err = trace_publish(&f, path, d);
	new_file_close(&f);
	study_destroy(&s);
	return err;
}

const struct command report_command = {
	.name = "report",
	.brief = "draw recorded runs, and what policies make of them",
	.words = "TRACE...",
	.help = "Make one HTML page about recorded runs: where memory is used "
		"over time, and what policies of the placement of pages would "
		"have made of it. The page needs nothing from elsewhere.",
	.min_words = 1,
	.max_words = STUDY_MAX_TRACES,
	.options = { study_option_table, report_options },
	.run = report_run,
};
