/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeping the nodes' CPUs evenly loaded: every few seconds the monitor looks
 * at what each VM asks of CPUs and of memory (/proc of its worker, which has
 * no part in it), asks the policy (numa/balance.h), and moves one VM at most.
 *
 * No check is made while a VM is being moved. After a move that failed, of
 * which move.c has said why, the next BALANCE_REST ones are left out.
 */
#ifndef DISCO_MONITOR_BALANCER_H
#define DISCO_MONITOR_BALANCER_H

#include "monitor/control/base/loop.h"
#include "numa/balance.h"

#define BALANCER_PERIOD_NS 2000000000ull /* unless asked otherwise */

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

/* What it knows of a guest, from the first check on; all-zero at first. */
struct balancer_guest {
	uint64_t seen_ns; /* when the demand was read; 0: never */
	uint64_t demand_ns;
	uint32_t load;	 /* BALANCE_CPU: a CPU, over the last period */
	uint64_t moves;	 /* of the guest, at the last check */
	uint32_t rested; /* checks since the last one */
};

/**
 * balancer_create() - m->balancer; the first check is a period away
 * @period_ns: 0: never
 *
 * Off also where there is nothing to choose from: fewer than two nodes with
 * CPUs and memory, or the nodes are those of another machine.
 *
 * Return: 0; -ENOMEM.
 */
MUST_CHECK int balancer_create(struct monitor *m, uint64_t period_ns);

/* No move that it asked for is under way. All-zero is fine. */
void balancer_destroy(struct monitor *m);

/* A guest's worker is dead. Again is fine. */
void balancer_guest_remove(struct guest *g);

#endif
