/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One virtual machine inside its worker: the KVM side.
 *
 * A guest with views has several KVM VMs: what concerns all of them goes through
 * monitor/worker/views/kvms.h.
 *
 * Threads: the main thread is the I/O thread; there is one thread per vCPU.
 * Everything marked [I] is written before the vCPU threads are created.
 */
#ifndef DISCO_MONITOR_VM_H
#define DISCO_MONITOR_VM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>

#include "disco/worker_spec.h"
#include "memory/pmap.h"
#include "monitor/dev/platform/bus.h"
#include "monitor/dev/platform/dev_host.h"
#include "monitor/dev/platform/pci.h"
#include "monitor/ipc/figures.h"
#include "monitor/worker/vm/boot_pages.h"
#include "monitor/worker/vm/cpuid.h"
#include "monitor/worker/vm/io_loop.h"
#include "monitor/worker/views/kvms.h"
#include "monitor/worker/vm/pause.h"
#include "monitor/worker/vm/regions.h"
#include "monitor/worker/vm/standstill.h"
#include "numa/region.h"

struct pager;
struct ram_copies;
struct vm;

struct vcpu {
	struct vm *vm;	/* [I] */
	unsigned index; /* [I] */
	int fd;		/* [I] */
	/*
	 * [I] mapping. Contents: vCPU thread; any thread may set immediate_exit
	 * to 1.
	 */
	struct kvm_run *run;
	size_t run_bytes;
	pthread_t thread;
	bool thread_made;
	struct figures_vcpu *figures; /* [I] in the worker's region */
	struct vcpu_sample sample;
};

struct vm {
	const struct worker_spec *spec; /* [I] */
	nodeid_t node;			/* I/O thread; spec's before a move */
	struct dev_host host;		/* for devices */
	int kvm_fd;			/* [I] not owned */
	struct kvms kvms;
	struct ram_view ram; /* [I] */
	struct pmap *pmap;   /* [I]; contents: I/O thread */
	/* [I] NULL: all pages are small. Contents: I/O thread. */
	struct ram_huge *huge;
	/* [I] of views; NULL: all show one mapping */
	struct ram_copies *copies;
	struct boot_others others; /* I/O thread */
	struct vm_regions regions; /* [I] memory above RAM */
	struct pager *pager; /* [I] of the regions; NULL: files are mapped */
	struct region shown; /* [I] the region that control reads */
	struct figures *figures; /* [I] in that region */
	struct io_loop loop;
	struct io_bus pio, mmio; /* [I] */
	struct pci_bus pci;
	/*
	 * CPU time of this process at the first KVM_RUN of vCPU 0.
	 * [A: vCPU 0 / I/O thread, relaxed: a statistic]
	 */
	_Atomic uint64_t first_run_cpu_ns;
	bool tsc_deadline;	  /* [I] */
	struct cpuid_table cpuid; /* start only */
	struct vcpu *vcpus;	  /* [I] */
	unsigned nr_vcpus;	  /* [I] */
	size_t run_bytes;	  /* [I] */
	struct park park;	  /* vCPUs out of the guest */
	struct standstill standstill;
	/*
	 * Stop: the first caller's reason wins.
	 * [A: any thread, compare-and-swap from 0, release; I/O thread loads
	 * with acquire and then reads stop_text]
	 */
	_Atomic uint32_t stop_claim; /* 1: a thread is writing the reason */
	_Atomic uint32_t stop_why;   /* enum worker_stop, 0: running */
	char stop_text[256];
	struct io_watch stop_watch; /* eventfd */
};

/**
 * vm_create() - create KVM VM, memory, interrupt controller, vCPUs; no devices
 * @kvm_fd: /dev/kvm; not owned
 * @spec:   checked by the caller; outlives the VM
 * @what:   out on error: the step that failed
 *
 * Return: 0; -errno. After an error, too, the caller calls vm_destroy().
 */
MUST_CHECK int vm_create(struct vm *vm, int kvm_fd,
			 const struct worker_spec *spec, const char **what);
void vm_destroy(struct vm *vm);

/* Start the vCPU threads. Return: 0; -errno. */
MUST_CHECK int vm_start(struct vm *vm);

/**
 * vm_remake_slots() - remove KVM's memory slots and set them again
 *
 * KVM then builds its page tables anew, in memory of the node that it runs on.
 *
 * Context: I/O thread, vCPUs parked. Return: 0; -errno: a part of the guest's
 * memory is missing now, and the VM was stopped.
 */
MUST_CHECK int vm_remake_slots(struct vm *vm);

/**
 * vm_hurry() - stop (@on) the I/O thread from serving faults in regions
 *
 * The I/O thread is about to wait for threads that may be in a fault: a vCPU
 * whose KVM_RUN waits for a page is not interrupted by a kick (Linux 6.1).
 * Calls nest. Context: I/O thread.
 */
void vm_hurry(struct vm *vm, bool on);

/**
 * vm_park() - take every vCPU out of the guest
 * @reason: bits to set; bits that are already set are accepted
 *
 * Context: I/O thread, after vm_start(), no device lock held. Blocks until the
 * vCPUs are out, which takes as long as the longest register access.
 */
void vm_park(struct vm *vm, uint32_t reason);

/* Clear bits; the guest goes on when none is left. Context: I/O thread. */
void vm_unpark(struct vm *vm, uint32_t reason);

/* The bits that are set. Context: any thread. */
uint32_t vm_parked(struct vm *vm);

/* Take every vCPU out of KVM_RUN and join its thread. Context: I/O thread. */
void vm_join(struct vm *vm);

/* End the VM; see dev_host_ops.stop. Context: any thread. */
PRINTF(3, 4)
void vm_stop(struct vm *vm, enum worker_stop why, const char *fmt, ...);

/* True once vm_stop() was called. Context: any thread. */
bool vm_stopping(struct vm *vm);

/* Number of returns of KVM_RUN, over all vCPUs. Context: any thread. */
uint64_t vm_exits(const struct vm *vm);

#endif
