/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI tables: RSDP, XSDT, FADT (hardware reduced), MADT, MCFG and the DSDT
 * compiled from dsdt.asl. Source: ACPI 6.4, chapter 5; PCI Firmware 3.3, 4.1.
 */
#ifndef DISCO_MONITOR_ACPI_H
#define DISCO_MONITOR_ACPI_H

#include "disco/base.h"

/**
 * acpi_build() - build the tables for the address @base
 * @buf:  @size bytes, zeroed; receives the tables, RSDP first
 * @base: guest physical address of @buf
 * @used: out, number of bytes filled
 *
 * Context: any thread. Return: 0; -ENOSPC @size is too small.
 */
MUST_CHECK int acpi_build(uint8_t *buf, size_t size, uint64_t base,
			  unsigned nr_vcpus, size_t *used);

#endif
