/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file of a cluster, disco.json(5): the VMs of its roles, what is run
 * in them after they have booted, and a directory that they share. A role has
 * the keys of a VM (vm_options.h) besides those of its own table.
 */
#ifndef DISCO_MONITOR_CLUSTER_FILE_H
#define DISCO_MONITOR_CLUSTER_FILE_H

#include "disco/config.h"
#include "disco/diag.h"
#include "monitor/control/config/option.h"

#define CLUSTER_MAX_ROLES    32u
#define CLUSTER_MAX_COMMANDS 32u   /* to start, and for health, of a role */
#define CLUSTER_COMMAND_MAX  8192u /* bytes of one */
#define CLUSTER_DEADLINE_S   300

extern const struct option_entry cluster_options[];	 /* struct cluster */
extern const struct option_entry cluster_role_options[]; /* cluster_role */
extern const struct option_entry cluster_nfs_options[];	 /* cluster_nfs */

struct cluster_texts {
	char **text; /* owned, and each of them */
	unsigned nr;
};

struct cluster_role {
	char *name;
	unsigned deadline_s; /* from the VMs' start until they are healthy */
	struct cluster_texts start, health; /* commands of a shell */
	unsigned first, nr; /* its VMs: cfg.vms[first .. first + nr - 1] */
};

/* A directory of one VM that the others mount. */
struct cluster_nfs {
	char *role;    /* that exports it; NULL: nothing is shared */
	char *path;    /* in that VM */
	char *mount;   /* in the others; NULL: the same */
	char *options; /* of mount(8); NULL: CLUSTER_NFS_OPTIONS */
};

struct cluster {
	char *name;
	struct cluster_nfs nfs;
	struct cluster_role *roles; /* in the order in which they come up */
	unsigned nr_roles;
	struct run_config cfg; /* VMs of all roles, in that order */
};

/**
 * cluster_load() - read and check the file of a cluster
 * @c: filled on success; release with cluster_destroy()
 * @d: out on error, one line: ST_JSON; ST_CONFIG
 *
 * VMs are named CLUSTER-ROLE, or CLUSTER-ROLE-0 and so on where a role has
 * several. A role without "nets" is in a network of the cluster's name.
 *
 * Context: blocks on the file. Return: 0; -EINVAL; -E2BIG; -ENOMEM; -errno of
 * open() or read().
 */
MUST_CHECK int cluster_load(const char *path, struct cluster *c,
			    struct diag *d);

/* NULL, all-zero and half-built are accepted. */
void cluster_destroy(struct cluster *c);

/* Return: the role that the VM number @vm of c->cfg has. */
const struct cluster_role *cluster_role_of(const struct cluster *c,
					   unsigned vm);

/* Return: the role of that name; NULL: none. */
const struct cluster_role *cluster_role_find(const struct cluster *c,
					     const char *name);

#endif
