/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual nodes: parts of RAM, places of vCPUs, and the tables that tell a guest
 * of them. SRAT and SLIT are decoded by the offsets of ACPI 6.4, 5.2.16 and
 * 5.2.17, written down again here, and by ACPICA's iasl where it is installed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "disco/worker_spec.h"
#include "memory/guest_ram.h"
#include "monitor/dev/platform/layout.h"
#include "monitor/worker/vm/vnodes.h"
#include "numa/node_list.h"
#include "tests/unit/support.h"

static struct worker_spec spec;
static struct ram_view ram;
static uint8_t mem[ACPI_TABLES_BYTES];
static size_t used;

static uint64_t get(const uint8_t *p, unsigned len)
{
	uint64_t v = 0;

	memcpy(&v, p, len);
	return v;
}

/* vCPUs spread over nodes, whose distances are 10 + 10 per step. */
static void make(unsigned nr_vcpus, unsigned nr_nodes, uint64_t bytes)
{
	struct node_list l = { .nr = nr_nodes };

	memset(&spec, 0, sizeof(spec));
	spec.nr_vcpus = nr_vcpus;
	spec.ram_bytes = bytes;
	spec.wide.nr_nodes = nr_nodes;
	spec.wide.show = 1;
	for (unsigned i = 0; i < nr_vcpus; i++)
		spec.wide.vcpu_node[i] =
			(uint8_t)node_list_spread(&l, nr_vcpus, i);
	for (unsigned i = 0; i < nr_nodes; i++)
		for (unsigned k = 0; k < nr_nodes; k++)
			spec.wide.distance[i][k] =
				(uint8_t)(10 + 10 * (i > k ? i - k : k - i));
	/* Only its slots are used. */
	ram = (struct ram_view){ .bytes = bytes, .nr_slots = 1 };
	ram.slots[0] = (struct ram_slot){ 0, min_u64(bytes, RAM_LOW_END), 0 };
	if (bytes > RAM_LOW_END) {
		ram.nr_slots = 2;
		ram.slots[1] = (struct ram_slot){ RAM_HIGH_START,
						  bytes - RAM_LOW_END,
						  RAM_LOW_END };
	}
}

/* --- parts of RAM --- */

static void parts_are_all_of_ram(void **state)
{
	static const uint64_t sizes[] = { MIB(64), MIB(256), MIB(255) + 4096,
					  GIB(8), GIB(1000) - 4096 };

	(void)state;
	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++)
		for (unsigned nr = 2; nr <= 16; nr++) {
			uint64_t at = 0;

			for (unsigned i = 0; i < nr; i++) {
				struct ram_part p = vnode_part(sizes[s], nr, i);

				assert_int_equal(p.offset, at);
				assert_int_equal(p.offset % VNODE_ALIGN, 0);
				assert_true(p.bytes > 0);
				assert_int_equal(p.node, i);
				at += p.bytes;
			}
			assert_int_equal(at, sizes[s]);
		}
}

/* --- places --- */

/* Different numbers, a package per node, vCPU 0 first. */
static void check_places(unsigned nr_vcpus, unsigned nr_nodes)
{
	bool taken[256] = { false };

	make(nr_vcpus, nr_nodes, GIB(8));
	for (unsigned i = 0; i < nr_vcpus; i++) {
		struct cpuid_place p = vnode_place(&spec, i);

		assert_in_range(p.apic_id, 0, 254);
		assert_false(taken[p.apic_id]);
		taken[p.apic_id] = true;
		assert_int_equal(p.apic_id >> p.bits, spec.wide.vcpu_node[i]);
		assert_true(p.nr <= 1u << p.bits);
		assert_int_equal(p.nr, (nr_vcpus + nr_nodes - 1) / nr_nodes);
		/* Eight neighbours share no cache across packages. */
		assert_true(p.bits >= 3 || nr_nodes > 31);
	}
	assert_int_equal(vnode_place(&spec, 0).apic_id, 0);
}

static void a_package_per_node(void **state)
{
	(void)state;
	for (unsigned nodes = 2; nodes <= MAX_NODES; nodes++)
		for (unsigned cpus = nodes; cpus <= VM_MAX_VCPUS; cpus++)
			check_places(cpus, nodes);
}

