/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration file, disco.json(5): {"vms": [VM, ...]} or one VM.
 * The text is not trusted: at most CONFIG_JSON_MAX bytes, CONFIG_MAX_VMS VMs,
 * unknown keys and wrong types refused.
 */
#ifndef DISCO_MONITOR_CONFIG_JSON_H
#define DISCO_MONITOR_CONFIG_JSON_H

#include "monitor/control/config/config_draft.h"

#define CONFIG_JSON_MAX MIB(1)

/**
 * config_json_draft_buffer() - read a configuration, before -n and checks
 * @text: JSON, @len bytes, need not end in NUL
 * @name: the file's name, for messages; relative paths in the text are taken
 *        from its directory
 * @out:  filled on success; release with config_draft_destroy()
 * @d:    why not, one line: ST_JSON "NAME:LINE:COLUMN: ..." for bad syntax;
 *        ST_CONFIG "NAME: KEY.PATH: ..." for a bad key, type or value
 *
 * Context: any thread; no files touched. Return: 0; -EINVAL; -E2BIG; -ENOMEM.
 */
MUST_CHECK int config_json_draft_buffer(const char *text, size_t len,
					const char *name,
					struct config_draft *out,
					struct diag *d);

/**
 * config_json_draft_file() - the same of a file
 * @d: ST_CONFIG too when the file is missing or unreadable
 *
 * Context: blocks on the file. Return: as above, or the errno of open or read.
 */
MUST_CHECK int config_json_draft_file(const char *path,
				      struct config_draft *out, struct diag *d);

/**
 * config_json_load_buffer() - read a configuration that is complete in itself
 * @cfg: vms and nr_vms are set on success; release with run_config_destroy()
 *
 * As config_json_draft_buffer() and config_draft_finish() together; what the
 * fuzzer calls.
 */
MUST_CHECK int config_json_load_buffer(const char *text, size_t len,
				       const char *name, struct run_config *cfg,
				       struct diag *d);

#endif
