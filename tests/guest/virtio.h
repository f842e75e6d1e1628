/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver of virtio devices for tiny guests: one queue of one device at a time,
 * without interrupts.
 * Source: virtio 1.2, 2.7 (split queues), 4.1.4 (PCI); where the parts of BAR 0
 * are: monitor/dev/virtio/virtio_pci.c.
 */
#ifndef DISCO_GUEST_VIRTIO_H
#define DISCO_GUEST_VIRTIO_H

#include "guest.h"

#define VIRTIO_SLOTS   32u
#define VIRTIO_QUEUE   4u
#define VIRTIO_CONSOLE 0x10431af4u /* device and vendor */
#define VIRTIO_PMEM    0x105b1af4u

/* Registers in BAR 0; VIRTIO_NOTIFY: of queue 0, 4 bytes per queue. */
#define VIRTIO_FEATURE_SELECT 0x08u
#define VIRTIO_FEATURE	      0x0cu
#define VIRTIO_STATUS	      0x14u
#define VIRTIO_QSELECT	      0x16u
#define VIRTIO_QSIZE	      0x18u
#define VIRTIO_QENABLE	      0x1cu
#define VIRTIO_QDESC	      0x20u
#define VIRTIO_QAVAIL	      0x28u
#define VIRTIO_QUSED	      0x30u
#define VIRTIO_DEVICE	      0x2000u
#define VIRTIO_NOTIFY	      0x3000u

#define VIRTIO_DRIVER_OK   0x0fu /* with all that comes before */
#define VIRTIO_NEEDS_RESET 0x40u

struct virtio_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

extern struct virtio_desc virtio_desc[VIRTIO_QUEUE];
extern uint64_t virtio_bar; /* of the device that was found last */

/*
 * Find a device, in @slot or after it, and let it use memory. Return: its slot;
 * VIRTIO_SLOTS: there is none.
 */
unsigned virtio_find(unsigned slot, uint32_t id);

/* Reset the device, and start this queue of it. */
void virtio_start(unsigned queue);

/* Hand out the chain that begins at descriptor @head, and spin until it is used. */
void virtio_ask(unsigned queue, unsigned head);

/* The number of the chain that virtio_ask() hands out next. */
unsigned virtio_next(void);

#endif
