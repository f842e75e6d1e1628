/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/ram_bind.h"

#include <errno.h>
#include <numaif.h>
#include <sys/mman.h>

#include "numa/bind.h"

int ram_bind(const struct ram_view *view, nodeid_t node, bool strict)
{
	void *at = mmap(NULL, view->bytes, PROT_READ, MAP_SHARED, view->fd, 0);
	int err;

	if (at == MAP_FAILED)
		return -errno;
	/*
	 * For the default policy, mbind() finds nothing to change in a mapping
	 * that has no policy of its own, and leaves the file's policy as it is.
	 * So another policy is set first. If that fails, the next call fails
	 * too.
	 */
	if (node == NODE_AUTO)
		(void)mbind(at, view->bytes, MPOL_PREFERRED, NULL, 0, 0);
	err = node_bind_memory(at, view->bytes, node, strict);
	(void)munmap(at, view->bytes);
	return err;
}
