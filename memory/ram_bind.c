/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/ram_bind.h"

#include <errno.h>
#include <numaif.h>
#include <sys/mman.h>

#include "numa/bind.h"

static int bind_part(uint8_t *at, const struct ram_part *p, bool strict)
{
	/*
	 * For the default policy, mbind() finds nothing to change in a mapping
	 * that has no policy of its own, and leaves the file's policy as it is.
	 * So another policy is set first. If that fails, the next call fails
	 * too.
	 */
	if (p->node == NODE_AUTO)
		(void)mbind(at + p->offset, p->bytes, MPOL_PREFERRED, NULL, 0,
			    0);
	return node_bind_memory(at + p->offset, p->bytes, p->node, strict);
}

static int bind_all(const struct ram_view *view, const struct ram_part *parts,
		    unsigned nr, bool strict)
{
	uint8_t *at =
		mmap(NULL, view->bytes, PROT_READ, MAP_SHARED, view->fd, 0);
	int err = 0;

	if (at == MAP_FAILED)
		return -errno;
	for (unsigned i = 0; i < nr && !err; i++)
		err = range_fits(parts[i].offset, parts[i].bytes, view->bytes)
			      ? bind_part(at, &parts[i], strict)
			      : -EINVAL;
	(void)munmap(at, view->bytes);
	return err;
}

int ram_bind_parts(const struct ram_view *view, const struct ram_part *parts,
		   unsigned nr)
{
	return bind_all(view, parts, nr, false);
}

int ram_bind(const struct ram_view *view, nodeid_t node, bool strict)
{
	const struct ram_part all = { .bytes = view->bytes, .node = node };

	return bind_all(view, &all, 1, strict);
}
