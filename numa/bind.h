/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory and threads on a node: thin contracts over the system calls, which
 * libnuma's <numaif.h> wraps; nothing else of libnuma is linked (Makefile). No
 * allocation, no state.
 *
 * Errors mean the same in every function here:
 *   -ENOSYS  the kernel has no NUMA support (CONFIG_NUMA off)
 *   -EPERM   a container's filter or missing rights forbid it (also -EACCES)
 *   -ENODEV  no such node, it has no memory, or the cgroup forbids it
 *   -EINVAL  address or size not a multiple of PAGE_BYTES, or empty
 */
#ifndef DISCO_NUMA_BIND_H
#define DISCO_NUMA_BIND_H

#include "disco/base.h"

#define NODE_ID_MAX 1023 /* highest node number Linux can be built for */

/**
 * node_bind_memory() - say where pages of a mapping come from
 * @addr:   page-aligned start of a mapping
 * @bytes:  multiple of PAGE_BYTES, not 0
 * @node:   a node's number; NODE_AUTO puts the default policy back
 * @strict: true: MPOL_BIND, running out of memory on the node is an OOM kill;
 *          false: MPOL_PREFERRED, the kernel spills to the nearest
 *
 * For a shared mapping of a memfd the policy stays with the file's pages and
 * holds for every process that maps it. Pages already there do not move.
 *
 * Context: any thread; takes mmap_lock for writing.
 * Return:  0; the errors above; -EFAULT not mapped; -ENOMEM.
 * Source:  mbind(2).
 */
MUST_CHECK int node_bind_memory(void *addr, size_t bytes, nodeid_t node,
				bool strict);

/**
 * node_bind_thread() - say where the calling thread's new pages come from
 * @node:   a node's number; NODE_AUTO puts the default policy back
 * @strict: as in node_bind_memory()
 *
 * Inherited by threads and processes it starts afterwards.
 *
 * Context: any thread. Return: 0; the errors above; -ENOMEM.
 * Source:  set_mempolicy(2).
 */
MUST_CHECK int node_bind_thread(nodeid_t node, bool strict);

/**
 * node_run_on() - let the calling thread run on these CPUs only
 * @cpus: @nr CPU numbers, not owned; @nr 0 changes nothing
 *
 * Context: any thread. Return: 0; -EINVAL none of them is online or allowed;
 * -EPERM. Source: sched_setaffinity(2).
 */
MUST_CHECK int node_run_on(const uint16_t *cpus, unsigned nr);

/* The same for another thread of this user. Return: also -ESRCH. */
MUST_CHECK int node_run_task_on(int tid, const uint16_t *cpus, unsigned nr);

/**
 * node_pages_local() - ask the kernel which node pages are on
 * @addr:    page-aligned start of a mapping of this process
 * @bytes:   multiple of PAGE_BYTES
 * @node:    a node's number
 * @touched: out, pages this process has mapped to memory (shared zero page
 *           not counted)
 * @local:   out, those of them that are on @node
 *
 * Absent pages are not counted. Neither is a page of a memfd that only
 * another process touched. A snapshot: pages may move meanwhile.
 *
 * Context: any thread; mmap_lock for reading, let go between batches; 12 KiB
 *          of stack.
 * Return:  0; the errors above; -EFAULT. Outputs untouched on error.
 * Source:  move_pages(2) without a list of nodes.
 */
MUST_CHECK int node_pages_local(void *addr, size_t bytes, nodeid_t node,
				uint64_t *touched, uint64_t *local);

/**
 * node_pages_of() - the same for another process of this user
 * @pid:  0: this process
 * @addr: in @pid
 *
 * Return: as above; -ESRCH @pid is gone.
 */
MUST_CHECK int node_pages_of(int pid, void *addr, size_t bytes, nodeid_t node,
			     uint64_t *touched, uint64_t *local);

#endif
