/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared memory for merging equal pages: what control and workers both have to
 * know of it. Frames are numbered from guest physical address 0.
 *
 *	sums	a region (numa/region.h) that the worker writes: 8 bytes per
 *		frame. 0: a frame of zeroes, or not the guest's own page.
 *		MERGE_STABLE is set if the frame has not changed since the
 *		previous scan. Control reads it after the answer to
 *		WORKER_REQ_SUM, so the socket orders the accesses
 *	layer	a memfd with frame i at page i. One worker fills it, then
 *		control seals it, and it never changes
 *	table	a memfd that control has written and sealed. It lists the frames
 *		that a layer holds, each with its sum (without MERGE_STABLE), in
 *		the order of their sums, which are unique
 */
#ifndef DISCO_MONITOR_MERGE_MAPS_H
#define DISCO_MONITOR_MERGE_MAPS_H

#include "disco/base.h"

/* Only frames of guest memory below this address are merged. */
#define MERGE_BYTES_MAX GIB(1)

#define MERGE_STABLE 1ull /* a bit of a sum */
#define MERGE_LAYERS 64u  /* maximum number of layers per VM */

struct merge_entry {
	uint64_t sum;
	uint64_t frame;
};

static inline size_t merge_sums_bytes(uint64_t frames)
{
	return (size_t)align_up(frames * sizeof(uint64_t), PAGE_BYTES);
}

static inline size_t merge_table_bytes(uint64_t entries)
{
	return (size_t)align_up(entries * sizeof(struct merge_entry),
				PAGE_BYTES);
}

/* Index of a sum in a table of @nr entries; @nr: the table does not have it. */
static inline uint32_t merge_find(const struct merge_entry *t, uint32_t nr,
				  uint64_t sum)
{
	uint32_t first = 0, end = nr;

	while (first < end) {
		uint32_t mid = first + (end - first) / 2;

		if (t[mid].sum < sum)
			first = mid + 1;
		else
			end = mid;
	}
	return first < nr && t[first].sum == sum ? first : nr;
}

#endif
