/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The options of a VM, of a disk and of a run: their tables, and the structs that are
 * filled by them. To add one: an entry in vm_options.c, its field in
 * disco/config.h, the code that uses the field, and a test of that.
 */
#ifndef DISCO_MONITOR_VM_OPTIONS_H
#define DISCO_MONITOR_VM_OPTIONS_H

#include "disco/config.h"
#include "monitor/control/config/option.h"

#define CONFIG_MAX_VMS	      256
#define CONFIG_DEFAULT_MEMORY MIB(256)

extern const struct option_entry vm_options[];	 /* of struct vm_config */
extern const struct option_entry disk_options[]; /* of struct disk_config */
extern const struct option_entry run_options[];	 /* of struct run_config */

/* A VM with nothing but default values. */
void vm_config_init(struct vm_config *vm);

/* Frees what @vm owns. All-zero and half-built are fine. */
void vm_config_destroy(struct vm_config *vm);

/* Return: 0; -ENOMEM, @to is half-built and can be destroyed. */
MUST_CHECK int vm_config_copy(struct vm_config *to,
			      const struct vm_config *from);

/* Adds an empty disk; *@out is owned by @vm. Return: 0; -EINVAL too many. */
MUST_CHECK int vm_add_disk(struct vm_config *vm, struct disk_config **out,
			   const struct config_at *at);

/* Takes every disk away. */
void vm_clear_disks(struct vm_config *vm);

/**
 * vm_option_apply() - read an option's text into a VM
 * @o:   of vm_options, with no @of
 * @arg: what the user wrote; not kept
 * @d:   why not, on error (ST_USAGE)
 *
 * --disk adds a disk. A value that is not named in @arg stays as it was.
 *
 * Context: any thread. Return: 0; -EINVAL; -ENOMEM.
 */
MUST_CHECK int vm_option_apply(const struct option_entry *o, const char *arg,
			       struct vm_config *vm, struct diag *d);

/* A path of @vm's that is relative, the last one of them; NULL: none is. */
const char *vm_relative_path(const struct vm_config *vm);

/* "root.img,ro,queues=2": the options of a disk that were given. */
void disk_print(const struct disk_config *disk, FILE *out);

#endif
