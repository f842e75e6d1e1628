/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PCI device by which a guest gives hints (guest-hints/abi/hints_abi.h):
 * registers, and memory of the worker's that the guest sees in BAR 0. The ring
 * is a part of the BAR, and not of the guest's RAM, so that programs of stock
 * kernels can use it: sysfs lets root map a BAR, but no program learns the
 * physical address of memory that stays where it is.
 *
 * The memory is shown to the guest while the BAR is decoded, which a guest
 * without a driver or a program for the device does not turn on. vCPU threads
 * may not change KVM's slots (their seccomp filter), so the I/O thread follows
 * the BAR, a moment later; until then the memory reads as 0.
 *
 * Threads: vCPUs access registers; the I/O thread serves the ring. Both under
 * @lock, which is held for HINTS_TURN_NS at most.
 */
#ifndef DISCO_MONITOR_HINTS_PCI_H
#define DISCO_MONITOR_HINTS_PCI_H

#include <pthread.h>

#include "guest-hints/host/hints.h"
#include "monitor/dev/platform/dev_host.h"
#include "monitor/dev/platform/pci.h"

struct hints_pci {
	struct pci_dev pci;
	struct dev_host *host; /* [I] */
	pthread_mutex_t lock;
	struct hints hints;	   /* [L:lock] */
	struct io_watch doorbell;  /* eventfd */
	struct io_watch timer;	   /* timerfd, while the guest is slowed */
	uint8_t *bar;		   /* [I] HINTS_BAR_BYTES */
	const uint8_t *ring;	   /* [I] a part of it, for reading */
	struct io_watch moved;	   /* eventfd: the BAR has moved */
	uint64_t shown;		   /* [N] I/O thread: where the memory is; 0 */
	uint64_t heard;		   /* [L:bus] where KVM hears doorbells; 0 */
	void (*served)(void *arg); /* [I] after each turn; may be NULL */
	void *served_arg;
};

/**
 * hints_pci_init() - make the device; pci_add() follows
 * @d:    zeroed
 * @host: outlives it
 * @c:    as for hints_init(); bar and ring are set by this function
 *
 * Context: before the first vCPU runs. Return: 0; -ENOMEM; -errno of
 * memfd_create(), eventfd(), timerfd_create(). Destroy also after an error.
 */
MUST_CHECK int hints_pci_init(struct hints_pci *d, struct dev_host *host,
			      const struct hints_config *c);

/* Zeroed is accepted. */
void hints_pci_destroy(struct hints_pci *d);

/* As hints_tell_home(). Context: any thread. */
void hints_pci_tell_home(struct hints_pci *d, nodeid_t node);

#endif
