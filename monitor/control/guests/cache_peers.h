/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which agent may copy blocks from which other node's store: a *peer* for each
 * two stores of an image, one each way. Agent i, of the store that it copies
 * to, leases in the store of agent j as a worker does. Private to caches.c.
 *
 *		    j looks at the map	i may write it	until
 *	PEER_NEW    perhaps not yet	no		SYNCED of j
 *	PEER_READY  yes			yes		either store ends
 *	PEER_ENDING yes			perhaps		SYNCED of i
 *
 * INVARIANT: j looks at a lease map from before i gets it until after i has
 * given it up or is dead. Both agents read messages when they like, so what
 * one of them did is known from its AGENT_SYNCED alone. Were j to look too
 * late or not long enough, it would punch blocks while they are copied, and
 * zeroes would become blocks.
 *
 *	store of i or j ends	i: AGENT_PEER_END and _SYNC; then j: _LINK_END
 *	i dies			j: _LINK_END; a lease map has one writer, so the
 *				next i gets a new one
 *	j dies			nothing is punched; the next j is told of the
 *map before its limit, as of workers'
 *
 * Threads: the monitor's.
 */
#ifndef DISCO_MONITOR_CACHE_PEERS_H
#define DISCO_MONITOR_CACHE_PEERS_H

#include "disco/base.h"

struct caches;
struct cache_image;
struct monitor;

/*
 * Between all stores of an image, where there are none yet, and i's agent runs.
 * What fails is said once, and not copied.
 */
void peers_make(struct monitor *m, const struct cache_image *im);

/* A store gets no more blocks. */
void peers_store_ended(struct monitor *m, uint64_t store);

/**
 * peers_agent_started() - a new j looks at all lease maps
 * Context: after its stores, before its limit. Return: 0; as agents_tell().
 */
MUST_CHECK int peers_agent_started(struct monitor *m, nodeid_t node);
void peers_agent_died(struct monitor *m, nodeid_t node);

/* An agent says AGENT_SYNCED; AGENT_PEER_LOST, or AGENT_LINK_LOST, perhaps of a
 * peer. */
void peers_synced(struct monitor *m, nodeid_t node, uint64_t id);
void peers_lost(struct monitor *m, nodeid_t node, uint64_t id);

/* Agents end, too. */
void peers_destroy(struct caches *c);

#endif
