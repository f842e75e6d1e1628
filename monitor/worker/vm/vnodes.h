/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual nodes of a wide VM (struct worker_wide): which part of its RAM and
 * which vCPUs belong to each, and where they are on the host.
 *
 * A guest that is told of them (numa=show) has a package of CPUs per virtual
 * node, with a last-level cache of its own: Linux takes CPUs that share one for
 * CPUs of one node, and complains of tables that say otherwise. The APIC numbers
 * of a package begin at a power of two. A guest that is told nothing has one
 * package, and its APIC numbers are those of its vCPUs.
 *
 * Context of all functions: start of the worker, unless stated.
 */
#ifndef DISCO_MONITOR_VNODES_H
#define DISCO_MONITOR_VNODES_H

#include "memory/ram_bind.h"
#include "monitor/worker/vm/acpi.h"
#include "monitor/worker/vm/cpuid.h"

struct worker_spec;

/**
 * vnode_part() - part of RAM of a virtual node
 * @bytes: of RAM
 * @nr:    number of virtual nodes
 * @i:     0 .. @nr - 1
 *
 * Parts follow each other, and begin at a multiple of VNODE_ALIGN; the last one
 * has what remains. @node of the result is @i. Pure; any thread.
 */
#define VNODE_ALIGN MIB(2)
struct ram_part vnode_part(uint64_t bytes, unsigned nr, unsigned i);

/* Where vCPU @i is in the guest's packages. Pure. */
struct cpuid_place vnode_place(const struct worker_spec *s, unsigned i);

/**
 * vnodes_tables() - what the ACPI tables say of vCPUs and virtual nodes
 * @ram: the guest's
 * @out: refers to @s, which outlives it
 */
void vnodes_tables(const struct worker_spec *s, const struct ram_view *ram,
		   struct acpi_machine *out);

/**
 * vnodes_bind() - let new memory come from where a wide VM has it
 *
 * By virtual node if the guest is told of them, else from the node of the vCPU
 * that touches it first.
 *
 * Context: any thread. Return: 0; what ram_bind() returns.
 */
MUST_CHECK int vnodes_bind(const struct worker_spec *s,
			   const struct ram_view *ram);

/**
 * vnode_cpus() - the host's CPUs of a vCPU
 * @cpus: out, owned by @s
 *
 * Return: number of CPUs; 0: the vCPU is not pinned.
 */
unsigned vnode_cpus(const struct worker_spec *s, unsigned vcpu,
		    const uint16_t **cpus);

/* The same, of virtual node @node of a wide VM. */
unsigned vnode_cpus_of(const struct worker_spec *s, unsigned node,
		       const uint16_t **cpus);

#endif
