/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeps the nodes' CPUs evenly loaded: every few seconds the monitor reads each
 * VM's demand of CPUs and memory from /proc (the worker does nothing for it),
 * calls the policy (numa/balance.h), and moves one VM at most.
 *
 * No check is made while a VM is being moved. After a move that failed, whose
 * reason move.c has reported, the next BALANCE_REST checks are left out.
 *
 * Context of all functions: the monitor's thread.
 */
#ifndef DISCO_MONITOR_BALANCER_H
#define DISCO_MONITOR_BALANCER_H

#include "monitor/control/base/loop.h"
#include "numa/balance.h"

#define BALANCER_PERIOD_NS 2000000000ull /* default */

struct guest;
struct monitor;

struct balancer {
	struct monitor *m;
	uint64_t period_ns;	 /* 0: off */
	struct loop_timer timer; /* the next check */
	struct balance_move last;
	nodeid_t from; /* of the move under way */
	/* counters, since the monitor was started */
	uint64_t checks, moves, failed;
};

/* What the balancer knows of a guest since its first check; first all-zero. */
struct balancer_guest {
	uint64_t seen_ns; /* when the demand was read; 0: never */
	uint64_t demand_ns;
	uint32_t load;	 /* over the last period; BALANCE_CPU: one CPU */
	uint64_t moves;	 /* moves of the guest up to the last check */
	uint32_t rested; /* checks since the last move */
	/* Of a wide guest: demand up to now, and load, by index of the node. */
	uint64_t vcpu_moves; /* up to the last check */
	uint64_t node_demand_ns[MAX_NODES];
	struct balance_part parts[MAX_NODES];
};

/**
 * balancer_create() - create m->balancer; the first check is a period away
 * @period_ns: time between two checks; 0: no checks
 *
 * There are no checks either if there is nothing to choose from: fewer than two
 * nodes with CPUs and memory, or a topology of another machine.
 *
 * Return: 0; -ENOMEM.
 */
MUST_CHECK int balancer_create(struct monitor *m, uint64_t period_ns);

/* Release m->balancer, which has no move under way; NULL is accepted. */
void balancer_destroy(struct monitor *m);

/* A guest's worker is dead. May be called again. */
void balancer_guest_remove(struct guest *g);

#endif
