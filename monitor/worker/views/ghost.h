/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A ghost: the stand-in of a vCPU in a KVM VM where that vCPU does not run.
 *
 * A guest with several views (views.h) has one KVM VM per view. Each of them
 * has an in-kernel APIC for every vCPU of the guest, but a vCPU runs in one of
 * them only, where it is *real*. In the others it is a ghost: what is sent to
 * its APIC there is sent on to the real one by KVM_SIGNAL_MSI, which knows all
 * delivery modes: fixed, NMI, INIT, and start-up.
 *
 * A ghost executes no instruction of a guest, needs no guest memory, and no
 * page or interrupt table of its own. Its thread uses two properties of KVM_RUN
 * (Linux 6.1, arch/x86/kvm/x86.c; the same in 6.18):
 *
 * 1. A vCPU in the MP state UNINITIALIZED blocks in KVM_RUN until its APIC has
 *    something for it, and leaves with EAGAIN, without entering the guest
 *    (kvm_arch_vcpu_ioctl_run()). INIT and start-up IPIs are accepted there,
 *    the second INIT as the first one.
 * 2. A RUNNABLE vCPU whose thread has a signal pending takes the interrupt of
 *    highest priority, as for an entry (IRR to ISR), finds the signal before
 *    the entry, cancels it and leaves with EINTR. What was taken is in
 *    kvm_run's copy of the vCPU's events (vcpu_enter_guest(), cancel_injection).
 *
 * KVM's own locks make (2) atomic against senders: a vector that arrives after
 * it was taken is pending again, as in hardware. So a vector is sent on once
 * for each time that it was taken, and none is lost. Reading and writing the
 * APIC's registers from outside (KVM_GET_LAPIC, KVM_SET_LAPIC) would lose what
 * arrives in between.
 *
 * Not where the CPU delivers interrupts without KVM (APICv, AVIC): there (2)
 * takes nothing. views.h switches that off, and ghost_start() tries (2), so
 * that a host where it does not work is refused before the guest starts.
 *
 * A ghost's APIC is in x2APIC mode: physical and logical destinations follow
 * from its id. A guest that uses xAPIC mode may use physical destinations and
 * shorthands only; stock Linux uses x2APIC under KVM.
 *
 * After INIT the ghost's thread looks for the start-up IPI, because a KVM_RUN
 * that waits for it would run the guest's trampoline: every 100 us at first, at
 * most every 10 ms.
 *
 * State:
 *
 *	LISTENS	in KVM_RUN, UNINITIALIZED; IF is set, as a mark: KVM clears it
 *		when it accepts INIT
 *	  -> STARTS	ghost_saw_init(): INIT was accepted and sent on
 *	STARTS	out of KVM_RUN, INIT_RECEIVED
 *	  -> LISTENS	ghost_await_startup(): the APIC enabled again, then the
 *			start-up IPI sent on. In this order, because the real
 *			vCPU may invite IPIs from then on. Or none came for a
 *			second: a kernel that is about to start another one
 *			parks its vCPUs by INIT, and the other one may start
 *			them from another view, which this ghost does not see.
 *
 * A ghost's APIC is enabled while it listens, also before its vCPU was started:
 * whoever starts it may do so from another view. What the real APIC does not
 * want yet, it drops. One thing differs from hardware: INIT and the start-up IPI
 * have to come from vCPUs of the same view, as KVM drops the latter where there
 * was no INIT. Stock Linux sends both from one vCPU.
 */
#ifndef DISCO_MONITOR_VIEWS_GHOST_H
#define DISCO_MONITOR_VIEWS_GHOST_H

#include <linux/kvm.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "disco/base.h"

/* Blocked in a ghost's thread, where it is always pending: see (2). */
#define GHOST_TAKE_SIGNAL SIGUSR2
/* Ends a KVM_RUN; the process has a handler for it that does nothing. */
#define GHOST_KICK_SIGNAL SIGUSR1

enum ghost_event {
	GHOST_NONE,
	GHOST_FIXED, /* a vector */
	GHOST_NMI,
	GHOST_INIT,
	GHOST_STARTUP, /* a vector: the page that the vCPU starts at */
	GHOST_NR_EVENTS,
};

struct ghost_spec {
	int vm_fd;	  /* KVM VM where it is a ghost; not owned */
	int real_vm_fd;	  /* KVM VM where the vCPU is real; not owned */
	unsigned index;	  /* of the vCPU, for @prepare and @failed */
	unsigned apic_id; /* 0 .. APIC_ID_MAX; 0 is the boot processor */
	size_t run_bytes; /* KVM_GET_VCPU_MMAP_SIZE */
	/*
	 * Give the new vCPU @fd its CPUID, which has x2APIC.
	 * Return: 0; -errno.
	 */
	int (*prepare)(void *arg, int fd, unsigned index);
	/*
	 * The ghost cannot go on; the guest would lose interrupts. Context: the
	 * ghost's thread, in its sandbox.
	 */
	void (*failed)(void *arg, unsigned index, int err);
	void *arg;
};

struct ghost {
	struct ghost_spec spec; /* [I] */
	int fd;			/* [I] */
	/*
	 * [I] mapping. Contents: ghost's thread; any thread may set
	 * immediate_exit to 1.
	 */
	struct kvm_run *run;
	pthread_t thread; /* creator */
	bool thread_made; /* creator */
	sem_t ready;	  /* ghost's thread posts, creator waits */
	int start_error;  /* ghost's thread, before ready; creator after */
	/* [A: creator, set once / ghost's thread, relaxed: kick follows] */
	_Atomic bool stop;
	/* [N] ghost's thread */
	bool starts; /* state STARTS */
	unsigned idle_wakes;
	/*
	 * Events sent on, by enum ghost_event; [GHOST_NONE]: wake-ups without
	 * one. [A: ghost's thread / any thread, relaxed: statistics]
	 */
	_Atomic uint64_t sent[GHOST_NR_EVENTS];
};

/**
 * ghost_create() - make the ghost's vCPU; no thread yet
 * @spec: copied
 *
 * Context: start of the worker. Return: 0; -errno of KVM, -ENOTSUP: this KVM
 * cannot do (1) or (2). After an error, too, the caller calls ghost_destroy().
 */
MUST_CHECK int ghost_create(struct ghost *g, const struct ghost_spec *spec);

/* Accepts a ghost of zeroes, and one that was not created in full. */
void ghost_destroy(struct ghost *g);

/**
 * ghost_start() - start the ghost's thread, and wait until it listens
 *
 * Context: no vCPU of the guest has run. Return: 0; -ENOTSUP: events are not
 * taken as (2) says on this host; -errno.
 */
MUST_CHECK int ghost_start(struct ghost *g);

/* End the thread and join it; accepts a ghost that was not started. */
void ghost_stop(struct ghost *g);

#endif
