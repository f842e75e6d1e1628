/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers by which a guest ends itself, and the button by which it is asked
 * to: ACPI sleep control (power-off), the
 * ACPI reset register, the keyboard controller's reset line, the reset control
 * register at 0xcf9, the fast reset at 0x92, and pvpanic.
 * Source: ACPI 6.4, 4.8.3.7 (sleep control), 4.8.3.6 (reset register); Intel
 * ICH9 datasheet, 13.7.2 (port 92h) and 13.7.5 (port CF9h); QEMU
 * docs/specs/pvpanic.rst (device 1b36:0011).
 */
#ifndef DISCO_MONITOR_POWER_H
#define DISCO_MONITOR_POWER_H

#include "monitor/dev/platform/bus.h"
#include "monitor/dev/platform/pci.h"

struct pvpanic {
	struct pci_dev pci;
	struct dev_host *host;
};

void pvpanic_init(struct pvpanic *p, struct dev_host *host);

/*
 * The registers of a PC's chipset that reset it when a bit goes from 0 to 1.
 * Whichever vCPU writes last wins, as on a PC.
 */
struct reset_ports {
	struct dev_host *host; /* [I] */
	struct pci_bus *pci;   /* [I] has the ports around 0xcf9 */
	_Atomic uint8_t cf9;   /* [A: vCPUs, relaxed] */
	_Atomic uint8_t fast;  /* [A: vCPUs, relaxed] */
};

void reset_ports_init(struct reset_ports *r, struct dev_host *host,
		      struct pci_bus *pci);

/*
 * Press the power button: an edge of GSI_BUTTON, which the guest's ACPI turns
 * into a notification (dsdt.asl). A guest without a driver does not notice.
 * Context: any thread.
 */
void power_button_press(struct dev_host *host);

/* ctx: struct reset_ports */
extern const struct io_ops power_cf9_ops;  /* PORT_PCI_CONFIG, 8 ports */
extern const struct io_ops power_fast_ops; /* PORT_FAST_RESET, 1 port */

/* ctx: struct dev_host */
extern const struct io_ops power_sleep_ops; /* PORT_SLEEP, 2 ports */
extern const struct io_ops power_reset_ops; /* PORT_RESET, 1 port */
extern const struct io_ops power_i8042_ops; /* PORT_I8042, 1 port */

#endif
