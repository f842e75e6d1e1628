/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cached images, the shared memory of their stores, and the state that
 * caches.c, cache_peers.c and cache_tell.c share. Private to these files.
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
	unsigned homes;		    /* VMs whose home is this node */
	int memory, presence;	    /* descriptors of the agent, the writer */
	int memory_ro, presence_ro; /* descriptors of readers */
};

struct cache_image {
	struct cache_image *next;
	struct image_key key;
	/*
	 * What references in frames name it by (vnet/refs.h): made of the key, so
	 * the next monitor has the same. Not 0.
	 */
	uint64_t number;
	int file; /* read-only, O_DIRECT where that is possible */
	unsigned users;
	struct image_store *stores;
};

struct peer;

struct caches {
	struct cache_limit limit;
	struct cache_image *images;
	struct peer *peers;
	uint64_t last_id; /* last number of a store, hold, link or peer */
	struct {
		nodeid_t node;
		struct region_view figures; /* of the agent */
	} seen[MAX_NODES];
	unsigned nr_seen;
};

/**
 * image_get() - find or make the image of a file that a worker has open
 * @list:   all images
 * @pid:    the worker's process, which is known to be the worker
 * @number: number of the descriptor in the worker
 * @group:  group of the VM
 * @out:    the image, with one more user; release with image_put()
 *
 * The worker reads its disk through the same descriptor. A hostile worker that
 * puts another file there deceives only itself, because the key is taken from
 * the file.
 *
 * Return: 0; -EBADF neither a file nor a block device; -EFBIG; -ENOMEM;
 * -errno of open().
 */
MUST_CHECK int image_get(struct cache_image **list, pid_t pid, int number,
			 const char *group, struct cache_image **out);

/* Release an image; the last user frees it. */
void image_put(struct cache_image **list, struct cache_image *im);

/* Number of blocks of an image. */
uint64_t image_blocks(const struct cache_image *im);

/**
 * store_make() - make memory and presence map on a node
 * @out: owned by the caller, not in im->stores yet; untouched on error
 *
 * Return: 0; -ENOMEM; errors of region_prepare_pair().
 */
MUST_CHECK int store_make(const struct cache_image *im, nodeid_t node,
			  uint64_t id, struct image_store **out);
void image_store_free(struct image_store *s);

/* Return: the image's store on a node, or NULL. */
struct image_store *store_on(const struct cache_image *im, nodeid_t node);

#endif
