/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables are read back the way an operating system finds them: RSDP, XSDT,
 * and on. Offsets are those of ACPI 6.4, chapter 5, written down again here.
 */
#include <errno.h>
#include <string.h>

#include "monitor/worker/vm/acpi.h"
#include "monitor/dev/platform/layout.h"
#include "tests/unit/support.h"

#define BASE LAYOUT_ACPI

static uint8_t mem[ACPI_TABLES_BYTES];
static size_t used;

static uint64_t get(const uint8_t *p, unsigned len)
{
	uint64_t v = 0;

	memcpy(&v, p, len);
	return v;
}

static struct acpi_machine cpus(unsigned nr_vcpus)
{
	struct acpi_machine m = { .nr_vcpus = nr_vcpus };

	for (unsigned i = 0; i < nr_vcpus; i++)
		m.apic_ids[i] = (uint8_t)i;
	return m;
}

static void build_machine(const struct acpi_machine *m)
{
	memset(mem, 0, sizeof(mem));
	assert_int_equal(acpi_build(mem, sizeof(mem), BASE, m, &used), 0);
	assert_in_range(used, 100, ACPI_TABLES_BYTES);
}

static void build(unsigned nr_vcpus)
{
	const struct acpi_machine m = cpus(nr_vcpus);

	build_machine(&m);
}

static void expect_sum_zero(const uint8_t *p, size_t n)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum = (uint8_t)(sum + p[i]);
	assert_int_equal(sum, 0);
}

/* The table at guest address @at: inside what was built, with a good sum. */
static const uint8_t *table(uint64_t at, const char *signature)
{
	const uint8_t *p;
	uint32_t len;

	assert_in_range(at, BASE, BASE + used - 36);
	p = mem + (at - BASE);
	len = (uint32_t)get(p + 4, 4);
	assert_true(range_fits(at - BASE, len, used));
	assert_memory_equal(p, signature, 4);
	expect_sum_zero(p, len);
	return p;
}

/* By XSDT; the first of that name. */
static const uint8_t *find(const char *signature)
{
	const uint8_t *xsdt = table(get(mem + 24, 8), "XSDT");
	size_t n = (get(xsdt + 4, 4) - 36) / 8;

	assert_int_equal((get(xsdt + 4, 4) - 36) % 8, 0);
	for (size_t i = 0; i < n; i++) {
		uint64_t at = get(xsdt + 36 + 8 * i, 8);

		if (memcmp(mem + (at - BASE), signature, 4) == 0)
			return table(at, signature);
	}
	fail_msg("no %s", signature);
	return NULL;
}

static void rsdp(void **state)
{
	(void)state;
	build(1);
	assert_memory_equal(mem, "RSD PTR ", 8);
	assert_int_equal(mem[15], 2);
	assert_int_equal(get(mem + 20, 4), 36);
	expect_sum_zero(mem, 20);
	expect_sum_zero(mem, 36);
	assert_int_equal(BASE % 16, 0);
}

static void power_registers(void **state)
{
	const uint8_t *f;

	(void)state;
	build(1);
	f = find("FACP");
	assert_int_equal(get(f + 4, 4), 276);
	assert_int_equal(f[8], 6); /* revision 6.4: minor 4 */
	assert_int_equal(f[131], 4);
	assert_true(get(f + 112, 4) & 1u << 20); /* hardware reduced */
	assert_true(get(f + 112, 4) & 1u << 10); /* reset register */
	assert_true(get(f + 112, 4) & 1u << 4);	 /* the button is a device */
	assert_int_equal(f[116], 1);		 /* in I/O space */
	assert_int_equal(get(f + 120, 8), PORT_RESET);
	assert_int_equal(f[128], 1);
	assert_int_equal(f[244], 1);
	assert_int_equal(get(f + 248, 8), PORT_SLEEP);
	assert_int_equal(f[256], 1);
	assert_int_equal(get(f + 260, 8), PORT_SLEEP + 1);
}

static void dsdt(void **state)
{
	const uint8_t *f, *d;

	(void)state;
	build(1);
	f = find("FACP");
	assert_int_equal(get(f + 40, 4), get(f + 140, 8));
	d = table(get(f + 140, 8), "DSDT");
	assert_int_equal(d[8], 2); /* 64-bit integers */
	/* Name (\_S5, Package () { 5, ...: SLP_TYP of layout.h */
	for (size_t i = 36; i + 12 < get(d + 4, 4); i++)
		if (memcmp(d + i, "_S5_", 4) == 0) {
			assert_int_equal(d[i + 4], 0x12); /* PackageOp */
			assert_int_equal(d[i + 7], 0x0a); /* BytePrefix */
			assert_int_equal(d[i + 8], SLEEP_TYPE_S5);
			return;
		}
	fail_msg("no _S5");
}

