/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disco/clock.h"
#include "monitor/control/api/api_handlers.h"
#include "monitor/control/api/mhd.h"
#include "monitor/control/guests/balancer.h"
#include "numa/topology.h"

#define ASK_AGAIN_NS 1000000000ull /* a worker that did not answer */

/* --- statistics: asked for, then waited for a little --- */

/* A walk over all of its memory: one at a time, whoever waits for it. */
static void ask_exact(struct guest *g)
{
	if (g->exact_id && !g->exact_ns)
		return;
	if (!vm_watch_request(&g->vm, WORKER_REQ_EXACT))
		return;
	g->exact_id = g->vm.last_id;
	g->exact_ns = 0;
}

static void exact_begin(struct api_call *c)
{
	if (!api_may_last(c))
		return;
	c->exact = true;
	api_wait(c, API_EXACT_NS);
	for (struct guest *g = c->m->guests; g; g = g->next)
		if (!g->ended)
			ask_exact(g);
}

void stats_begin(struct api_call *c)
{
	const char *exact = mhd.lookup_connection_value(
		c->conn, MHD_GET_ARGUMENT_KIND, "exact");
	uint64_t now = c->begun_ns;

	if (exact && strcmp(exact, "1") != 0) {
		api_fail(c, MHD_HTTP_BAD_REQUEST, ST_USAGE,
			 "exact=%.16s: it can be exact=1", exact);
		return;
	}
	if (exact) {
		exact_begin(c);
		return;
	}
	api_wait(c, API_STATS_NS);
	for (struct guest *g = c->m->guests; g; g = g->next) {
		/* One request at a time: many clients cost no more than one. */
		bool pending = g->asked_ns > g->stats_ns &&
			       now - g->asked_ns < ASK_AGAIN_NS;

		if (!g->ended && !pending &&
		    vm_watch_request(&g->vm, WORKER_REQ_STATS))
			g->asked_ns = now;
	}
}

static bool all_heard(const struct api_call *c)
{
	for (const struct guest *g = c->m->guests; g; g = g->next)
		if (!g->ended &&
		    (c->exact ? g->exact_ns : g->stats_ns) < c->begun_ns)
			return false;
	return true;
}

/* An ended guest's: how old they were at its end. */
static uint64_t ram_age_ns(const struct guest *g, uint64_t now)
{
	uint64_t then = g->ended ? g->vm.worker.start_ns + g->vm.figures.wall_ns
				 : now;

	return then - min_u64(then, g->vm.figures.ram_ns);
}

json_t *ram_age_json(const struct guest *g, uint64_t now)
{
	if (!g->vm.figures.ram_ns)
		return json_null();
	return json_integer((json_int_t)(ram_age_ns(g, now) / 1000000u));
}

static json_t *stats_json(const struct guest *g, uint64_t now)
{
	const struct vm_figures *f = &g->vm.figures;
	bool known = g->stats_ns || g->ended;

	return json_pack(
		"{s:s, s:s, s:i, s:I, s:o, s:I, s:I, s:I, s:I, s:o, s:b, s:I, "
		"s:I, s:I, s:I, s:I, s:I}",
		"name", g->record.name, "state", guest_state(g), "node",
		(int)g->record.node, "uptime_ms",
		(json_int_t)guest_uptime_ms(g, now), "age_ms",
		known ? json_integer(
				g->ended ? 0
					 : (json_int_t)((now - g->stats_ns) /
							1000000u))
		      : json_null(),
		"cpu_ns", (json_int_t)f->cpu_ns, "exits", (json_int_t)f->exits,
		"ram_pages", (json_int_t)f->ram_pages, "ram_pages_local",
		(json_int_t)f->ram_pages_local, "ram_age_ms",
		ram_age_json(g, now), "ram_exact", (int)f->ram_exact,
		"private_bytes", (json_int_t)f->private_bytes, "text_pages",
		(json_int_t)f->text_pages, "text_pages_local",
		(json_int_t)f->text_pages_local, "moves", (json_int_t)g->moves,
		"moved_pages", (json_int_t)g->moved_pages, "longest_stall_ns",
		(json_int_t)g->longest_stall_ns);
}

static json_t *agents_json(struct monitor *m)
{
	struct agents *all = &m->agents;
	json_t *list = json_array();

	for (unsigned i = 0; i < all->nr; i++) {
		struct agent *a = &all->list[i];
		uint64_t pages, local;

		agent_text_pages(a, &pages, &local);
		(void)json_array_append_new(
			list,
			json_pack("{s:i, s:o, s:I, s:I, s:I, s:o}", "node",
				  (int)a->node, "pid",
				  a->pid ? json_integer(a->pid) : json_null(),
				  "starts", (json_int_t)a->starts, "text_pages",
				  (json_int_t)pages, "text_pages_local",
				  (json_int_t)local, "cache",
				  agent_cache_json(m->caches, a->node)));
	}
	return list;
}

