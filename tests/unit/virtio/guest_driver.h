/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's virtio driver: rings in guest memory, and a device programmed
 * through its BAR as Linux does it. It can be told to write nonsense.
 * Source: virtio 1.2, 2.7 and 4.1.
 */
#ifndef TESTS_UNIT_MONITOR_GUEST_DRIVER_H
#define TESTS_UNIT_MONITOR_GUEST_DRIVER_H

#include "monitor/dev/virtio/virtio_pci.h"
#include "tests/unit/virtio/fake_host.h"

#define D_NEXT	   1u
#define D_WRITE	   2u
#define D_INDIRECT 4u

/* Where rings and data are in guest memory. */
#define RINGS_GPA  0x10000u
#define RING_BYTES 0x4000u /* one queue */
#define DATA_GPA   0x40000u

/* Register offsets in BAR 0, 4.1.4.3. */
#define R_DF_SELECT  0x00u
#define R_DF	     0x04u
#define R_GF_SELECT  0x08u
#define R_GF	     0x0cu
#define R_MSIX	     0x10u
#define R_NQUEUES    0x12u
#define R_STATUS     0x14u
#define R_GENERATION 0x15u
#define R_QSELECT    0x16u
#define R_QSIZE	     0x18u
#define R_QMSIX	     0x1au
#define R_QENABLE    0x1cu
#define R_QDESC	     0x20u
#define R_QAVAIL     0x28u
#define R_QUSED	     0x30u
#define R_ISR	     0x1000u
#define R_DEVICE     0x2000u
#define R_NOTIFY     0x3000u
#define R_TABLE	     0x4000u
#define R_PBA	     0x5000u

struct ring {
	struct fake_host *h;
	uint64_t desc, avail, used; /* gpas */
	uint16_t size;
	uint16_t avail_idx; /* next to offer */
	uint16_t used_idx;  /* next to take */
};

/* Zeroed rings of queue @n at their usual place. */
void ring_init(struct ring *r, struct fake_host *h, unsigned n, uint16_t size);
void ring_desc(struct ring *r, unsigned i, uint64_t addr, uint32_t len,
	       unsigned flags, unsigned next);
/* Put a head on the available ring and move its index on. */
void ring_offer(struct ring *r, uint16_t head);
/* Move the available index without filling entries in. */
void ring_set_avail(struct ring *r, uint16_t idx);
/* Take one used element: false when there is none. */
bool ring_used(struct ring *r, uint32_t *id, uint32_t *written);
uint16_t ring_used_index(const struct ring *r);
uint16_t ring_used_flags(const struct ring *r);
/* EVENT_IDX: what the driver wants, what the device wants. */
void ring_set_used_event(struct ring *r, uint16_t idx);
uint16_t ring_avail_event(const struct ring *r);
void ring_set_avail_flags(struct ring *r, uint16_t flags);

/* Write one descriptor anywhere (indirect tables). */
void desc_at(struct fake_host *h, uint64_t table, unsigned i, uint64_t addr,
	     uint32_t len, unsigned flags, unsigned next);

struct driver {
	struct fake_host *h;
	unsigned slot;
	uint64_t bar;
	struct ring rings[VIRTIO_MAX_QUEUES];
};

/* Message that queue @n (0 ..) of every driver gets; configuration has 0x40 */
#define MSG_CONFIG   0x40u
#define MSG_QUEUE(n) (0x41u + (n))

/* Put the device on the bus, decode its BAR, switch MSI-X on. */
void driver_attach(struct driver *d, struct fake_host *h, struct virtio_dev *v);
uint64_t driver_read(struct driver *d, uint64_t off, unsigned len);
void driver_write(struct driver *d, uint64_t off, unsigned len, uint64_t v);
uint8_t driver_status(struct driver *d);

/* Reset, negotiate VERSION_1 and @features; returns the status after. */
uint8_t driver_negotiate(struct driver *d, uint64_t features);
uint64_t driver_offered(struct driver *d);
/* Make queue @n of @size with zeroed rings. */
void driver_queue(struct driver *d, unsigned n, uint16_t size);
void driver_ok(struct driver *d);
/* All of it: every queue with @size descriptors, then DRIVER_OK. */
void driver_start(struct driver *d, uint64_t features, unsigned queues,
		  uint16_t size);
/* Notify and let the device work. */
void driver_kick(struct driver *d, unsigned queue);

#endif
