/* SPDX-License-Identifier: BSD-2-Clause */
/* In an agent's place: a disk's cache on a node, all of the image in it. */
#ifndef BENCH_FILLED_CACHE_H
#define BENCH_FILLED_CACHE_H

#include <fcntl.h>
#include <sys/mman.h>

#include "bench/measure.h"
#include "cowdisk/cache/cache_internal.h"

static inline int filled_reader(int fd)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	must(fd, "open");
	return fd;
}

static inline void filled_copy(int memory, uint64_t bytes, int from)
{
	size_t all = align_up(bytes, PAGE_BYTES);
	uint8_t *p =
		mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);

	if (p == MAP_FAILED)
		fail("mmap");
	for (uint64_t at = 0; at < bytes;) {
		ssize_t n = pread(from, p + at, bytes - at, (off_t)at);

		if (n <= 0)
			fail("image");
		at += (uint64_t)n;
	}
	(void)munmap(p, all);
}

/* @from: what to fill it with; -1: nothing, it is not looked at. */
static inline void filled_attach(struct cache *c, unsigned disk, nodeid_t node,
				 uint64_t bytes, bool present, int from)
{
	uint64_t blocks = align_up(bytes, PAGE_BYTES) / PAGE_BYTES;
	size_t map = lease_map_bytes(blocks);
	struct region presence;
	int memory, fd, lease;

	must(region_prepare("cache", blocks * PAGE_BYTES, NODE_AUTO, &memory),
	     "cache");
	if (from >= 0)
		filled_copy(memory, bytes, from);
	must(region_create(&presence, "presence", map, NODE_AUTO, 0),
	     "presence");
	for (uint64_t b = 0; present && b < blocks; b += LEASE_RUN_MAX)
		presence_set(presence.base, b,
			     (unsigned)min_u64(blocks - b, LEASE_RUN_MAX));
	must(region_reader_fd(presence.fd, &fd), "presence");
	must(region_prepare("lease", map, NODE_AUTO, &lease), "lease");
	must(cache_attach(c, disk, node, bytes, filled_reader(memory), fd,
			  lease),
	     "cache_attach");
	(void)close(memory);
	region_destroy(&presence);
}

#endif
