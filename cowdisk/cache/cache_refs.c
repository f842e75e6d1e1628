/* SPDX-License-Identifier: BSD-2-Clause */
/* Images by the numbers that references have, and blocks for them. */
#include "cowdisk/cache/cache_internal.h"

void cache_set_image(struct cache *c, unsigned disk, uint64_t image)
{
	if (disk < VM_MAX_CACHED)
		c->images[disk] = image;
}

uint64_t cache_image_of(const struct cache *c, unsigned id)
{
	const struct cache_source *s = id < PMAP_MAX_SOURCES ? c->by_id[id]
							     : NULL;

	return s ? c->images[s->disk] : 0;
}

unsigned cache_find_image(const struct cache *c, uint64_t image)
{
	unsigned disk = 0;

	while (disk < VM_MAX_CACHED &&
	       (c->images[disk] != image || !c->disks[disk]))
		disk++;
	return disk;
}

unsigned cache_take_ref(struct cache *c, unsigned disk, uint64_t first,
			unsigned nr, struct cache_ref *ref)
{
	if (disk >= VM_MAX_CACHED)
		return 0;
	nr = (unsigned)min_u64(nr, LEASE_RUN_MAX);
	for (struct cache_source *s = c->disks[disk]; s; s = s->next) {
		unsigned n = s->id ? source_take(s, first, nr) : 0;

		if (!n)
			continue;
		*ref = (struct cache_ref){
			.page = (const uint8_t *)s->memory.base +
				first * PAGE_BYTES,
			.id = s->id,
			.source = s,
		};
		return n;
	}
	return 0;
}

void cache_drop_ref(const struct cache_ref *ref, uint64_t first, unsigned nr)
{
	if (nr)
		source_put(ref->source, first, nr);
}

void cache_shown_ref(struct cache *c, unsigned nr)
{
	c->stats.ref_blocks += nr;
}
