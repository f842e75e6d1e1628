/* SPDX-License-Identifier: BSD-2-Clause */
/* The nodes of VMs: where their CPUs and their memory are. */
#include "monitor/control/api/api_handlers.h"
#include "monitor/control/run/report.h"

json_t *nodes_json(const struct guest *g)
{
	json_t *list = json_array();
	struct node_list nodes;

	state_vm_nodes(&g->record, &nodes);
	for (unsigned i = 0; i < nodes.nr; i++)
		(void)json_array_append_new(list, json_integer(nodes.ids[i]));
	return list;
}

json_t *vcpu_nodes_json(const struct guest *g)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < g->record.nr_vcpus; i++)
		(void)json_array_append_new(
			list, json_integer(g->record.vcpu_nodes[i]));
	return list;
}

json_t *node_figures_json(const struct guest *g, json_t *stats)
{
	(void)json_object_set_new(stats, "nodes", nodes_json(g));
	(void)json_object_set_new(stats, "vcpu_moves",
				  json_integer((json_int_t)g->vcpu_moves));
	(void)json_object_set_new(stats, "ram_on",
				  report_node_pages(&g->vm.figures));
	(void)json_object_set_new(stats, "views", report_views(&g->vm.figures));
	return stats;
}

bool guest_is_on(const struct guest *g, nodeid_t node)
{
	for (unsigned i = 0; i < g->record.nr_vcpus; i++)
		if (g->record.vcpu_nodes[i] == node)
			return true;
	return g->record.node == node;
}

static unsigned nodes_vcpus(const struct guest *g, nodeid_t node)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < g->record.nr_vcpus; i++)
		nr += g->record.vcpu_nodes[i] == node;
	return nr;
}

static void nodes_print(const char *name, const struct guest *g, nodeid_t node,
			uint64_t value, FILE *out)
{
	(void)fprintf(out, "%s{vm=\"%s\",node=\"%d\"} %llu\n", name,
		      g->record.name, node, (unsigned long long)value);
}

static void nodes_print_vcpus(const struct guest *g, const char *name,
			      FILE *out)
{
	struct node_list nodes;

	state_vm_nodes(&g->record, &nodes);
	for (unsigned i = 0; i < nodes.nr; i++)
		nodes_print(name, g, nodes.ids[i], nodes_vcpus(g, nodes.ids[i]),
			    out);
}

static void nodes_print_pages(const struct guest *g, const char *name,
			      FILE *out)
{
	const struct worker_node_pages *on = g->vm.figures.ram_on;

	for (unsigned i = 0; g->stats_ns && i < MAX_NODES; i++)
		if (on[i].pages)
			nodes_print(name, g, on[i].node, on[i].pages, out);
}

static void nodes_print_sent(const struct guest *g, const char *name, FILE *out)
{
	const struct vm_figures *f = &g->vm.figures;

	for (unsigned k = 0; f->nr_views && k < WORKER_NR_SENT; k++)
		(void)fprintf(out, "%s{vm=\"%s\",kind=\"%s\"} %llu\n", name,
			      g->record.name,
			      report_sent_name((enum worker_sent)k),
			      (unsigned long long)f->sent[k]);
}

static void nodes_print_view(const struct guest *g, const char *name,
			     unsigned view, uint64_t value, FILE *out)
{
	(void)fprintf(out, "%s{vm=\"%s\",view=\"%u\"} %llu\n", name,
		      g->record.name, view, (unsigned long long)value);
}

static void nodes_print_copies(const struct guest *g, const char *name,
			       FILE *out)
{
	const struct vm_figures *f = &g->vm.figures;

	for (unsigned i = 0; f->copies_limit && i < f->nr_views; i++)
		nodes_print_view(g, name, i, f->copies[i].now, out);
}

static void nodes_print_made(const struct guest *g, const char *name, FILE *out)
{
	const struct vm_figures *f = &g->vm.figures;

	for (unsigned i = 0; f->copies_limit && i < f->nr_views; i++)
		nodes_print_view(g, name, i, f->copies[i].made, out);
}

static void nodes_print_waits(const struct guest *g, const char *name,
			      FILE *out)
{
	const struct vm_figures *f = &g->vm.figures;

	for (unsigned i = 0; f->copies_limit && i < f->nr_views; i++)
		nodes_print_view(g, name, i, f->copies[i].waits, out);
}

void node_metrics(const struct monitor *m, FILE *out)
{
	static const struct {
		const char *name, *type, *help;
		void (*print)(const struct guest *g, const char *name,
			      FILE *out);
	} metrics[] = {
		{ "disco_vm_node_vcpus", "gauge",
		  "Virtual CPUs of the VM on the node.", nodes_print_vcpus },
		{ "disco_vm_node_pages", "gauge",
		  "Touched pages of guest memory on the node.",
		  nodes_print_pages },
		{ "disco_vm_views_sent_total", "counter",
		  "Interrupts that went from one view of the VM to another.",
		  nodes_print_sent },
		{ "disco_vm_view_copies", "gauge",
		  "Copies of pages that the view of the VM shows.",
		  nodes_print_copies },
		{ "disco_vm_view_copies_made_total", "counter",
		  "Copies of pages that were made for the view.",
		  nodes_print_made },
		{ "disco_vm_view_waits_total", "counter",
		  "Writes of the view that waited for copies to end.",
		  nodes_print_waits },
	};

	for (size_t i = 0; i < ARRAY_SIZE(metrics); i++) {
		(void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n",
			      metrics[i].name, metrics[i].help, metrics[i].name,
			      metrics[i].type);
		for (const struct guest *g = m->guests; g; g = g->next)
			if (!g->ended)
				metrics[i].print(g, metrics[i].name, out);
	}
}
