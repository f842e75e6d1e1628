/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sampling of the guest's writes by KVM's dirty log (memory/sampling/dirty_log.h),
 * by turns of the I/O thread, into the log of samples (disco/fault_log.h), whose
 * only writer it is: a worker samples faults or writes, as its specification says.
 *
 * Left out, with one line: guests with several views, whose writes are in several
 * logs; and guests with a pmem disk that needs a log of its own for flushes, as the
 * protection by hand that samples need would have those flushes find nothing.
 */
#ifndef DISCO_MONITOR_WRITES_H
#define DISCO_MONITOR_WRITES_H

#include "memory/sampling/dirty_log.h"
#include "monitor/worker/vm/vm.h"

/* All of it: I/O thread. */
struct writes {
	struct vm *vm;
	struct dirty_log *log; /* NULL: there is no sampling of writes */
	struct sampler sampler;
	struct io_watch timer;
	uint64_t spent_ns;
	bool failed; /* KVM's refusal was reported */
};

/**
 * writes_create() - open what is needed, if the VM's writes are to be sampled
 * @w:  zeroed
 * @vm: with its memory, its regions and its loop; outlives it
 *
 * What this machine or guest cannot do is reported once on standard error, and is
 * no error. Context: start of the worker. Return: 0; -errno of timerfd_create() and
 * of epoll_ctl().
 */
MUST_CHECK int writes_create(struct writes *w, struct vm *vm);

/* WORKER_REQ_SAMPLE. Context: I/O thread. */
void writes_set(struct writes *w, const struct worker_req_sample *r);

#endif
