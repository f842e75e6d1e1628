/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which agent may copy blocks from which other node's store: each two stores of
 * an image have two *peers*, one in each direction. Agent i, whose store
 * receives the copies, leases blocks in the store of agent j as a worker does.
 * Private to caches.c.
 *
 *		    j reads the map	i may write it	until
 *	PEER_NEW    perhaps not yet	no		SYNCED of j
 *	PEER_READY  yes			yes		either store ends
 *	PEER_ENDING yes			perhaps		SYNCED of i
 *
 * INVARIANT: j reads a lease map from before i gets it until after i has given
 * it up or is dead. Messages to two agents have no common order, so only an
 * agent's AGENT_SYNCED shows what it has handled. If j read the map too late or
 * not long enough, it would punch blocks while they are copied, and zeroes would
 * become blocks.
 *
 *	store of i or j ends	i: AGENT_PEER_END and _SYNC; then j: _LINK_END
 *	i dies			j: _LINK_END; a lease map has one writer, so the
 *				next i gets a new one
 *	j dies			nothing is punched; the next j gets the map
 *				before its limit, as it gets workers' maps
 *
 * Context of all functions: the monitor's thread.
 */
#ifndef DISCO_MONITOR_CACHE_PEERS_H
#define DISCO_MONITOR_CACHE_PEERS_H

#include "disco/base.h"

struct caches;
struct cache_image;
struct monitor;

/*
 * Make the missing peers between all stores of an image whose agent i runs. A
 * failure is reported once, and nothing is copied there.
 */
void peers_make(struct monitor *m, const struct cache_image *im);

/* A store has ended: end the peers from it and to it. */
void peers_store_ended(struct monitor *m, uint64_t store);

/**
 * peers_agent_started() - send all lease maps to a new agent j
 *
 * Called after it got its stores, before its limit. Return: 0; errors of
 * agents_tell().
 */
MUST_CHECK int peers_agent_started(struct monitor *m, nodeid_t node);

/* The agent of a node is dead. */
void peers_agent_died(struct monitor *m, nodeid_t node);

/* An agent has sent AGENT_SYNCED. */
void peers_synced(struct monitor *m, nodeid_t node, uint64_t id);

/* An agent has sent AGENT_PEER_LOST, or AGENT_LINK_LOST of any link. */
void peers_lost(struct monitor *m, nodeid_t node, uint64_t id);

/* Free all peers, when the agents end as well. */
void peers_destroy(struct caches *c);

#endif
