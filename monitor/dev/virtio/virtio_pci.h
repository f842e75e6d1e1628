/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio over PCI, modern interface only: one transport for all device types.
 *
 * A device type is a table of operations (struct virtio_ops). The transport
 * owns status, features, queues and interrupts; the type gets whole chains.
 *
 * Threads: vCPUs write registers. The I/O thread serves queues, woken by one
 * ioeventfd per queue. @lock covers all of a device's state. Nothing outside
 * this VM ever takes it, and queue notifications do not wait for it.
 *
 * Queues of virtio_ops.in_exit have no ioeventfd: the vCPU that notifies serves
 * them before it goes back to the guest. That is for short requests whose
 * driver busily waits for their completion, and for those whose time is that of
 * waking the I/O thread. Three rules keep a guest from stopping its worker by that:
 * 1. A vCPU serves at most once per notification, and serve() is bounded.
 * 2. It does not wait for @lock: while another thread has it, the I/O thread
 *    is woken instead.
 * 3. It touches RAM only. A fault in a window (guest_ram.h) may need the I/O
 *    thread, which may want @lock: such a chain is left to the I/O thread.
 *
 * Reset: a driver that writes 0 to the status reads 0 back only after every
 * request in flight has completed, so no buffer is written after that.
 * Source: virtio 1.2, sections 2.1-2.4, 4.1.
 */
#ifndef DISCO_MONITOR_VIRTIO_PCI_H
#define DISCO_MONITOR_VIRTIO_PCI_H

#include "monitor/dev/platform/pci.h"
#include "monitor/dev/virtio/virtqueue.h"

#define VIRTIO_MAX_QUEUES 18
#define VIRTIO_FEW	  32 /* descriptors of a queue of virtio_ops.few */
#define VIRTIO_CONFIG_MAX 64 /* bytes of device configuration */

#define VIRTIO_F_INDIRECT  (1ull << 28)
#define VIRTIO_F_EVENT_IDX (1ull << 29)
#define VIRTIO_F_VERSION_1 (1ull << 32)

#define VIRTIO_STATUS_ACKNOWLEDGE 1u
#define VIRTIO_STATUS_DRIVER	  2u
#define VIRTIO_STATUS_DRIVER_OK	  4u
#define VIRTIO_STATUS_FEATURES_OK 8u
#define VIRTIO_STATUS_NEEDS_RESET 64u
#define VIRTIO_STATUS_FAILED	  128u

struct virtio_dev;

enum virtio_served {
	SERVED_ALL,  /* the queue is empty: wait for the next notification */
	SERVED_SOME, /* batch used up: serve again after other work */
	SERVED_WAIT, /* chains are left; the device will call virtio_serve() */
	SERVED_SIGNAL, /* again at once, after the interrupts that are due */
};

/* All functions are called with the device's lock held. */
struct virtio_ops {
	uint16_t type;	     /* virtio 1.2 section 5: 2 block, 3 console ... */
	uint32_t class_code; /* PCI class */
	unsigned nr_queues;
	/* Bit per queue: vCPUs serve it, see above; the I/O thread may, too. */
	unsigned in_exit;
	/* Bit per queue: served before DRIVER_OK, once FEATURES_OK is set. */
	unsigned early;
	/*
	 * Bit per queue: it has no ioeventfd, because it is used seldom; a
	 * notification is an exit, which wakes the I/O thread.
	 */
	unsigned seldom;
	/*
	 * Bit per queue: VIRTIO_FEW descriptors, because drivers fill it with
	 * buffers that are used seldom.
	 */
	unsigned few;
	unsigned nr_vectors; /* of MSI-X; 0: one per queue, and one more */
	/*
	 * Interrupts for chains that serve() pushes are sent when the lock was
	 * released. For queues in_exit: a vCPU that such an interrupt wakes may
	 * take the CPU from the thread that sent it, and finds the lock free.
	 * One may come just after a reset; drivers expect spurious ones.
	 */
	bool late_interrupts;
	/*
	 * Handle the queue's chains, if any. I/O thread, or the vCPU that
	 * notified a queue of @in_exit; bounded per call.
	 */
	enum virtio_served (*serve)(struct virtio_dev *v, unsigned queue);
	/* The driver reset the device; nothing is in flight. May be NULL. */
	void (*reset)(struct virtio_dev *v);
};

