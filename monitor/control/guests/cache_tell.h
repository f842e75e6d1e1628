/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sends messages about the buffer cache to agents. Private to caches.c and
 * cache_peers.c.
 *
 * Context: the monitor's thread. Return: 0; errors of agents_tell().
 */
#ifndef DISCO_MONITOR_CACHE_TELL_H
#define DISCO_MONITOR_CACHE_TELL_H

#include "disco/agent_proto.h"

struct monitor;

/* End a store, a link, or a peer. */
MUST_CHECK int cache_tell_store_end(struct monitor *m, nodeid_t node,
				    uint64_t store);
MUST_CHECK int cache_tell_link_end(struct monitor *m, nodeid_t node,
				   uint64_t link);
MUST_CHECK int cache_tell_peer_end(struct monitor *m, nodeid_t node,
				   uint64_t peer);

/* Disk @disk of link @link reads store @store, with lease map @lease_ro. */
MUST_CHECK int cache_tell_reader(struct monitor *m, nodeid_t node,
				 uint64_t link, uint64_t store, unsigned disk,
				 int lease_ro);

/*
 * The same for a new link @link without a channel. The agent reads the map
 * until AGENT_LINK_END, independently of other links.
 */
MUST_CHECK int cache_tell_map(struct monitor *m, nodeid_t node, uint64_t link,
			      uint64_t store, unsigned disk, int lease_ro);

/*
 * Send AGENT_SYNC. @sync: out, also on error: the answer is an AGENT_SYNCED with
 * this id or a larger one.
 */
MUST_CHECK int cache_tell_sync(struct monitor *m, nodeid_t node,
			       uint64_t *sync);

#endif
