/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files of the host that a disk image refers to. Whoever made the image
 * chose the names: a reader that follows them reads for a stranger.
 */
#ifndef DISCO_MONITOR_IMAGE_NAMES_H
#define DISCO_MONITOR_IMAGE_NAMES_H

#include "monitor/control/disks/disk_format.h"

#define IMAGE_MAX_EXTENTS 256u

struct image_names {
	char *backing;	  /* what absent blocks are read from; NULL: none */
	bool backing_raw; /* it is raw, whatever it looks like */
	char *data;	  /* qcow2: the file with the data; NULL: this one */
	char **extents;	  /* vmdk: nr_extents files with the data */
	unsigned nr_extents;
};

/**
 * image_names_read() - find the names in an image
 * @fd:    open for reading; its position is not used
 * @bytes: its size
 * @out:   release with image_names_free(), also after an error
 * @why:   out on -EBADMSG: what is wrong, a literal
 *
 * The names are as the image has them, of any bytes but NUL. Formats without
 * names give none.
 *
 * Context: blocks on the file. Return: 0; -EBADMSG; -ENOMEM; -errno of pread().
 * Source: qemu, docs/interop/qcow2.txt, qed_spec.txt; VMware, "Virtual Disk
 * Format 5.0".
 */
MUST_CHECK int image_names_read(int fd, uint64_t bytes, enum disk_format f,
				struct image_names *out, const char **why);

/* All-zero is accepted. */
void image_names_free(struct image_names *n);

#endif
