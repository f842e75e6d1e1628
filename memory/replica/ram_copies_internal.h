/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of ram_copies.h share: ram_copies.c has the owner's thread and
 * the others', ram_copies_link.c what the owner does for who decides. For these
 * two alone.
 */
#ifndef DISCO_MEMORY_RAM_COPIES_INTERNAL_H
#define DISCO_MEMORY_RAM_COPIES_INTERNAL_H

#include <stdatomic.h>

#include "memory/replica/copies_link.h"
#include "memory/replica/copies_scan.h"
#include "memory/replica/marks.h"
#include "memory/replica/ram_copies.h"
#include "memory/replica/segment_map.h"

#define COPIES_QUEUE 1024u /* messages; far fewer are ever under way */
#define COPIES_MAPS  (RAM_COPIES_MAX_VIEWS + 1)

struct copies_msg {
	uint16_t to_home; /* or to the holder */
	uint16_t map;
	struct replica_msg m;
};

struct copies_map {
	struct ram_copies *c; /* [I] */
	unsigned index;	      /* [I] view; nr_views: the host */
	int copies_fd;	      /* [I] memfd of the view's copies; -1: the host */
	struct segment_map map;
	struct holder holder; /* the owner's thread */
};

struct ram_copies {
	struct ram_copies_spec spec; /* [I] */
	struct copies_map maps[COPIES_MAPS];
	unsigned nr_maps; /* [I] */
	/*
	 * [I] pipes. That of faults never fills: each thread waits for one. So
	 * the waiters go on reading events, for which the owner's mremap(2)
	 * waits; behind those who ask they might not.
	 */
	int faults[2], asks[2];
	const uint8_t *pages_of_ram; /* [I] for the owner to read */
	marks_word *guarded;  /* [I] pages that were ever to be protected */
	_Atomic(bool) broken; /* [A: any of these threads / any] guarantee 6 */
	/* All below: the owner's thread. */
	struct home home;
	struct home_page *pages;
	struct copies_msg queue[COPIES_QUEUE];
	unsigned first, count;	 /* of the queue */
	int err;		 /* guarantee 6; 0: none */
	struct copies_link link; /* to who decides; closed: the scan does */
	struct copies_scan scan;
	struct copies_found found[COPIES_SCAN_PAGES]; /* from next_found on */
	unsigned nr_found, next_found;
	uint64_t scan_due_ns; /* UINT64_MAX: never */
	struct ram_copies_stats stats;
	/* [A: owner / any thread, relaxed: statistics] a copy of .stats */
	_Atomic(uint64_t)
		shown[sizeof(struct ram_copies_stats) / sizeof(uint64_t)];
};

static inline uint64_t copies_pages(const struct ram_copies *c)
{
	return c->spec.bytes / PAGE_BYTES;
}

/*
 * Below: context: the owner's thread.
 *
 * Return: as home_replicate(). -EAGAIN: whoever asks may ask again.
 */
MUST_CHECK int copies_replicate(struct ram_copies *c, uint64_t page,
				uint64_t views);

/* Until all is done that follows from what was done. */
void copies_pump(struct ram_copies *c);

/* A link in place of an earlier one; see ram_copies_link(). */
void copies_take_link(struct ram_copies *c, const int *fds);

/* Who decides is gone: the scan decides again. */
void copies_unlink(struct ram_copies *c);

/*
 * Before the owner waits. Return: 1: there are notes; 0: it is woken when there
 * are, and calls chan_sleep_end() afterwards; -1: there is no link.
 */
int copies_link_look(struct ram_copies *c);

/* Do some of what was decided. There is a link. */
void copies_take_notes(struct ram_copies *c);

#endif
