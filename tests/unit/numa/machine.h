/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Other machines for tests: those of tests/fixtures/topology, and what becomes
 * of VMs on them while the balancer looks on.
 *
 * A test fails here, by cmocka, when a file cannot be read or a move should
 * never have been proposed.
 */
#ifndef TESTS_UNIT_NUMA_MACHINE_H
#define TESTS_UNIT_NUMA_MACHINE_H

#include <hwloc.h>

#include "numa/balance.h"

#define MACHINE_QUIET 50u /* checks without a move that count as rest */

/* Loads tests/fixtures/topology/@name.xml; an old @t is released first. */
void machine_fixture(struct topology *t, const char *name);

/* Loads what hwloc wrote to @path. */
void machine_xml(struct topology *t, const char *path);

/* Distances between the first @nr nodes (16 at most), @nr times @nr values. */
void machine_distances(hwloc_topology_t hw, unsigned nr, uint64_t *values);

/* Releases @t; this machine is what the next topology_create() finds. */
void machine_reset(struct topology *t);

/* Load of the fullest node. */
uint64_t machine_fullest(const struct topology *t, const struct balance_vm *vms,
			 unsigned nr);

/**
 * machine_balance() - let balancing make moves until it is at rest
 * @t:      free_bytes change with each move
 * @vms:    @nr of them; node and rested change
 * @checks: fails when there is no rest within this many
 * @moved:  called after each move; may be NULL
 *
 * Each move is of a VM that may be moved, to a node that has CPUs, memory and
 * room, and makes the fullest node no fuller; else it fails and says @label.
 *
 * Return: number of moves.
 */
unsigned machine_balance(struct topology *t, struct balance_vm *vms,
			 unsigned nr, unsigned checks, const char *label,
			 void (*moved)(void *arg, const struct balance_vm *vm),
			 void *arg);

#endif
