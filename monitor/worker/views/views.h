/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Views of one guest: several KVM VMs that share its vCPUs. Each vCPU is real
 * in one of them, its home, and a ghost (ghost.h) in the others. Each KVM VM has
 * memory slots of its own, so that the same guest address can be another page
 * of the host in each view.
 *
 * Guarantees:
 *
 * 1. An IPI within a view takes the way that it takes in a VM of one view: no
 *    exit, thread or lock is added.
 * 2. An IPI or a message to a vCPU of another view arrives, once for each time
 *    that the APIC there has taken it (ghost.h). Those of one sender to one
 *    vCPU arrive in the order of their priority, as in hardware.
 * 3. A message may be sent to whichever view; sent to its target's home it needs
 *    no ghost.
 *
 * The order at the start: views_create(); memory slots, vCPUs by the caller, in
 * the KVM VM of each vCPU's home; views_make_ghosts(); views_align_tsc();
 * views_start(); only then the vCPUs run.
 *
 * The APICs are in the kernel, the interrupt controller of the platform (IOAPIC)
 * is not (KVM_CAP_SPLIT_IRQCHIP): it exists once for a guest, not once for each
 * view (ioapic.h).
 *
 * What the caller must not offer to the guest, in CPUID: kvmclock, which each
 * KVM VM counts by itself, and calls that bypass APICs (views_hide_features()).
 */
#ifndef DISCO_MONITOR_VIEWS_VIEWS_H
#define DISCO_MONITOR_VIEWS_VIEWS_H

#include <linux/kvm.h>

#include "disco/base.h"
#include "disco/limits.h"
#include "monitor/worker/views/ghost.h"

#define VIEWS_MAX VM_MAX_VIEWS

struct views;

struct views_spec {
	int kvm_fd;	   /* /dev/kvm; not owned */
	unsigned nr_views; /* 1 .. VIEWS_MAX */
	unsigned nr_vcpus; /* 1 .. APIC_ID_MAX - 1: one id stays free */
	/* Home of each vCPU, below @nr_views; copied. */
	const uint8_t *home;
	/*
	 * APIC id of each vCPU, at most APIC_ID_MAX, each once; copied. NULL:
	 * its index.
	 */
	const uint8_t *apic_ids;
	/*
	 * Give @fd, vCPU @index, its CPUID. Context: views_make_ghosts().
	 * Return: 0; -errno.
	 */
	int (*prepare)(void *arg, int fd, unsigned index);
	/*
	 * The ghosts of @view are made, or started, next: the caller may run on
	 * CPUs of the view's node, whose memory and CPUs they get by that. NULL:
	 * nothing is done. Context: views_make_ghosts(), views_start().
	 */
	void (*enter)(void *arg, unsigned view);
	/* See ghost_spec.failed. */
	void (*failed)(void *arg, unsigned index, int err);
	void *arg;
};

/* Events that ghosts have sent on, since the start. */
struct views_figures {
	uint64_t sent[GHOST_NR_EVENTS]; /* by enum ghost_event */
};

/**
 * views_create() - make the KVM VMs, with interrupt controllers
 * @out: set also on error; the caller calls views_destroy()
 *
 * Context: start of the worker. Return: 0; -EINVAL: @spec is out of range;
 * -ENOTSUP: this KVM lacks what views need; -ENOMEM; -errno of KVM.
 */
MUST_CHECK int views_create(const struct views_spec *spec, struct views **out);

/* Accepts NULL, and views that were not created in full. Ghosts are stopped. */
void views_destroy(struct views *v);

unsigned views_count(const struct views *v);

/* The KVM VM of a view; of the home of a vCPU. Owned by @v. */
int views_vm_fd(const struct views *v, unsigned view);
int views_home_fd(const struct views *v, unsigned vcpu);

/* Set, or remove (memory_size 0), a slot of one view. Return: 0; -errno. */
MUST_CHECK int views_set_slot(struct views *v, unsigned view,
			      const struct kvm_userspace_memory_region *r);

/**
 * views_make_ghosts() - make the ghosts of all vCPUs, without threads
 *
 * Return: 0; -ENOTSUP; -ENOMEM; -errno of KVM.
 */
MUST_CHECK int views_make_ghosts(struct views *v);

/**
 * views_align_tsc() - give all vCPUs the time-stamp counter of the first one
 * @vcpu_fds: real vCPUs, by index
 *
 * KVM gives vCPUs of one VM the same offset to the host's counter, and those of
 * another VM another one. Context: before a vCPU runs. Return: 0; -errno: KVM
 * cannot set the offset (Linux before 5.16).
 */
MUST_CHECK int views_align_tsc(const struct views *v, const int *vcpu_fds);

/* Remove what views cannot have from a table for KVM_SET_CPUID2. Pure. */
void views_hide_features(struct kvm_cpuid_entry2 *e, unsigned nr);

/**
 * views_start() - start the ghosts; they listen when this returns
 *
 * Return: 0; -ENOTSUP: the host's KVM delivers interrupts in a way that ghosts
 * do not see (APICv, AVIC); -errno. After an error, too, the caller calls
 * views_stop() or views_destroy().
 */
MUST_CHECK int views_start(struct views *v);

/* Stop and join the ghosts. Context: the thread that started them. */
void views_stop(struct views *v);

/* --- interrupts of devices --- */

/* The view that a message (MSI) is best sent to. Pure. */
unsigned views_of_message(const struct views *v, uint64_t address);

/* Send a message now. Context: any thread. Return: 0; -errno. */
MUST_CHECK int views_send(const struct views *v, uint64_t address,
			  uint32_t data);

/**
 * views_set_routes() - give all views the same table of interrupt routes
 *
 * Context: callers exclude each other. Return: 0; -errno.
 */
MUST_CHECK int views_set_routes(struct views *v,
				const struct kvm_irq_routing *routes);

/**
 * views_set_irqfd() - have an eventfd raise @gsi in one view
 * @from: the view that it was set for; negative: none
 * @to:   the view from now on; negative: none
 *
 * What the eventfd counts in between is not lost: KVM looks at it when it is
 * set. Context: callers exclude each other. Return: 0; -errno.
 */
MUST_CHECK int views_set_irqfd(struct views *v, int fd, uint32_t gsi, int from,
			       int to);

/* KVM_IOEVENTFD in all views: any vCPU may write there. Return: 0; -errno. */
MUST_CHECK int views_set_ioeventfd(struct views *v,
				   const struct kvm_ioeventfd *e);

/* Context: any thread. */
void views_read_figures(const struct views *v, struct views_figures *f);

#endif
