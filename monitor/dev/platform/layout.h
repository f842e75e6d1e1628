/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The layout of a guest's physical and I/O address space. dsdt.asl repeats the
 * PCI windows and ports that are marked (A): change both files.
 */
#ifndef DISCO_MONITOR_LAYOUT_H
#define DISCO_MONITOR_LAYOUT_H

#include "memory/guest_ram.h"

/* Low memory that the worker fills before the first instruction. */
#define LAYOUT_GDT	   0x1000u
#define LAYOUT_START_INFO  0x2000u /* PVH */
#define LAYOUT_BOOT_PARAMS 0x3000u /* Linux zero page */
#define LAYOUT_PML4	   0x8000u /* 3 pages: PML4, PDPT, directory */
#define LAYOUT_CMDLINE	   0x20000u
#define LAYOUT_LOW_RAM_END 0x9fc00u
#define LAYOUT_ACPI	   0xe0000u /* RSDP first */
#define LAYOUT_ACPI_BYTES  0x20000u
#define LAYOUT_BIOS_ENTRY  0xffff0u /* f000:fff0; 16 bytes */

/* The hole below 4 GiB. */
#define LAYOUT_PCI_MMIO	      0xc0000000u /* (A) BARs */
#define LAYOUT_PCI_MMIO_BYTES 0x20000000u /* (A) */
#define LAYOUT_ECAM	      0xe0000000u /* (A) bus 0 only */
#define LAYOUT_ECAM_BYTES     0x100000u	  /* (A) */
#define LAYOUT_IOAPIC	      0xfec00000u
#define LAYOUT_LAPIC	      0xfee00000u
#define LAYOUT_IDENTITY_MAP   0xfeffc000u /* KVM on VMX: one page */
#define LAYOUT_TSS	      0xfeffd000u /* KVM on VMX: three pages */

_Static_assert(LAYOUT_PCI_MMIO >= RAM_LOW_END, "RAM ends below the BARs");

/* I/O ports. */
#define PORT_TIMER	0x40 /* cmos.h */
#define PORT_TIMER_GATE 0x61
#define PORT_I8042	0x64 /* reset only */
#define PORT_CMOS	0x70 /* index, data */
#define PORT_FAST_RESET 0x92
#define PORT_SERIAL	0x3f8 /* (A) */
#define PORT_SLEEP	0x600 /* (A) control, status */
#define PORT_RESET	0x604
#define PORT_PCI_CONFIG 0xcf8 /* (A) address, reset at + 1, data at + 4 */

/* Global system interrupts. */
#define GSI_SERIAL    4 /* (A) */
#define GSI_BUTTON    5 /* (A) */
#define GSI_MSI_FIRST 24

#define SLEEP_TYPE_S5 5 /* (A) \_S5 */
#define RESET_VALUE   1 /* written to PORT_RESET */

#endif
