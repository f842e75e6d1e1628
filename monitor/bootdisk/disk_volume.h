/* SPDX-License-Identifier: BSD-2-Clause */
/* A disk as its guest sees it: a raw file, or a base under its COW file. */
#ifndef DISCO_BOOTDISK_DISK_VOLUME_H
#define DISCO_BOOTDISK_DISK_VOLUME_H

#include "cowdisk/disk/cow.h"
#include "monitor/bootdisk/volume.h"

/* Descriptors that can be read; not owned. */
struct disk_volume_files {
	int base;
	int cow;	/* -1: none */
	uint64_t bytes; /* of the disk */
	uint64_t cow_bytes;
};

struct disk_volume {
	struct volume v;
	struct disk_volume_files files;
	struct io_fd io;
	struct cow *cow; /* NULL: the base alone */
	uint64_t budget;
};

/**
 * disk_volume_open() - make a disk readable
 * @budget: bytes that may be read in all
 * @out:    filled; release with disk_volume_close(), also after an error; does
 *          not move meanwhile
 * @why:    out on error: text that follows "FILE: " in a message
 *
 * Return: 0; errors of cow_open(). Context: one thread.
 */
MUST_CHECK int disk_volume_open(const struct disk_volume_files *files,
				uint64_t budget, struct disk_volume *out,
				const char **why);

/* All-zero is accepted. */
void disk_volume_close(struct disk_volume *d);

#endif
