/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI tables: RSDP, XSDT, FADT (hardware reduced), MADT, MCFG and the DSDT
 * compiled from dsdt.asl; for a guest with virtual nodes SRAT and SLIT. Source:
 * ACPI 6.4, chapter 5; PCI Firmware 3.3, 4.1.
 */
#ifndef DISCO_MONITOR_ACPI_H
#define DISCO_MONITOR_ACPI_H

#include <stdbool.h>

#include "disco/limits.h"

#define ACPI_MAX_RANGES (MAX_NODES + 1) /* RAM has one gap */

/* Enough for any machine. */
#define ACPI_TABLES_BYTES KIB(16)

struct acpi_range {
	uint64_t gpa, bytes;
	unsigned node;
};

/* What the tables say of the guest's machine. */
struct acpi_machine {
	unsigned nr_vcpus;
	uint8_t apic_ids[VM_MAX_VCPUS];
	bool has_cmos; /* the clock of monitor/dev/platform/cmos */
	/* 0: there are no virtual nodes, and what follows is not used. */
	unsigned nr_nodes;
	const uint8_t *vcpu_node; /* @nr_vcpus */
	const uint8_t (*distance)[MAX_NODES];
	unsigned nr_ranges;
	struct acpi_range ranges[ACPI_MAX_RANGES]; /* all of RAM */
};

/**
 * acpi_build() - build the tables for the address @base
 * @buf:  @size bytes, zeroed; receives the tables, RSDP first
 * @base: guest physical address of @buf
 * @m:    vCPUs and nodes
 * @used: out, number of bytes filled
 *
 * Context: any thread. Return: 0; -ENOSPC @size is too small.
 */
MUST_CHECK int acpi_build(uint8_t *buf, size_t size, uint64_t base,
			  const struct acpi_machine *m, size_t *used);

#endif