static json_t *balance_json(const struct balancer *b)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "interval_ms",
			 (json_int_t)(b->period_ns / 1000000u), "checks",
			 (json_int_t)b->checks, "moves", (json_int_t)b->moves,
			 "moves_failed", (json_int_t)b->failed);
}

void stats_poll(struct api_call *c, bool late)
{
	uint64_t now = clock_now_ns();
	json_t *list;

	if (!late && !all_heard(c))
		return;
	list = json_array();
	for (struct guest *g = c->m->guests; g; g = g->next) {
		json_t *stats = exits_json(g, stats_json(g, now));

		stats = cache_json(g, stalls_json(g, stats));
		stats = hints_json(g, nets_json(g, stats));
		stats = node_figures_json(g, stats);
		(void)json_array_append_new(list, placement_json(g, stats));
	}
	api_answer(c, MHD_HTTP_OK,
		   json_pack("{s:o, s:o, s:o}", "vms", list, "agents",
			     agents_json(c->m), "balance",
			     balance_json(c->m->balancer)));
}

/* --- Prometheus --- */

static double local_pages(const struct guest *g)
{
	return (double)g->vm.figures.ram_pages_local;
}

static double remote_pages(const struct guest *g)
{
	return (double)(g->vm.figures.ram_pages -
			g->vm.figures.ram_pages_local);
}

static double ram_age(const struct guest *g)
{
	return (double)ram_age_ns(g, clock_now_ns()) / 1e9;
}

static double ram_exact(const struct guest *g)
{
	return g->vm.figures.ram_exact;
}

static double local_text(const struct guest *g)
{
	return (double)g->vm.figures.text_pages_local;
}

static double remote_text(const struct guest *g)
{
	return (double)(g->vm.figures.text_pages -
			g->vm.figures.text_pages_local);
}

static double api_figures_moves(const struct guest *g)
{
	return (double)g->moves;
}

static double moved_pages(const struct guest *g)
{
	return (double)g->moved_pages;
}

static double longest_stall(const struct guest *g)
{
	return (double)g->longest_stall_ns / 1e9;
}

static double api_figures_exits(const struct guest *g)
{
	return (double)g->vm.figures.exits;
}

static double cpu_seconds(const struct guest *g)
{
	return (double)g->vm.figures.cpu_ns / 1e9;
}

static double api_figures_private_bytes(const struct guest *g)
{
	return (double)g->vm.figures.private_bytes;
}

static double api_figures_paused(const struct guest *g)
{
	return g->vm.paused;
}

static const struct metric {
	const char *name, *type, *help;
	double (*value)(const struct guest *g);
} metrics[] = {
	{ "disco_vm_local_pages", "gauge",
	  "Touched pages of guest memory on the VM's node.", local_pages },
	{ "disco_vm_remote_pages", "gauge",
	  "Touched pages of guest memory on other nodes.", remote_pages },
	{ "disco_vm_pages_age_seconds", "gauge",
	  "Time since the pages were counted.", ram_age },
	{ "disco_vm_pages_exact", "gauge",
	  "1 when all pages were looked at, 0 when it is an estimate.",
	  ram_exact },
	{ "disco_vm_text_local_pages", "gauge",
	  "Mapped pages of the worker's text on the VM's node.", local_text },
	{ "disco_vm_text_remote_pages", "gauge",
	  "Mapped pages of the worker's text on other nodes.", remote_text },
	{ "disco_vm_moves_total", "counter",
	  "Moves to a node, by this monitor.", api_figures_moves },
	{ "disco_vm_moved_pages_total", "counter",
	  "Pages that moves have pulled.", moved_pages },
	{ "disco_vm_move_stall_seconds", "gauge",
	  "The longest that a move has held the VM up.", longest_stall },
	{ "disco_vm_exits_total", "counter",
	  "Returns of KVM_RUN, all virtual CPUs.", api_figures_exits },
	{ "disco_vm_cpu_seconds_total", "counter",
	  "CPU time of the worker, guest included.", cpu_seconds },
	{ "disco_vm_private_bytes", "gauge",
	  "Worker memory that is not guest memory.",
	  api_figures_private_bytes },
	{ "disco_vm_paused", "gauge", "1 when the VM is paused.",
	  api_figures_paused },
};

/* Names of VMs have no character that a label would have to escape. */
static void print_metric(const struct monitor *m, const struct metric *k,
			 FILE *out)
{
	(void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", k->name, k->help,
		      k->name, k->type);
	for (const struct guest *g = m->guests; g; g = g->next)
		if (!g->ended && g->stats_ns)
			(void)fprintf(out, "%s{vm=\"%s\",node=\"%d\"} %.15g\n",
				      k->name, g->record.name, g->record.node,
				      k->value(g));
}

/* Agents' metrics, all values of one after the other. */
enum { AGENT_LOCAL, AGENT_REMOTE, AGENT_STARTS, NR_AGENT_METRICS };

