/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI bus 0: configuration space by ports CF8/CFC and by ECAM, one memory BAR
 * per device, MSI-X.
 *
 * Locking: @lock covers configuration space and moves of BARs (boot and rare
 * reconfiguration). The MMIO path takes no lock: it loads a device's published
 * BAR address (one atomic word) and calls the device. The device's own lock
 * covers its registers.
 * Source: PCI Local Bus 3.0, 6.1-6.2, 6.8.2 (MSI-X); PCI Express ECAM.
 */
#ifndef DISCO_MONITOR_PCI_H
#define DISCO_MONITOR_PCI_H

#include <pthread.h>
#include <stdatomic.h>

#include "disco/base.h"
#include "monitor/dev/platform/dev_host.h"
#include "monitor/dev/platform/msix.h"

#define PCI_SLOTS	 32
#define PCI_CONFIG_BYTES 256

struct pci_dev;

struct pci_dev_ops {
	/* Guest access inside BAR 0; @off + @len is inside it. */
	uint64_t (*bar_read)(struct pci_dev *d, uint64_t off, unsigned len);
	void (*bar_write)(struct pci_dev *d, uint64_t off, unsigned len,
			  uint64_t value);
	/*
	 * BAR 0 moved to @base; 0: it is not decoded. May be NULL. Bus lock
	 * held.
	 */
	void (*bar_moved)(struct pci_dev *d, uint64_t base);
	/*
	 * Access to configuration registers that the device may handle itself
	 * (virtio PCI_CFG window). Return: true: it did. May be NULL. Bus lock
	 * held.
	 */
	bool (*config_read)(struct pci_dev *d, unsigned off, unsigned len,
			    uint32_t *value);
	bool (*config_write)(struct pci_dev *d, unsigned off, unsigned len,
			     uint32_t value);
};

struct pci_dev {
	const struct pci_dev_ops *ops;	  /* [I] */
	uint8_t config[PCI_CONFIG_BYTES]; /* [L:bus] */
	uint8_t wmask[PCI_CONFIG_BYTES];  /* [I] bits the guest may write */
	uint32_t bar_bytes;		  /* [I] power of two; 0: no BAR */
	unsigned slot;			  /* [I] set by pci_add() */
	unsigned msix_cap;		  /* [I] config offset; 0: none */
	unsigned next_cap; /* [I] offset of the next capability */
	unsigned last_cap; /* [I] offset of the link to fill in */
	/* [A: config writer (bus lock) / vCPUs, relaxed] 0: not decoded */
	_Atomic uint64_t bar_base;
	struct msix msix;
};

struct pci_bus {
	pthread_mutex_t lock;
	/* CF8. [A: vCPUs, relaxed: only the guest's own accesses race] */
	_Atomic uint32_t address;
	uint32_t next_bar;		  /* [I after start] */
	struct pci_dev *slots[PCI_SLOTS]; /* [I] */
	struct pci_dev bridge;
};

int pci_bus_init(struct pci_bus *bus);
void pci_bus_destroy(struct pci_bus *bus);

/* Identity of a device, as in its configuration header. */
struct pci_id {
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint8_t revision;
	uint32_t class_code; /* 24 bits */
};

/**
 * pci_dev_init() - fill the header; pci_add_cap() and pci_add() come after it
 * @bar_bytes: size of BAR 0, a power of two >= 16; 0: no BAR
 */
void pci_dev_init(struct pci_dev *d, const struct pci_id *id,
		  const struct pci_dev_ops *ops, uint32_t bar_bytes);

/**
 * pci_add_cap() - append a capability
 * @body: @len bytes, which follow id and next
 *
 * Return: its config offset; -ENOSPC.
 */
MUST_CHECK int pci_add_cap(struct pci_dev *d, uint8_t id, const void *body,
			   unsigned len);

/**
 * pci_add_msix() - add MSI-X with @nr vectors
 * @table, @pba: offsets of the table and of the pending bits in BAR 0, whose
 *               accesses the device passes to msix_table_*(), msix_pba_read()
 *
 * Return: 0; -ENOSPC; -errno of eventfd.
 */
MUST_CHECK int pci_add_msix(struct pci_dev *d, struct dev_host *host,
			    unsigned nr, uint32_t table, uint32_t pba);
void pci_dev_destroy(struct pci_dev *d);

/*
 * Put a device into the next slot of the bus, and assign its BAR. Return: 0;
 * -ENOSPC the bus is full.
 */
MUST_CHECK int pci_add(struct pci_bus *bus, struct pci_dev *d);

/* Entry points of the bus, for the I/O busses of a VM. */
struct io_ops;
extern const struct io_ops pci_port_ops; /* CF8, 8 bytes; ctx pci_bus */
extern const struct io_ops pci_ecam_ops; /* ctx pci_bus */
extern const struct io_ops pci_mmio_ops; /* LAYOUT_PCI_MMIO; ctx pci_bus */

#endif
