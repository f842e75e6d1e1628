/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks that need several values: options that exclude each other, names and
 * files that several VMs use. The tables of options (vm_options.c) have what one
 * value may be.
 */
#ifndef DISCO_MONITOR_CONFIG_CHECK_H
#define DISCO_MONITOR_CONFIG_CHECK_H

#include "disco/config.h"
#include "monitor/control/config/option.h"

/**
 * disk_check() - check that the options of a disk go together
 * @disk: complete
 *
 * Context: any thread. Return: 0; -EINVAL with at->d filled.
 */
MUST_CHECK int disk_check(const struct disk_config *disk,
			  const struct config_at *at);

/* The same for a network: is its MAC address one of a station? */
MUST_CHECK int net_check(const struct net_config *net,
			 const struct config_at *at);

/* The same for a segment: has it a name and a size? */
MUST_CHECK int shm_check(const struct shm_config *shm,
			 const struct config_at *at);

/**
 * config_check() - check that the VMs and their options go together
 * @cfg: expanded: each VM has a name and a kernel
 * @d:   out on error (ST_CONFIG): two VMs with one name, merging of huge pages,
 *       several nodes with what needs one, a writable disk with another user, a
 *       network or a segment given twice
 *
 * Context: any thread; opens no files. Return: 0; -EINVAL; -ENOMEM.
 */
MUST_CHECK int config_check(const struct run_config *cfg, struct diag *d);

#endif
