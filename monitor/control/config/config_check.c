/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/config/config_check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "numa/node_list.h"

/* A file and who uses it, to find one with a writer and another user. */
struct disk_user {
	const char *path;
	const char *vm;
	bool writes;
};

static int check_no_memory(struct diag *d)
{
	return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
}

int disk_check(const struct disk_config *disk, const struct config_at *at)
{
	if (disk->cow && disk->snapshot)
		return config_fail(at, EINVAL,
				   "'cow' keeps what the guest writes, "
				   "'snapshot' forgets it: give one of them");
	if (disk->read_only && (disk->cow || disk->snapshot))
		return config_fail(at, EINVAL,
				   "'ro' leaves nothing to write for '%s'",
				   disk->cow ? "cow" : "snapshot");
	if (disk->cow && disk->path && strcmp(disk->cow, disk->path) == 0)
		return config_fail(at, EINVAL,
				   "'cow' and 'path' are the same file");
	if (disk->pmem && disk_writes_path(disk))
		return config_fail(at, EINVAL,
				   "'pmem' never writes to 'path': add 'ro', "
				   "'snapshot' or 'cow=FILE'");
	if (disk->pmem && disk->serial)
		return config_fail(at, EINVAL, "'pmem' disks have no 'serial'");
	return 0;
}

/* What is not a MAC address at all; which ones are is checked with the others. */
int net_check(const struct net_config *net, const struct config_at *at)
{
	static const char form[] = "xx:xx:xx:xx:xx:xx";
	static const char digits[] = "0123456789abcdefABCDEF";
	const char *mac = net->mac;
	bool is_mac = !mac || strlen(mac) == sizeof(form) - 1;

	for (size_t i = 0; mac && is_mac && form[i]; i++)
		is_mac = form[i] == ':' ? mac[i] == ':'
					: strchr(digits, mac[i]) != NULL;
	/* A group address has the lowest bit of its first byte set. */
	if (!is_mac || (mac && strchr("13579bdfBDF", mac[1])))
		return config_fail(at, EINVAL,
				   "'%s' is not the MAC address of a station, "
				   "as 02:00:00:00:00:01",
				   mac);
	return 0;
}

int shm_check(const struct shm_config *shm, const struct config_at *at)
{
	if (!shm->name)
		return config_fail(at, EINVAL, "a segment needs a 'name'");
	if (!shm->bytes)
		return config_fail(at, EINVAL, "segment '%s' needs a 'size'",
				   shm->name);
	return 0;
}

/* @k: of its segments. */
static int check_shm_of(const struct vm_config *vm, unsigned k, struct diag *d)
{
	for (unsigned j = 0; j < k; j++)
		if (!strcmp(vm->shms[j].name, vm->shms[k].name))
			return diag_fail(d, ST_CONFIG, EINVAL,
					 "%s: has segment '%s' twice", vm->name,
					 vm->shms[k].name);
	return 0;
}

/* Sizes that differ are found where segments are made: shms.h. */
static int check_shms(const struct run_config *cfg, struct diag *d)
{
	int err = 0;

	for (unsigned i = 0; !err && i < cfg->nr_vms; i++)
		for (unsigned k = 1; !err && k < cfg->vms[i].nr_shms; k++)
			err = check_shm_of(&cfg->vms[i], k, d);
	return err;
}

static int check_nets(const struct run_config *cfg, struct diag *d)
{
	for (unsigned i = 0; i < cfg->nr_vms; i++) {
		const struct vm_config *vm = &cfg->vms[i];

		for (unsigned k = 1; k < vm->nr_nets; k++)
			for (unsigned j = 0; j < k; j++)
				if (!strcmp(vm->nets[j].name, vm->nets[k].name))
					return diag_fail(
						d, ST_CONFIG, EINVAL,
						"%s: is in network '%s' twice",
						vm->name, vm->nets[k].name);
	}
	return 0;
}

#define NODES_PART_MIN MIB(32) /* of memory, per node that a guest is told of */

/* What cannot be combined with several nodes; NULL: all can. */
static const char *nodes_conflict(const struct vm_config *vm)
{
	if (vm->node != NODE_AUTO)
		return "'nodes' and 'node' both say where its memory is: give "
		       "one of them";
	if (vm->strict)
		return "'strict' memory is on one node: leave out 'strict' or "
		       "'nodes'";
	if (vm->merge)
		return "equal pages are merged on one node: leave out 'merge' "
		       "or 'nodes'";
	return NULL;
}

static int check_wide(const struct vm_config *vm, struct diag *d)
{
	const char *conflict = vm->nodes ? nodes_conflict(vm) : NULL;
	struct node_list l = { .nr = 1 };

	if (conflict)
		return diag_fail(d, ST_CONFIG, EINVAL, "%s: %s", vm->name,
				 conflict);
	/* A list that cannot be read was refused before. */
	if (vm->nodes && node_list_parse(vm->nodes, &l))
		return -EINVAL;
	if (l.nr > vm->nr_vcpus)
		return diag_fail(
			d, ST_CONFIG, EINVAL,
			"%s: nodes=%s are %u nodes for %u virtual CPUs: "
			"give it more CPUs or fewer nodes",
			vm->name, vm->nodes, l.nr, vm->nr_vcpus);
	if (vm->numa_show && l.nr < 2)
		return diag_fail(d, ST_CONFIG, EINVAL,
				 "%s: numa=show needs 'nodes', two or more",
				 vm->name);
	if (vm->views && (l.nr < 2 || l.nr > VM_MAX_VIEWS))
		return diag_fail(
			d, ST_CONFIG, EINVAL,
			"%s: views=on is one view per node, of 2 to %u nodes: "
			"give it 'nodes', or leave out 'views'",
			vm->name, VM_MAX_VIEWS);
	if (vm->copies_bytes && !vm->views)
		return diag_fail(d, ST_CONFIG, EINVAL,
				 "%s: views show copies of pages: give it "
				 "views=on, or leave out 'copies'",
				 vm->name);
	if (vm->numa_show && vm->memory_bytes / l.nr < NODES_PART_MIN)
		return diag_fail(
			d, ST_CONFIG, EINVAL,
			"%s: numa=show needs at least %u MiB of memory "
			"per node",
			vm->name, (unsigned)(NODES_PART_MIN >> 20));
	return 0;
}

