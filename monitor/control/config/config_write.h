/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes a configuration as JSON for the monitor, which config_json.h reads. */
#ifndef DISCO_MONITOR_CONFIG_WRITE_H
#define DISCO_MONITOR_CONFIG_WRITE_H

#include "disco/config.h"

/**
 * config_json_write() - write the VMs of a configuration as a JSON document
 * @cfg: expanded and checked
 * @dir: put before relative paths; NULL: paths stay unchanged
 *
 * Options that have their default value are left out.
 *
 * Context: any thread. Return: malloc'ed text, owned by the caller; NULL: out of
 * memory.
 */
MUST_CHECK char *config_json_write(const struct run_config *cfg,
				   const char *dir);

#endif
