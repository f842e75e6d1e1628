/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blocks that are used from other nodes: which of them are hot, and showing
 * them from the home node once it has a copy. If nothing is used from another
 * node, as on a machine with one node, none of this is called, and no memory is
 * touched.
 */
#include <string.h>
#include <sys/mman.h>

#include "cowdisk/cache/cache_internal.h"

/* Counters, made at first use. NULL: no memory, so no block becomes hot. */
static uint8_t *heat_of(struct cache_source *s)
{
	void *p;

	if (s->heat)
		return s->heat;
	p = mmap(NULL, s->nr_blocks, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	s->heat = p == MAP_FAILED ? NULL : p;
	return s->heat;
}

/*
 * The agent gets no further hint about a block before it is as hot once more.
 * If the hint could not be sent, it is sent at the next use.
 */
static void name_hot(struct cache *c, struct cache_source *s, uint64_t first,
		     unsigned nr)
{
	while (nr) {
		unsigned n = (unsigned)min_u64(nr, CACHE_FILL_MAX);

		if (!link_replicate(c, s->disk, first, n)) {
			memset(s->heat + first, CACHE_HOT_USES - 1, nr);
			return;
		}
		first += n;
		nr -= n;
	}
}

static void heat_run(struct cache *c, struct cache_source *s, uint64_t first,
		     unsigned nr)
{
	uint8_t *heat = heat_of(s);
	unsigned hot = 0; /* those before @i */

	for (unsigned i = 0; heat && i < nr; i++) {
		if (++heat[first + i] >= CACHE_HOT_USES) {
			heat[first + i] = 0;
			hot++;
			continue;
		}
		name_hot(c, s, first + i - hot, hot);
		hot = 0;
	}
	name_hot(c, s, first + nr - hot, hot);
}

void cache_used_afar(struct cache *c, struct cache_source *s, uint64_t first,
		     unsigned nr)
{
	c->stats.remote_blocks += nr;
	/* Nobody could copy it: no agent, or no cache of the image there. */
	if (c->link && cache_home_source(c, s->disk))
		heat_run(c, s, first, nr);
}

/* Return: whether any block is leased, so shown or being copied. */
static bool count_source(struct cache *c, struct cache_source *s)
{
	const struct cache_source *home = cache_home_source(c, s->disk);
	uint64_t first = 0;
	unsigned n;

	if (!home || s == home || !s->nr_leased)
		return false;
	while ((n = source_next_leased(s, &first, LEASE_RUN_MAX))) {
		unsigned lacks = source_lacks(home, first, n);

		if (c->link)
			heat_run(c, s, first, lacks);
		first += lacks ? lacks : 1; /* that one is at home */
	}
	return true;
}

bool cache_count_shown(struct cache *c)
{
	struct cache_source *s;
	bool any = false;

	for (unsigned i = 0; i < VM_MAX_CACHED; i++)
		for (s = c->disks[i]; s; s = s->next)
			any |= count_source(c, s);
	for (s = c->retired; s; s = s->next)
		any |= count_source(c, s);
	return any;
}

/* The source that should show a page of source @id; NULL: no other one. */
static struct cache_source *cache_hot_nearer(const struct cache *c, unsigned id)
{
	struct cache_source *s = id < PMAP_MAX_SOURCES ? c->by_id[id] : NULL;
	struct cache_source *home = s ? cache_home_source(c, s->disk) : NULL;

	return home == s ? NULL : home;
}

bool cache_is_nearer(const struct cache *c, unsigned id, uint64_t index)
{
	const struct cache_source *home = cache_hot_nearer(c, id);

	return home && source_has(home, index);
}

unsigned cache_nearer(void *arg, unsigned id, uint64_t index, uint64_t *nr)
{
	struct cache *c = arg;
	struct cache_source *home = cache_hot_nearer(c, id);

	return home && source_take_or_lack(home, index, nr) ? home->id : id;
}
