/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A configuration while it is being put together: VMs before -n was expanded,
 * set from the JSON file, then from the command line, by the tables of
 * vm_options.h: a value is checked by the same code whatever it came from.
 */
#ifndef DISCO_MONITOR_CONFIG_DRAFT_H
#define DISCO_MONITOR_CONFIG_DRAFT_H

#include "disco/config.h"
#include "disco/diag.h"
#include "monitor/control/config/vm_options.h"

struct config_draft {
	struct vm_config *vms; /* owned, strings too */
	unsigned nr;
	bool is_array; /* file has "vms": keys are vms[i].KEY */
	char *file;    /* owned; NULL: command line only */
};

/**
 * config_draft_init() - @nr VMs with default values and no kernel
 * @nr: 1 .. CONFIG_MAX_VMS
 *
 * Return: 0; -ENOMEM. Release with config_draft_destroy().
 */
MUST_CHECK int config_draft_init(struct config_draft *c, unsigned nr);

/* NULL, all-zero and half-built are fine. */
void config_draft_destroy(struct config_draft *c);

/**
 * config_draft_finish() - check what can only be checked at the end, expand
 * @c:   emptied, success or not, but still to be destroyed
 * @cfg: vms and nr_vms are set on success, the rest stays as it is
 * @d:   why not: ST_USAGE no kernel on the command line; ST_CONFIG no kernel
 *       in the file, two VMs of one name, a writable disk with two users
 *
 * Return: 0; -EINVAL; -ENOMEM. @cfg is untouched on error.
 */
MUST_CHECK int config_draft_finish(struct config_draft *c,
				   struct run_config *cfg, struct diag *d);

/* Frees what @cfg owns, not @cfg. NULL, all-zero and half-built are fine. */
void run_config_destroy(struct run_config *cfg);

#endif
