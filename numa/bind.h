/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Binds memory and threads to a node: thin contracts over the system calls,
 * which libnuma's <numaif.h> wraps; nothing else of libnuma is linked
 * (Makefile). No allocation, no state.
 *
 * Errors mean the same in every function of this file:
 *   -ENOSYS  the kernel has no NUMA support (CONFIG_NUMA off)
 *   -EPERM   a container's filter or missing rights forbid it
 *   -ENODEV  no such node, it has no memory, or the cgroup forbids it
 *   -EINVAL  address or size is not a multiple of PAGE_BYTES, or size is 0
 */
#ifndef DISCO_NUMA_BIND_H
#define DISCO_NUMA_BIND_H

#include <errno.h>

#include "disco/base.h"

#define NODE_ID_MAX 1023 /* highest node number that Linux supports */

/*
 * In place of a node's number: memory comes from the node whose CPU touches it
 * first, and the kernel's own NUMA balancing leaves it there (MPOL_LOCAL; it
 * takes memory with the default policy for its own).
 */
#define NODE_LOCAL ((nodeid_t)-2)

/**
 * node_bind_memory() - set which node new pages of a mapping come from
 * @addr:   page-aligned start of a mapping
 * @bytes:  multiple of PAGE_BYTES, not 0
 * @node:   a node's number; NODE_AUTO restores the default policy; NODE_LOCAL
 * @strict: for a node's number; true: MPOL_BIND, so that a full node causes an OOM kill;
 *          false: MPOL_PREFERRED, so that the kernel takes the nearest node
 *          with free memory
 *
 * For a shared mapping of a memfd, the policy belongs to the file's pages and
 * applies to every process that maps them. Existing pages do not move.
 *
 * Context: any thread; takes mmap_lock for writing.
 * Return:  0; the errors above; -EFAULT not mapped; -ENOMEM.
 * Source:  mbind(2).
 */
MUST_CHECK int node_bind_memory(void *addr, size_t bytes, nodeid_t node,
				bool strict);

/**
 * node_bind_thread() - set which node the calling thread's new pages come from
 * @node:   a node's number; NODE_AUTO restores the default policy
 * @strict: as in node_bind_memory()
 *
 * Threads and processes that the thread starts later inherit the policy.
 *
 * Context: any thread. Return: 0; the errors above; -ENOMEM.
 * Source:  set_mempolicy(2).
 */
MUST_CHECK int node_bind_thread(nodeid_t node, bool strict);

/**
 * node_bind_probe() - find out whether this process may bind at all
 * @node: a node that has memory
 *
 * Makes each system call by which this file binds, strictly and as a
 * preference, on a page of its own; the thread's policy stays as it is. What
 * `disco doctor` reports and what a start relies on is this function's result.
 *
 * Context: any thread. Return: 0; the errors above; -ENOMEM.
 */
MUST_CHECK int node_bind_probe(nodeid_t node);

/*
 * Does a VM start nonetheless, with its memory wherever the kernel takes it
 * from? Unless it is strict. @err: what a function of this file has returned.
 */
static inline bool node_bind_optional(int err)
{
	return err == -ENOSYS || err == -EPERM;
}

/**
 * node_run_on() - restrict the calling thread to a set of CPUs
 * @cpus: @nr CPU numbers, not owned; with @nr 0 nothing changes
 *
 * Context: any thread. Return: 0; -EINVAL none of the CPUs is online or
 * allowed; -EPERM. Source: sched_setaffinity(2).
 */
MUST_CHECK int node_run_on(const uint16_t *cpus, unsigned nr);

/*
 * node_run_on() for another thread of this user. @tid: its thread id.
 * Return: as above; -ESRCH no such thread.
 */
MUST_CHECK int node_run_task_on(int tid, const uint16_t *cpus, unsigned nr);

/**
 * node_pages_local() - count the pages of a mapping that are on a node
 * @addr:    page-aligned start of a mapping of this process
 * @bytes:   multiple of PAGE_BYTES
 * @node:    a node's number
 * @touched: out, pages that this process has mapped to memory (the shared zero
 *           page not counted)
 * @local:   out, how many of them are on @node
 *
 * Absent pages are not counted, nor are pages of a memfd that only another
 * process touched. The result is a snapshot: pages may move meanwhile.
 *
 * Context: any thread; takes mmap_lock for reading and releases it between
 *          batches; needs 12 KiB of stack. Takes as long as there are pages:
 *          guest RAM is looked at by ram_survey() (memory/ram_survey.h).
 * Return:  0; the errors above; -EFAULT. Outputs untouched on error.
 * Source:  move_pages(2) without a list of nodes.
 */
MUST_CHECK int node_pages_local(void *addr, size_t bytes, nodeid_t node,
				uint64_t *touched, uint64_t *local);

/* Pages by node. All-zero: none. */
struct node_counts {
	unsigned nr;
	struct node_count {
		nodeid_t node;
		uint64_t pages;
	} at[MAX_NODES]; /* each node once, in the order of their appearance */
};

/* Add pages of a node; those of more than MAX_NODES nodes are lost. */
void node_counts_add(struct node_counts *c, nodeid_t node, uint64_t pages);

/* Return: how many pages are on @node; of all nodes together. */
uint64_t node_counts_of(const struct node_counts *c, nodeid_t node);
uint64_t node_counts_sum(const struct node_counts *c);

/**
 * node_pages_at() - count the pages of a list by the node that they are on
 * @pages: @nr page-aligned addresses of this process, at most NODE_PAGES_MAX
 * @out:   the pages that are there are added to it
 *
 * One system call. Context, return: as of node_pages_local().
 */
#define NODE_PAGES_MAX 1024u
MUST_CHECK int node_pages_at(void **pages, unsigned nr,
			     struct node_counts *out);

/**
 * node_pages_of() - node_pages_local() for another process of this user
 * @pid:  process id; 0: this process
 * @addr: an address in @pid
 *
 * Return: as above; -ESRCH @pid has ended.
 */
MUST_CHECK int node_pages_of(int pid, void *addr, size_t bytes, nodeid_t node,
			     uint64_t *touched, uint64_t *local);

#endif
