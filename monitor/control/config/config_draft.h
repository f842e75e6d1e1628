/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A configuration that is not complete yet: VMs before -n was expanded. Values
 * are set from the JSON file, then from the command line, by the tables of
 * vm_options.h, so that the same code checks a value from either source.
 *
 * Context of all functions: any thread.
 */
#ifndef DISCO_MONITOR_CONFIG_DRAFT_H
#define DISCO_MONITOR_CONFIG_DRAFT_H

#include "disco/config.h"
#include "disco/diag.h"
#include "monitor/control/config/vm_options.h"

struct config_draft {
	struct vm_config *vms; /* owned, including strings */
	unsigned nr;
	bool is_array; /* the file has "vms": its keys are vms[i].KEY */
	char *file;    /* owned; NULL: command line only */
};

/**
 * config_draft_init() - make @nr VMs with default values and no kernel
 * @nr: 1 .. CONFIG_MAX_VMS
 *
 * Return: 0; -ENOMEM. Release with config_draft_destroy().
 */
MUST_CHECK int config_draft_init(struct config_draft *c, unsigned nr);

/* NULL, all-zero and half-built are accepted. */
void config_draft_destroy(struct config_draft *c);

/**
 * config_draft_finish() - make the final checks, and expand -n
 * @c:   emptied, success or not; the caller still destroys it
 * @cfg: vms and nr_vms are set on success; untouched on error
 * @d:   out on error: ST_USAGE neither kernel nor disk; ST_CONFIG no
 *       kernel in the file, errors of config_check()
 *
 * Return: 0; -EINVAL; -ENOMEM.
 */
MUST_CHECK int config_draft_finish(struct config_draft *c,
				   struct run_config *cfg, struct diag *d);

/* Free what @cfg owns, not @cfg. NULL, all-zero and half-built are accepted. */
void run_config_destroy(struct run_config *cfg);

#endif