static const struct {
	const char *name, *type, *help;
} agent_metrics[NR_AGENT_METRICS] = {
	[AGENT_LOCAL] = { "disco_agent_text_local_pages", "gauge",
			  "Mapped pages of the agent's text on its node." },
	[AGENT_REMOTE] = { "disco_agent_text_remote_pages", "gauge",
			   "Mapped pages of the agent's text on other nodes." },
	[AGENT_STARTS] = { "disco_agent_starts_total", "counter",
			   "How often an agent of the node was started." },
};

static void print_agents(struct agents *all, FILE *out)
{
	uint64_t v[MAX_NODES][NR_AGENT_METRICS];

	for (unsigned i = 0; i < all->nr; i++) {
		agent_text_pages(&all->list[i], &v[i][AGENT_REMOTE],
				 &v[i][AGENT_LOCAL]);
		v[i][AGENT_REMOTE] -= v[i][AGENT_LOCAL];
		v[i][AGENT_STARTS] = all->list[i].starts;
	}
	for (unsigned k = 0; all->nr && k < NR_AGENT_METRICS; k++) {
		(void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n",
			      agent_metrics[k].name, agent_metrics[k].help,
			      agent_metrics[k].name, agent_metrics[k].type);
		for (unsigned i = 0; i < all->nr; i++)
			(void)fprintf(out, "%s{node=\"%d\"} %llu\n",
				      agent_metrics[k].name, all->list[i].node,
				      (unsigned long long)v[i][k]);
	}
}

static void print_counter(const char *name, const char *help, uint64_t value,
			  FILE *out)
{
	(void)fprintf(out, "# HELP %s %s\n# TYPE %s counter\n%s %llu\n", name,
		      help, name, name, (unsigned long long)value);
}

static void print_balance(const struct balancer *b, FILE *out)
{
	print_counter("disco_balance_checks_total",
		      "Checks of whether a VM should move for balance.",
		      b->checks, out);
	print_counter("disco_balance_moves_total",
		      "Moves that were made for balance.", b->moves, out);
	print_counter("disco_balance_failed_moves_total",
		      "Moves for balance that failed.", b->failed, out);
}

void metrics_poll(struct api_call *c, bool late)
{
	char *text = NULL;
	size_t size;
	FILE *out;

	if (!late && !all_heard(c))
		return;
	out = open_memstream(&text, &size);
	if (out) {
		(void)fprintf(out,
			      "# HELP disco_vms VMs that run.\n"
			      "# TYPE disco_vms gauge\ndisco_vms %u\n",
			      c->m->nr_running);
		for (size_t i = 0; i < ARRAY_SIZE(metrics); i++)
			print_metric(c->m, &metrics[i], out);
		node_metrics(c->m, out);
		exits_metrics(c->m, out);
		stalls_metrics(c->m, out);
		cache_metrics(c->m, out);
		nets_metrics(c->m, out);
		placement_metrics(c->m, out);
		hints_metrics(c->m, out);
		print_agents(&c->m->agents, out);
		print_balance(c->m->balancer, out);
		if (fclose(out) == 0 && text) {
			api_answer_text(c, "text/plain; version=0.0.4", text);
			return;
		}
	}
	free(text);
	api_fail(c, MHD_HTTP_INTERNAL_SERVER_ERROR, ST_HOST, "out of memory");
}

/* --- topology --- */

static unsigned guests_of(const struct monitor *m, nodeid_t node)
{
	unsigned n = 0;

	for (const struct guest *g = m->guests; g; g = g->next)
		n += !g->ended && guest_is_on(g, node);
	return n;
}

static json_t *node_json(const struct monitor *m, unsigned i)
{
	const struct topology *t = &m->topology;
	const struct topology_node *n = &t->nodes[i];
	json_t *cpus = json_array(), *distance = json_array();

	for (unsigned k = 0; k < n->nr_cpus; k++)
		(void)json_array_append_new(cpus, json_integer(n->cpus[k]));
	for (unsigned k = 0; k < t->nr_nodes; k++)
		(void)json_array_append_new(distance,
					    json_integer(t->distance[i][k]));
	return json_pack("{s:i, s:I, s:I, s:I, s:o, s:o, s:i}", "id",
			 (int)n->id, "memory_bytes", (json_int_t)n->total_bytes,
			 "free_bytes", (json_int_t)n->free_bytes,
			 "promised_bytes", (json_int_t)n->promised_bytes,
			 "cpus", cpus, "distance", distance, "vms",
			 (int)guests_of(m, n->id));
}

void topology_show(struct api_call *c)
{
	json_t *list = json_array();

	guests_count_promises(c->m);
	for (unsigned i = 0; i < c->m->topology.nr_nodes; i++)
		(void)json_array_append_new(list, node_json(c->m, i));
	api_answer(c, MHD_HTTP_OK, json_pack("{s:o}", "nodes", list));
}
