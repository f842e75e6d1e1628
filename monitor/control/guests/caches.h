/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control's part in the buffer cache: which image has a store on which node,
 * and who reads it. Control makes the shared memory and hands it out; it maps
 * none of it but the agents' figures, and reads no block.
 *
 *	image	what a file is (device, number, size, time) for one group: VMs
 *		of different groups have different images of the same file
 *	store	an image's cache on a node that is the home of one of its VMs
 *	hold	a VM's disk may look in a store: it has a lease map there, and
 *		the store's agent reads that
 *	peer	a store's agent may copy from the store of another node, and has
 *		a lease map there (cache_peers.h)
 *	link	a VM's channel to the agent of its home node
 *
 * A VM holds all stores of its images, so a block that another node has is
 * found there first. When the last VM of a node leaves, the store goes; what
 * VMs still show of it stays until they let go, as nobody punches it any more.
 *
 * An agent that died is told everything again. Its stores go on where they
 * were: presence maps and memory outlive it. After the death of a monitor the
 * next one makes new stores: what the workers have of the old ones goes on as
 * after the last VM left.
 *
 * Everything goes to agents and workers as messages without answers; where
 * one is lost, VMs read their files without a cache.
 *
 * Threads: the monitor's.
 */
#ifndef DISCO_MONITOR_CACHES_H
#define DISCO_MONITOR_CACHES_H

#include "monitor/control/workers/agents.h"
#include "monitor/control/base/state_dir.h"
#include "numa/region.h"

#define CACHE_PERCENT 25 /* of a node's memory, unless told otherwise */

struct guest;
struct cache_image;
struct monitor;
struct peer;

/* Of a node. */
struct cache_limit {
	bool off;
	uint64_t bytes;	  /* 0: see percent */
	unsigned percent; /* of the node's memory */
};

struct caches {
	struct cache_limit limit;
	struct cache_image *images;
	struct peer *peers;
	uint64_t last_id; /* of stores, holds, links, peers; AGENT_SYNC */
	struct {
		nodeid_t node;
		struct region_view figures; /* of the agent */
	} seen[MAX_NODES];
	unsigned nr_seen;
};

/* A VM's part; all-zero is one without. */
struct guest_cache {
	struct guest_disk *disks; /* those that are cached */
	bool linked;
	bool link_waits; /* for its lease maps */
	nodeid_t home;	 /* whose agent it is linked to, or will be */
	uint64_t link;
};

/**
 * caches_parse() - "SIZE", "N%" or "off"
 * Return: 0; -EINVAL with @d filled (ST_USAGE).
 */
MUST_CHECK int caches_parse(const char *text, struct cache_limit *out,
			    struct diag *d);

/* A worker runs: its disks get their caches. What fails is told, and less is
 * cached. */
void caches_guest_add(struct monitor *m, struct guest *g);

/* It lives on @node from now on, as far as new blocks are concerned. */
void caches_guest_home(struct monitor *m, struct guest *g, nodeid_t node);

/* Its worker is dead. Again is fine. */
void caches_guest_remove(struct monitor *m, struct guest *g);

/* An agent has started, has died, says something of AGENT_LINK_LOST and on. */
void caches_agent_started(struct monitor *m, struct agent *a);
void caches_agent_died(struct monitor *m, struct agent *a);
void caches_agent_said(struct monitor *m, const struct agent *a,
		       const struct agent_answer *what);

void caches_destroy(struct monitor *m);

/**
 * caches_figures() - what an agent shows, for looking at word by word
 * Return: NULL: not known. Hostile: words are loaded once, and only counts.
 */
const struct agent_figures *caches_figures(const struct caches *c,
					   nodeid_t node);

#endif
