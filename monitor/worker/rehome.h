/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker on another node: what only the worker itself can do about it. Its
 * threads are pinned, and its pages pulled, from outside (monitor/control).
 *
 * In this order, asked for by control: rehome_bind(), before pages are
 * pulled; rehome(), after that.
 */
#ifndef DISCO_MONITOR_REHOME_H
#define DISCO_MONITOR_REHOME_H

#include "monitor/worker/machine.h"

/* Open what is needed while files can be opened. Return: 0 or -errno. */
MUST_CHECK int rehome_init(void);

/**
 * rehome_bind() - new guest memory comes from another node
 *
 * Overlaid pages are left out: the policy of their source is not ours.
 *
 * Context: I/O thread. Return: 0; what ram_bind() returns.
 */
MUST_CHECK int rehome_bind(struct vm *vm, nodeid_t node);

/**
 * rehome() - program text, overlays and KVM's tables onto a node
 * @node:     bound to it before
 * @boot:     a copy of the boot image; becomes WORKER_FD_BOOT
 * @stall_ns: out, how long vCPUs were parked; also on error
 *
 * WORKER_FD_CODE is a copy of the program. The guest goes on in any case.
 *
 * Context: I/O thread, after vm_start(). Waits for disk requests.
 * Return:  0; -ESTALE WORKER_FD_CODE is not the program that runs, all else
 *          is done; -ETIMEDOUT a disk did not come to rest, nothing is done;
 *          what boot_pages_rebase() returns; -errno of mmap(),
 *          KVM_SET_USER_MEMORY_REGION.
 */
MUST_CHECK int rehome(struct machine *m, nodeid_t node, int boot,
		      uint64_t *stall_ns);

#endif
