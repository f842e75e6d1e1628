/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables of the options of a VM, a disk and a run, and the structs that they
 * fill. To add an option, add a field to disco/config.h, an entry to
 * vm_options.c, the code that uses the field, and a test of that code.
 *
 * Context of all functions: any thread; no files are opened.
 */
#ifndef DISCO_MONITOR_VM_OPTIONS_H
#define DISCO_MONITOR_VM_OPTIONS_H

#include "disco/config.h"
#include "monitor/control/config/option.h"

#define CONFIG_MAX_VMS	      256
#define CONFIG_DEFAULT_MEMORY MIB(256)

extern const struct option_entry vm_options[];	 /* of struct vm_config */
extern const struct option_entry disk_options[]; /* of struct disk_config */
extern const struct option_entry net_options[];	 /* of struct net_config */
extern const struct option_entry shm_options[];	 /* of struct shm_config */
extern const struct option_entry run_options[];	 /* of struct run_config */

/* Set all values of a VM to their defaults. */
void vm_config_init(struct vm_config *vm);

/* Free what @vm owns. All-zero and half-built are accepted. */
void vm_config_destroy(struct vm_config *vm);

/* Copy all of a VM. Return: 0; -ENOMEM, and the caller destroys @to. */
MUST_CHECK int vm_config_copy(struct vm_config *to,
			      const struct vm_config *from);

/* Add an empty disk; *@out is owned by @vm. Return: 0; -EINVAL too many. */
MUST_CHECK int vm_add_disk(struct vm_config *vm, struct disk_config **out,
			   const struct config_at *at);

/* The same for a network. */
MUST_CHECK int vm_add_net(struct vm_config *vm, struct net_config **out,
			  const struct config_at *at);

/* The same for a shared segment. */
MUST_CHECK int vm_add_shm(struct vm_config *vm, struct shm_config **out,
			  const struct config_at *at);

/* Remove every disk; every network; every segment. */
void vm_clear_disks(struct vm_config *vm);
void vm_clear_nets(struct vm_config *vm);
void vm_clear_shms(struct vm_config *vm);

/*
 * Return: the table of the items of an option that is given several times
 * (disks, networks, segments); NULL: it is not such an option.
 */
const struct option_entry *vm_option_items(const struct option_entry *o);

/**
 * vm_option_apply() - read an option's text into a VM
 * @o:   entry of vm_options without @of
 * @arg: the user's text; not kept
 * @d:   out on error: the reason (ST_USAGE)
 *
 * --disk adds a disk, --net a network, --shm a segment. Values that @arg does
 * not name are unchanged.
 *
 * Return: 0; -EINVAL; -ENOMEM.
 */
MUST_CHECK int vm_option_apply(const struct option_entry *o, const char *arg,
			       struct vm_config *vm, struct diag *d);

/* Return: the last relative path of @vm, owned by it; NULL: there is none. */
const char *vm_relative_path(const struct vm_config *vm);

/* Print the options of a disk that were given: "root.img,ro,queues=2". */
void disk_print(const struct disk_config *disk, FILE *out);

#endif
