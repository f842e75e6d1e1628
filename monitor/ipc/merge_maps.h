/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared memory of the merging of equal pages: what control and workers both
 * have to know of it. Frames are those of guest memory from 0 on.
 *
 *	sums	a region (numa/region.h) that the worker writes: 8 bytes a
 *		frame, 0: not the guest's own. Read after the answer to
 *		WORKER_REQ_SUM: the socket orders it
 *	bits	a memfd that control has written and sealed: bit i % 64 of
 *		word i / 64 for frame i
 *	layer	a memfd: frame i at i pages. One worker fills it; then control
 *		seals it, and it never changes
 */
#ifndef DISCO_MONITOR_MERGE_MAPS_H
#define DISCO_MONITOR_MERGE_MAPS_H

#include "disco/base.h"

/* Of guest memory; what lies above is not looked at. */
#define MERGE_BYTES_MAX GIB(1)

static inline size_t merge_sums_bytes(uint64_t frames)
{
	return (size_t)align_up(frames * sizeof(uint64_t), PAGE_BYTES);
}

static inline size_t merge_bits_bytes(uint64_t frames)
{
	return (size_t)align_up(align_up(frames, 64) / 8, PAGE_BYTES);
}

static inline bool merge_bit(const uint64_t *bits, uint64_t i)
{
	return bits[i / 64] >> i % 64 & 1;
}

#endif
