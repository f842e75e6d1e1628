/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an agent does: pulling pages of a running process to its node, and
 * copying a memfd there. Needs no privilege but to be of the same user.
 */
#ifndef DISCO_MONITOR_AGENT_PULL_H
#define DISCO_MONITOR_AGENT_PULL_H

#include <sys/types.h>

#include "disco/agent_proto.h"

/* Does a page with this entry of pagemap belong to @what? */
bool pull_wants(uint64_t entry, uint32_t what);

/**
 * pull() - move pages of a process
 * @r:        checked
 * @pagemap:  of the process
 * @out:      figures; also on error
 * @progress: called after each batch, and each 2 MiB of addresses that were
 *            looked at, with figures so far; not 0 ends it
 *
 * Pages that are busy are tried again at the end.
 *
 * Context: one thread. Return: 0; -ESRCH the process is gone; -EPERM; -ENODEV
 * no such node; what @progress returned; -errno of pread().
 * Source: move_pages(2).
 */
MUST_CHECK int pull(const struct agent_req_pull *r, int pagemap,
		    struct agent_pulled *out,
		    int (*progress)(void *arg, const struct agent_pulled *p),
		    void *arg);

/* Copy what is not a hole. Return: 0; -errno of lseek() and of reads, writes */
MUST_CHECK int copy_sparse(int from, int to);

#endif
