/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI-X vectors of one device: their table, pending bits, and sending through
 * them. Independent of PCI's configuration space: pci_add_msix() makes the
 * capability.
 *
 * Source: PCI Local Bus 3.0, 6.8.2.
 */
#ifndef DISCO_MONITOR_MSIX_H
#define DISCO_MONITOR_MSIX_H

#include <pthread.h>
#include <stdatomic.h>

#include "disco/base.h"
#include "monitor/dev/platform/dev_host.h"

#define MSIX_MAX 18 /* vectors of one device */

struct msix_vector {
	int fd; /* [I] eventfd, connected on first use */
	uint32_t gsi;
	uint64_t addr;
	uint32_t data;
	bool masked;
	bool pending;
	bool routed; /* gsi carries addr and data */
	/*
	 * A write to fd is all that a message takes: it is usable and routed.
	 * [A: under the lock / any thread, relaxed]
	 */
	_Atomic(bool) direct;
};

/*
 * Has a lock of its own: vCPUs program it, and any thread sends through it. What is
 * sent through a vector that the guest uses takes no lock: it may be sent in a vCPU's
 * exit, and wake the vCPU that takes the sender's CPU.
 */
struct msix {
	pthread_mutex_t lock;
	struct dev_host *host; /* [I] */
	unsigned nr;	       /* [I] */
	bool enabled, all_masked;
	struct msix_vector v[MSIX_MAX];
};

/* Initialise without vectors: only msix_add_vectors() has an effect. */
void msix_init(struct msix *m);

/**
 * msix_add_vectors() - add masked vectors
 * @host: outlives the vectors
 * @nr:   number of vectors, 1 .. MSIX_MAX
 *
 * Context: before the first vCPU runs. Return: 0; -ENOSPC; -errno of eventfd().
 * The caller calls msix_close() also after an error.
 */
MUST_CHECK int msix_add_vectors(struct msix *m, struct dev_host *host,
				unsigned nr);

/* Close the eventfds. */
void msix_close(struct msix *m);

/* The guest wrote message control. Context: vCPU thread, bus lock held. */
void msix_control(struct msix *m, uint16_t control);

/*
 * Send vector @n; a masked one becomes pending. One that is masked meanwhile may
 * still arrive, as a message that is on its way. Context: any thread; takes a lock
 * only where the guest has not made the vector ready.
 */
void msix_send(struct msix *m, unsigned n);

/* Guest access to the table and to the pending bits; offsets in bytes. */
uint64_t msix_table_read(struct msix *m, uint64_t off, unsigned len);
void msix_table_write(struct msix *m, uint64_t off, unsigned len,
		      uint64_t value);
uint64_t msix_pba_read(struct msix *m, uint64_t off, unsigned len);

#endif
