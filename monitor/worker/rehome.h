/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of a move to another node that only the worker itself can do. Others
 * pin its threads and pull its pages (monitor/control, monitor/agent).
 *
 * Control requests rehome_bind() before pages are pulled, and rehome() after
 * that.
 */
#ifndef DISCO_MONITOR_REHOME_H
#define DISCO_MONITOR_REHOME_H

#include "monitor/worker/machine.h"

/* Open the needed files while files can be opened. Return: 0; -errno. */
MUST_CHECK int rehome_init(void);

/**
 * rehome_bind() - let new guest memory come from another node
 * @node: a node's number, NODE_AUTO, or WORKER_NODES_SPREAD (vnodes_bind())
 *
 * Overlaid pages are left out: the policy of their source is not the worker's.
 *
 * Context: I/O thread. Return: 0; what ram_bind() returns.
 */
MUST_CHECK int rehome_bind(struct vm *vm, nodeid_t node);

/**
 * rehome() - bring program text, overlays and KVM's tables to a node
 * @node:     rehome_bind() was called with it
 * @boot:     a copy of the boot image on the node; becomes WORKER_FD_BOOT
 * @stall_ns: out, how long vCPUs were parked; also on error
 *
 * WORKER_FD_CODE is a copy of the program on the node. The guest goes on in any
 * case.
 *
 * Context: I/O thread, after vm_start(). Waits for disk requests.
 * Return:  0; -ESTALE WORKER_FD_CODE is not the running program, but all else
 *          was done; -ETIMEDOUT a disk did not come to rest, and nothing was
 *          done; errors of boot_pages_rebase(); -errno of mmap(),
 *          KVM_SET_USER_MEMORY_REGION.
 */
MUST_CHECK int rehome(struct machine *m, nodeid_t node, int boot,
		      uint64_t *stall_ns);

#endif
