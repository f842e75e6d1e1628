/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/cluster/cluster_vms.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/control/cli/cli.h"
#include "monitor/control/cli/http_client.h"

bool cluster_vm_runs(const json_t *vm)
{
	const char *state = cli_text(vm, "state");

	return vm && strcmp(state, "ended") != 0 &&
	       strcmp(state, "restarting") != 0;
}

/* Is it of "CLUSTER" or "CLUSTER/ROLE"? */
static bool vms_matches(const json_t *vm, const char *what)
{
	size_t len = strcspn(what, "/");
	const char *cluster = cli_text(vm, "cluster");

	return strlen(cluster) == len && len &&
	       strncmp(cluster, what, len) == 0 &&
	       (!what[len] ||
		strcmp(cli_text(vm, "role"), what + len + 1) == 0);
}

int cluster_vms_of(const json_t *list, const char *what,
		   struct cluster_vms *out)
{
	json_t *vm;
	size_t i;

	*out = (struct cluster_vms){ .nr = 0 };
	out->vms = calloc(json_array_size(list) + 1, sizeof(*out->vms));
	if (!out->vms)
		return -ENOMEM;
	json_array_foreach(list, i, vm)
	{
		struct cluster_vm *v = &out->vms[out->nr];

		if (!cluster_vm_runs(vm) || !vms_matches(vm, what))
			continue;
		(void)snprintf(v->name, sizeof(v->name), "%s",
			       cli_text(vm, "name"));
		(void)snprintf(v->role, sizeof(v->role), "%s",
			       cli_text(vm, "role"));
		v->vcpus = (unsigned)json_integer_value(
			json_object_get(vm, "vcpus"));
		v->commands = (unsigned)json_integer_value(
			json_object_get(vm, "commands"));
		out->nr++;
	}
	return 0;
}

int cluster_vms_get(const char *what, struct cluster_vms *out, struct diag *d)
{
	json_t *root = NULL;
	int err = http_json("GET", "/v1/vms", NULL, &root, d);

	*out = (struct cluster_vms){ .nr = 0 };
	if (err)
		return err;
	err = cluster_vms_of(json_object_get(root, "vms"), what, out);
	json_decref(root);
	if (err)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	if (out->nr)
		return 0;
	cluster_vms_free(out);
	return diag_fail(d, ST_NO_VM, ENOENT,
			 "no VM runs that is named '%.64s', or is of a cluster "
			 "of that name",
			 what);
}

void cluster_vms_free(struct cluster_vms *v)
{
	free(v->vms);
	*v = (struct cluster_vms){ .nr = 0 };
}

/* Is the load of @a less than that of @b? */
static bool vms_less(const struct cluster_vm *a, const struct cluster_vm *b)
{
	return (uint64_t)a->commands * b->vcpus <
	       (uint64_t)b->commands * a->vcpus;
}

unsigned cluster_vms_least(const struct cluster_vms *v, unsigned turn)
{
	unsigned best = turn % v->nr;

	for (unsigned i = 1; i < v->nr; i++) {
		unsigned k = (turn % v->nr + i) % v->nr;

		if (vms_less(&v->vms[k], &v->vms[best]))
			best = k;
	}
	return best;
}