/* Is @name, @n bytes, in the DSDT? Return: what comes after it. */
static const uint8_t *dsdt_after(const void *name, size_t n)
{
	const uint8_t *d = table(get(find("FACP") + 140, 8), "DSDT");
	const uint8_t *at = memmem(d, get(d + 4, 4), name, n);

	return at ? at + n : NULL;
}

/* A PNP0C0C button, and the generic event device that notifies it. */
static void power_button(void **state)
{
	/* EISAID("PNP0C0C"); extended interrupt: edge, one, of 4 bytes */
	static const uint8_t button[] = { 0x0c, 0x41, 0xd0, 0x0c, 0x0c };
	static const uint8_t irq[] = { 0x89,	   0x06, 0x00, 0x03, 0x01,
				       GSI_BUTTON, 0,	 0,    0 };
	/* Notify(PWRB, 0x80), however iasl writes the path */
	static const uint8_t notify[] = { 'P', 'W', 'R', 'B', 0x0a, 0x80 };

	(void)state;
	build(1);
	assert_non_null(dsdt_after(button, sizeof(button)));
	assert_non_null(dsdt_after("ACPI0013", 9));
	assert_non_null(dsdt_after(irq, sizeof(irq)));
	assert_non_null(dsdt_after("_EVT", 4));
	assert_non_null(dsdt_after(notify, sizeof(notify)));
}

static void check_madt(unsigned nr)
{
	const uint8_t *m, *p, *end;
	unsigned cpus = 0, ioapics = 0;

	build(nr);
	m = find("APIC");
	assert_int_equal(get(m + 36, 4), LAYOUT_LAPIC);
	end = m + get(m + 4, 4);
	for (p = m + 44; p < end; p += p[1]) {
		assert_in_range(p[1], 2, end - p);
		if (p[0] == 1) {
			assert_int_equal(get(p + 4, 4), LAYOUT_IOAPIC);
			assert_int_equal(get(p + 8, 4), 0);
			ioapics++;
		} else {
			assert_int_equal(p[0], 0);
			assert_int_equal(p[2], cpus);
			assert_int_equal(p[3], cpus); /* APIC id */
			assert_int_equal(get(p + 4, 4), 1);
			cpus++;
		}
	}
	assert_int_equal(cpus, nr);
	assert_int_equal(ioapics, 1);
}

static void processors(void **state)
{
	(void)state;
	check_madt(1);
	check_madt(2);
	check_madt(3);
	check_madt(64);
}

static void mcfg(void **state)
{
	const uint8_t *m;

	(void)state;
	build(1);
	m = find("MCFG");
	assert_int_equal(get(m + 4, 4), 60);
	assert_int_equal(get(m + 44, 8), LAYOUT_ECAM);
	assert_int_equal(get(m + 52, 2), 0);
	assert_int_equal(m[54], 0);
	/* A bus of ECAM is 1 MiB. */
	assert_int_equal((m[55] - m[54] + 1u) * 0x100000u, LAYOUT_ECAM_BYTES);
}

static void tables_do_not_touch(void **state)
{
	static const char *names[] = { "FACP", "APIC", "MCFG" };
	uint8_t taken[8192] = { 0 };

	(void)state;
	build(64);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const uint8_t *p = find(names[i]);

		for (size_t b = 0; b < get(p + 4, 4); b++)
			assert_int_equal(taken[(size_t)(p - mem) + b]++, 0);
	}
}

/* FADT's IAPC_BOOT_ARCH, bit 5: there is none. */
static void the_clock_is_found_where_it_is(void **state)
{
	struct acpi_machine m = cpus(1);

	(void)state;
	build_machine(&m);
	assert_int_equal(get(find("FACP") + 109, 2) & 1u << 5, 1u << 5);
	m.has_cmos = true;
	build_machine(&m);
	assert_int_equal(get(find("FACP") + 109, 2) & 1u << 5, 0);
}

static void too_small_a_buffer(void **state)
{
	size_t need, got = 12345;
	uint8_t guard[4096];
	const struct acpi_machine m = cpus(2);

	(void)state;
	build(2);
	need = used;
	memset(guard, 0xcc, sizeof(guard));
	for (size_t size = 0; size < need; size++) {
		assert_int_equal(acpi_build(guard, size, BASE, &m, &got),
				 -ENOSPC);
		assert_int_equal(guard[size], 0xcc);
		memset(guard, 0xcc, sizeof(guard));
	}
	assert_int_equal(got, 12345);
	assert_int_equal(acpi_build(guard, need, BASE, &m, &got), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rsdp),
		cmocka_unit_test(power_registers),
		cmocka_unit_test(dsdt),
		cmocka_unit_test(power_button),
		cmocka_unit_test(processors),
		cmocka_unit_test(mcfg),
		cmocka_unit_test(tables_do_not_touch),
		cmocka_unit_test(the_clock_is_found_where_it_is),
		cmocka_unit_test(too_small_a_buffer),
	};

	return cmocka_run_group_tests_name("acpi", tests, NULL, NULL);
}
