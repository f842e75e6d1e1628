/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent's end of one link (cowdisk/base/cache_proto.h): takes the requests
 * of a worker, and answers them.
 *
 *	asleep	the worker wakes the agent with its next request
 *	awake	served in each turn; no system call per message
 *	broken	->error is set: the link will be closed and reported lost
 *
 * A hostile worker may write garbage over its region, take no answers, or close
 * its socket. At most it ends its own link. An answer for which there is no
 * room is dropped, because the worker has a time-out.
 *
 * Context of all functions: one thread, the agent's.
 */
#ifndef DISCO_MONITOR_AGENT_LINK_H
#define DISCO_MONITOR_AGENT_LINK_H

#include <sys/queue.h>

#include "cowdisk/base/cache_proto.h"
#include "cowdisk/store/store.h"
#include "disco/limits.h"
#include "numa/region.h"

#define LINK_FDS   4u  /* in the order of AGENT_LINK */
#define LINK_BATCH 16u /* requests per turn, so that other links get theirs */

/* Totals over all links. */
struct link_counts {
	uint64_t requests, answers_lost;
};

/* A disk of the worker. reader NULL: control has not announced the disk. */
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
	/*
	 * The last request names an unknown disk, which control may have
	 * announced meanwhile: check it once more.
	 */
	bool in_doubt;
	struct cache_request request; /* the last one; a copy */
	int error;		      /* -errno; 0: not broken */
	struct link_disk disks[VM_MAX_CACHED];
};

/**
 * link_open() - set up the agent's end
 * @id:  as control numbered the link
 * @fds: LINK_FDS descriptors, or all -1: a link without a channel, for its
 *       readers only; owned by the link, also on error
 * @out: release with link_close(); awake
 *
 * Return: 0; -EBADF one is missing; -ENOMEM; -errno of region_take() and
 * region_attach().
 */
MUST_CHECK int link_open(uint64_t id, struct link_counts *counts,
			 const int fds[LINK_FDS], struct link **out);

/* Close a link and remove its readers. Its requests are not answered. */
void link_close(struct link *k);

/* Set the reader of a disk, in place of the one it has. NULL: none. */
void link_set_disk(struct link *k, uint32_t disk, struct store_reader *reader,
		   uint64_t store);

/* Handle @events of epoll on wake_rx. */
void link_wake(struct link *k, uint32_t events);

/* Take at most LINK_BATCH requests; fall asleep if there are none. */
void link_turn(struct link *k);

#endif
