/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/vm/vnodes.h"

#include "disco/worker_spec.h"
#include "numa/bind.h"

/*
 * Bits of an APIC number within a package. Linux takes eight neighbours for
 * sharers of a cache on the first generation of AMD's Zen, whatever CPUID says.
 */
#define PACKAGE_BITS 3u
#define APIC_NUMBERS 255u /* 8 bits, of which the last one is broadcast */

struct ram_part vnode_part(uint64_t bytes, unsigned nr, unsigned i)
{
	uint64_t each = align_down(bytes / nr, VNODE_ALIGN), start = i * each;

	return (struct ram_part){
		.offset = start,
		.bytes = i + 1 == nr ? bytes - start : each,
		.node = (nodeid_t)i,
	};
}

static bool vnodes_shown(const struct worker_spec *s)
{
	return s->wide.nr_nodes && s->wide.show;
}

/* vCPUs of the largest virtual node. */
static unsigned vnodes_widest(const struct worker_spec *s)
{
	unsigned nr[MAX_NODES] = { 0 }, most = 1;

	for (unsigned i = 0; i < s->nr_vcpus; i++) {
		unsigned *of = &nr[s->wide.vcpu_node[i]];

		(*of)++;
		most = *of > most ? *of : most;
	}
	return most;
}

struct cpuid_place vnode_place(const struct worker_spec *s, unsigned i)
{
	unsigned core = 0, node, bits;
	struct cpuid_place p;

	if (!vnodes_shown(s))
		return cpuid_one_package(i, s->nr_vcpus);
	p.nr = vnodes_widest(s);
	for (bits = 0; (1u << bits) < p.nr; bits++)
		;
	if (bits < PACKAGE_BITS &&
	    s->wide.nr_nodes << PACKAGE_BITS <= APIC_NUMBERS)
		bits = PACKAGE_BITS;
	node = s->wide.vcpu_node[i];
	for (unsigned k = 0; k < i; k++)
		core += s->wide.vcpu_node[k] == node;
	p.bits = bits;
	p.apic_id = node << bits | core;
	return p;
}

/* A part of the memfd is one range of the guest's addresses, or two. */
static void add_ranges(const struct ram_view *ram, const struct ram_part *part,
		       struct acpi_machine *out)
{
	uint64_t end = part->offset + part->bytes;

	for (unsigned i = 0; i < ram->nr_slots; i++) {
		const struct ram_slot *slot = &ram->slots[i];
		uint64_t from = max_u64(part->offset, slot->offset);
		uint64_t to = min_u64(end, slot->offset + slot->bytes);

		if (from < to)
			out->ranges[out->nr_ranges++] = (struct acpi_range){
				.gpa = slot->gpa + (from - slot->offset),
				.bytes = to - from,
				.node = (unsigned)part->node,
			};
	}
}

void vnodes_tables(const struct worker_spec *s, const struct ram_view *ram,
		   struct acpi_machine *out)
{
	const struct worker_wide *w = &s->wide;

	*out = (struct acpi_machine){ .nr_vcpus = s->nr_vcpus,
				      .has_cmos = s->wide.views != 0 };
	for (unsigned i = 0; i < s->nr_vcpus; i++)
		out->apic_ids[i] = (uint8_t)vnode_place(s, i).apic_id;
	if (!vnodes_shown(s))
		return;
	out->nr_nodes = w->nr_nodes;
	out->vcpu_node = w->vcpu_node;
	out->distance = w->distance;
	for (unsigned i = 0; i < w->nr_nodes; i++) {
		struct ram_part part = vnode_part(s->ram_bytes, w->nr_nodes, i);

		add_ranges(ram, &part, out);
	}
}

int vnodes_bind(const struct worker_spec *s, const struct ram_view *ram)
{
	const struct worker_wide *w = &s->wide;
	struct ram_part parts[MAX_NODES];

	if (!vnodes_shown(s))
		return ram_bind(ram, NODE_LOCAL, false);
	for (unsigned i = 0; i < w->nr_nodes; i++) {
		parts[i] = vnode_part(s->ram_bytes, w->nr_nodes, i);
		parts[i].node = w->nodes[i];
	}
	return ram_bind_parts(ram, parts, w->nr_nodes);
}

unsigned vnode_cpus_of(const struct worker_spec *s, unsigned node,
		       const uint16_t **cpus)
{
	const struct worker_wide *w = &s->wide;
	unsigned first = 0;

	for (unsigned i = 0; i < node; i++)
		first += w->node_cpus[i];
	*cpus = w->cpus + first;
	return w->node_cpus[node];
}

unsigned vnode_cpus(const struct worker_spec *s, unsigned vcpu,
		    const uint16_t **cpus)
{
	const struct worker_wide *w = &s->wide;

	return w->nr_nodes ? vnode_cpus_of(s, w->vcpu_node[vcpu], cpus) : 0;
}
