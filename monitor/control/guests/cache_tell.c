/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/guests/cache_tell.h"

#include "monitor/control/guests/cache_images.h"
#include "monitor/control/guests/guests.h"

int cache_tell(struct monitor *m, nodeid_t node, enum agent_request_kind kind,
	       uint64_t id)
{
	const struct agent_request r = { .kind = kind, .node = node, .id = id };

	return agents_tell(&m->agents, &r, NULL, 0);
}

int cache_tell_reader(struct monitor *m, nodeid_t node, uint64_t link,
		      uint64_t store, unsigned disk, int lease_ro)
{
	const struct agent_request r = { .kind = AGENT_READER,
					 .node = node,
					 .disk = disk,
					 .id = link,
					 .store = store };

	return agents_tell(&m->agents, &r, &lease_ro, 1);
}

int cache_tell_map(struct monitor *m, nodeid_t node, uint64_t id,
		   uint64_t store, unsigned disk, int lease_ro)
{
	int err = cache_tell(m, node, AGENT_LINK, id);

	return err ? err
		   : cache_tell_reader(m, node, id, store, disk, lease_ro);
}

int cache_tell_sync(struct monitor *m, nodeid_t node, uint64_t *sync)
{
	*sync = ++m->caches->last_id;
	return cache_tell(m, node, AGENT_SYNC, *sync);
}
