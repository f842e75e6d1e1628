/* SPDX-License-Identifier: BSD-2-Clause */
/* The hints that guests have given, as their workers count them. */
#include <inttypes.h>

#include "guest-hints/abi/hints_abi.h"
#include "monitor/control/api/api_handlers.h"

_Static_assert(FIGURES_HINTS_KINDS + HINTS_NR_KINDS <= FIGURES_HINTS_REFUSED,
	       "a word for each kind");

static const char *const hints_kinds[HINTS_NR_KINDS] = {
	[HINTS_READ_MOSTLY] = "read_mostly",
	[HINTS_PRIVATE] = "private",
	[HINTS_REWRITE] = "rewrite",
	[HINTS_COLD] = "cold",
	[HINTS_FREE] = "free",
	[HINTS_ZERO] = "zero",
	[HINTS_PIN] = "pin",
	[HINTS_PIN_OFF] = "pin_off",
	[HINTS_PHASE_BEGIN] = "phase_begin",
	[HINTS_PHASE_END] = "phase_end",
	[HINTS_MERGE] = "merge",
	[HINTS_FORGET] = "forget",
};

/* Sums beside the counts by kind; metric: NULL in JSON alone. */
static const struct {
	enum figures_hints_word word;
	const char *key, *metric, *help;
} hints_sums[] = {
	{ FIGURES_HINTS_REFUSED, "refused", "disco_vm_hints_refused_total",
	  "Hints that named no memory of the guest, or nothing known." },
	{ FIGURES_HINTS_FREED_PAGES, "freed_pages",
	  "disco_vm_hints_freed_pages_total",
	  "Pages that went back to the machine by hints." },
	{ FIGURES_HINTS_COLD_PAGES, "cold_pages",
	  "disco_vm_hints_cold_pages_total",
	  "Pages that the guest has called cold." },
	{ FIGURES_HINTS_MERGE_PAGES, "merge_pages",
	  "disco_vm_hints_merge_pages_total",
	  "Pages that the guest has nominated for merging." },
	{ FIGURES_HINTS_SLOWED, "slowed", "disco_vm_hints_slowed_total",
	  "Times that the guest gave more hints than its share." },
	{ FIGURES_HINTS_BROKEN, "broken", "disco_vm_hints_broken_total",
	  "Times that the guest broke the ring of its hints." },
	{ FIGURES_HINTS_SPENT_NS, "spent_ns", NULL, NULL },
};

json_t *hints_json(const struct guest *g, json_t *stats)
{
	const uint64_t *words = g->figures.last.hints;
	json_t *all = json_object(), *kinds = json_object();

	for (unsigned i = 1; i < HINTS_NR_KINDS; i++)
		(void)json_object_set_new(
			kinds, hints_kinds[i],
			json_integer(
				(json_int_t)words[FIGURES_HINTS_KINDS + i]));
	(void)json_object_set_new(all, "taken", kinds);
	for (size_t i = 0; i < ARRAY_SIZE(hints_sums); i++)
		(void)json_object_set_new(
			all, hints_sums[i].key,
			json_integer((json_int_t)words[hints_sums[i].word]));
	(void)json_object_set_new(stats, "hints", all);
	return stats;
}

/* Names of VMs have no character that a label would have to escape. */
static void hints_print_kinds(const struct guest *g, FILE *out)
{
	for (unsigned i = 1; i < HINTS_NR_KINDS; i++)
		(void)fprintf(out,
			      "disco_vm_hints_total{vm=\"%s\",node=\"%d\","
			      "kind=\"%s\"} %" PRIu64 "\n",
			      g->record.name, g->record.node, hints_kinds[i],
			      g->figures.last.hints[FIGURES_HINTS_KINDS + i]);
}

static bool hints_are_known(const struct guest *g)
{
	return !g->ended && g->figures.known;
}

static void hints_print_spent(const struct guest *g, FILE *out)
{
	(void)fprintf(out,
		      "disco_vm_hints_seconds_total{vm=\"%s\",node=\"%d\"} "
		      "%.9f\n",
		      g->record.name, g->record.node,
		      (double)g->figures.last.hints[FIGURES_HINTS_SPENT_NS] /
			      1e9);
}

static void hints_print_family(const struct monitor *m, const char *name,
			       const char *help,
			       void (*print)(const struct guest *g, FILE *out),
			       FILE *out)
{
	(void)fprintf(out, "# HELP %s %s\n# TYPE %s counter\n", name, help,
		      name);
	for (const struct guest *g = m->guests; g; g = g->next)
		if (hints_are_known(g))
			print(g, out);
}

/* After exits_metrics(), which looks at the figures. */
void hints_metrics(const struct monitor *m, FILE *out)
{
	hints_print_family(m, "disco_vm_hints_total",
			   "Hints that were taken, by kind.", hints_print_kinds,
			   out);
	hints_print_family(m, "disco_vm_hints_seconds_total",
			   "Time that the worker has spent on hints.",
			   hints_print_spent, out);
	for (size_t i = 0; i < ARRAY_SIZE(hints_sums); i++) {
		const char *name = hints_sums[i].metric;

		if (!name)
			continue;
		(void)fprintf(out, "# HELP %s %s\n# TYPE %s counter\n", name,
			      hints_sums[i].help, name);
		for (const struct guest *g = m->guests; g; g = g->next)
			if (hints_are_known(g))
				(void)fprintf(
					out,
					"%s{vm=\"%s\",node=\"%d\"} %" PRIu64
					"\n",
					name, g->record.name, g->record.node,
					g->figures.last
						.hints[hints_sums[i].word]);
	}
}
