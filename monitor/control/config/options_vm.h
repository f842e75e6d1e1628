/* SPDX-License-Identifier: BSD-2-Clause */
/* Options of `disco run` that set something of a VM. */
#ifndef DISCO_MONITOR_OPTIONS_VM_H
#define DISCO_MONITOR_OPTIONS_VM_H

#include "monitor/control/config/config_draft.h"

enum vm_option_key {
	KEY_KERNEL = 256,
	KEY_INITRD,
	KEY_CMDLINE,
	KEY_CPUS,
	KEY_MEMORY,
	KEY_DISK,
	KEY_NAME,
	KEY_GROUP,
	KEY_VM_END,
	KEY_COUNT = 'n',
};

/* "--memory"; NULL: @key is no option of a VM. */
const char *vm_option_name(int key);

/**
 * vm_option_apply() - read an option's text into a VM
 * @key: vm_option_name() is not NULL
 * @arg: what the user wrote; not kept
 * @d:   why not, on error (ST_USAGE)
 *
 * --disk adds a disk. A value that is not named in @arg stays as it was.
 *
 * Context: any thread. Return: 0; -EINVAL; -ENOMEM.
 */
MUST_CHECK int vm_option_apply(int key, const char *arg, struct vm_draft *draft,
			       struct diag *d);

#endif
