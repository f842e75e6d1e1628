/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Figures of a shared segment: a region that the agent of its home writes, and
 * control reads. Every word is a separate count, stored and loaded relaxed; what
 * is read is hostile.
 */
#ifndef DISCO_SEGMENT_FIGURES_H
#define DISCO_SEGMENT_FIGURES_H

#include <stdatomic.h>

#include "disco/limits.h"

#define SEGMENT_FIGURES_MAGIC 0x31474d4753534944ull /* "DISSGMG1" */
#define SEGMENT_MAX_VIEWS     64u /* VMs of a segment that is replicated */

struct segment_figures {
	/* [A: the agent / control, relaxed] */
	_Alignas(128) _Atomic(uint64_t) magic;
	/* Pages now: protected and without copies; with copies. */
	_Atomic(uint64_t) protected_pages, shared_pages;
	/* In total. */
	_Atomic(uint64_t) replicated, collapsed, reclaimed, disproved;
	_Atomic(uint64_t) writes, late;
	_Atomic(uint64_t) pages[MAX_NODES];  /* of the segment, by node */
	_Atomic(uint64_t) copies[MAX_NODES]; /* replicas, by node */
	/* Pages that a view may show from a replica; by its number. */
	_Atomic(uint64_t) held[SEGMENT_MAX_VIEWS];
};

#define SEGMENT_FIGURES_BYTES                                                  \
	((sizeof(struct segment_figures) + PAGE_BYTES - 1) / PAGE_BYTES *      \
	 PAGE_BYTES)

#endif
