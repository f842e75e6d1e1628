/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/platform/pci.h"

#include <errno.h>
#include <string.h>

#include "disco/le.h"
#include "monitor/dev/platform/bus.h"
#include "monitor/dev/platform/layout.h"

/* Configuration header, type 0. */
#define CFG_VENDOR     0x00
#define CFG_DEVICE     0x02
#define CFG_COMMAND    0x04
#define CFG_STATUS     0x06
#define CFG_REVISION   0x08
#define CFG_CLASS      0x09
#define CFG_BAR0       0x10
#define CFG_SUB_VENDOR 0x2c
#define CFG_SUB_DEVICE 0x2e
#define CFG_CAP_PTR    0x34
#define CFG_INT_LINE   0x3c
#define CFG_FIRST_CAP  0x40
#define COMMAND_MEM    0x02
#define STATUS_CAPS    0x10
#define CAP_MSIX       0x11

void pci_dev_init(struct pci_dev *d, const struct pci_id *id,
		  const struct pci_dev_ops *ops, uint32_t bar_bytes)
{
	memset(d, 0, sizeof(*d));
	d->ops = ops;
	d->bar_bytes = bar_bytes;
	d->next_cap = CFG_FIRST_CAP;
	d->last_cap = CFG_CAP_PTR;
	msix_init(&d->msix);
	le16_store(d->config + CFG_VENDOR, id->vendor);
	le16_store(d->config + CFG_DEVICE, id->device);
	d->config[CFG_REVISION] = id->revision;
	d->config[CFG_CLASS] = (uint8_t)id->class_code;
	le16_store(d->config + CFG_CLASS + 1, (uint16_t)(id->class_code >> 8));
	le16_store(d->config + CFG_SUB_VENDOR, id->subsystem_vendor);
	le16_store(d->config + CFG_SUB_DEVICE, id->subsystem);
	le16_store(d->wmask + CFG_COMMAND,
		   0x0406); /* INTx off, master, memory */
	d->wmask[CFG_INT_LINE] = 0xff;
	if (bar_bytes)
		le32_store(d->wmask + CFG_BAR0, ~(bar_bytes - 1));
}

int pci_add_cap(struct pci_dev *d, uint8_t id, const void *body, unsigned len)
{
	unsigned at = d->next_cap;
	unsigned end = (unsigned)align_up(at + 2 + len, 4);

	if (end > PCI_CONFIG_BYTES)
		return -ENOSPC;
	d->config[at] = id;
	memcpy(d->config + at + 2, body, len);
	d->config[d->last_cap] = (uint8_t)at;
	d->config[CFG_STATUS] |= STATUS_CAPS;
	d->last_cap = at + 1;
	d->next_cap = end;
	return (int)at;
}

int pci_add_msix(struct pci_dev *d, struct dev_host *host, unsigned nr,
		 uint32_t table, uint32_t pba)
{
	struct {
		uint16_t control;
		uint32_t table, pba; /* low 3 bits: BAR 0 */
	} __attribute__((packed)) body = { (uint16_t)(nr - 1), table, pba };
	int cap;

	if (nr == 0 || nr > MSIX_MAX)
		return -ENOSPC;
	cap = pci_add_cap(d, CAP_MSIX, &body, sizeof(body));
	if (cap < 0)
		return cap;
	d->msix_cap = (unsigned)cap;
	d->wmask[cap + 3] = 0xc0; /* enable, function mask */
	return msix_add_vectors(&d->msix, host, nr);
}

void pci_dev_destroy(struct pci_dev *d)
{
	msix_close(&d->msix);
}

/* Publish where BAR 0 is now. Bus lock held (or before start). */
static void update_bar(struct pci_dev *d)
{
	uint64_t base = le32_load(d->config + CFG_BAR0), old;

	if (!d->bar_bytes)
		return;
	if (!(d->config[CFG_COMMAND] & COMMAND_MEM) || base < LAYOUT_PCI_MMIO ||
	    !range_fits(base - LAYOUT_PCI_MMIO, d->bar_bytes,
			LAYOUT_PCI_MMIO_BYTES))
		base = 0;
	/*
	 * Relaxed: a guest that moves a BAR while another of its CPUs uses it
	 * gets either place, as on hardware; everything else the reader needs
	 * is immutable.
	 */
	old = atomic_exchange_explicit(&d->bar_base, base,
				       memory_order_relaxed);
	if (old != base && d->ops->bar_moved)
		d->ops->bar_moved(d, base);
}

static uint32_t pci_config_read(struct pci_bus *bus, unsigned slot,
				unsigned off, unsigned len)
{
	struct pci_dev *d = bus->slots[slot];
	uint32_t v = 0;

	if (!d)
		return (uint32_t)io_ones(len);
	if (off + len > PCI_CONFIG_BYTES)
		return 0; /* no extended capabilities */
	(void)pthread_mutex_lock(&bus->lock);
	if (!d->ops->config_read || !d->ops->config_read(d, off, len, &v))
		memcpy(&v, d->config + off, len);
	(void)pthread_mutex_unlock(&bus->lock);
	return v;
}

static bool pci_touches(unsigned off, unsigned len, unsigned at, unsigned bytes)
{
	return off < at + bytes && at < off + len;
}

static void store_masked(struct pci_dev *d, unsigned off, unsigned len,
			 uint32_t v)
{
	for (unsigned i = 0; i < len; i++) {
		uint8_t m = d->wmask[off + i];
		uint8_t byte = (uint8_t)(v >> (8 * i));

		d->config[off + i] =
			(uint8_t)((d->config[off + i] & ~m) | (byte & m));
	}
}

