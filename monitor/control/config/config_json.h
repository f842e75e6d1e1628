/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the configuration file, disco.json(5): {"vms": [VM, ...]} or one VM. The
 * text is not trusted: it has at most CONFIG_JSON_MAX bytes and CONFIG_MAX_VMS
 * VMs; unknown keys and wrong types are refused.
 */
#ifndef DISCO_MONITOR_CONFIG_JSON_H
#define DISCO_MONITOR_CONFIG_JSON_H

#include "monitor/control/config/config_draft.h"
#include "monitor/control/config/config_reader.h"

#define CONFIG_JSON_MAX MIB(1)

/**
 * config_json_draft_buffer() - read a configuration; no expansion, final checks
 * @text: JSON, @len bytes, without a terminating NUL
 * @name: the file's name, for messages; relative paths in the text are relative
 *        to its directory
 * @out:  filled on success; release with config_draft_destroy()
 * @d:    out on error, one line: ST_JSON "NAME:LINE:COLUMN: ..." for bad syntax;
 *        ST_CONFIG "NAME: KEY.PATH: ..." for a bad key, type or value
 *
 * Context: any thread; opens no files. Return: 0; -EINVAL; -E2BIG longer than
 * CONFIG_JSON_MAX; -ENOMEM.
 */
MUST_CHECK int config_json_draft_buffer(const char *text, size_t len,
					const char *name,
					struct config_draft *out,
					struct diag *d);

/**
 * config_json_draft_file() - the same for a file
 * @d: out on error; also ST_CONFIG if the file is missing or unreadable
 *
 * Context: blocks on the file. Return: as above; -errno of open() or read().
 */
MUST_CHECK int config_json_draft_file(const char *path,
				      struct config_draft *out, struct diag *d);

/*
 * Read one key of a VM: a reader_object() member for a struct vm_config. Return:
 * 0; -EINVAL; -ENOMEM.
 */
MUST_CHECK int config_json_vm_member(struct reader *r, const char *key,
				     json_t *v, void *vm);

/**
 * config_json_file() - read and parse a file of at most CONFIG_JSON_MAX bytes
 * @root: out, owned by the caller
 * @dir:  out, directory of @path for relative paths in it; NULL: none to
 *        prepend; malloc'ed; both untouched on error
 *
 * Return: as config_json_draft_file().
 */
MUST_CHECK int config_json_file(const char *path, json_t **root, char **dir,
				struct diag *d);

/* Keys and values may hold anything: make a message one line. */
void config_json_one_line(struct diag *d);

/**
 * config_json_load_buffer() - read a configuration that is complete in itself
 * @cfg: vms and nr_vms are set on success; release with run_config_destroy()
 *
 * Combines config_json_draft_buffer() and config_draft_finish(), and has their
 * errors. The fuzzer calls it.
 */
MUST_CHECK int config_json_load_buffer(const char *text, size_t len,
				       const char *name, struct run_config *cfg,
				       struct diag *d);

#endif
