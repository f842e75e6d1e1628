/* SPDX-License-Identifier: BSD-2-Clause */
/* The figures that workers count in shared memory, for people and machines. */
#include <inttypes.h>

#include "monitor/control/api/api_handlers.h"

static json_t *vcpu_json(const uint64_t exits[FIGURES_NR_EXITS])
{
	json_t *one = json_object();

	for (unsigned k = 0; k < FIGURES_NR_EXITS; k++)
		(void)json_object_set_new(one, figures_exit_name(k),
					  json_integer((json_int_t)exits[k]));
	return one;
}

static json_t *huge_json(const uint64_t words[FIGURES_NR_HUGE])
{
	return json_pack("{s:I, s:I, s:I, s:I}", "bytes",
			 (json_int_t)words[FIGURES_HUGE_BYTES], "splits",
			 (json_int_t)words[FIGURES_HUGE_SPLITS], "collapses",
			 (json_int_t)words[FIGURES_HUGE_COLLAPSES], "aborted",
			 (json_int_t)words[FIGURES_HUGE_ABORTED]);
}

json_t *exits_json(struct guest *g, json_t *stats)
{
	struct figures_view *f = &g->figures;
	json_t *vcpus = json_array();

	figures_look(f);
	for (unsigned i = 0; f->known && i < f->nr_vcpus; i++)
		(void)json_array_append_new(vcpus, vcpu_json(f->last.exits[i]));
	(void)json_object_set_new(stats, "vcpu_exits", vcpus);
	(void)json_object_set_new(stats, "io_wakeups",
				  json_integer((json_int_t)f->last.io_wakeups));
	(void)json_object_set_new(stats, "io_events",
				  json_integer((json_int_t)f->last.io_events));
	(void)json_object_set_new(
		stats, "freed_pages",
		json_integer((json_int_t)f->last.freed_pages));
	(void)json_object_set_new(stats, "huge", huge_json(f->last.huge));
	return stats;
}

/* Names of VMs have no character that a label would have to escape. */
static void print_exits(const struct guest *g, FILE *out)
{
	const struct figures_view *f = &g->figures;

	for (unsigned i = 0; i < f->nr_vcpus; i++)
		for (unsigned k = 0; k < FIGURES_NR_EXITS; k++)
			(void)fprintf(out,
				      "disco_vm_vcpu_exits_total{vm=\"%s\","
				      "vcpu=\"%u\",node=\"%d\",reason=\"%s\"} "
				      "%" PRIu64 "\n",
				      g->record.name, i, g->record.node,
				      figures_exit_name(k),
				      f->last.exits[i][k]);
}

static void print_io(const struct guest *g, const char *name, uint64_t n,
		     FILE *out)
{
	(void)fprintf(out,
		      "disco_vm_%s_total{vm=\"%s\",node=\"%d\"} "
		      "%" PRIu64 "\n",
		      name, g->record.name, g->record.node, n);
}

static void print_wakeups(const struct guest *g, FILE *out)
{
	print_io(g, "io_wakeups", g->figures.last.io_wakeups, out);
}

static void print_events(const struct guest *g, FILE *out)
{
	print_io(g, "io_events", g->figures.last.io_events, out);
}

static void print_freed(const struct guest *g, FILE *out)
{
	print_io(g, "freed_pages", g->figures.last.freed_pages, out);
}

static void print_huge(const struct guest *g, FILE *out)
{
	(void)fprintf(
		out, "disco_vm_huge_bytes{vm=\"%s\",node=\"%d\"} %" PRIu64 "\n",
		g->record.name, g->record.node,
		g->figures.last.huge[FIGURES_HUGE_BYTES]);
}

static void print_splits(const struct guest *g, FILE *out)
{
	print_io(g, "huge_splits", g->figures.last.huge[FIGURES_HUGE_SPLITS],
		 out);
}

static void print_collapses(const struct guest *g, FILE *out)
{
	print_io(g, "huge_collapses",
		 g->figures.last.huge[FIGURES_HUGE_COLLAPSES], out);
}

static void print_aborted(const struct guest *g, FILE *out)
{
	print_io(g, "huge_collapses_aborted",
		 g->figures.last.huge[FIGURES_HUGE_ABORTED], out);
}

static const struct family {
	const char *name, *help;
	void (*print)(const struct guest *g, FILE *out);
	bool gauge;
} families[] = {
	{ "disco_vm_vcpu_exits_total", "Returns of KVM_RUN, by reason.",
	  print_exits, false },
	{ "disco_vm_io_wakeups_total",
	  "Times that the worker's I/O thread was woken.", print_wakeups,
	  false },
	{ "disco_vm_io_events_total",
	  "Descriptors that the I/O thread found ready.", print_events, false },
	{ "disco_vm_freed_pages_total",
	  "Pages of guest memory that the guest gave back.", print_freed,
	  false },
	{ "disco_vm_huge_bytes",
	  "Guest memory in pages of 2 MiB, as of the last survey.", print_huge,
	  true },
	{ "disco_vm_huge_splits_total", "Pages of 2 MiB that were taken apart.",
	  print_splits, false },
	{ "disco_vm_huge_collapses_total",
	  "Pages of 2 MiB that were made again.", print_collapses, false },
	{ "disco_vm_huge_collapses_aborted_total",
	  "Pages of 2 MiB that could not be made again.", print_aborted,
	  false },
};

void exits_metrics(const struct monitor *m, FILE *out)
{
	for (struct guest *g = m->guests; g; g = g->next)
		figures_look(&g->figures);
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		const struct family *k = &families[i];

		(void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", k->name,
			      k->help, k->name, k->gauge ? "gauge" : "counter");
		for (const struct guest *g = m->guests; g; g = g->next)
			if (!g->ended && g->figures.known)
				k->print(g, out);
	}
}
