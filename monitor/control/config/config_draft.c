/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/config/config_draft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/control/config/config_check.h"

void run_config_destroy(struct run_config *cfg)
{
	if (!cfg)
		return;
	for (unsigned i = 0; i < cfg->nr_vms; i++)
		vm_config_destroy(&cfg->vms[i]);
	free(cfg->vms);
	option_free_texts(run_options, cfg);
	memset(cfg, 0, sizeof(*cfg));
}

int config_draft_init(struct config_draft *c, unsigned nr)
{
	memset(c, 0, sizeof(*c));
	c->vms = calloc(nr, sizeof(*c->vms));
	if (!c->vms)
		return -ENOMEM;
	c->nr = nr;
	for (unsigned i = 0; i < nr; i++)
		vm_config_init(&c->vms[i]);
	return 0;
}

void config_draft_destroy(struct config_draft *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < c->nr; i++)
		vm_config_destroy(&c->vms[i]);
	free(c->vms);
	free(c->file);
	memset(c, 0, sizeof(*c));
}

static int no_memory(struct diag *d)
{
	return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
}

/* --- expansion of count --- */

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

/* "disks/{vm}.cow": each VM has a file of its own. */
static int name_cow_files(struct vm_config *vm, struct diag *d)
{
	static const char mark[] = "{vm}";

	for (unsigned i = 0; i < vm->nr_disks; i++) {
		char *cow = vm->disks[i].cow, *named;
		const char *at = cow ? strstr(cow, mark) : NULL;

		if (!at)
			continue;
		if (asprintf(&named, "%.*s%s%s", (int)(at - cow), cow, vm->name,
			     at + strlen(mark)) < 0)
			return no_memory(d);
		free(cow);
		vm->disks[i].cow = named;
	}
	return 0;
}

/* Copies of @draft; the last one takes its strings. */
static int expand_one(struct vm_config *draft, struct run_config *cfg,
		      struct diag *d)
{
	unsigned count = draft->count;

	for (unsigned i = 0; i < count; i++) {
		struct vm_config *vm = &cfg->vms[cfg->nr_vms++];
		int err;

		if (i + 1 < count) {
			if (vm_config_copy(vm, draft))
				return no_memory(d);
		} else {
			*vm = *draft;
			memset(draft, 0, sizeof(*draft));
		}
		vm->count = 1;
		err = number_name(vm, i, count, d);
		if (!err)
			err = name_cow_files(vm, d);
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

/* "vms[2].", where a file has several VMs. */
static const char *draft_path(const struct config_draft *c, unsigned i,
			      char buf[32])
{
	buf[0] = '\0';
	if (c->is_array)
		(void)snprintf(buf, 32, "vms[%u].", i);
	return buf;
}

/* What is booted without a kernel is on a disk, with its own initrd. */
static int check_kernels(const struct config_draft *c, struct diag *d)
{
	for (unsigned i = 0; i < c->nr; i++) {
		const struct vm_config *vm = &c->vms[i];
		bool lacks_disk = !vm->kernel && !vm->nr_disks;
		char path[32];

		if (vm->kernel || (vm->nr_disks && !vm->initrd))
			continue;
		if (!c->file && lacks_disk)
			return diag_fail(d, ST_USAGE, EINVAL,
					 "no kernel: give --kernel PATH, or a "
					 "--disk that has one");
		if (!c->file)
			return diag_fail(d, ST_USAGE, EINVAL,
					 "--initrd: needs --kernel; without "
					 "it the disk's initrd is used");
		return diag_fail(d, ST_CONFIG, EINVAL, "%s: %s%s", c->file,
				 draft_path(c, i, path),
				 lacks_disk ? "kernel: missing, and no disk "
					      "that may have one"
					    : "initrd: needs 'kernel'");
	}
	return 0;
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
		err = config_check(&done, d);
	if (err) {
		run_config_destroy(&done);
		return err;
	}
	cfg->vms = done.vms;
	cfg->nr_vms = done.nr_vms;
	return 0;
}
