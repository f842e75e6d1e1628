/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The node that guest RAM comes from.
 *
 * The policy belongs to the memfd's pages, so it also holds for pages that are
 * under an overlay now and become RAM again later. It is set through a separate
 * mapping: mbind() also marks the mapping that it is applied to, and marked and
 * unmarked parts of the view could never be merged again (memory/pmap.h,
 * invariant 4). Overlaid pages keep the policy of their source.
 */
#ifndef DISCO_MEMORY_RAM_BIND_H
#define DISCO_MEMORY_RAM_BIND_H

#include "memory/guest_ram.h"

/* A part of RAM and where it comes from. */
struct ram_part {
	uint64_t offset, bytes; /* in the memfd; multiples of PAGE_BYTES */
	nodeid_t node;		/* as for node_bind_memory() */
};

/**
 * ram_bind_parts() - set the nodes that new pages of parts of RAM come from
 * @parts: @nr, disjoint
 *
 * As a preference, and as ram_bind(). On error some parts may have been bound.
 */
MUST_CHECK int ram_bind_parts(const struct ram_view *view,
			      const struct ram_part *parts, unsigned nr);

/**
 * ram_bind() - set the node that new pages of guest RAM come from
 * @node, @strict: as for node_bind_memory() (numa/bind.h)
 *
 * Existing pages do not move.
 *
 * Context: any thread. Return: 0; what node_bind_memory() returns; -errno of
 * mmap().
 */
MUST_CHECK int ram_bind(const struct ram_view *view, nodeid_t node,
			bool strict);

#endif
