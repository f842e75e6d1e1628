/* SPDX-License-Identifier: BSD-2-Clause */
/* The plan of a run: the node of each VM, before anything is started. */
#ifndef DISCO_MONITOR_PLAN_H
#define DISCO_MONITOR_PLAN_H

#include "disco/config.h"
#include "disco/diag.h"
#include "numa/node_list.h"
#include "numa/topology.h"

/**
 * plan_wide() - the nodes that a VM is spread over
 * @out: the first is its home; empty for a VM of one node, also if that was
 *       given as a list
 */
void plan_wide(const struct vm_config *vm, struct node_list *out);

/* The home that was asked for: NODE_AUTO or a node's number. */
nodeid_t plan_node(const struct vm_config *vm);

/**
 * plan_place() - place_initial() for the VMs of a configuration
 * @nodes: out, cfg->nr_vms node numbers; untouched on error
 *
 * Context: any thread. Return: what place_initial() returns; -ENOMEM.
 */
MUST_CHECK int plan_place(const struct run_config *cfg,
			  const struct topology *t, nodeid_t *nodes,
			  struct diag *d);

/**
 * plan_print() - print a table with one line per VM
 * @nodes: as plan_place() filled it
 *
 * Context: any thread that may write to @out.
 */
void plan_print(const struct run_config *cfg, const nodeid_t *nodes, FILE *out);

/**
 * plan_show() - `disco run --dry-run`: find the nodes, place, print to @out
 * @d: out on error: ST_MEMORY, ST_CONFIG, ST_HOST
 *
 * Does not open files. Return: 0; errors of topology_create() and
 * place_initial().
 */
MUST_CHECK int plan_show(const struct run_config *cfg, FILE *out,
			 struct diag *d);

#endif
