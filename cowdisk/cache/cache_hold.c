/* SPDX-License-Identifier: BSD-2-Clause */
/* Leases for code that maps a node's memory of a disk, without lookups. */
#include "cowdisk/cache/cache_internal.h"

uint64_t cache_memory(const struct cache *c, unsigned disk, int *fd)
{
	const struct cache_source *s =
		disk < VM_MAX_CACHED ? cache_home_source(c, disk) : NULL;

	if (!s)
		return 0;
	*fd = s->shown.fd;
	return s->serial;
}

/*
 * Retired sources are not searched: their presence map is not maintained any
 * more, so nothing is known of what is present.
 */
static struct cache_source *cache_hold_find(const struct cache *c,
					    unsigned disk, uint64_t memory)
{
	struct cache_source *s = c->disks[disk];

	while (s && s->serial != memory)
		s = s->next;
	return s;
}

unsigned cache_hold(struct cache *c, unsigned disk, uint64_t memory,
		    uint64_t first, unsigned nr)
{
	struct cache_source *s = cache_hold_find(c, disk, memory);

	return s ? source_take(s, first, nr) : 0;
}

void cache_let_go(struct cache *c, unsigned disk, uint64_t memory,
		  uint64_t first, unsigned nr)
{
	struct cache_source *s = cache_hold_find(c, disk, memory);

	if (s)
		source_put(s, first, nr);
}

bool cache_has(const struct cache *c, unsigned disk, uint64_t memory,
	       uint64_t block)
{
	const struct cache_source *s = cache_hold_find(c, disk, memory);

	return s && source_has(s, block);
}
