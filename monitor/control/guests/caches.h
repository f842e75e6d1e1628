/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control's part in the buffer cache: which image has a store on which node, and
 * which VMs read it. Control makes the shared memory and distributes it. It maps
 * only the agents' figures, and reads no block.
 *
 *	image	the identity of a file (device, number, size, time) for one
 *		group: VMs of different groups have different images of a file
 *	store	an image's cache on a node that is the home of one of its VMs
 *	hold	a VM's disk may use a store: it has a lease map there, which the
 *		store's agent reads
 *	peer	a store's agent may copy from the store of another node, and has
 *		a lease map there (cache_peers.h)
 *	link	a VM's channel to the agent of its home node
 *
 * FOREIGN IMAGES. Frames between VMs may refer to cached blocks (vnet/refs.h). VMs
 * that ask for merging (--memory ...,merge), belong to one group and are in one
 * network hold the images of each other's disks, too: VM_MAX_FOREIGN of them in
 * their life, the first ones. A VM keeps them until it ends, as pages that it shows
 * from a store must have its leases as long as the store has an agent. They count
 * as images of the VM in all that follows: its home node gets a store of them, and
 * its agent copies their blocks from other nodes. Workers that were adopted have
 * none, as their record does not say whether they ask for merging.
 *
 * A VM holds all stores of its images, so it finds a block that another node has
 * without reading the image. When the last VM leaves a node, the store ends.
 * Pages that VMs still show from it stay until they drop them, because nobody
 * punches them any more.
 *
 * An agent that is started again receives everything again. Its stores continue
 * as they were, since presence maps and memory outlive it. After the death of a
 * monitor the next one makes new stores; what workers have of the old ones stays
 * as it does after the last VM has left.
 *
 * All messages to agents and workers are without answers. If one is lost, VMs
 * read their files without a cache.
 *
 * Context of all functions: the monitor's thread.
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
 * caches_create() - create m->caches, before the first agent and guest
 * @limit: copied; of each node
 *
 * Return: 0; -ENOMEM.
 */
MUST_CHECK int caches_create(struct monitor *m,
			     const struct cache_limit *limit);

/*
 * Guests go on without a cache. No other function may be called after this.
 * NULL is accepted.
 */
void caches_destroy(struct monitor *m);

/*
 * A worker runs: give its disks their caches. A failure is reported on standard
 * error, and less is cached.
 */
void caches_guest_add(struct monitor *m, struct guest *g);

/* New blocks of a guest come to the cache of @node from now on. */
void caches_guest_home(struct monitor *m, struct guest *g, nodeid_t node);

/* A guest's worker is dead. May be called again. */
void caches_guest_remove(struct monitor *m, struct guest *g);

/* An agent has started, or has died. */
void caches_agent_started(struct monitor *m, struct agent *a);
void caches_agent_died(struct monitor *m, struct agent *a);

/* An agent has sent an answer of kind AGENT_LINK_LOST or a later one. */
void caches_agent_said(struct monitor *m, const struct agent *a,
		       const struct agent_answer *what);

/**
 * caches_figures() - the figures of a node's agent
 *
 * Return: mapped memory that the agent writes; NULL if it is not known. Each
 * word has to be loaded only once, and used as a count only, because the agent
 * may be hostile.
 */
const struct agent_figures *caches_figures(const struct caches *c,
					   nodeid_t node);

#endif
