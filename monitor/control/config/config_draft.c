/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/config/config_draft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A file and who uses it, to find one with a writer and another user. */
struct disk_user {
	const char *path;
	const char *vm;
	bool writes;
};

static void vm_config_destroy(struct vm_config *vm)
{
	vm_clear_disks(vm);
	free(vm->name);
	free(vm->kernel);
	free(vm->initrd);
	free(vm->cmdline);
	free(vm->group);
	memset(vm, 0, sizeof(*vm));
}

void vm_clear_disks(struct vm_config *vm)
{
	for (unsigned i = 0; i < vm->nr_disks; i++) {
		free(vm->disks[i].path);
		free(vm->disks[i].cow);
		free(vm->disks[i].serial);
	}
	memset(vm->disks, 0, sizeof(vm->disks));
	vm->nr_disks = 0;
}

void run_config_destroy(struct run_config *cfg)
{
	if (!cfg)
		return;
	for (unsigned i = 0; i < cfg->nr_vms; i++)
		vm_config_destroy(&cfg->vms[i]);
	free(cfg->vms);
	free(cfg->report);
	free(cfg->mark);
	memset(cfg, 0, sizeof(*cfg));
}

int config_draft_init(struct config_draft *c, unsigned nr)
{
	memset(c, 0, sizeof(*c));
	c->vms = calloc(nr, sizeof(*c->vms));
	if (!c->vms)
		return -ENOMEM;
	c->nr = nr;
	for (unsigned i = 0; i < nr; i++) {
		c->vms[i].count = 1;
		c->vms[i].vm.nr_vcpus = 1;
		c->vms[i].vm.memory_bytes = CONFIG_DEFAULT_MEMORY;
		c->vms[i].vm.node = NODE_AUTO;
	}
	return 0;
}

void config_draft_destroy(struct config_draft *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < c->nr; i++)
		vm_config_destroy(&c->vms[i].vm);
	free(c->vms);
	free(c->file);
	memset(c, 0, sizeof(*c));
}

static int no_memory(struct diag *d)
{
	return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
}

/* --- expansion of count --- */

static int draft_copy_text(char **to, const char *from)
{
	if (!from)
		return 0;
	*to = strdup(from);
	return *to ? 0 : -ENOMEM;
}

/* @to stays half-built on error; it can be destroyed. */
static int vm_config_copy(struct vm_config *to, const struct vm_config *from)
{
	bool bad;

	*to = *from;
	to->name = to->kernel = to->initrd = to->cmdline = NULL;
	to->group = NULL;
	memset(to->disks, 0, sizeof(to->disks));
	bad = draft_copy_text(&to->name, from->name) ||
	      draft_copy_text(&to->kernel, from->kernel) ||
	      draft_copy_text(&to->initrd, from->initrd) ||
	      draft_copy_text(&to->cmdline, from->cmdline) ||
	      draft_copy_text(&to->group, from->group);
	for (unsigned i = 0; i < from->nr_disks; i++) {
		to->disks[i].read_only = from->disks[i].read_only;
		to->disks[i].snapshot = from->disks[i].snapshot;
		to->disks[i].no_cache = from->disks[i].no_cache;
		to->disks[i].pmem = from->disks[i].pmem;
		to->disks[i].queues = from->disks[i].queues;
		to->disks[i].iops = from->disks[i].iops;
		to->disks[i].bps = from->disks[i].bps;
		bad = bad ||
		      draft_copy_text(&to->disks[i].cow, from->disks[i].cow) ||
		      draft_copy_text(&to->disks[i].path,
				      from->disks[i].path) ||
		      draft_copy_text(&to->disks[i].serial,
				      from->disks[i].serial);
	}
	return bad ? -ENOMEM : 0;
}

/* "NAME-3"; the VM's own name when there is only one. */
static int number_name(struct vm_config *vm, unsigned i, unsigned count,
		       struct diag *d)
{
	const char *base = vm->name ? vm->name : "vm";
	char *name;

