/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a worker has mapped its guest's RAM: from /proc/PID/maps. Over parts of
 * it, pages of a cache or a boot image are shown, by a private mapping that
 * begins where the one below it ends. Of such a part only those pages are the
 * guest's own that it has written: the kernel has copied them to memory of no
 * file. So there may be many spans.
 */
#ifndef DISCO_MONITOR_AGENT_PLACING_RAM_SPANS_H
#define DISCO_MONITOR_AGENT_PLACING_RAM_SPANS_H

#include "disco/base.h"

struct ram_span {
	uint64_t start; /* address in the worker */
	uint64_t page;	/* of the memfd: number of the VM's page there */
	uint64_t pages;
	uint32_t own; /* pages that are the guest's: AGENT_FILE or AGENT_ANON */
};

/**
 * ram_spans_read() - find them
 * @maps:      /proc/PID/maps, or any file like it; its offset moves
 * @ram_pages: size of the memfd; what lies beyond is left out
 * @out:       in the order of their addresses
 * @max:       of @out: spans beyond are left out, at the highest addresses
 *
 * Context: one thread. Return: how many; -errno of lseek() or read().
 * Source: proc(5).
 */
MUST_CHECK int ram_spans_read(int maps, uint64_t ram_pages,
			      struct ram_span *out, unsigned max);

/*
 * The span of a page; NULL: it is in none of them. Of a worker whose pages are
 * not in the order of their addresses, as ours are, not all are found.
 */
const struct ram_span *ram_spans_find(const struct ram_span *spans, unsigned nr,
				      uint64_t page);

/*
 * RAM that is mapped several times (memory/replica/ram_copies.h) is so many
 * groups of spans, one per mapping, each in the order of its pages.
 *
 * Return: the end of the group that begins with spans[@first]: an index.
 */
unsigned ram_spans_group(const struct ram_span *spans, unsigned nr,
			 unsigned first);

/* The first span of a group that ends beyond @page: an index; nr: none does. */
unsigned ram_spans_beyond(const struct ram_span *spans, unsigned nr,
			  uint64_t page);

/* Address of a page of the span. */
static inline uint64_t ram_span_at(const struct ram_span *s, uint64_t page)
{
	return s->start + (page - s->page) * PAGE_BYTES;
}

/* Address of a page; 0: it is in none of them. */
uint64_t ram_spans_address(const struct ram_span *spans, unsigned nr,
			   uint64_t page);

#endif
