/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The protocol between a worker and an agent about the buffer cache: a *link*,
 * which is one channel (numa/channel.h) in each direction. Each side has one
 * region, which it alone writes; both regions have the same layout:
 *
 *	worker's region		ring of requests, reader of answers
 *	agent's region		ring of answers, reader of requests
 *
 * A worker has one link, to the agent of the node that it runs on. A new link
 * replaces the old one, whose outstanding requests are never answered. An image
 * is named by the number of the worker's disk.
 *
 * The agent treats requests as hostile: a range outside the image, an unknown
 * disk, or an impossible index ends this link and no other. The worker treats
 * answers as hints: only the presence map tells which blocks are present.
 */
#ifndef DISCO_COWDISK_CACHE_PROTO_H
#define DISCO_COWDISK_CACHE_PROTO_H

#include "numa/channel.h"

#define CACHE_BLOCK_BYTES PAGE_BYTES
#define CACHE_FILL_MAX	  256u /* blocks in one request: 1 MiB */

enum cache_request_kind {
	CACHE_FILL = 1, /* read blocks into the cache; answered once */
	/* Blocks will be read soon. Not answered; the agent may ignore it. */
	CACHE_AHEAD = 2,
	/* Blocks are used repeatedly from another node. As CACHE_AHEAD. */
	CACHE_REPLICATE = 3,
};

struct cache_request {
	uint32_t kind; /* enum cache_request_kind */
	uint32_t disk; /* number in its VM */
	uint64_t first;
	uint32_t nr;  /* blocks, 1 .. CACHE_FILL_MAX, inside the image */
	uint32_t tag; /* _FILL: the answer has the same */
};

struct cache_answer {
	uint32_t tag;
	uint32_t nr;	/* number of blocks filled, from the first one on */
	uint32_t error; /* 0, or why not all of them: errno; ENOSPC: no room */
	uint32_t zero;
};

_Static_assert(sizeof(struct cache_request) == 24, "shared layout");
_Static_assert(sizeof(struct cache_answer) == 16, "shared layout");

#define CACHE_LINK_SLOTS 256u
#define CACHE_REQUESTS                                                         \
	((struct chan_shape){ CACHE_LINK_SLOTS, sizeof(struct cache_request) })
#define CACHE_ANSWERS                                                          \
	((struct chan_shape){ CACHE_LINK_SLOTS, sizeof(struct cache_answer) })

/* A side's region consists of its reader, then its ring. */
#define CACHE_LINK_BYTES      (4 * (size_t)PAGE_BYTES)
#define CACHE_LINK_READER_OFF 0u
#define CACHE_LINK_RING_OFF   256u

_Static_assert(CACHE_LINK_RING_OFF >= sizeof(struct chan_reader),
	       "shared layout");
_Static_assert(CACHE_LINK_RING_OFF + CHAN_LINE_BYTES +
			       CACHE_LINK_SLOTS *
				       sizeof(struct cache_request) <=
		       CACHE_LINK_BYTES,
	       "shared layout");

#endif