	if (count == 1 && vm->name)
		return 0;
	if ((count == 1 ? asprintf(&name, "%s", base)
			: asprintf(&name, "%s-%u", base, i)) < 0)
		return no_memory(d);
	if (strlen(name) > VM_NAME_MAX) {
		free(name);
		return diag_fail(d, ST_CONFIG, EINVAL,
				 "vm '%s': the name with its number is longer "
				 "than %d characters",
				 base, VM_NAME_MAX);
	}
	free(vm->name);
	vm->name = name;
	return 0;
}

/* Copies of @draft; the last one takes its strings. */
static int expand_one(struct vm_draft *draft, struct run_config *cfg,
		      struct diag *d)
{
	for (unsigned i = 0; i < draft->count; i++) {
		struct vm_config *vm = &cfg->vms[cfg->nr_vms++];
		int err;

		if (i + 1 < draft->count) {
			if (vm_config_copy(vm, &draft->vm))
				return no_memory(d);
		} else {
			*vm = draft->vm;
			memset(&draft->vm, 0, sizeof(draft->vm));
		}
		err = number_name(vm, i, draft->count, d);
		if (err)
			return err;
	}
	return 0;
}

static int draft_expand(struct config_draft *c, struct run_config *cfg,
			struct diag *d)
{
	unsigned total = 0;

	for (unsigned i = 0; i < c->nr; i++)
		total += c->vms[i].count;
	if (total < 1 || total > CONFIG_MAX_VMS)
		return diag_fail(d, ST_CONFIG, EINVAL,
				 "%s: %u VMs; at most %d can run at once",
				 c->file ? c->file : "-n", total,
				 CONFIG_MAX_VMS);
	cfg->vms = calloc(total, sizeof(*cfg->vms));
	if (!cfg->vms)
		return no_memory(d);
	for (unsigned i = 0; i < c->nr; i++) {
		int err = expand_one(&c->vms[i], cfg, d);

		if (err)
			return err;
	}
	return 0;
}

/* --- checks --- */

static int check_kernels(const struct config_draft *c, struct diag *d)
{
	for (unsigned i = 0; i < c->nr; i++) {
		if (c->vms[i].vm.kernel)
			continue;
		if (!c->file)
			return diag_fail(d, ST_USAGE, EINVAL,
					 "no kernel: give --kernel PATH, or a "
					 "--config FILE that names one");
		if (!c->is_array)
			return diag_fail(d, ST_CONFIG, EINVAL,
					 "%s: kernel: missing", c->file);
		return diag_fail(d, ST_CONFIG, EINVAL,
				 "%s: vms[%u].kernel: missing", c->file, i);
	}
	return 0;
}

/* Small pages shown in a huge one would take it apart. */
static int check_merge(const struct run_config *cfg, struct diag *d)
{
	for (unsigned i = 0; i < cfg->nr_vms; i++)
		if (cfg->vms[i].merge && cfg->vms[i].huge_thp)
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
		return no_memory(d);
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
		return no_memory(d);
	for (unsigned i = 0; i < cfg->nr_vms; i++)
		for (unsigned k = 0; k < cfg->vms[i].nr_disks; k++)
			n += add_users(&cfg->vms[i].disks[k], cfg->vms[i].name,
				       users + n);
	err = check_writers(users, n, d);
	free(users);
	return err;
}

int config_draft_finish(struct config_draft *c, struct run_config *cfg,
			struct diag *d)
{
	struct run_config done = { 0 };
	int err;

	err = check_kernels(c, d);
	if (!err)
		err = draft_expand(c, &done, d);
	if (!err)
		err = check_names(&done, d);
	if (!err)
		err = check_merge(&done, d);
	if (!err)
		err = check_disks(&done, d);
	if (err) {
		run_config_destroy(&done);
		return err;
	}
	cfg->vms = done.vms;
	cfg->nr_vms = done.nr_vms;
	return 0;
}
