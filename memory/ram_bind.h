/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The node that guest RAM comes from.
 *
 * The policy belongs to the memfd, page by page, so it holds as well for pages
 * that are under an overlay now and become RAM again later. It is set through
 * a mapping of its own: mbind() also marks the mapping it is given, and marked
 * and unmarked parts of the view would stay apart for ever (memory/pmap.h,
 * invariant 4). What is overlaid keeps the policy of its source.
 */
#ifndef DISCO_MEMORY_RAM_BIND_H
#define DISCO_MEMORY_RAM_BIND_H

#include "memory/guest_ram.h"

/**
 * ram_bind() - new pages of guest RAM come from a node
 * @node, @strict: as for node_bind_memory() (numa/bind.h)
 *
 * Pages that are there do not move.
 *
 * Context: any thread. Return: 0; what node_bind_memory() returns; -errno of
 * mmap().
 */
MUST_CHECK int ram_bind(const struct ram_view *view, nodeid_t node,
			bool strict);

#endif
