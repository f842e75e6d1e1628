/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeps every vCPU out of KVM_RUN for a while, because the operator paused the
 * guest, or because its memory is being rearranged. Each cause has a reason bit
 * of its own, so that the end of one does not end the other; the guest runs
 * when no bit is set.
 *
 * 1. While a bit is set, no vCPU is in KVM_RUN, nor in a device's register
 *    access, and the result of its last exit was handed back to KVM.
 * 2. Pausing costs nothing on an exit: a vCPU checks the bits only after
 *    KVM_RUN was interrupted, and the kick ensures that it will be.
 * 3. No kick is lost: a vCPU clears its immediate_exit flag under the lock
 *    under which reasons are set, and kicks come after that.
 */
#ifndef DISCO_MONITOR_PAUSE_H
#define DISCO_MONITOR_PAUSE_H

#include <pthread.h>

#include "disco/base.h"

#define PARK_STUCK_MS 100u

/*
 * Bounds of PARK_MERGE: how long the guest is stopped, but for one run of pages; how
 * often, at most; and how many times in a row disks may have requests under way,
 * which write to pages at any time, before there is no more trying.
 */
#define PARK_MERGE_NS	    2000000ull
#define PARK_MERGE_MS	    50
#define PARK_MERGE_REFUSALS 100u

enum park_reason {
	PARK_PAUSE = 1u << 0, /* WORKER_REQ_PAUSE */
	PARK_MOVE = 1u << 1,  /* memory slots or program text change */
	PARK_BRING = 1u << 2, /* pages are shown from a nearer node */
	PARK_MERGE = 1u << 3, /* equal pages are shown from elsewhere */
};

struct park {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint32_t reasons; /* [L:lock] enum park_reason, ORed */
	unsigned nr_out;  /* [L:lock] vCPUs that wait, or have left for good */
};

void park_init(struct park *p);
void park_destroy(struct park *p);

/**
 * park_begin() - set reason bits, and wait until every vCPU is out
 * @reason: bits to set; bits that are already set are accepted
 * @nr:     vCPUs that have a thread
 * @kick:   sets the immediate_exit flag of each of them and interrupts its
 *          KVM_RUN; called once, with @arg, under the lock
 * @stuck:  called with @arg, without the lock, each PARK_STUCK_MS that some are
 *          not out: a vCPU that waits for a page of guest memory may wait for what
 *          has failed, and the kernel takes no kick then (Linux before 6.2)
 *
 * Context: I/O thread, no device lock held. Blocks until the vCPUs are out,
 * which takes as long as the longest register access.
 */
void park_begin(struct park *p, uint32_t reason, unsigned nr,
		void (*kick)(void *arg), void (*stuck)(void *arg), void *arg);

/* Clear bits; the guest goes on when none is left. Context: I/O thread. */
void park_end(struct park *p, uint32_t reason);

/* The bits that are set. Context: any thread. */
uint32_t park_reasons(struct park *p);

/**
 * park_wait() - KVM_RUN was interrupted: wait while a reason bit is set
 * @immediate_exit: of the vCPU's kvm_run; 0 after this, unless the vCPU was
 *                  kicked since
 *
 * Context: the vCPU's thread. Return: true if it waited.
 */
bool park_wait(struct park *p, uint8_t *immediate_exit);

/*
 * This vCPU will not enter the guest again. Context: the vCPU's thread, as its
 * last action.
 */
void park_leave(struct park *p);

#endif
