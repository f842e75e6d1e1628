/* SPDX-License-Identifier: BSD-2-Clause */
/* How long moves have held VMs up, for people and machines. */
#include <inttypes.h>

#include "monitor/control/api/api_handlers.h"

static const char *const kinds[GUEST_NR_STALLS] = {
	[GUEST_STALL_BATCH] = "batch",
	[GUEST_STALL_PARKED] = "parked",
};

static json_t *hist_json(const struct stall_hist *h)
{
	json_t *counts = json_array();

	for (unsigned i = 0; i < STALL_BUCKETS; i++)
		(void)json_array_append_new(
			counts, json_integer((json_int_t)h->counts[i]));
	return json_pack("{s:o, s:I}", "counts", counts, "sum_ns",
			 (json_int_t)h->sum_ns);
}

json_t *stalls_json(const struct guest *g, json_t *stats)
{
	json_t *stalls = json_object();

	for (unsigned k = 0; k < GUEST_NR_STALLS; k++)
		(void)json_object_set_new(stalls, kinds[k],
					  hist_json(&g->stalls[k]));
	(void)json_object_set_new(stats, "stalls", stalls);
	return stats;
}

/* Buckets of Prometheus hold what is in those below, too. */
static void print_hist(const struct guest *g, unsigned kind, FILE *out)
{
	const struct stall_hist *h = &g->stalls[kind];
	uint64_t below = 0;
	char labels[VM_NAME_MAX + 64];

	(void)snprintf(labels, sizeof(labels),
		       "vm=\"%s\",node=\"%d\",kind=\"%s\"", g->record.name,
		       g->record.node, kinds[kind]);
	for (unsigned i = 0; i < STALL_BUCKETS; i++) {
		char bound[32] = "+Inf";

		below += h->counts[i];
		if (i < STALL_BUCKETS - 1)
			(void)snprintf(bound, sizeof(bound), "%.12g",
				       (double)stall_bound_ns(i) / 1e9);
		(void)fprintf(out,
			      "disco_stall_seconds_bucket{%s,le=\"%s\"} "
			      "%" PRIu64 "\n",
			      labels, bound, below);
	}
	(void)fprintf(out,
		      "disco_stall_seconds_sum{%s} %.15g\n"
		      "disco_stall_seconds_count{%s} %" PRIu64 "\n",
		      labels, (double)h->sum_ns / 1e9, labels, below);
}

void stalls_metrics(const struct monitor *m, FILE *out)
{
	(void)fputs("# HELP disco_stall_seconds How long a move has held a VM "
		    "up at a time: a batch of pages, or its CPUs parked.\n"
		    "# TYPE disco_stall_seconds histogram\n",
		    out);
	for (const struct guest *g = m->guests; g; g = g->next)
		for (unsigned k = 0; !g->ended && k < GUEST_NR_STALLS; k++)
			print_hist(g, k, out);
}
