/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes of a guest's vCPUs, sampled by KVM's dirty log with manual protection
 * (KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 with KVM_DIRTY_LOG_INITIALLY_SET, Linux 5.8).
 *
 * While it is on, the slots of RAM have a log: a bit per page, all set at first,
 * and nothing is protected. A *look* is at a group of 64 pages, a word of the log:
 *
 *	CLEAR	its bits are cleared (KVM_CLEAR_DIRTY_LOG), which has KVM protect
 *		its pages, or clear their dirty bits
 *	wait	DIRTY_LOG_WAIT_NS
 *	GET	the log is read (KVM_GET_DIRTY_LOG): a bit that is set again is a
 *		page that was written meanwhile
 *
 * WHAT IT SAYS. That a vCPU has written a page, once or more, within the wait. Not
 * which one: that is known by the dirty ring alone, which takes no list of pages,
 * but protects all of memory at once, has to be decided on before a guest has
 * vCPUs, and stops them when it is full; so it has no budget of pages. It is silent
 * about reads, and about writes by devices, which are the worker's.
 *
 * WHAT IT COSTS. A page that was cleared and is written costs its guest one fault,
 * or none where the CPU logs writes (PML); so many pages per second at most as the
 * sampler allows. Copying the log takes a bit per page of RAM per GET; that, and
 * CLEARs, are paid for at the sampler's share of a CPU. While it is on KVM maps no
 * huge pages for this guest that are written, and takes those apart whose pages
 * are cleared; when it goes off, they come back as they are touched.
 *
 * Slots that are made anew (vm_remake_slots()) have no log: then it is set on
 * again, and what was being looked at is dropped.
 *
 * Context of all functions but the probe and dirty_log_create(): the I/O thread.
 * Source: Linux Documentation/virt/kvm/api.rst: 4.8 KVM_GET_DIRTY_LOG, 4.117
 * KVM_CLEAR_DIRTY_LOG, 7.18 KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2.
 */
#ifndef DISCO_MEMORY_DIRTY_LOG_H
#define DISCO_MEMORY_DIRTY_LOG_H

#include "memory/guest_ram.h"
#include "memory/sampling/sampler.h"

#define DIRTY_LOG_GROUP	  64u	       /* pages: a word of the log */
#define DIRTY_LOG_GROUPS  256u	       /* looked at, at the same time */
#define DIRTY_LOG_WAIT_NS 100000000ull /* a period of most policies */

struct dirty_log;

/* A page that was written. */
struct dirty_page {
	uint64_t page;	     /* of RAM: its number in the memfd */
	uint64_t latency_ns; /* since its bit was cleared; 1 or more */
};

struct dirty_log_counts {
	uint64_t cleared; /* pages whose bits were cleared */
	uint64_t written; /* pages that were found written */
	uint64_t clean;	  /* pages that were not */
	uint64_t failed;  /* calls of KVM that failed, each with its look */
};

/**
 * dirty_log_probe() - does KVM have this log?
 * @kvm_fd: /dev/kvm, or a VM
 *
 * Return: 0; -EOPNOTSUPP it lacks manual protection, or lets a log not begin with
 * all bits set; -errno of KVM_CHECK_EXTENSION.
 */
MUST_CHECK int dirty_log_probe(int kvm_fd);

/**
 * dirty_log_create() - prepare; it is off
 * @vm_fd: the only KVM VM of the guest; outlives it. Of its slots, none has a log:
 *	   manual protection changes what KVM_GET_DIRTY_LOG does for all
 * @ram:   its slots are those of KVM, by their order; outlives it
 * @out:   released with dirty_log_destroy()
 *
 * Context: start of the worker. Return: 0; as dirty_log_probe(); -ENOMEM; -errno
 * of KVM_ENABLE_CAP.
 */
MUST_CHECK int dirty_log_create(struct dirty_log **out, int vm_fd,
				const struct ram_view *ram);

/* NULL is accepted. The log stays as it is: on, if it was. */
void dirty_log_destroy(struct dirty_log *l);

/* How many groups there are: what the sampler is made for. */
uint64_t dirty_log_groups(const struct dirty_log *l);

/**
 * dirty_log_turn() - look at what is due, and begin other looks
 * @s:	    of dirty_log_groups(); its rate counts groups. Off: the log is off
 * @found:  called for each page that was written
 * @now_ns: CLOCK_MONOTONIC
 *
 * Return: 0; -errno of the first call of KVM that failed: it is off then, and the
 * next turn tries again.
 */
MUST_CHECK int
dirty_log_turn(struct dirty_log *l, struct sampler *s, uint64_t now_ns,
	       void (*found)(void *arg, const struct dirty_page *p), void *arg);

void dirty_log_get_counts(const struct dirty_log *l,
			  struct dirty_log_counts *out);

#endif
