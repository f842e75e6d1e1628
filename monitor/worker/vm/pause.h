/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeping every vCPU out of KVM_RUN for a while: the operator paused the
 * guest, or its memory is being rearranged. Each has a reason bit of its own,
 * so neither ends the other's; the guest runs when no bit is left.
 *
 * 1. While a bit is set no vCPU is in KVM_RUN, nor in a device's register
 *    access, and what its last exit asked for was handed back to KVM.
 * 2. Costs nothing on an exit: a vCPU looks only after KVM_RUN was
 *    interrupted, and the kick makes sure that it will be.
 * 3. A kick is not lost: a vCPU takes its immediate_exit flag back under the
 *    lock under which reasons are set, and kicks come after that.
 */
#ifndef DISCO_MONITOR_PAUSE_H
#define DISCO_MONITOR_PAUSE_H

#include <pthread.h>

#include "disco/base.h"

struct vm;
struct vcpu;

enum park_reason {
	PARK_PAUSE = 1u << 0, /* WORKER_REQ_PAUSE */
	PARK_MOVE = 1u << 1,  /* memory slots or program text change */
	PARK_BRING = 1u << 2, /* pages are shown from a nearer node */
	PARK_MERGE = 1u << 3, /* equal pages are shown from a layer */
};

struct park {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint32_t reasons; /* [L:lock] enum park_reason, ORed */
	unsigned nr_out;  /* [L:lock] vCPUs that wait, or are gone for good */
};

/**
 * vm_hurry() - faults in regions are not for the I/O thread to serve
 *
 * It is about to wait for threads that may be in one: a vCPU whose KVM_RUN
 * waits for a page is not interrupted by a kick (Linux 6.1). Nests.
 * Context: I/O thread.
 */
void vm_hurry(struct vm *vm, bool on);

void park_init(struct park *p);
void park_destroy(struct park *p);

/**
 * vm_park() - every vCPU out of the guest
 * @reason: bits to set; bits that are set already are no error
 *
 * Context: I/O thread, after vm_start(), no device lock held. Blocks until
 * the vCPUs are out: as long as the longest register access.
 */
void vm_park(struct vm *vm, uint32_t reason);

/* Take bits back; the guest goes on when none is left. Context: I/O thread. */
void vm_unpark(struct vm *vm, uint32_t reason);

/* The bits that are set. Context: any thread. */
uint32_t vm_parked(struct vm *vm);

/* KVM_RUN was interrupted: wait while there is a reason to. vCPU's thread. */
void vcpu_wait_parked(struct vcpu *c);

/* This vCPU never enters the guest again. Its thread, last thing it does. */
void vcpu_leave_parked(struct vcpu *c);

#endif
