/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What passes between a worker and an agent about the buffer cache: a *link*,
 * one channel (numa/channel.h) each way. Each side has one region, with the
 * same layout, that it alone writes:
 *
 *	worker's region		ring of requests, reader of answers
 *	agent's region		ring of answers, reader of requests
 *
 * A worker has one link, to the agent of the node it runs on; a new one takes
 * the place of the old one, whose requests are never answered. Images are
 * named by the number of the worker's disk.
 *
 * The agent takes requests for hostile: a range outside the image, a disk it
 * was not told of, or a broken index ends the link, and nobody else notices.
 * The worker takes answers for hints: what is there, the presence map says.
 */
#ifndef DISCO_COWDISK_CACHE_PROTO_H
#define DISCO_COWDISK_CACHE_PROTO_H

#include "numa/channel.h"

#define CACHE_BLOCK_BYTES PAGE_BYTES
#define CACHE_FILL_MAX	  256u /* blocks in one request: 1 MiB */

enum cache_request_kind {
	CACHE_FILL = 1,	 /* answered once */
	CACHE_AHEAD = 2, /* will be read soon; not answered, may be ignored */
	/* Used from another node again and again: the same. */
	CACHE_REPLICATE = 3,
};

struct cache_request {
	uint32_t kind; /* enum cache_request_kind */
	uint32_t disk; /* number in its VM */
	uint64_t first;
	uint32_t nr;  /* blocks, 1 .. CACHE_FILL_MAX, inside the image */
	uint32_t tag; /* _FILL: comes back in the answer */
};

struct cache_answer {
	uint32_t tag;
	uint32_t nr;	/* the first so many blocks were filled */
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

/* A side's region: its reader first, then its ring. */
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
