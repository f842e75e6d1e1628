/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A configuration while it is being put together: VMs before -n was expanded,
 * set from the JSON file, then from the command line. Both go through the
 * setters below, so a value is checked by the same code whatever it came
 * from; `struct config_at` says where that was.
 */
#ifndef DISCO_MONITOR_CONFIG_DRAFT_H
#define DISCO_MONITOR_CONFIG_DRAFT_H

#include "disco/config.h"
#include "disco/diag.h"

#define CONFIG_MAX_VMS	      256
#define CONFIG_DEFAULT_MEMORY MIB(256)

/* Where a value stands, for messages: "--cpus", "f.json: vms[1].cpus". */
struct config_at {
	const char *where;	 /* not owned */
	enum exit_status status; /* ST_USAGE or ST_CONFIG */
	struct diag *d;
};

struct vm_draft {
	struct vm_config vm;
	unsigned count; /* 1: name as it is; more: name-0, name-1, ... */
};

struct config_draft {
	struct vm_draft *vms; /* owned, strings too */
	unsigned nr;
	bool is_array; /* file has "vms": keys are vms[i].KEY */
	char *file;    /* owned; NULL: command line only */
};

/* "WHERE: TEXT" into at->d. Return: -@err, always. */
PRINTF(3, 4)
int config_fail(const struct config_at *at, int err, const char *fmt, ...);

/**
 * config_draft_init() - @nr VMs with default values and no kernel
 * @nr: 1 .. CONFIG_MAX_VMS
 *
 * Return: 0; -ENOMEM. Release with config_draft_destroy().
 */
MUST_CHECK int config_draft_init(struct config_draft *c, unsigned nr);

/* NULL, all-zero and half-built are fine. */
void config_draft_destroy(struct config_draft *c);

/**
 * config_draft_finish() - check what can only be checked at the end, expand
 * @c:   emptied, success or not, but still to be destroyed
 * @cfg: vms and nr_vms are set on success, the rest stays as it is
 * @d:   why not: ST_USAGE no kernel on the command line; ST_CONFIG no kernel
 *       in the file, two VMs of one name, a writable disk with two users
 *
 * Return: 0; -EINVAL; -ENOMEM. @cfg is untouched on error.
 */
MUST_CHECK int config_draft_finish(struct config_draft *c,
				   struct run_config *cfg, struct diag *d);

/*
 * Setters. Each returns 0, -EINVAL with at->d filled, or -ENOMEM (ST_HOST);
 * the old value stays on error. Strings are copied. @dir goes before a
 * relative path; NULL: the path as it is.
 */
MUST_CHECK int vm_set_name(struct vm_config *vm, const char *name,
			   const struct config_at *at);
MUST_CHECK int vm_set_group(struct vm_config *vm, const char *name,
			    const struct config_at *at);
MUST_CHECK int vm_set_kernel(struct vm_config *vm, const char *dir,
			     const char *path, const struct config_at *at);
MUST_CHECK int vm_set_initrd(struct vm_config *vm, const char *dir,
			     const char *path, const struct config_at *at);
MUST_CHECK int vm_set_cmdline(struct vm_config *vm, const char *text,
			      const struct config_at *at);
MUST_CHECK int vm_set_cpus(struct vm_config *vm, int64_t nr,
			   const struct config_at *at);
MUST_CHECK int vm_set_memory(struct vm_config *vm, uint64_t bytes,
			     const struct config_at *at);
MUST_CHECK int vm_set_node(struct vm_config *vm, int64_t node,
			   const struct config_at *at);
MUST_CHECK int vm_set_huge(struct vm_config *vm, const char *text,
			   const struct config_at *at);
MUST_CHECK int vm_draft_set_count(struct vm_draft *draft, int64_t nr,
				  const struct config_at *at);

/* Adds an empty disk; *@out is owned by @vm. */
MUST_CHECK int vm_add_disk(struct vm_config *vm, struct disk_config **out,
			   const struct config_at *at);
MUST_CHECK int disk_set_path(struct disk_config *disk, const char *dir,
			     const char *path, const struct config_at *at);
MUST_CHECK int disk_set_cow(struct disk_config *disk, const char *dir,
			    const char *path, const struct config_at *at);
MUST_CHECK int disk_set_serial(struct disk_config *disk, const char *text,
			       const struct config_at *at);
MUST_CHECK int disk_set_queues(struct disk_config *disk, int64_t nr,
			       const struct config_at *at);
MUST_CHECK int disk_set_iops(struct disk_config *disk, int64_t nr,
			     const struct config_at *at);
MUST_CHECK int disk_set_bps(struct disk_config *disk, uint64_t bytes,
			    const struct config_at *at);

/* What of a disk can only be checked when all of it is known. */
MUST_CHECK int disk_check(const struct disk_config *disk,
			  const struct config_at *at);

/* Takes every disk away. */
void vm_clear_disks(struct vm_config *vm);

/* Frees what @cfg owns, not @cfg. NULL, all-zero and half-built are fine. */
void run_config_destroy(struct run_config *cfg);

#endif
