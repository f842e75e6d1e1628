/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared memory of the merging of equal pages: what control and workers both
 * have to know of it. Frames are those of guest memory from 0 on.
 *
 *	sums	a region (numa/region.h) that the worker writes: 8 bytes a
 *		frame. 0: of zeroes, or not the guest's own; MERGE_STABLE: as
 *		it was at the look before. Read after the answer to
 *		WORKER_REQ_SUM: the socket orders it
 *	layer	a memfd: frame i at i pages. One worker fills it; then control
 *		seals it, and it never changes
 *	table	a memfd that control has written and sealed: which frames a
 *		layer holds, each with its sum (without MERGE_STABLE), in the
 *		order of their sums; no two have the same
 */
#ifndef DISCO_MONITOR_MERGE_MAPS_H
#define DISCO_MONITOR_MERGE_MAPS_H

#include "disco/base.h"

/* Of guest memory; what lies above is not looked at. */
#define MERGE_BYTES_MAX GIB(1)

#define MERGE_STABLE 1ull /* of a sum */
#define MERGE_LAYERS 64u  /* that a VM can be given */

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

/* Where a table of @nr entries has this sum; @nr: nowhere. */
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
