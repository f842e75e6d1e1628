/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VMs of a cluster, as the monitor's records have them.
 *
 * Context of all functions: main thread of a command; they wait for the monitor.
 */
#ifndef DISCO_MONITOR_CLUSTER_VMS_H
#define DISCO_MONITOR_CLUSTER_VMS_H

#include <jansson.h>

#include "disco/diag.h"
#include "disco/limits.h"

struct cluster_vm {
	char name[VM_NAME_MAX + 1];
	char role[VM_NAME_MAX + 1];
	unsigned vcpus, commands; /* commands: clients of its agent */
};

struct cluster_vms {
	struct cluster_vm *vms; /* owned */
	unsigned nr;
};

/* Has it not ended? One that is to be started again counts as ended. */
bool cluster_vm_runs(const json_t *vm);

/**
 * cluster_vms_of() - choose the running VMs of a cluster, or of one role
 * @list: "vms" of the answer to GET /v1/vms
 * @what: "CLUSTER" or "CLUSTER/ROLE"
 * @out:  in the monitor's order; release with cluster_vms_free()
 *
 * Return: 0, maybe with none; -ENOMEM.
 */
MUST_CHECK int cluster_vms_of(const json_t *list, const char *what,
			      struct cluster_vms *out);

/**
 * cluster_vms_get() - ask the monitor for them
 * @d: out on error: ST_NO_VM there is none; ST_NO_MONITOR
 *
 * Return: 0, with at least one; -ENOENT; -ENOMEM; errors of http_json().
 */
MUST_CHECK int cluster_vms_get(const char *what, struct cluster_vms *out,
			       struct diag *d);

void cluster_vms_free(struct cluster_vms *v);

/**
 * cluster_vms_least() - choose the one with the fewest commands per virtual CPU
 * @v:    not empty
 * @turn: any number: among equals it decides
 *
 * Return: its number.
 */
unsigned cluster_vms_least(const struct cluster_vms *v, unsigned turn);

#endif
