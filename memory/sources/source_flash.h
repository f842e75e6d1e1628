/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accesses from a lab's counters (numa/flash.h): each hot page of a queue is one
 * record, which stands for as many misses as make a page hot.
 */
#ifndef DISCO_MEMORY_PLACEMENT_SOURCE_FLASH_H
#define DISCO_MEMORY_PLACEMENT_SOURCE_FLASH_H

#include "memory/placement/access.h"
#include "numa/flash.h"

/* Whose page a frame is. Return: false: of no VM that is known. */
typedef bool access_find_fn(void *arg, uint64_t frame, uint32_t *vm,
			    uint64_t *page);

struct flash_source_config {
	const struct flash *flash; /* open, outlives the source */
	struct flash_clock *clock; /* as above; of the records' times */
	/* Index of a node, by its number; ACCESS_NO_NODE: none. */
	uint8_t index_of[FLASH_MAX_NODES];
	access_find_fn *find;
	void *arg;
};

/*
 * Begins with the hot pages that come from now on. Release it with
 * access_destroy(). Return: 0; -ENOMEM; -EINVAL the lab queues nothing.
 */
MUST_CHECK int flash_source_create(struct access_source **out,
				   const struct flash_source_config *c);

#endif
