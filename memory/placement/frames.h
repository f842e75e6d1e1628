/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which page of a VM a frame of the machine's memory is: sources that sample
 * physical addresses know frames alone. Filled from /proc/PID/pagemap by its
 * owner, and older than what the kernel does meanwhile: an answer is a guess,
 * and an entry of pagemap is read again before one acts on it.
 *
 * Some 10 bytes per page of the VM, taken when they are used.
 */
#ifndef DISCO_MEMORY_PLACEMENT_FRAMES_H
#define DISCO_MEMORY_PLACEMENT_FRAMES_H

#include "disco/base.h"

#define FRAMES_MAX_FRAME UINT32_MAX /* 16 TiB of the machine */

struct frame_map;

/* @pages: 1 .. 2^28. Context: any thread. Return: 0; -EINVAL; -ENOMEM. */
MUST_CHECK int frame_map_create(struct frame_map **out, uint64_t pages);

/* NULL is accepted. */
void frame_map_destroy(struct frame_map *m);

/*
 * A page is in a frame now; frame 0: in none. A page that the frame had before
 * is in none. Out of range: ignored.
 */
void frame_map_set(struct frame_map *m, uint64_t page, uint64_t frame);

/* Return: whether a page is in that frame; @page is untouched if none is. */
MUST_CHECK bool frame_map_find(const struct frame_map *m, uint64_t frame,
			       uint64_t *page);

#endif
