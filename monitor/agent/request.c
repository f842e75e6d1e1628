/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/agent/request.h"

#include <errno.h>

#include "cowdisk/base/cache_proto.h"
#include "disco/config.h"
#include "memory/lease.h"
#include "numa/bind.h"

#define MAX_BOUND_NS 60000000000ull

static bool ranges_sane(const struct agent_request *r)
{
	for (uint32_t i = 0; i < r->nr_ranges; i++) {
		const struct agent_range *a = &r->ranges[i];

		if ((a->start | a->bytes) % PAGE_BYTES || a->bytes == 0 ||
		    !range_fits(a->start, a->bytes, AGENT_MAX_PIECES))
			return false;
	}
	return true;
}

static bool pull_sane(const struct agent_request *r)
{
	return r->pid > 0 && r->node >= 0 && r->node <= NODE_ID_MAX &&
	       r->bound_ns != 0 && r->bound_ns <= MAX_BOUND_NS &&
	       !(r->what & ~(uint32_t)(AGENT_FILE | AGENT_ANON)) &&
	       ranges_sane(r);
}

static bool store_sane(const struct agent_request *r)
{
	return r->bytes != 0 && r->bytes % 512 == 0 &&
	       r->bytes <= LEASE_MAX_BLOCKS * CACHE_BLOCK_BYTES;
}

static bool request_sane(const struct agent_request *r)
{
	switch (r->kind) {
	case AGENT_PULL:
		return pull_sane(r);
	case AGENT_STORE:
		return store_sane(r);
	case AGENT_READER:
		return r->disk < VM_MAX_DISKS;
	case AGENT_COPY:
	case AGENT_STORE_END:
	case AGENT_LINK:
	case AGENT_LINK_END:
	case AGENT_LIMIT:
	case AGENT_FIGURES:
	case AGENT_PEER:
	case AGENT_PEER_END:
	case AGENT_SYNC:
		return true;
	default:
		return false;
	}
}

int agent_request_check(const struct agent_request *r, size_t len)
{
	const size_t head = offsetof(struct agent_request, ranges);

	if (len < head || len > sizeof(*r) ||
	    len != head + r->nr_ranges * sizeof(r->ranges[0]))
		return -EBADMSG;
	if (r->nr_ranges != 0 && r->kind != AGENT_PULL)
		return -EINVAL;
	return request_sane(r) ? 0 : -EINVAL;
}
