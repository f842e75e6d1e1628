/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Topology as a guest reads it: the leaves are decoded here the way the
 * manuals say, not compared with what the code wrote.
 */
#include <string.h>

#include "monitor/worker/vm/cpuid.h"
#include "tests/unit/support.h"

static struct cpuid_table t;

static void add(uint32_t function, uint32_t index, uint32_t eax, uint32_t ebx,
		uint32_t ecx, uint32_t edx)
{
	t.entries[t.head.nent++] = (struct kvm_cpuid_entry2){
		.function = function,
		.index = index,
		.eax = eax,
		.ebx = ebx,
		.ecx = ecx,
		.edx = edx,
	};
}

/* What KVM says on some host; @levels of leaf 0xb. */
static void host(unsigned levels)
{
	memset(&t, 0, sizeof(t));
	add(0x0, 0, 0xb, 0, 0, 0);
	add(0x1, 0, 0x800f12, 0x77105555, 0, 1u << 28);
	add(0x4, 0, 0xfc004121, 0, 0, 0);
	add(0x4, 3, 0xfc07c163, 0, 0, 0);
	for (unsigned i = 0; i < levels; i++)
		add(0xb, i, 5, 99, (2 - i) << 8 | i, 77);
	add(0x80000008, 0, 0x3030, 0, 0x7007, 0);
	add(0x8000001d, 0, 0x1c121, 0, 0, 0);
	add(0x8000001d, 3, 0x3c163, 0, 0, 0);
	add(0x8000001e, 0, 55, 55, 55, 0);
}

static const struct kvm_cpuid_entry2 *leaf(uint32_t function, uint32_t index)
{
	for (uint32_t i = 0; i < t.head.nent; i++)
		if (t.entries[i].function == function &&
		    t.entries[i].index == index)
			return &t.entries[i];
	fail_msg("leaf %#x.%u is missing", function, index);
	return NULL;
}

/* Bits of the APIC id below the package, by the extended topology leaf. */
static uint32_t package_shift(void)
{
	uint32_t shift = 0;

	for (uint32_t i = 0;; i++) {
		const struct kvm_cpuid_entry2 *e;

		if (i == 2)
			break; /* thread and core are all levels there are */
		e = leaf(0xb, i);
		if (((e->ecx >> 8) & 0xff) == 0)
			break;
		assert_int_equal(e->ecx & 0xff, i);
		shift = e->eax & 31;
	}
	return shift;
}

static void check_cpu(unsigned index, unsigned nr)
{
	const struct kvm_cpuid_entry2 *one = leaf(1, 0), *core = leaf(0xb, 1);
	uint32_t amd = leaf(0x80000008, 0)->ecx;

	assert_int_equal(one->ebx >> 24, index);
	assert_int_equal(one->ebx >> 16 & 0xff, nr);
	assert_int_equal(one->ebx & 0xffff, 0x5555); /* not topology: kept */
	assert_int_equal(!!(one->edx & 1u << 28), nr > 1);
	assert_int_equal(leaf(0xb, 0)->edx, index);
	assert_int_equal(core->edx, index);
	assert_int_equal(core->ebx & 0xffff, nr);
	assert_int_equal(core->ecx >> 8 & 0xff, 2);
	assert_int_equal(leaf(0xb, 0)->ebx & 0xffff, 1);
	assert_int_equal(index >> package_shift(), 0);
	assert_true(nr > 1u << package_shift() >> 1); /* and no wider */
	assert_int_equal((amd & 0xff) + 1, nr);
	assert_int_equal(index >> (amd >> 12 & 15), 0);
	assert_int_equal(leaf(0x8000001e, 0)->eax, index);
}

static void check_caches(unsigned nr)
{
	/* Sharers less one: bits 25:14. */
	assert_int_equal(leaf(4, 0)->eax >> 14 & 0xfff, 0);
	assert_int_equal(leaf(4, 3)->eax >> 14 & 0xfff, nr - 1);
	assert_int_equal(leaf(4, 0)->eax >> 26, nr - 1);
	assert_int_equal(leaf(0x8000001d, 0)->eax >> 14 & 0xfff, 0);
	assert_int_equal(leaf(0x8000001d, 3)->eax >> 14 & 0xfff, nr - 1);
}

static void check_machine(unsigned nr, unsigned levels)
{
	host(levels);
	for (unsigned i = 0; i < nr; i++) {
		cpuid_set_topology(&t, cpuid_one_package(i, nr), true);
		check_cpu(i, nr);
		check_caches(nr);
	}
}

static void cpus_1(void **state)
{
	(void)state;
	check_machine(1, 2);
}

static void cpus_2(void **state)
{
	(void)state;
	check_machine(2, 2);
}

static void cpus_3(void **state)
{
	(void)state;
	check_machine(3, 2);
}

static void cpus_64(void **state)
{
	(void)state;
	check_machine(64, 2);
}

/* Linux 6.2 and later: one level only, nothing of the host's in it. */
static void kernel_that_hides_the_core_level(void **state)
{
	(void)state;
	check_machine(1, 1);
	check_machine(3, 1);
	check_machine(64, 1);
}

static void no_topology_leaf_none_made_up(void **state)
{
	uint32_t before;

	(void)state;
	host(0);
	before = t.head.nent;
	cpuid_set_topology(&t, cpuid_one_package(1, 2), true);
	assert_int_equal(t.head.nent, before);
}

static void hypervisor_and_timers(void **state)
{
	(void)state;
	host(2);
	cpuid_set_topology(&t, cpuid_one_package(0, 1), false);
	assert_true(leaf(1, 0)->ecx & 1u << 31);
	assert_true(leaf(1, 0)->ecx & 1u << 21);
	assert_false(leaf(1, 0)->ecx & 1u << 24);
	cpuid_set_topology(&t, cpuid_one_package(0, 1), true);
	assert_true(leaf(1, 0)->ecx & 1u << 24);
}

static void full_table_stays_inside(void **state)
{
	(void)state;
	host(1);
	while (t.head.nent < CPUID_MAX_ENTRIES)
		add(0x40000000 + t.head.nent, 0, 0, 0, 0, 0);
	cpuid_set_topology(&t, cpuid_one_package(0, 2), true);
	assert_int_equal(t.head.nent, CPUID_MAX_ENTRIES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpus_1),
		cmocka_unit_test(cpus_2),
		cmocka_unit_test(cpus_3),
		cmocka_unit_test(cpus_64),
		cmocka_unit_test(kernel_that_hides_the_core_level),
		cmocka_unit_test(no_topology_leaf_none_made_up),
		cmocka_unit_test(hypervisor_and_timers),
		cmocka_unit_test(full_table_stays_inside),
	};

	return cmocka_run_group_tests_name("cpuid", tests, NULL, NULL);
}
