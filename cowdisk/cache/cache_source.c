/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One disk on one node. Each user of a block has one use of it; the first use
 * takes the lease, and the end of the last use drops it.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cowdisk/cache/cache_internal.h"

/*
 * Blocks that this process has leased already are present, so they only get one
 * more use. Runs of other blocks between them are leased together, which costs
 * one fence per run. The first absent block ends the run.
 */
unsigned source_take(struct cache_source *s, uint64_t first, unsigned nr)
{
	lease_word *lease = s->lease.base;
	const lease_word *presence = s->presence.base;
	unsigned n = 0;

	if (first >= s->nr_blocks)
		return 0;
	nr = (unsigned)min_u64(nr, s->nr_blocks - first);
	while (n < nr) {
		uint32_t *uses = s->uses + first + n;
		unsigned want = 0, got;

		if (*uses) {
			++*uses;
			n++;
			continue;
		}
		while (want < nr - n && !uses[want])
			want++;
		got = lease_take(lease, presence, first + n, want);
		for (unsigned i = 0; i < got; i++)
			uses[i] = 1;
		s->nr_leased += got;
		n += got;
		if (got < want)
			break;
	}
	return n;
}

void source_put(struct cache_source *s, uint64_t first, unsigned nr)
{
	uint64_t end = first + nr;

	while (first < end) {
		unsigned n = 0;

		while (first + n < end && --s->uses[first + n] == 0)
			n++;
		if (n)
			lease_drop(s->lease.base, first, n);
		s->nr_leased -= n;
		first += n + 1; /* the one after is still used, or the end */
	}
}

bool source_has(const struct cache_source *s, uint64_t block)
{
	return block < s->nr_blocks && presence_test(s->presence.base, block);
}

unsigned source_lacks(const struct cache_source *s, uint64_t first, unsigned nr)
{
	unsigned n = 0;

	while (n < nr && !source_has(s, first + n))
		n++;
	return n;
}

bool source_take_or_lack(struct cache_source *s, uint64_t first, uint64_t *nr)
{
	unsigned want = (unsigned)min_u64(*nr, LEASE_RUN_MAX);
	unsigned n = source_take(s, first, want);

	*nr = n ? n : max_u64(source_lacks(s, first, want), 1);
	return n > 0;
}

#define BLOCKS_PER_WORD 64u
#define BLOCKS_PER_PAGE (PAGE_BYTES * 8u) /* of the lease map */

/*
 * Skip pages of the lease map that were never touched: they are holes, and
 * reading them would allocate them.
 */
static uint64_t skip_holes(const struct cache_source *s, uint64_t block)
{
	uint64_t page = block / BLOCKS_PER_PAGE;
	off_t data = lseek(s->lease.fd, (off_t)(page * PAGE_BYTES), SEEK_DATA);

	if (data < 0)
		return s->nr_blocks;
	return max_u64(block, (uint64_t)data * 8);
}

unsigned source_next_leased(const struct cache_source *s, uint64_t *first,
			    unsigned max)
{
	const lease_word *lease = s->lease.base;
	uint64_t b = skip_holes(s, *first), word;
	unsigned n = 0;

	while (b < s->nr_blocks) {
		word = atomic_load_explicit(&lease[b / BLOCKS_PER_WORD],
					    memory_order_relaxed);
		word >>= b % BLOCKS_PER_WORD;
		if (word) {
			b += (unsigned)__builtin_ctzll(word);
			break;
		}
		b = align_down(b, BLOCKS_PER_WORD) + BLOCKS_PER_WORD;
		if (b % BLOCKS_PER_PAGE == 0)
			b = skip_holes(s, b);
	}
	while (n < max && b + n < s->nr_blocks && s->uses[b + n])
		n++;
	*first = b;
	return n;
}

/* pmap_source.gone: a page is shown once less. */
static void cache_source_gone(struct pmap_source *shown, uint64_t index)
{
	source_put(container_of(shown, struct cache_source, shown), index, 1);
}

static int cache_source_map_all(struct cache_source *s, uint64_t bytes,
				int memory, int presence, int lease)
{
	size_t map_bytes = lease_map_bytes(s->nr_blocks);
	void *uses;
	int err;

	if (!map_bytes || bytes % 512)
		return -EINVAL;
	err = region_attach(&s->memory, memory, align_up(bytes, PAGE_BYTES));
	if (!err)
		err = region_attach(&s->presence, presence, map_bytes);
	if (!err)
		err = region_take(&s->lease, lease, map_bytes);
	if (err)
		return err;
	uses = mmap(NULL, s->nr_blocks * sizeof(*s->uses),
		    PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (uses == MAP_FAILED)
		return -errno;
	s->uses = uses;
	return 0;
}

int source_create(struct pmap *pm, uint64_t bytes, int memory, int presence,
		  int lease, struct cache_source **out)
{
	struct cache_source *s = calloc(1, sizeof(*s));
	int err = s ? 0 : -ENOMEM;

	if (s) {
		s->shown = (struct pmap_source){ memory, cache_source_gone };
		s->nr_blocks = bytes / PAGE_BYTES + (bytes % PAGE_BYTES != 0);
		err = cache_source_map_all(s, bytes, memory, presence, lease);
	}
	(void)close(presence);
	if (!s || !s->lease.base) /* otherwise it is the region's */
		(void)close(lease);
	if (!err && pm)
		err = pmap_add_source(pm, &s->shown, &s->id);
	if (!err) {
		*out = s;
		return 0;
	}
	if (!s)
		(void)close(memory);
	source_destroy(pm, s);
	return err;
}

void source_destroy(struct pmap *pm, struct cache_source *s)
{
	if (!s)
		return;
	if (s->id && !s->nr_leased)
		pmap_remove_source(pm, s->id);
	if (s->uses)
		(void)munmap(s->uses, s->nr_blocks * sizeof(*s->uses));
	if (s->heat)
		(void)munmap(s->heat, s->nr_blocks);
	region_detach(&s->memory);
	region_detach(&s->presence);
	region_destroy(&s->lease);
	(void)close(s->shown.fd);
	free(s);
}