static int check_nodes(const struct run_config *cfg, struct diag *d)
{
	int err = 0;

	for (unsigned i = 0; !err && i < cfg->nr_vms; i++)
		err = check_wide(&cfg->vms[i], d);
	return err;
}

/* Small pages shown in a huge one would take it apart. */
static int check_merge(const struct run_config *cfg, struct diag *d)
{
	for (unsigned i = 0; i < cfg->nr_vms; i++)
		if (cfg->vms[i].merge && cfg->vms[i].huge == HUGE_THP)
			return diag_fail(d, ST_CONFIG, EINVAL,
					 "%s: huge pages are not merged: leave "
					 "out 'merge' or 'huge=thp'",
					 cfg->vms[i].name);
	return 0;
}

static int by_text(const void *a, const void *b)
{
	const char *const *ta = a, *const *tb = b;

	return strcmp(*ta, *tb);
}

static int check_names(const struct run_config *cfg, struct diag *d)
{
	unsigned nr = cfg->nr_vms;
	const char **names = calloc(nr ? nr : 1, sizeof(*names));
	int err = 0;

	if (!names)
		return check_no_memory(d);
	for (unsigned i = 0; i < nr; i++)
		names[i] = cfg->vms[i].name;
	qsort(names, nr, sizeof(*names), by_text);
	for (unsigned i = 1; i < nr && !err; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			err = diag_fail(d, ST_CONFIG, EINVAL,
					"two VMs have the name '%s'", names[i]);
	free(names);
	return err;
}

/* By path; a writer before readers. */
static int by_path(const void *a, const void *b)
{
	const struct disk_user *ua = a, *ub = b;
	int order = strcmp(ua->path, ub->path);

	return order ? order : ub->writes - ua->writes;
}

static int check_writers(struct disk_user *users, size_t nr, struct diag *d)
{
	qsort(users, nr, sizeof(*users), by_path);
	for (size_t i = 1; i < nr; i++) {
		const struct disk_user *a = &users[i - 1], *b = &users[i];

		if (!a->writes || strcmp(a->path, b->path) != 0)
			continue;
		return diag_fail(d, ST_CONFIG, EINVAL,
				 "disk '%s' is writable for vm '%s' and also "
				 "used by vm '%s'; a disk has one writer or "
				 "only readers: make it 'ro' everywhere, or "
				 "give each its own 'cow' file",
				 a->path, a->vm, b->vm);
	}
	return 0;
}

/* At most two files. */
static size_t add_users(const struct disk_config *disk, const char *vm,
			struct disk_user *out)
{
	out[0] = (struct disk_user){ disk->path, vm, disk_writes_path(disk) };
	if (!disk->cow)
		return 1;
	out[1] = (struct disk_user){ disk->cow, vm, true };
	return 2;
}

static int check_disks(const struct run_config *cfg, struct diag *d)
{
	struct disk_user *users;
	size_t nr = 0, n = 0;
	int err;

	for (unsigned i = 0; i < cfg->nr_vms; i++)
		nr += 2 * cfg->vms[i].nr_disks;
	users = calloc(nr ? nr : 1, sizeof(*users));
	if (!users)
		return check_no_memory(d);
	for (unsigned i = 0; i < cfg->nr_vms; i++)
		for (unsigned k = 0; k < cfg->vms[i].nr_disks; k++)
			n += add_users(&cfg->vms[i].disks[k], cfg->vms[i].name,
				       users + n);
	err = check_writers(users, n, d);
	free(users);
	return err;
}

/* A seed is a disk of its own. */
static int check_seeds(const struct run_config *cfg, struct diag *d)
{
	for (unsigned i = 0; i < cfg->nr_vms; i++) {
		const struct vm_config *vm = &cfg->vms[i];

		if (!vm->cloud_init && (vm->meta_data || vm->network_config))
			return diag_fail(d, ST_CONFIG, EINVAL,
					 "vm '%s': '%s' needs 'cloud-init', "
					 "the user-data",
					 vm->name,
					 vm->meta_data ? "meta-data"
						       : "network-config");
		if (vm->cloud_init && vm->nr_disks == VM_MAX_DISKS)
			return diag_fail(d, ST_CONFIG, EINVAL,
					 "vm '%s': the seed for cloud-init is "
					 "a disk, too: give at most %d others",
					 vm->name, VM_MAX_DISKS - 1);
	}
	return 0;
}

int config_check(const struct run_config *cfg, struct diag *d)
{
	int err = check_names(cfg, d);

	if (!err)
		err = check_merge(cfg, d);
	if (!err)
		err = check_nodes(cfg, d);
	if (!err)
		err = check_disks(cfg, d);
	if (!err)
		err = check_seeds(cfg, d);
	if (!err)
		err = check_nets(cfg, d);
	if (!err)
		err = check_shms(cfg, d);
	return err;
}
