/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/guests/cache_tell.h"

#include "monitor/control/guests/cache_images.h"
#include "monitor/control/guests/guests.h"

int cache_tell_store_end(struct monitor *m, nodeid_t node, uint64_t store)
{
	struct agent_request r = { .kind = AGENT_STORE_END,
				   .store_end.store = store };

	return agents_tell(&m->agents, node, &r, NULL);
}

int cache_tell_link_end(struct monitor *m, nodeid_t node, uint64_t link)
{
	struct agent_request r = { .kind = AGENT_LINK_END, .link.link = link };

	return agents_tell(&m->agents, node, &r, NULL);
}

int cache_tell_peer_end(struct monitor *m, nodeid_t node, uint64_t peer)
{
	struct agent_request r = { .kind = AGENT_PEER_END,
				   .peer_end.peer = peer };

	return agents_tell(&m->agents, node, &r, NULL);
}

int cache_tell_reader(struct monitor *m, nodeid_t node, uint64_t link,
		      uint64_t store, unsigned disk, int lease_ro)
{
	struct agent_request r = {
		.kind = AGENT_READER,
		.reader = { .link = link, .store = store, .disk = disk }
	};

	return agents_tell(&m->agents, node, &r, &lease_ro);
}

int cache_tell_map(struct monitor *m, nodeid_t node, uint64_t link,
		   uint64_t store, unsigned disk, int lease_ro)
{
	struct agent_request r = { .kind = AGENT_LEASES, .link.link = link };
	int err = agents_tell(&m->agents, node, &r, NULL);

	return err ? err
		   : cache_tell_reader(m, node, link, store, disk, lease_ro);
}

int cache_tell_sync(struct monitor *m, nodeid_t node, uint64_t *sync)
{
	struct agent_request r = { .kind = AGENT_SYNC };
	int err = agents_tell(&m->agents, node, &r, NULL);

	*sync = r.id;
	return err;
}
