/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/guests/balancer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disco/clock.h"
#include "monitor/control/guests/guests.h"
#include "monitor/control/guests/move.h"
#include "monitor/control/base/process.h"

/* --- a check --- */

/* Return: BALANCE_CPU: a CPU; 0 at first. */
static uint32_t balancer_measure(struct balancer_guest *b, pid_t pid,
				 uint64_t now)
{
	uint64_t past = now > b->seen_ns ? now - b->seen_ns : 0;
	uint64_t demand = process_demand_ns(pid), load = 0;

	if (b->seen_ns && past && demand > b->demand_ns)
		load = (demand - b->demand_ns) * BALANCE_CPU / past;
	b->seen_ns = now;
	b->demand_ns = demand;
	return (uint32_t)min_u64(load, UINT32_MAX);
}

/* Demand by index of the node. */
struct balancer_nodes {
	const struct topology *t;
	uint64_t ns[MAX_NODES];
};

static bool balancer_has_cpu(const struct topology_node *n, unsigned cpu)
{
	unsigned i = 0;

	while (i < n->nr_cpus && n->cpus[i] != cpu)
		i++;
	return i < n->nr_cpus;
}

static void balancer_add_thread(void *arg, unsigned cpu, uint64_t ns)
{
	struct balancer_nodes *of = arg;

	for (unsigned i = 0; i < of->t->nr_nodes; i++)
		if (balancer_has_cpu(&of->t->nodes[i], cpu)) {
			of->ns[i] += ns;
			return;
		}
}

/*
 * Load of a wide guest by node: a thread counts where it ran last, as the kernel
 * has it. What a thread has asked for before it changed node would count as load
 * of its new node: after a move of a vCPU a check measures nothing.
 */
static void balancer_measure_wide(struct monitor *m, const struct guest *g,
				  uint64_t ns)
{
	struct balancer_guest *b = g->balance;
	struct balancer_nodes of = { .t = &m->topology };
	bool known = ns && b->vcpu_moves == g->vcpu_moves;

	process_each_thread(g->record.pid, balancer_add_thread, &of);
	for (unsigned i = 0; i < of.t->nr_nodes; i++) {
		uint64_t load = 0;

		if (known && of.ns[i] > b->node_demand_ns[i])
			load = (of.ns[i] - b->node_demand_ns[i]) * BALANCE_CPU /
			       ns;
		b->node_demand_ns[i] = of.ns[i];
		b->parts[i] = (struct balance_part){
			.node = of.t->nodes[i].id,
			.load = (uint32_t)min_u64(load, UINT32_MAX),
		};
	}
	b->vcpu_moves = g->vcpu_moves;
}

/* Moves that somebody asked for count as well. */
static uint32_t balancer_rest(const struct guest *g)
{
	struct balancer_guest *b = g->balance;

	if (b->moves != g->moves) {
		b->moves = g->moves;
		b->rested = 0;
	} else if (b->rested < UINT32_MAX) {
		b->rested++;
	}
	return g->moves ? b->rested : UINT32_MAX;
}

static unsigned balancer_look(struct monitor *m, uint64_t now,
			      struct balance_vm *out)
{
	unsigned nr = 0;
	bool wide;

	for (struct guest *g = m->guests; g; g = g->next) {
		if (g->ended || nr == MONITOR_MAX_GUESTS)
			continue;
		if (!g->balance)
			g->balance = calloc(1, sizeof(*g->balance));
		if (!g->balance)
			continue; /* as if it were not there, this time */
		wide = state_vm_is_wide(&g->record);
		if (wide)
			balancer_measure_wide(
				m, g,
				g->balance->seen_ns ? now - g->balance->seen_ns
						    : 0);
		g->balance->load =
			balancer_measure(g->balance, g->record.pid, now);
		out[nr++] = (struct balance_vm){
			.id = g->id,
			.node = g->record.node,
			.load = g->balance->load,
			.pages = process_resident_pages(g->record.pid),
			.rested = balancer_rest(g),
			.fixed = g->record.fixed,
			/* Nor one that has not started, or is to end. */
			.paused = strcmp(guest_state(g), "running") != 0,
			.parts = wide ? g->balance->parts : NULL,
			.nr_parts = m->topology.nr_nodes,
		};
	}
	return nr;
}

static void balancer_failed(struct monitor *m)
{
	struct balancer *b = m->balancer;

	b->failed++;
	loop_timer_set(&m->watcher.loop, &b->timer,
		       clock_now_ns() + BALANCE_REST * b->period_ns);
}

static void balancer_moved(void *arg, const struct move_result *r)
{
	struct monitor *m = arg;
	const struct guest *g = guest_find_id(m, r->guest_id);

	if (r->diag.status != ST_OK || !g) {
		balancer_failed(m);
		return;
	}
	m->balancer->moves++;
	sink_line(&m->watcher.err,
		  "disco: %s: moved from node %d to node %d, for balance: %llu "
		  "pages in %llu ms, longest batch %.1f ms, parked %.1f ms",
		  g->record.name, m->balancer->from, r->node,
		  (unsigned long long)r->pages,
		  (unsigned long long)(r->total_ns / 1000000u),
		  (double)r->longest_ns / 1e6, (double)r->parked_ns / 1e6);
}

static void start_move(struct monitor *m, const struct balance_move *mv)
{
	struct guest *g = guest_find_id(m, mv->id);
	struct diag d = { .status = ST_OK };

	if (!g)
		return;
	m->balancer->from = g->record.node;
	if (move_start(m, g, mv->to, m->stall_ns, balancer_moved, m, &d) == 0)
		return;
	sink_line(&m->watcher.err, "disco: %s: not moved for balance: %s",
		  g->record.name, d.text);
	balancer_failed(m);
}

static void balancer_on_timer(struct loop_timer *t)
{
	static struct balance_vm vms[MONITOR_MAX_GUESTS]; /* one loop */
	struct balancer *b = container_of(t, struct balancer, timer);
	struct monitor *m = b->m;
	uint64_t now = clock_now_ns();
	struct balance_move mv;
	unsigned nr;

	loop_timer_set(&m->watcher.loop, t, now + b->period_ns);
	if (m->move)
		return;
	b->checks++;
	topology_refresh_free(&m->topology);
	nr = balancer_look(m, now, vms);
	if (balance_check(&m->topology, vms, nr, &b->last, &mv))
		start_move(m, &mv);
}

/* --- life --- */

int balancer_create(struct monitor *m, uint64_t period_ns)
{
	const struct topology *t = &m->topology;
	struct balancer *b = calloc(1, sizeof(*b));
	unsigned nr = 0;

	if (!b)
		return -ENOMEM;
	b->m = m;
	b->timer.expired = balancer_on_timer;
	m->balancer = b;
	for (unsigned i = 0; i < t->nr_nodes; i++)
		nr += t->nodes[i].nr_cpus && t->nodes[i].total_bytes;
	if (nr < 2 || !t->this_machine || !period_ns)
		return 0;
	b->period_ns = period_ns;
	loop_timer_set(&m->watcher.loop, &b->timer, clock_now_ns() + period_ns);
	return 0;
}

void balancer_guest_remove(struct guest *g)
{
	free(g->balance);
	g->balance = NULL;
}

void balancer_destroy(struct monitor *m)
{
	if (!m->balancer)
		return;
	loop_timer_cancel(&m->watcher.loop, &m->balancer->timer);
	for (struct guest *g = m->guests; g; g = g->next)
		balancer_guest_remove(g);
	free(m->balancer);
	m->balancer = NULL;
}