static void one_package_where_nodes_are_hidden(void **state)
{
	(void)state;
	make(6, 4, GIB(1));
	spec.wide.show = 0;
	for (unsigned i = 0; i < 6; i++) {
		struct cpuid_place p = vnode_place(&spec, i);

		assert_true(p.apic_id == i && p.nr == 6 && p.bits == 3);
	}
}

/* --- tables --- */

static void build(void)
{
	struct acpi_machine m;

	vnodes_tables(&spec, &ram, &m);
	memset(mem, 0, sizeof(mem));
	assert_int_equal(acpi_build(mem, sizeof(mem), LAYOUT_ACPI, &m, &used),
			 0);
}

/* By XSDT; its checksum is right. NULL: there is none. */
static const uint8_t *find(const char *signature)
{
	const uint8_t *xsdt = mem + (get(mem + 24, 8) - LAYOUT_ACPI);

	for (size_t i = 36; i < get(xsdt + 4, 4); i += 8) {
		const uint8_t *t = mem + (get(xsdt + i, 8) - LAYOUT_ACPI);
		uint8_t sum = 0;

		if (memcmp(t, signature, 4) != 0)
			continue;
		for (size_t k = 0; k < get(t + 4, 4); k++)
			sum = (uint8_t)(sum + t[k]);
		assert_int_equal(sum, 0);
		return t;
	}
	return NULL;
}

struct decoded {
	unsigned cpus, ranges;
	unsigned cpu_node[256]; /* by APIC number */
	struct acpi_range range[ACPI_MAX_RANGES];
};

static void decode_srat(const uint8_t *t, struct decoded *out)
{
	const uint8_t *end = t + get(t + 4, 4), *p = t + 48;

	assert_int_equal(t[8], 3);
	assert_int_equal(get(t + 36, 4), 1);
	*out = (struct decoded){ .cpus = 0 };
	for (; p < end; p += p[1])
		if (p[0] == 0) {
			assert_int_equal(p[1], 16);
			assert_int_equal(get(p + 4, 4), 1); /* enabled */
			out->cpu_node[p[3]] = p[2] | (unsigned)get(p + 9, 3)
							     << 8;
			out->cpus++;
		} else {
			assert_true(p[0] == 1 && p[1] == 40);
			assert_int_equal(get(p + 28, 4), 1);
			assert_true(out->ranges < ACPI_MAX_RANGES);
			out->range[out->ranges++] =
				(struct acpi_range){ get(p + 8, 8),
						     get(p + 16, 8),
						     (unsigned)get(p + 2, 4) };
		}
	assert_ptr_equal(p, end);
}

static void check_slit(unsigned nr)
{
	const uint8_t *t = find("SLIT");

	assert_non_null(t);
	assert_int_equal(t[8], 1);
	assert_int_equal(get(t + 36, 8), nr);
	assert_int_equal(get(t + 4, 4), 44 + nr * nr);
	for (unsigned i = 0; i < nr; i++)
		for (unsigned k = 0; k < nr; k++)
			assert_int_equal(t[44 + i * nr + k],
					 spec.wide.distance[i][k]);
}

/* Every byte of RAM is in one range; each range is of the right node. */
static void check_ranges(const struct decoded *d, unsigned nr_nodes)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < d->ranges; i++) {
		const struct acpi_range *r = &d->range[i];
		bool high = r->gpa >= RAM_HIGH_START;
		uint64_t offset = high ? r->gpa - RAM_HIGH_START + RAM_LOW_END
				       : r->gpa;
		struct ram_part p =
			vnode_part(spec.ram_bytes, nr_nodes, r->node);

		assert_true(high || r->gpa + r->bytes <= RAM_LOW_END);
		assert_true(offset >= p.offset &&
			    offset + r->bytes <= p.offset + p.bytes);
		for (unsigned k = 0; k < i; k++)
			assert_true(d->range[k].gpa + d->range[k].bytes <=
				    r->gpa);
		sum += r->bytes;
	}
	assert_int_equal(sum, spec.ram_bytes);
}

