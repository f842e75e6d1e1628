/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers by which a guest ends itself: ACPI sleep control (power-off), the
 * ACPI reset register, the keyboard controller's reset line, and pvpanic.
 * Source: ACPI 6.4, 4.8.3.7 (sleep control), 4.8.3.6 (reset register);
 * QEMU docs/specs/pvpanic.rst (device 1b36:0011).
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

/* ctx: struct dev_host */
extern const struct io_ops power_sleep_ops; /* PORT_SLEEP, 2 ports */
extern const struct io_ops power_reset_ops; /* PORT_RESET, 1 port */
extern const struct io_ops power_i8042_ops; /* PORT_I8042, 1 port */

#endif
