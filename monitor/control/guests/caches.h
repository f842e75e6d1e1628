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

#include "disco/diag.h"
#include "monitor/control/workers/agents.h"

struct agent_figures;
struct cache_limit;
struct caches;
struct guest;
struct monitor;

/**
 * caches_create() - m->caches, before the first agent and the first guest
 * Return: 0; -ENOMEM.
 */
MUST_CHECK int caches_create(struct monitor *m,
			     const struct cache_limit *limit);

/* Guests stay, without a cache. After this, no other call. All-zero is fine. */
void caches_destroy(struct monitor *m);

/*
 * A worker runs: its disks get their caches. What fails is told, and less is
 * cached.
 */
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

/**
 * caches_figures() - what an agent shows, for looking at word by word
 * Return: NULL: not known. Hostile: words are loaded once, and only counts.
 */
const struct agent_figures *caches_figures(const struct caches *c,
					   nodeid_t node);

#endif
