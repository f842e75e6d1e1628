/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Split virtqueue, device side. Nothing that the guest wrote is trusted.
 *
 * Guarantees:
 *  V1  Every index, descriptor and table address is copied from guest memory
 *      once; checks and uses see the copy. If the guest rewrites it meanwhile,
 *      nothing changes.
 *  V2  A chain that is handed out has at most VQ_MAX_IOV pieces, each wholly
 *      inside guest RAM or a window above it (ram_buffer()); readable pieces
 *      come before writable ones. Rings and tables are in RAM.
 *  V3  Walking a chain takes at most VQ_MAX_IOV steps, whatever it contains.
 *  V4  At most @size chains are handed out at any time.
 *  V5  A violation of the rules marks the queue broken (-EPROTO, @why names the
 *      rule); a broken queue hands out nothing until it is reset.
 *
 * Context: a queue belongs to one thread at a time (the device's lock).
 * Ordering with the guest's CPUs: avail->idx is loaded with acquire and pairs
 * with the driver's write barrier before it stores idx; used->idx is stored
 * with release and pairs with the driver's read barrier after it loads idx.
 * Source: virtio 1.2, section 2.7 (the subsections are in the .c file).
 */
#ifndef DISCO_MONITOR_VIRTQUEUE_H
#define DISCO_MONITOR_VIRTQUEUE_H

#include <sys/uio.h>

#include "disco/base.h"
#include "memory/guest_ram.h"

#define VQ_MAX_SIZE 256 /* descriptors of the largest queue offered */
#define VQ_MAX_IOV  512 /* pieces of one chain */

struct vq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct vq {
	const struct ram_view *ram; /* [I] */
	uint16_t size;		    /* as the driver set it; power of two */
	bool enabled;		    /* addresses checked, rings usable */
	bool event_idx;		    /* VIRTIO_F_EVENT_IDX negotiated */
	const char *why;	    /* NULL, or the rule that was broken */
	uint64_t desc_gpa, avail_gpa, used_gpa; /* as the driver set them */
	const uint8_t *desc; /* mapped rings, valid while enabled */
	uint8_t *avail, *used;
	uint16_t last_avail; /* next avail entry to take */
	uint16_t used_idx;   /* next used entry to fill */
	uint16_t signalled;  /* used_idx at the last interrupt decision */
	uint16_t in_flight;  /* handed out and not yet pushed */
	/*
	 * For now, leave a chain with a piece outside RAM where it is, and
	 * report that there is none. The owner of the queue sets and clears it.
	 */
	bool ram_only;
};

/* One request. Pieces [0, nr_out) are readable, then nr_in writable ones. */
struct vq_chain {
	uint16_t head;
	unsigned nr_out, nr_in;
	uint64_t out_bytes, in_bytes;
	struct iovec iov[VQ_MAX_IOV];
};

/* Set the state of a queue after a device reset, and its ram pointer. */
void vq_reset(struct vq *q, const struct ram_view *ram);

/**
 * vq_enable() - check size and addresses and make the queue usable
 * Return: 0; -EINVAL size 0, not a power of two or too large; ring not aligned
 *         or not inside RAM (q->why names the reason).
 */
MUST_CHECK int vq_enable(struct vq *q);

/**
 * vq_pop() - take the next chain
 * @c: out; valid only if 1 is returned
 *
 * Return: 1 a chain; 0 none (or queue not enabled, or see ram_only); -EPROTO
 * broken, see q->why.
 */
MUST_CHECK int vq_pop(struct vq *q, struct vq_chain *c);

/* Return a chain; @written bytes of its writable part are valid. */
void vq_push(struct vq *q, uint16_t head, uint32_t written);

/* A chain to return, see vq_push(). */
struct vq_used {
	uint32_t id; /* its head */
	uint32_t written;
};

/* vq_push() of @n chains, which the driver sees all at once. */
void vq_push_all(struct vq *q, const struct vq_used *u, unsigned n);

/* Undo the last vq_pop(); the next vq_pop() returns the same chain. */
void vq_unpop(struct vq *q);

/* Does the driver want an interrupt for what was pushed since the last? */
MUST_CHECK bool vq_wants_interrupt(struct vq *q);

/**
 * vq_arm() - request a notification about the next chain
 * Return: true: chains arrived meanwhile, so pop again before sleeping.
 */
MUST_CHECK bool vq_arm(struct vq *q);

/*
 * Number of chains that the driver has offered and not got back, as it says; the
 * device may have taken some of them.
 */
MUST_CHECK uint16_t vq_offered(const struct vq *q);

/**
 * vq_arm_next() - request a notification about a chain after those offered now
 * @offered: what vq_offered() returned
 *
 * Return: true: there is another number of them now, so look again.
 */
MUST_CHECK bool vq_arm_next(struct vq *q, uint16_t offered);

/* Notifications are not needed for now: suppress them. */
void vq_disarm(struct vq *q);

/**
 * iov_read(), iov_write() - copy between a buffer and scattered pieces
 * @skip: number of bytes of the pieces to skip
 *
 * Return: number of bytes copied; less than @len if the pieces end.
 */
size_t iov_read(const struct iovec *iov, unsigned n, size_t skip, void *dst,
		size_t len);
size_t iov_write(const struct iovec *iov, unsigned n, size_t skip,
		 const void *src, size_t len);

#endif
