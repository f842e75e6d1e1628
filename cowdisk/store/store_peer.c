/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replicas: blocks of another node's store, copied from its memory.
 *
 * ORDERING of a copy by agent i out of the store of agent j. The lease map was
 * made for this pair; i alone writes it, and j's agent reads it:
 *
 *	i	set the lease bits		then fence D (memory/lease.h)
 *	i	j's presence bits: are they set?	acquire P of j
 *	i	copy the bytes
 *	i	clear the lease bits		release L: j may punch again
 *	i	set i's presence bits		release P of i
 *
 * So to j, agent i is like a worker: no block is being copied that j's
 * presence_evict() allows to be punched, and a block that is copied was present
 * all the time. To its own workers, i behaves as after a read. This requires
 * that j reads the map from before i's first lease until after its last one,
 * which control ensures (monitor/control/guests/cache_peers.h).
 *
 * THE OTHER AGENT IS HOSTILE. Only bits of blocks of the image are read from
 * its presence map. Memory that is not as long as the image, or that could
 * shrink, is refused. A hole that it calls a block is not copied as zeroes, and
 * ends the copying from there. False bytes it could show to workers of this
 * node without this code, too.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "cowdisk/store/store_internal.h"

static int peer_map(struct store_peer *p, int presence, int lease)
{
	const struct store *s = p->store;
	size_t map_bytes = lease_map_bytes(s->nr_blocks);
	int err = region_attach(&p->memory, p->fd, s->nr_blocks * PAGE_BYTES);

	if (!err)
		err = region_attach(&p->presence, presence, map_bytes);
	return err ? err : region_take(&p->lease, lease, map_bytes);
}

static void store_peer_free(struct store_peer *p)
{
	region_detach(&p->memory);
	region_detach(&p->presence);
	region_destroy(&p->lease);
	(void)close(p->fd);
	free(p);
}

int store_peer_add(struct store *s, int memory, int presence, int lease,
		   struct store_peer **out)
{
	struct store_peer *p = calloc(1, sizeof(*p));
	int err = p ? 0 : -ENOMEM;

	if (p) {
		*p = (struct store_peer){ .store = s, .fd = memory };
		err = peer_map(p, presence, lease);
	}
	(void)close(presence);
	if (!p || !p->lease.base) /* otherwise it is the region's */
		(void)close(lease);
	if (!p)
		(void)close(memory);
	if (err) {
		if (p)
			store_peer_free(p);
		return err;
	}
	LIST_INSERT_HEAD(&s->peers, p, link);
	*out = p;
	return 0;
}

void store_peer_remove(struct store_peer *p)
{
	if (!p)
		return;
	LIST_REMOVE(p, link);
	store_peer_free(p);
}

/*
 * A hole must not be read: that would take zeroes for data, and allocate it. Block
 * by block: SEEK_HOLE goes on to the end of what the peer has, through all of an
 * image that is cached as a whole, for each run.
 */
static bool has_data(int fd, uint64_t first, uint64_t nr)
{
	off_t at = (off_t)(first * PAGE_BYTES);
	off_t end = at + (off_t)(nr * PAGE_BYTES);

	for (; at < end; at += (off_t)PAGE_BYTES)
		if (lseek(fd, at, SEEK_DATA) != at)
			return false;
	return true;
}

/*
 * Copied by pwrite(2), which reports a lack of memory; a store to a mapping
 * would cause SIGBUS. Return: number of whole blocks copied.
 */
static uint32_t store_peer_copy(struct store *s, const struct store_peer *p,
				uint64_t first, uint32_t nr)
{
	const uint8_t *from = (const uint8_t *)p->memory.base;
	uint64_t at = first * PAGE_BYTES, end = at + nr * (uint64_t)PAGE_BYTES;

	while (at < end) {
		ssize_t n = pwrite(s->memory, from + at, end - at, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		at += (uint64_t)n;
	}
	return (uint32_t)(at / PAGE_BYTES - first);
}

static void store_peer_publish(struct store *s, uint64_t first, uint32_t nr)
{
	struct pool_stats *st = &s->pool->stats;

	store_clear_tail(s, first + nr - 1);
	for (uint64_t b = first; b < first + nr; b++) {
		bit_tree_set(&s->held, b);
		bit_tree_set(&s->replicas, b);
		bits_set(s->referenced, b); /* it was just wanted */
	}
	st->present_blocks += nr;
	st->replica_blocks += nr;
	st->replicated_blocks += nr;
	presence_set(s->presence, first, nr);
}

/*
 * Copy what one peer holds of a run that is absent here. The lease is dropped
 * before the blocks are published here, since the copy does not need it then.
 * Return: number of blocks from @first on that are present now; 0: none;
 *         -ENOSPC.
 */
static int replicate_from(struct store_peer *p, uint64_t first, uint32_t nr)
{
	struct store *s = p->store;
	unsigned got;
	uint32_t n, done = 0;

	if (p->lies || !presence_test(p->presence.base, first))
		return 0;
	got = lease_take(p->lease.base, p->presence.base, first, nr);
	n = got ? pool_make_replica_room(s->pool, got) : 0;
	if (n) {
		p->lies = !has_data(p->fd, first, n);
		if (!p->lies)
			done = store_peer_copy(s, p, first, n);
	}
	lease_drop(p->lease.base, first, got);
	if (done < n && !p->lies)
		store_discard(s, first + done, n - done);
	if (done)
		store_peer_publish(s, first, done);
	return got && !p->lies && done < got ? -ENOSPC : (int)done;
}

static bool store_peer_absent(const struct store *s, uint64_t block)
{
	return !bits_test(s->filling, block) && !bit_tree_test(&s->held, block);
}

int store_replicate(struct store_reader *r, uint64_t first, uint32_t nr)
{
	struct store *s = r->store;
	uint64_t b = first, end = first + nr;

	if (!store_run_sane(s, first, nr))
		return -EINVAL;
	while (b < end) {
		uint32_t run = 0;
		struct store_peer *p;
		int got = 0;

		while (b + run < end && store_peer_absent(s, b + run))
			run++;
		LIST_FOREACH(p, &s->peers, link) {
			got = run ? replicate_from(p, b, run) : 0;
			if (got)
				break;
		}
		if (got < 0)
			break;
		b += got ? (uint64_t)got : 1;
	}
	return 0;
}
