/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One link (cowdisk/base/cache_proto.h): takes what a worker asks for, and answers.
 *
 *	asleep	the worker wakes the agent with its next request
 *	awake	looked at in each turn; no system call a message
 *	broken	->error: to be closed, and said to be lost
 *
 * A worker may do what it likes: write garbage over its region, not take
 * answers, close its socket. It ends its own link at most. An answer for which
 * there is no room is dropped; the worker has a time-out.
 *
 * Threads: one, the agent's.
 */
#ifndef DISCO_MONITOR_AGENT_LINK_H
#define DISCO_MONITOR_AGENT_LINK_H

#include <sys/queue.h>

#include "cowdisk/base/cache_proto.h"
#include "cowdisk/store/store.h"
#include "disco/limits.h"
#include "numa/region.h"

#define LINK_FDS   4u  /* in the order of AGENT_LINK */
#define LINK_BATCH 16u /* requests a turn: then others have theirs */

/* Of all links, ever. */
struct link_counts {
	uint64_t requests, answers_lost;
};

/* A disk of the worker. NULL: not told of. */
struct link_disk {
	struct store_reader *reader;
	uint64_t store; /* its id */
};

struct link {
	LIST_ENTRY(link) entry;
	uint64_t id;
	struct link_counts *counts;
	struct region own;	 /* this agent's */
	struct region_view peer; /* the worker's: hostile */
	int wake_tx, wake_rx;
	struct chan_rx requests;
	struct chan_tx answers;
	bool awake;
	/* Names a disk that control may have told of meanwhile: once more. */
	bool in_doubt;
	struct cache_request request; /* the last one; a copy */
	int error;		      /* 0: not broken */
	struct link_disk disks[VM_MAX_DISKS];
};

/**
 * link_open() - the agent's end
 * @fds: LINK_FDS, or all -1: a link without channel, for its readers; owned by
 *       the link, success or not
 * @out: release with link_close(); awake
 *
 * Return: 0; -EBADF one is missing; -ENOMEM; -errno of region_take() and
 * region_attach().
 */
MUST_CHECK int link_open(uint64_t id, struct link_counts *counts,
			 const int fds[LINK_FDS], struct link **out);

/* Its readers are removed: requests under way are not answered. */
void link_close(struct link *k);

/* A reader of the disk, instead of the one it has. NULL: none. */
void link_set_disk(struct link *k, uint32_t disk, struct store_reader *reader,
		   uint64_t store);

/* wake_rx is ready: @events of epoll. */
void link_wake(struct link *k, uint32_t events);

/* Take requests, at most LINK_BATCH; fall asleep when there are none. */
void link_turn(struct link *k);

#endif
