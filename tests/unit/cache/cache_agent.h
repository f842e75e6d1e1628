/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An agent as a worker's cache sees it, stepped by hand: memory, presence and
 * leases of one disk on some nodes, and the other end of a link.
 *
 * What is in a node's cache says which node it is (agent_byte()), so a test
 * can tell a hit from a read of the file.
 */
#ifndef TESTS_UNIT_COWDISK_CACHE_AGENT_H
#define TESTS_UNIT_COWDISK_CACHE_AGENT_H

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cowdisk/cache/cache_internal.h"
#include "tests/unit/support.h"

#define IN_FILE	      0 /* what agent_byte() calls the file */
#define AGENT_READERS 4u
#define AGENT_DISK    3u /* any */

/* Patience that no test sees the end of; a hang is noticed before. */
#define LONG_NS 3600000000000ull

/* Byte @at of the image, as found in the file or on a node. */
static inline uint8_t agent_byte(unsigned where, uint64_t at)
{
	return (uint8_t)(((at * 0x9e3779b97f4a7c15ull) >> 56) ^ (where << 4));
}

static inline void agent_bytes(unsigned where, uint64_t at, uint8_t *to,
			       size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		to[i] = agent_byte(where, at + i);
}

/* The first @bytes of the image, into a file. */
static inline void agent_write_file(int fd, unsigned where, size_t bytes)
{
	uint8_t *buf = malloc(bytes);

	assert_non_null(buf);
	agent_bytes(where, 0, buf, bytes);
	assert_int_equal(pwrite(fd, buf, bytes, 0), bytes);
	free(buf);
}

static inline void assert_bytes(const void *got, unsigned where, uint64_t at,
				size_t bytes)
{
	const uint8_t *p = got;

	for (size_t i = 0; i < bytes; i++)
		if (p[i] != agent_byte(where, at + i))
			fail_msg("byte %zu (image %llu): %#x, not %#x", i,
				 (unsigned long long)(at + i), p[i],
				 agent_byte(where, at + i));
}

/* One disk on one node. */
struct agent_store {
	unsigned where; /* for agent_byte(); IN_FILE: true copies */
	uint64_t bytes, nr_blocks;
	int memory;
	uint8_t *base;
	struct region presence;
	struct region_view leases[AGENT_READERS];
	unsigned nr_leases;
};

static inline void agent_store_create(struct agent_store *s, unsigned where,
				      uint64_t bytes)
{
	size_t all = align_up(bytes, PAGE_BYTES);

	*s = (struct agent_store){ .where = where,
				   .bytes = bytes,
				   .nr_blocks = all / PAGE_BYTES };
	assert_int_equal(region_prepare("cache", all, NODE_AUTO, &s->memory),
			 0);
	s->base = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_SHARED, s->memory,
		       0);
	assert_ptr_not_equal(s->base, MAP_FAILED);
	assert_int_equal(region_create(&s->presence, "presence",
				       lease_map_bytes(s->nr_blocks), NODE_AUTO,
				       0),
			 0);
}

static inline void agent_store_destroy(struct agent_store *s)
{
	(void)munmap(s->base, s->nr_blocks * PAGE_BYTES);
	(void)close(s->memory);
	region_destroy(&s->presence);
	for (unsigned i = 0; i < s->nr_leases; i++)
		region_detach(&s->leases[i]);
}

/* A descriptor as a worker gets it. */
static inline int agent_reader(int fd)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

/* What cache_attach() is given: memory, presence, lease. */
static inline void agent_attach_fds(struct agent_store *s, int fds[3])
{
	size_t bytes = lease_map_bytes(s->nr_blocks);

	fds[0] = agent_reader(s->memory);
	assert_int_equal(region_reader_fd(s->presence.fd, &fds[1]), 0);
	assert_int_equal(region_prepare("lease", bytes, NODE_AUTO, &fds[2]), 0);
	assert_true(s->nr_leases < AGENT_READERS);
	assert_int_equal(
		region_attach(&s->leases[s->nr_leases++], fds[2], bytes), 0);
}

static inline int agent_attach(struct agent_store *s, struct cache *c,
			       nodeid_t node)
{
	int fds[3];

	agent_attach_fds(s, fds);
	return cache_attach(c, AGENT_DISK, node, s->bytes, fds[0], fds[1],
			    fds[2]);
}