static void check_tables(unsigned nr_vcpus, unsigned nr_nodes, uint64_t bytes)
{
	struct decoded d;
	const uint8_t *madt;

	make(nr_vcpus, nr_nodes, bytes);
	build();
	assert_non_null(find("SRAT"));
	decode_srat(find("SRAT"), &d);
	assert_int_equal(d.cpus, nr_vcpus);
	madt = find("APIC");
	for (unsigned i = 0; i < nr_vcpus; i++) {
		unsigned apic = vnode_place(&spec, i).apic_id;

		assert_int_equal(d.cpu_node[apic], spec.wide.vcpu_node[i]);
		assert_int_equal(madt[44 + 12 + 8 * i + 3], apic);
	}
	check_ranges(&d, nr_nodes);
	check_slit(nr_nodes);
}

static void tables_say_where_all_is(void **state)
{
	(void)state;
	check_tables(4, 4, MIB(256));
	check_tables(6, 4, GIB(8)); /* node 1 is on both sides of the gap */
	check_tables(8, 3, GIB(4));
	check_tables(2, 2, GIB(6));    /* it begins where the gap does */
	check_tables(64, 64, GIB(64)); /* the largest ones */
	check_tables(64, 63, GIB(63));
}

static void hidden_nodes_are_in_no_table(void **state)
{
	(void)state;
	make(4, 4, GIB(1));
	spec.wide.show = 0;
	build();
	assert_null(find("SRAT"));
	assert_null(find("SLIT"));
	make(4, 0, GIB(1));
	build();
	assert_null(find("SRAT"));
}

static void write_table(const char *path, const uint8_t *t)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(t, get(t + 4, 4), 1, f), 1);
	assert_int_equal(fclose(f), 0);
}

/* ACPICA reads them, finds nothing strange, and shows the same. */
static void acpica_reads_them(void **state)
{
	static const char *const names[] = { "SRAT", "SLIT" };
	static const char *const says[] = {
		"grep -q 'Proximity Domain : 00000003' %s.dsl && "
		"grep -q 'Base Address : 0000000100000000' %s.dsl",
		"grep -q 'Locality   2 : 1E 14 0A 14' %s.dsl && "
		"grep -q 'Localities : 0000000000000004' %s.dsl",
	};
	char dir[] = "/tmp/disco-test-acpi.XXXXXX", path[64], command[512];

	(void)state;
	if (system("command -v iasl >/dev/null 2>&1") != 0)
		SKIP("iasl (acpica-tools) is not installed");
	make(6, 4, GIB(8));
	build();
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char says_here[256];

		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		write_table(path, find(names[i]));
		(void)snprintf(command, sizeof(command),
			       "cd %s && iasl -d %s >log 2>&1 && "
			       "! grep -iE 'error|warning|invalid' log %s.dsl",
			       dir, names[i], names[i]);
		assert_int_equal(system(command), 0);
		(void)snprintf(says_here, sizeof(says_here), says[i], names[i],
			       names[i]);
		(void)snprintf(command, sizeof(command), "cd %s && %s", dir,
			       says_here);
		assert_int_equal(system(command), 0);
	}
	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

/* --- CPUs --- */

static void each_vcpu_has_its_nodes_cpus(void **state)
{
	const uint16_t *cpus = NULL;

	(void)state;
	make(4, 2, GIB(1));
	spec.wide.node_cpus[0] = 2;
	spec.wide.node_cpus[1] = 3;
	assert_int_equal(vnode_cpus(&spec, 1, &cpus), 2);
	assert_ptr_equal(cpus, spec.wide.cpus);
	assert_int_equal(vnode_cpus(&spec, 2, &cpus), 3);
	assert_ptr_equal(cpus, spec.wide.cpus + 2);
	spec.wide.nr_nodes = 0;
	assert_int_equal(vnode_cpus(&spec, 0, &cpus), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_are_all_of_ram),
		cmocka_unit_test(a_package_per_node),
		cmocka_unit_test(one_package_where_nodes_are_hidden),
		cmocka_unit_test(tables_say_where_all_is),
		cmocka_unit_test(hidden_nodes_are_in_no_table),
		cmocka_unit_test(acpica_reads_them),
		cmocka_unit_test(each_vcpu_has_its_nodes_cpus),
	};

	return cmocka_run_group_tests_name("vnodes", tests, NULL, NULL);
}
