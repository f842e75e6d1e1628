/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/virtio/guest_driver.h"

#include <stdatomic.h>
#include <string.h>

#include "monitor/dev/platform/layout.h"

#define DESC_BYTES   16u
#define AVAIL_OFFSET 0x2000u
#define USED_OFFSET  0x3000u
#define MSG_ADDR     0xfee00000u

/* --- rings --- */

static uint16_t get16(const struct ring *r, uint64_t at)
{
	return atomic_load_explicit((_Atomic uint16_t *)fake_guest(r->h, at, 2),
				    memory_order_acquire);
}

static void put16(const struct ring *r, uint64_t at, uint16_t v)
{
	atomic_store_explicit((_Atomic uint16_t *)fake_guest(r->h, at, 2), v,
			      memory_order_release);
}

void ring_init(struct ring *r, struct fake_host *h, unsigned n, uint16_t size)
{
	uint64_t at = RINGS_GPA + (uint64_t)n * RING_BYTES;

	memset(fake_guest(h, at, RING_BYTES), 0, RING_BYTES);
	*r = (struct ring){ .h = h,
			    .desc = at,
			    .avail = at + AVAIL_OFFSET,
			    .used = at + USED_OFFSET,
			    .size = size };
}

void desc_at(struct fake_host *h, uint64_t table, unsigned i, uint64_t addr,
	     uint32_t len, unsigned flags, unsigned next)
{
	struct vq_desc d = { .addr = addr,
			     .len = len,
			     .flags = (uint16_t)flags,
			     .next = (uint16_t)next };

	memcpy(fake_guest(h, table + (uint64_t)i * DESC_BYTES, DESC_BYTES), &d,
	       DESC_BYTES);
}

void ring_desc(struct ring *r, unsigned i, uint64_t addr, uint32_t len,
	       unsigned flags, unsigned next)
{
	desc_at(r->h, r->desc, i, addr, len, flags, next);
}

void ring_set_avail(struct ring *r, uint16_t idx)
{
	r->avail_idx = idx;
	put16(r, r->avail + 2, idx);
}

void ring_offer(struct ring *r, uint16_t head)
{
	put16(r, r->avail + 4 + 2u * (r->avail_idx % r->size), head);
	ring_set_avail(r, (uint16_t)(r->avail_idx + 1));
}

uint16_t ring_used_index(const struct ring *r)
{
	return get16(r, r->used + 2);
}

uint16_t ring_used_flags(const struct ring *r)
{
	return get16(r, r->used);
}

bool ring_used(struct ring *r, uint32_t *id, uint32_t *written)
{
	uint32_t elem[2];

	if (ring_used_index(r) == r->used_idx)
		return false;
	memcpy(elem,
	       fake_guest(r->h, r->used + 4 + 8u * (r->used_idx % r->size), 8),
	       8);
	r->used_idx++;
	*id = elem[0];
	*written = elem[1];
	return true;
}

void ring_set_used_event(struct ring *r, uint16_t idx)
{
	put16(r, r->avail + 4 + 2u * r->size, idx);
}

uint16_t ring_avail_event(const struct ring *r)
{
	return get16(r, r->used + 4 + 8u * r->size);
}

void ring_set_avail_flags(struct ring *r, uint16_t flags)
{
	put16(r, r->avail, flags);
}

/* --- the device --- */

uint64_t driver_read(struct driver *d, uint64_t off, unsigned len)
{
	return fake_mmio_read(d->h, d->bar + off, len);
}

void driver_write(struct driver *d, uint64_t off, unsigned len, uint64_t v)
{
	fake_mmio_write(d->h, d->bar + off, len, v);
}

uint8_t driver_status(struct driver *d)
{
	return (uint8_t)driver_read(d, R_STATUS, 1);
}

static void set_vector(struct driver *d, unsigned n, uint32_t message)
{
	uint64_t entry = R_TABLE + 16u * n;

	driver_write(d, entry, 4, MSG_ADDR);
	driver_write(d, entry + 4, 4, 0);
	driver_write(d, entry + 8, 4, message);
	driver_write(d, entry + 12, 4, 0);
}

void driver_attach(struct driver *d, struct fake_host *h, struct virtio_dev *v)
{
	unsigned cap;

	memset(d, 0, sizeof(*d));
	d->h = h;
	must(pci_add(&h->pci, &v->pci) == 0);
	while (h->pci.slots[d->slot] != &v->pci)
		d->slot++;
	fake_config_write(h, d->slot, 4, 2, 0x0006);
	d->bar = fake_config_read(h, d->slot, 0x10, 4);
	cap = v->pci.msix_cap;
	for (unsigned i = 0; i <= v->ops->nr_queues; i++)
		set_vector(d, i, MSG_CONFIG + i);
	fake_config_write(h, d->slot, cap + 2, 2, 0x8000);
}

uint64_t driver_offered(struct driver *d)
{
	uint64_t f;

	driver_write(d, R_DF_SELECT, 4, 0);
	f = driver_read(d, R_DF, 4);
	driver_write(d, R_DF_SELECT, 4, 1);
	return f | driver_read(d, R_DF, 4) << 32;
}

uint8_t driver_negotiate(struct driver *d, uint64_t features)
{
	features |= VIRTIO_F_VERSION_1;
	driver_write(d, R_STATUS, 1, 0);
	driver_write(d, R_STATUS, 1, VIRTIO_STATUS_ACKNOWLEDGE);
	driver_write(d, R_STATUS, 1,
		     VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
	driver_write(d, R_GF_SELECT, 4, 0);
	driver_write(d, R_GF, 4, (uint32_t)features);
	driver_write(d, R_GF_SELECT, 4, 1);
	driver_write(d, R_GF, 4, features >> 32);
	driver_write(d, R_STATUS, 1,
		     VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
			     VIRTIO_STATUS_FEATURES_OK);
	driver_write(d, R_MSIX, 2, 0);
	return driver_status(d);
}

void driver_queue(struct driver *d, unsigned n, uint16_t size)
{
	struct ring *r = &d->rings[n];

	ring_init(r, d->h, n, size);
	driver_write(d, R_QSELECT, 2, n);
	driver_write(d, R_QSIZE, 2, size);
	driver_write(d, R_QMSIX, 2, n + 1);
	driver_write(d, R_QDESC, 4, r->desc);
	driver_write(d, R_QDESC + 4, 4, r->desc >> 32);
	driver_write(d, R_QAVAIL, 8, r->avail);
	driver_write(d, R_QUSED, 8, r->used);
	driver_write(d, R_QENABLE, 2, 1);
}

void driver_ok(struct driver *d)
{
	driver_write(d, R_STATUS, 1,
		     VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
			     VIRTIO_STATUS_FEATURES_OK |
			     VIRTIO_STATUS_DRIVER_OK);
}

void driver_start(struct driver *d, uint64_t features, unsigned queues,
		  uint16_t size)
{
	must(driver_negotiate(d, features) & VIRTIO_STATUS_FEATURES_OK);
	for (unsigned i = 0; i < queues; i++)
		driver_queue(d, i, size);
	driver_ok(d);
	(void)fake_host_run(d->h);
}

void driver_kick(struct driver *d, unsigned queue)
{
	driver_write(d, R_NOTIFY + 4u * queue, 2, queue);
	(void)fake_host_run(d->h);
}
