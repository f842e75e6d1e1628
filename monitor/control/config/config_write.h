/* SPDX-License-Identifier: BSD-2-Clause */
/* A configuration as JSON, for the monitor: what config_json.h reads again. */
#ifndef DISCO_MONITOR_CONFIG_WRITE_H
#define DISCO_MONITOR_CONFIG_WRITE_H

#include "disco/config.h"

/**
 * config_json_write() - the VMs of a configuration as a JSON document
 * @cfg: expanded and checked
 * @dir: goes before relative paths; NULL: they stay as they are
 *
 * Options that have their default value are left out.
 *
 * Context: any thread. Return: malloc'ed; NULL: no memory.
 */
MUST_CHECK char *config_json_write(const struct run_config *cfg,
				   const char *dir);

#endif
