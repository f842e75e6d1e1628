/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/guests/balancer.h"

#include <string.h>

#include "disco/clock.h"
#include "monitor/control/guests/move.h"
#include "monitor/control/base/process.h"

void balancer_create(struct monitor *m, uint64_t period_ns)
{
	const struct topology *t = &m->topology;
	unsigned nr = 0;

	for (unsigned i = 0; i < t->nr_nodes; i++)
		nr += t->nodes[i].nr_cpus && t->nodes[i].total_bytes;
	m->balancer = (struct balancer){ 0 };
	if (nr < 2 || !t->this_machine || !period_ns)
		return;
	m->balancer.period_ns = period_ns;
	m->balancer.at_ns = clock_now_ns() + period_ns;
}

/* --- a check --- */

/* Return: BALANCE_CPU: a CPU; 0 at first. */
static uint32_t balancer_measure(struct balancer_guest *b, pid_t pid,
				 uint64_t now)
{
	uint64_t demand = process_demand_ns(pid), load = 0;

	if (b->seen_ns && demand > b->demand_ns && now > b->seen_ns)
		load = (demand - b->demand_ns) * BALANCE_CPU /
		       (now - b->seen_ns);
	b->seen_ns = now;
	b->demand_ns = demand;
	return (uint32_t)min_u64(load, UINT32_MAX);
}

/* Moves that somebody asked for count as well. */
static uint32_t balancer_rest(struct guest *g)
{
	struct balancer_guest *b = &g->balance;

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

	for (struct guest *g = m->guests; g; g = g->next) {
		if (g->ended || nr == MONITOR_MAX_GUESTS)
			continue;
		g->balance.load =
			balancer_measure(&g->balance, g->record.pid, now);
		out[nr++] = (struct balance_vm){
			.id = g->id,
			.node = g->record.node,
			.load = g->balance.load,
			.pages = process_resident_pages(g->record.pid),
			.rested = balancer_rest(g),
			.fixed = g->record.fixed,
			/* Nor one that has not started, or is to end. */
			.paused = strcmp(guest_state(g), "running") != 0,
		};
	}
	return nr;
}

static struct guest *balancer_find(const struct monitor *m, uint64_t id)
{
	struct guest *g = m->guests;

	while (g && g->id != id)
		g = g->next;
	return g;
}

static void balancer_failed(struct monitor *m)
{
	m->balancer.failed++;
	m->balancer.at_ns =
		clock_now_ns() + BALANCE_REST * m->balancer.period_ns;
}

static void balancer_moved(void *arg, const struct move_result *r)
{
	struct monitor *m = arg;
	const struct guest *g = balancer_find(m, r->guest_id);

	if (r->diag.status != ST_OK || !g) {
		balancer_failed(m);
		return;
	}
	m->balancer.moves++;
	sink_line(&m->watcher.err,
		  "disco: %s: moved from node %d to node %d, for balance: %llu "
		  "pages in %llu ms, longest batch %.1f ms, parked %.1f ms",
		  g->record.name, m->balancer.from, r->node,
		  (unsigned long long)r->pages,
		  (unsigned long long)(r->total_ns / 1000000u),
		  (double)r->longest_ns / 1e6, (double)r->parked_ns / 1e6);
}

static void start_move(struct monitor *m, const struct balance_move *mv)
{
	struct guest *g = balancer_find(m, mv->id);
	struct diag d = { .status = ST_OK };

	if (!g)
		return;
	m->balancer.from = g->record.node;
	if (move_start(m, g, mv->to, m->settings.stall_ns, balancer_moved, m,
		       &d) == 0)
		return;
	sink_line(&m->watcher.err, "disco: %s: not moved for balance: %s",
		  g->record.name, d.text);
	balancer_failed(m);
}

void balancer_tick(struct monitor *m, uint64_t now)
{
	static struct balance_vm vms[MONITOR_MAX_GUESTS]; /* one loop */
	struct balancer *b = &m->balancer;
	struct balance_move mv;
	unsigned nr;

	if (!b->period_ns || now < b->at_ns)
		return;
	b->at_ns = now + b->period_ns;
	if (m->move)
		return;
	b->checks++;
	topology_refresh_free(&m->topology);
	nr = balancer_look(m, now, vms);
	if (balance_check(&m->topology, vms, nr, &b->last, &mv))
		start_move(m, &mv);
}

int balancer_timeout_ms(const struct monitor *m, uint64_t now)
{
	const struct balancer *b = &m->balancer;

	return b->period_ns ? loop_ms_until(b->at_ns, now) : -1;
}
