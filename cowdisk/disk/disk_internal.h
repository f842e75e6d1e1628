/* SPDX-License-Identifier: BSD-2-Clause */
/* The contents of a struct disk, for the files of this room. */
#ifndef DISCO_COWDISK_DISK_INTERNAL_H
#define DISCO_COWDISK_DISK_INTERNAL_H

#include "cowdisk/disk/cow.h"
#include "cowdisk/disk/disk.h"

struct raw_req;

struct disk {
	struct io *io;
	struct cow *cow; /* NULL: raw */
	bool read_only;
	bool temporary;
	struct raw_req *raw; /* an array, when raw */
	struct raw_req *free;
};

#endif
