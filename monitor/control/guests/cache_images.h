/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Images that are cached, the shared memory of their stores, and the state
 * that caches.c, cache_peers.c and cache_tell.c share. Private to them, but for
 * cache_region().
 */
#ifndef DISCO_MONITOR_CACHE_IMAGES_H
#define DISCO_MONITOR_CACHE_IMAGES_H

#include <sys/types.h>

#include "disco/limits.h"
#include "monitor/control/guests/cache_limit.h"
#include "numa/region.h"

struct image_key {
	dev_t dev;
	ino_t ino;
	uint64_t bytes;
	int64_t mtime_sec, mtime_nsec;
	char group[VM_NAME_MAX + 1];
};

struct image_store {
	struct image_store *next;
	nodeid_t node;
	uint64_t id;
	unsigned homes;	      /* VMs that live on its node */
	int memory, presence; /* the agent writes them */
	int memory_ro, presence_ro;
};

struct cache_image {
	struct cache_image *next;
	struct image_key key;
	int file; /* read-only, O_DIRECT where that is possible */
	unsigned users;
	struct image_store *stores;
};

struct peer;

struct caches {
	struct cache_limit limit;
	struct cache_image *images;
	struct peer *peers;
	uint64_t last_id; /* of stores, holds, links, peers */
	struct {
		nodeid_t node;
		struct region_view figures; /* of the agent */
	} seen[MAX_NODES];
	unsigned nr_seen;
};

/**
 * cache_region() - memory for one writer and for readers
 * @rw: out: for the writer, who calls region_take() or maps it
 * @ro: out: for readers; both are the caller's
 *
 * Return: 0; -errno of region_prepare() and region_reader_fd().
 */
MUST_CHECK int cache_region(const char *name, size_t bytes, nodeid_t node,
			    int *rw, int *ro);

/**
 * image_get() - the image of a file that a worker has
 * @list:   of images
 * @pid:    of the worker, known to be it
 * @number: of the descriptor, there
 * @group:  who shares it
 * @out:    one user more; image_put() it
 *
 * What the worker has under this number is what it reads as its disk; should
 * it lie, it lies to itself, as the key is taken from the file.
 *
 * Return: 0; -EBADF neither a file nor a block device; -EFBIG; -ENOMEM;
 * -errno of open().
 */
MUST_CHECK int image_get(struct cache_image **list, pid_t pid, int number,
			 const char *group, struct cache_image **out);
void image_put(struct cache_image **list, struct cache_image *im);

uint64_t image_blocks(const struct cache_image *im);

/**
 * store_make() - memory and presence map on a node, not in im->stores yet
 * Return: 0; -ENOMEM; -errno of cache_region().
 */
MUST_CHECK int store_make(const struct cache_image *im, nodeid_t node,
			  uint64_t id, struct image_store **out);
void image_store_free(struct image_store *s);

/* The store on a node, or NULL. */
struct image_store *store_on(const struct cache_image *im, nodeid_t node);

#endif
