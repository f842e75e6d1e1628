/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/config/options.h"

#include <errno.h>

#include "monitor/control/config/config_json.h"

/*
 * Options of a VM wait until the file has been read, and go over it then, in
 * order. Those of a run are set at once.
 */
struct run_options {
	const struct command_args *args;
	const char *config; /* in argv */
	struct run_config cfg;
	struct diag *d;
};

static bool options_is_of(const struct option_entry *table,
			  const struct option_entry *o)
{
	while (table->name && table != o)
		table++;
	return table->name != NULL;
}

static int apply_to(struct vm_config *vm, const struct run_options *r)
{
	bool disks = false, nets = false,
	     shms = false; /* those of the file are removed */

	for (unsigned i = 0; i < r->args->nr_items; i++) {
		const struct command_item *item = &r->args->items[i];
		int err;

		if (!item->option || !options_is_of(vm_options, item->option))
			continue;
		if (item->option->type == OPTION_DISKS && !disks) {
			vm_clear_disks(vm);
			disks = true;
		}
		if (item->option->type == OPTION_NETS && !nets) {
			vm_clear_nets(vm);
			nets = true;
		}
		if (item->option->type == OPTION_SHMS && !shms) {
			vm_clear_shms(vm);
			shms = true;
		}
		err = vm_option_apply(item->option, item->value, vm, r->d);
		if (err)
			return err;
	}
	return 0;
}

/* The first option of a VM; NULL: none. */
static const struct option_entry *first_of_vm(const struct run_options *r)
{
	for (unsigned i = 0; i < r->args->nr_items; i++)
		if (options_is_of(vm_options, r->args->items[i].option))
			return r->args->items[i].option;
	return NULL;
}

static int make_draft(const struct run_options *r, struct config_draft *c)
{
	const struct option_entry *first = first_of_vm(r);
	int err = 0;

	if (r->config)
		err = config_json_draft_file(r->config, c, r->d);
	else if (config_draft_init(c, 1))
		err = diag_fail(r->d, ST_HOST, ENOMEM, "out of memory");
	if (err)
		return err;
	if (c->nr > 1 && first)
		return diag_fail(r->d, ST_USAGE, EINVAL,
				 "--%s cannot be given here: %s describes %u "
				 "VMs; set it there",
				 option_flag(first), r->config, c->nr);
	return apply_to(&c->vms[0], r);
}

static int take_run_options(struct run_options *r)
{
	int err = 0;

	for (unsigned i = 0; !err && i < r->args->nr_items; i++) {
		const struct command_item *item = &r->args->items[i];
		const struct config_at at = { item->option->name, ST_USAGE,
					      r->d };

		if (!options_is_of(run_options, item->option))
			continue;
		if (item->option->type == OPTION_RAW)
			r->config = item->value;
		else
			err = option_parse(item->option, &r->cfg, item->value,
					   &at);
	}
	if (!err && r->cfg.detach &&
	    (r->cfg.summary || r->cfg.report || r->cfg.mark))
		err = diag_fail(r->d, ST_USAGE, EINVAL,
				"--summary, --report and --mark are of a run "
				"that is waited for, not of --detach");
	return err;
}

int options_run(const struct command_args *a, struct run_config *cfg,
		struct diag *d)
{
	struct run_options r = { .args = a, .d = d };
	struct config_draft c = { 0 };
	int err = take_run_options(&r);

	if (!err)
		err = make_draft(&r, &c);
	if (!err)
		err = config_draft_finish(&c, &r.cfg, d);
	config_draft_destroy(&c);
	if (err)
		run_config_destroy(&r.cfg);
	else
		*cfg = r.cfg;
	return err;
}
