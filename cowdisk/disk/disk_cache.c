/* SPDX-License-Identifier: BSD-2-Clause */
/* A disk with a cache. A file of its own, for programs without a cache. */
#include <errno.h>

#include "cowdisk/cache/cache.h"
#include "cowdisk/disk/disk_internal.h"

int disk_use_cache(struct disk *d, struct cache *c, unsigned nr)
{
	struct io *top;
	int err;

	/* What is written would have to go from every node's cache. */
	if (!d->cow && !d->read_only)
		return -EINVAL;
	err = cache_io(c, nr, d->io, &top);
	if (err)
		return err;
	d->io = top;
	if (d->cow)
		cow_set_io(d->cow, top);
	return 0;
}
