/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What can only be checked when several values are known: options that do not
 * go together, names and files that several VMs use. What one value may be is
 * in the tables of options (vm_options.c).
 */
#ifndef DISCO_MONITOR_CONFIG_CHECK_H
#define DISCO_MONITOR_CONFIG_CHECK_H

#include "disco/config.h"
#include "monitor/control/config/option.h"

/**
 * disk_check() - do the options of a disk go together?
 * @disk: all of it is known
 *
 * Context: any thread. Return: 0; -EINVAL with at->d filled.
 */
MUST_CHECK int disk_check(const struct disk_config *disk,
			  const struct config_at *at);

/**
 * config_check() - do the VMs go together, and their options?
 * @cfg: expanded: each VM has a name and a kernel
 * @d:   why not (ST_CONFIG): two VMs of one name, huge pages that are to be
 *       merged, a writable disk with another user
 *
 * Context: any thread; no files touched. Return: 0; -EINVAL; -ENOMEM.
 */
MUST_CHECK int config_check(const struct run_config *cfg, struct diag *d);

#endif