static void pci_config_write(struct pci_bus *bus, unsigned slot, unsigned off,
			     unsigned len, uint32_t v)
{
	struct pci_dev *d = bus->slots[slot];

	if (!d || off + len > PCI_CONFIG_BYTES)
		return;
	(void)pthread_mutex_lock(&bus->lock);
	if (!d->ops->config_write || !d->ops->config_write(d, off, len, v)) {
		store_masked(d, off, len, v);
		if (pci_touches(off, len, CFG_COMMAND, 2) ||
		    pci_touches(off, len, CFG_BAR0, 4))
			update_bar(d);
		if (d->msix_cap && pci_touches(off, len, d->msix_cap + 2, 2))
			msix_control(
				&d->msix,
				(uint16_t)(d->config[d->msix_cap + 3] << 8));
	}
	(void)pthread_mutex_unlock(&bus->lock);
}

/* --- CF8/CFC: bit 31 enable, 23:16 bus, 15:11 slot, 10:8 function --- */

static bool port_target(struct pci_bus *bus, uint64_t off, unsigned len,
			unsigned *slot, unsigned *reg)
{
	uint32_t a = atomic_load_explicit(&bus->address, memory_order_relaxed);

	*slot = (a >> 11) & 31;
	*reg = (a & 0xfc) + (unsigned)(off & 3);
	return off >= 4 && len <= 4 &&
	       (a & 0x80ffff00 & ~0xf800u) == 0x80000000;
}

static uint64_t port_read(void *ctx, uint64_t off, unsigned len)
{
	struct pci_bus *bus = ctx;
	unsigned slot, reg;

	if (off < 4)
		return off == 0 && len == 4
			       ? atomic_load_explicit(&bus->address,
						      memory_order_relaxed)
			       : io_ones(len);
	if (!port_target(bus, off, len, &slot, &reg))
		return io_ones(len);
	return pci_config_read(bus, slot, reg, len);
}

static void port_write(void *ctx, uint64_t off, unsigned len, uint64_t v)
{
	struct pci_bus *bus = ctx;
	unsigned slot, reg;

	if (off == 0 && len == 4)
		atomic_store_explicit(&bus->address, (uint32_t)v,
				      memory_order_relaxed);
	else if (port_target(bus, off, len, &slot, &reg))
		pci_config_write(bus, slot, reg, len, (uint32_t)v);
}

const struct io_ops pci_port_ops = { port_read, port_write };

/* --- ECAM: 19:15 slot, 14:12 function, 11:0 register --- */

static uint64_t ecam_read(void *ctx, uint64_t off, unsigned len)
{
	if (off & 0x7000 || len > 4)
		return io_ones(len);
	return pci_config_read(ctx, (unsigned)(off >> 15) & 31,
			       (unsigned)off & 0xfff, len);
}

static void ecam_write(void *ctx, uint64_t off, unsigned len, uint64_t v)
{
	if (!(off & 0x7000) && len <= 4)
		pci_config_write(ctx, (unsigned)(off >> 15) & 31,
				 (unsigned)off & 0xfff, len, (uint32_t)v);
}

const struct io_ops pci_ecam_ops = { ecam_read, ecam_write };

/* --- BARs --- */

static struct pci_dev *find_bar(const struct pci_bus *bus, uint64_t at,
				unsigned len, uint64_t *off)
{
	for (unsigned i = 0; i < PCI_SLOTS && bus->slots[i]; i++) {
		struct pci_dev *d = bus->slots[i];
		uint64_t base = atomic_load_explicit(&d->bar_base,
						     memory_order_relaxed);

		if (base && at >= base &&
		    range_fits(at - base, len, d->bar_bytes)) {
			*off = at - base;
			return d;
		}
	}
	return NULL;
}

static uint64_t mmio_read(void *ctx, uint64_t off, unsigned len)
{
	uint64_t in_bar;
	struct pci_dev *d = find_bar(ctx, LAYOUT_PCI_MMIO + off, len, &in_bar);

	return d ? d->ops->bar_read(d, in_bar, len) : io_ones(len);
}

static void mmio_write(void *ctx, uint64_t off, unsigned len, uint64_t v)
{
	uint64_t in_bar;
	struct pci_dev *d = find_bar(ctx, LAYOUT_PCI_MMIO + off, len, &in_bar);

	if (d)
		d->ops->bar_write(d, in_bar, len, v);
}

const struct io_ops pci_mmio_ops = { mmio_read, mmio_write };

/* --- the bus --- */

int pci_add(struct pci_bus *bus, struct pci_dev *d)
{
	uint32_t base;
	unsigned slot = 0;

	while (slot < PCI_SLOTS && bus->slots[slot])
		slot++;
	if (slot == PCI_SLOTS)
		return -ENOSPC;
	if (d->bar_bytes) {
		base = (uint32_t)align_up(bus->next_bar, d->bar_bytes);
		le32_store(d->config + CFG_BAR0, base);
		bus->next_bar = base + d->bar_bytes;
	}
	d->slot = slot;
	bus->slots[slot] = d;
	return 0;
}

int pci_bus_init(struct pci_bus *bus)
{
	static const struct pci_dev_ops none = { 0 };
	/* Host bridge, as Linux expects at 00:00.0 to trust CF8/CFC. */
	static const struct pci_id id = { .vendor = 0x1b36,
					  .device = 0x0008,
					  .class_code = 0x060000 };

	memset(bus, 0, sizeof(*bus));
	(void)pthread_mutex_init(&bus->lock, NULL);
	bus->next_bar = LAYOUT_PCI_MMIO;
	pci_dev_init(&bus->bridge, &id, &none, 0);
	return pci_add(bus, &bus->bridge);
}

void pci_bus_destroy(struct pci_bus *bus)
{
	(void)pthread_mutex_destroy(&bus->lock);
}