struct virtio_queue {
	struct vq vq;
	struct io_watch kick; /* ioeventfd */
	struct virtio_dev *dev;
	uint16_t vector;
	bool enable_asked;
};

struct virtio_dev {
	struct pci_dev pci;
	const struct virtio_ops *ops; /* [I] */
	struct dev_host *host;	      /* [I] */
	uint64_t features;	      /* [I] offered */
	unsigned config_bytes;	      /* [I] */

	pthread_mutex_t lock; /* everything below */
	uint8_t config[VIRTIO_CONFIG_MAX];
	uint64_t driver_features;
	uint32_t feature_select, driver_feature_select;
	uint16_t queue_select;
	uint16_t config_vector;
	uint8_t status;
	uint8_t generation;
	bool resetting;	     /* waits until in_flight is 0 */
	bool death_reported; /* once in its life: a reset does not clear it */
	unsigned in_flight;  /* requests that a backend holds */
	bool serving;	     /* serve() runs, of a type of late_interrupts */
	uint32_t due;	     /* bit per vector: to be sent by who serves */
	struct virtio_queue queues[VIRTIO_MAX_QUEUES];
	uint64_t notify_base; /* [L:bus] address of the ioeventfds; 0: none */
	unsigned window;      /* [I] config offset of the PCI_CFG capability */
	/* ISR; [A: any thread sets (or), vCPU reads and clears] */
	_Atomic uint8_t isr;
};

/**
 * virtio_init() - create a device; pci_add(&v->pci) puts it on the bus
 * @features: offered in addition to VERSION_1, EVENT_IDX and INDIRECT
 *
 * Return: 0; -errno of eventfd or of the I/O thread's watch.
 */
MUST_CHECK int virtio_init(struct virtio_dev *v, struct dev_host *host,
			   const struct virtio_ops *ops, uint64_t features,
			   const void *config, unsigned config_bytes);
void virtio_destroy(struct virtio_dev *v);

/**
 * virtio_set_config() - change the device's configuration
 * @off, @bytes: a range inside config_bytes
 *
 * The driver gets a configuration interrupt if the contents change.
 * Context: any thread, lock not held. Source: virtio 1.2, 2.5.
 */
void virtio_set_config(struct virtio_dev *v, unsigned off, const void *from,
		       unsigned bytes);

/* --- for device types; the lock is held --- */

/*
 * vq_pop(); a broken queue sets NEEDS_RESET. Return: true: there is a chain.
 */
MUST_CHECK bool virtio_pop(struct virtio_dev *v, unsigned queue,
			   struct vq_chain *c);
/* vq_push(), then an interrupt if the driver wants one. */
void virtio_push(struct virtio_dev *v, unsigned queue, uint16_t head,
		 uint32_t written);
/* vq_push_all(), then an interrupt if the driver wants one. */
void virtio_push_all(struct virtio_dev *v, unsigned queue,
		     const struct vq_used *u, unsigned n);
/* Are interrupts due that wait until serve() has returned? */
static inline bool virtio_due(const struct virtio_dev *v)
{
	return v->due != 0;
}
/* Serve the queue soon, on the I/O thread, as if it were kicked. */
void virtio_again(struct virtio_dev *v, unsigned queue);
/*
 * The device cannot go on until the driver resets it. @why: what broke the
 * rules, a constant; dev_host_ops.report() gets it the first time.
 */
void virtio_needs_reset(struct virtio_dev *v, const char *why);

/* A request was given to a backend, or came back from it. */
void virtio_hold(struct virtio_dev *v);
void virtio_release(struct virtio_dev *v);

/* Serve a queue as if it were kicked. Context: I/O thread, lock not held. */
void virtio_serve(struct virtio_dev *v, unsigned queue);

#endif
