/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM without a kernel boots what is on its first disk: the files of the boot
 * entry are read, kept in the cache, and named in a copy of the configuration.
 */
#ifndef DISCO_MONITOR_DISK_BOOT_H
#define DISCO_MONITOR_DISK_BOOT_H

#include "disco/config.h"
#include "disco/diag.h"
#include "disco/worker_spec.h"

struct disk_boot {
	/* The configuration, with the kernel, initrd and command line found. */
	struct vm_config vm;
	/* For people: "disk.img:/boot/vmlinuz-6.1.0-18-amd64" */
	char *from;
	char *kernel, *initrd,
		*cmdline; /* what vm points to; NULL: not found */
	int fds[2];	  /* of files that could not be kept; -1 */
};

#define DISK_BOOT_NONE ((struct disk_boot){ .fds = { -1, -1 } })

/**
 * disk_boot_find() - read the boot entry of a VM's first disk
 * @vm:   has no kernel, and a disk; outlives @out
 * @disk: the first one, opened
 * @fds:  its descriptors, as of disk_file_open()
 * @cache_dir: for the files; NULL: they are kept open instead
 * @out:  DISK_BOOT_NONE; release with disk_boot_destroy(), also after an error
 * @d:    out on error, as boot_reader_run()
 *
 * Context: control; forks; blocks on the disk. Return: 0; -errno.
 */
MUST_CHECK int disk_boot_find(const struct vm_config *vm,
			      const struct worker_disk *disk, const int *fds,
			      const char *cache_dir, struct disk_boot *out,
			      struct diag *d);

/* DISK_BOOT_NONE and all-zero are accepted. */
void disk_boot_destroy(struct disk_boot *b);

#endif
