/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The work of an agent: pulling pages of a running process to its node, and
 * copying a memfd to its node. It requires no privilege other than to be of the
 * same user.
 */
#ifndef DISCO_MONITOR_AGENT_PLACING_PULL_H
#define DISCO_MONITOR_AGENT_PLACING_PULL_H

#include <sys/types.h>

#include "disco/agent_proto.h"

/* Does a page with this entry of pagemap belong to @what? */
bool pull_wants(uint64_t entry, uint32_t what);

/**
 * pull() - move pages of a process to this node
 * @r:        checked
 * @pagemap:  descriptor of the process's pagemap
 * @batch:    pages of the first batch, 0 or BATCH_FIRST: few, as it is not known
 *            what they take; then, of the first one of another pull of pages like
 *            these. NULL: 0
 * @out:      figures; also on error
 * @progress: called after each batch, and after each 2 MiB of addresses that
 *            were scanned, with the figures so far; a result that is not 0 ends
 *            the pull
 * @arg:      passed to @progress
 *
 * Busy pages are tried again at the end; so are those that somebody else migrates
 * at the moment.
 *
 * Context: one thread. Return: 0; -ESRCH the process has ended; -EPERM; -ENODEV
 * no such node; the result of @progress; -errno of pread().
 * Source: move_pages(2).
 */
MUST_CHECK int pull(const struct agent_req_pull *r, int pagemap,
		    unsigned *batch, struct agent_pulled *out,
		    int (*progress)(void *arg, const struct agent_pulled *p),
		    void *arg);

/*
 * Copy a file, except its holes. Return: 0; -errno of lseek(), reads or writes.
 */
MUST_CHECK int copy_sparse(int from, int to);

#endif