static inline void agent_fill(struct agent_store *s, uint64_t first,
			      unsigned nr)
{
	lease_word *map = s->presence.base;

	for (uint64_t b = first; b < first + nr; b++) {
		uint64_t at = b * PAGE_BYTES;

		if (presence_test(map, b))
			continue; /* it may be shown: not written again */
		agent_bytes(s->where, at, s->base + at,
			    min_u64(PAGE_BYTES, s->bytes - at));
		presence_set(map, b, 1);
	}
}

static inline bool agent_evict(struct agent_store *s, uint64_t block)
{
	const lease_word *maps[AGENT_READERS];

	for (unsigned i = 0; i < s->nr_leases; i++)
		maps[i] = s->leases[i].base;
	if (!presence_evict(s->presence.base, maps, s->nr_leases, block))
		return false;
	assert_int_equal(fallocate(s->memory,
				   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   (off_t)(block * PAGE_BYTES), PAGE_BYTES),
			 0);
	return true;
}

/* How many blocks the worker leases, in all of its maps. */
static inline unsigned agent_nr_leased(const struct agent_store *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->nr_leases; i++)
		for (uint64_t b = 0; b < s->nr_blocks; b++)
			n += presence_test(s->leases[i].base, b);
	return n;
}

/* The agent's end of a link. */
struct agent_link {
	struct region own;
	struct region_view peer;
	int wake_tx, wake_rx;
	struct chan_tx tx; /* answers */
	struct chan_rx rx; /* requests */
};

/* What cache_link() is given. */
static inline void agent_link_fds(struct agent_link *l, int fds[4])
{
	const uint8_t *theirs;
	uint8_t *ours;

	assert_int_equal(
		region_create(&l->own, "agent", CACHE_LINK_BYTES, NODE_AUTO, 0),
		0);
	assert_int_equal(
		region_prepare("worker", CACHE_LINK_BYTES, NODE_AUTO, &fds[0]),
		0);
	assert_int_equal(region_reader_fd(l->own.fd, &fds[1]), 0);
	assert_int_equal(region_attach(&l->peer, fds[0], CACHE_LINK_BYTES), 0);
	assert_int_equal(chan_wake_create(&fds[2], &l->wake_rx), 0);
	assert_int_equal(chan_wake_create(&l->wake_tx, &fds[3]), 0);
	ours = l->own.base;
	theirs = l->peer.base;
	assert_int_equal(
		chan_tx_init(&l->tx, CACHE_ANSWERS,
			     (void *)(ours + CACHE_LINK_RING_OFF),
			     (const void *)(theirs + CACHE_LINK_READER_OFF),
			     l->wake_tx),
		0);
	assert_int_equal(
		chan_rx_init(&l->rx, CACHE_REQUESTS,
			     (void *)(ours + CACHE_LINK_READER_OFF),
			     (const void *)(theirs + CACHE_LINK_RING_OFF),
			     l->wake_rx),
		0);
}

static inline int agent_link_create(struct agent_link *l, struct cache *c)
{
	int fds[4];

	agent_link_fds(l, fds);
	return cache_link(c, fds[0], fds[1], fds[2], fds[3]);
}

static inline void agent_link_destroy(struct agent_link *l)
{
	region_destroy(&l->own);
	region_detach(&l->peer);
	(void)close(l->wake_tx);
	(void)close(l->wake_rx);
}

/* The next request. Return: false: there is none. */
static inline bool agent_recv(struct agent_link *l, struct cache_request *q)
{
	return chan_try_recv(&l->rx, q) == 0;
}

static inline void agent_answer(struct agent_link *l, uint32_t tag, uint32_t nr,
				int err)
{
	const struct cache_answer a = { .tag = tag,
					.nr = nr,
					.error = (uint32_t)err };

	assert_int_equal(chan_try_send(&l->tx, &a), 0);
}

/* There is exactly one request: this one. Return: its tag. */
static inline uint32_t agent_expect(struct agent_link *l, uint64_t first,
				    uint32_t nr)
{
	struct cache_request q = { 0 }, more;

	assert_true(agent_recv(l, &q));
	assert_int_equal(q.kind, CACHE_FILL);
	assert_int_equal(q.disk, AGENT_DISK);
	assert_int_equal(q.first, first);
	assert_int_equal(q.nr, nr);
	assert_false(agent_recv(l, &more));
	return q.tag;
}

#endif
