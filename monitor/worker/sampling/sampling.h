/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sampling of the guest's accesses by faults (memory/sampling): the turns of the
 * I/O thread, and the thread that takes the faults, which finds out who made each
 * and logs it (disco/fault_log.h).
 *
 * WHO. The kernel gives the number of the thread that runs into a trap. It is
 *	a vCPU's thread;
 *	a thread of the kernel's: KVM has found the page absent, lets the vCPU
 *	rest, and has the page fetched by a worker of the CPU that the vCPU was on
 *	(an asynchronous page fault: of a guest with interrupts enabled, so most
 *	are). It is bound to that CPU, and sched_getaffinity(2) says which;
 *	another thread of this process, for a device: nobody's access.
 * Numbers of the kernel's threads mean nothing in a PID namespace other than the
 * first one: there such accesses are nobody's.
 *
 * A trap takes the huge page that it is in apart: policies move pages of 4 KiB. So
 * a VM with huge=thp is not sampled, and one with huge=auto has fewer and fewer
 * of them while it is.
 */
#ifndef DISCO_MONITOR_WORKER_SAMPLING_H
#define DISCO_MONITOR_WORKER_SAMPLING_H

#include "memory/sampling/page_traps.h"
#include "monitor/worker/vm/vm.h"

struct sampling {
	struct vm *vm;		  /* [I] */
	struct page_traps *traps; /* [I] NULL: there is no sampling */
	bool first_pids;	  /* [I] this is the first PID namespace */
	struct sampler sampler;	  /* I/O thread */
	struct io_watch timer;	  /* of turns */
	uint64_t spent_ns;	  /* I/O thread: CPU time of turns */
	uint64_t counted_ns;	  /* the same, of both, as paid for so far */
	/* [A: faults thread / I/O thread, relaxed] */
	_Atomic(uint64_t) faults_ns; /* its CPU time */
	_Atomic(uint64_t) nobodys;
};

/**
 * sampling_create() - open what is needed, if the VM is to be sampled
 * @s:  zeroed
 * @vm: with its memory and its loop; outlives it
 *
 * What this machine cannot do is reported once on standard error, and is no
 * error. Context: start of the worker. Return: 0; -errno of timerfd_create() and
 * of epoll_ctl().
 */
MUST_CHECK int sampling_create(struct sampling *s, struct vm *vm);

/* Start the thread, after sandbox_drop(). Return: 0; -errno. */
MUST_CHECK int sampling_start(struct sampling *s);

/* WORKER_REQ_SAMPLE. Context: I/O thread. */
void sampling_set(struct sampling *s, const struct worker_req_sample *r);

#endif
