/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages to agents about the buffer cache. Private to caches.c and
 * cache_peers.c. All return what agents_tell() does.
 */
#ifndef DISCO_MONITOR_CACHE_TELL_H
#define DISCO_MONITOR_CACHE_TELL_H

#include "disco/agent_proto.h"

struct monitor;

/* A store, link or peer goes. */
MUST_CHECK int cache_tell_store_end(struct monitor *m, nodeid_t node,
				    uint64_t store);
MUST_CHECK int cache_tell_link_end(struct monitor *m, nodeid_t node,
				   uint64_t link);
MUST_CHECK int cache_tell_peer_end(struct monitor *m, nodeid_t node,
				   uint64_t peer);

/* Disk @disk of link @link has a lease map of store @store. */
MUST_CHECK int cache_tell_reader(struct monitor *m, nodeid_t node,
				 uint64_t link, uint64_t store, unsigned disk,
				 int lease_ro);

/*
 * The same for a new link @link, without a channel: a map that is looked at
 * until AGENT_LINK_END, whatever becomes of other links.
 */
MUST_CHECK int cache_tell_map(struct monitor *m, nodeid_t node, uint64_t link,
			      uint64_t store, unsigned disk, int lease_ro);

/* @sync: out, also on error: an AGENT_SYNCED of this id, or of a larger one, is
 * the answer. */
MUST_CHECK int cache_tell_sync(struct monitor *m, nodeid_t node,
			       uint64_t *sync);

#endif
