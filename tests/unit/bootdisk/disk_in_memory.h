/* SPDX-License-Identifier: BSD-2-Clause */
/* A volume that is an array. */
#ifndef TESTS_UNIT_BOOTDISK_DISK_IN_MEMORY_H
#define TESTS_UNIT_BOOTDISK_DISK_IN_MEMORY_H

#include <string.h>

#include "monitor/bootdisk/volume.h"

struct disk_in_memory {
	struct volume v;
	const uint8_t *at;
	uint64_t budget;
};

static inline int disk_in_memory_read(struct volume *v, uint64_t at, void *buf,
				      size_t bytes)
{
	struct disk_in_memory *d = container_of(v, struct disk_in_memory, v);

	memcpy(buf, d->at + at, bytes);
	return 0;
}

/* At most @budget bytes of it are read. */
static inline void disk_in_memory_init(struct disk_in_memory *d,
				       const uint8_t *at, uint64_t bytes,
				       uint64_t budget)
{
	*d = (struct disk_in_memory){ .v = { .read = disk_in_memory_read,
					     .bytes = bytes,
					     .budget = &d->budget },
				      .at = at,
				      .budget = budget };
}

#endif
