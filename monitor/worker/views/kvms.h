/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The KVM VMs of a guest: one; or, of a guest with views (views.h), one per
 * view. What the rest of the worker asks of KVM for the whole guest goes through
 * here and reaches all of them. vCPUs are asked for by their own descriptors.
 *
 *	what			one KVM VM		views
 *	memory slots		set in it		the same in each
 *	logs of writes		its own			united
 *	platform's interrupts	IOAPIC in the kernel	one for all: ioapic.h
 *	messages (MSI)		a route, an irqfd	view_routes.h
 *	ioeventfds		set in it		set in each
 *
 * Several calls of KVM make one change. If one of them fails, those before it
 * stay done: the caller ends the guest, or reports the failure to the guest.
 */
#ifndef DISCO_MONITOR_KVMS_H
#define DISCO_MONITOR_KVMS_H

#include <linux/kvm.h>
#include <pthread.h>

#include "monitor/worker/views/ioapic.h"
#include "monitor/worker/views/view_routes.h"

#define VM_MAX_MSI_ROUTES 320

struct kvms {
	int fd; /* [I] of the only KVM VM; -1: there are views, or none yet */
	struct views *views; /* [I] NULL: there are none */
	/* [I] The interrupt controllers below are used: there are views. */
	bool split;
	struct ioapic ioapic;
	struct view_routes view_routes;
	/*
	 * Interrupt routes of the only KVM VM. The lock is per VM and off the
	 * exit path: routes change when a guest programs MSI-X.
	 */
	pthread_mutex_t lock;
	unsigned nr_routes; /* [L:lock] */
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry e[VM_MAX_MSI_ROUTES];
	} routes; /* [L:lock] */
};

/* None yet. kvms_destroy() is called after this, whatever else fails. */
void kvms_init(struct kvms *k);
void kvms_destroy(struct kvms *k);

/**
 * kvms_create() - make the KVM VM, or those of all views
 * @kvm_fd: /dev/kvm; not owned
 * @views:  NULL: one KVM VM; its tables are copied, its @arg outlives @k
 *
 * Context: start of the worker. Return: 0; -errno of KVM; as views_create().
 */
MUST_CHECK int kvms_create(struct kvms *k, int kvm_fd,
			   const struct views_spec *views);

/**
 * kvms_make_irqchip() - make the guest's interrupt controllers
 * @mmio: bus of the guest; the IOAPIC of a guest with views is put there
 *
 * Context: start of the worker, before vCPUs are made. Return: 0; -errno of KVM;
 * as io_bus_add().
 */
MUST_CHECK int kvms_make_irqchip(struct kvms *k, struct io_bus *mmio);

/* Number of KVM VMs, and the descriptor of each. Context: any thread. */
unsigned kvms_count(const struct kvms *k);
int kvms_fd(const struct kvms *k, unsigned i);

/**
 * kvms_make_vcpu() - make a vCPU where it is real
 * @index: of the vCPU
 *
 * Context: start of the worker. Return: its descriptor; -errno of KVM.
 */
MUST_CHECK int kvms_make_vcpu(struct kvms *k, unsigned index, unsigned apic_id);

/* Set, or remove (memory_size 0), a slot. Return: 0; -errno of KVM. */
MUST_CHECK int kvms_set_slot(const struct kvms *k,
			     const struct kvm_userspace_memory_region *r);
/* The same, in KVM VM @i alone. */
MUST_CHECK int kvms_set_slot_of(const struct kvms *k, unsigned i,
				const struct kvm_userspace_memory_region *r);

/* As dev_host_ops.msi_route, .ioeventfd and .irq_line. Context: any thread. */
MUST_CHECK int kvms_msi_route(struct kvms *k, int fd, uint32_t *gsi,
			      uint64_t address, uint32_t data);
MUST_CHECK int kvms_ioeventfd(struct kvms *k, int fd, uint64_t at, unsigned len,
			      bool on);
void kvms_irq_line(struct kvms *k, uint32_t gsi, bool high);

#endif
