/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's first memory: the map of it, and what the boot protocols want
 * to find there. No KVM: boot_setup() then ends at the registers, which come
 * last, and everything it put into memory is there.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "monitor/worker/vm/boot_setup.h"
#include "monitor/dev/platform/layout.h"
#include "tests/unit/support.h"

static int tsc_khz; /* of vCPUs */

/* In place of the C library's: there is no vCPU but for its clock. */
int ioctl(int fd, unsigned long request, ...)
{
	(void)fd;
	if (request == KVM_GET_TSC_KHZ && tsc_khz >= 0)
		return tsc_khz;
	errno = EBADF;
	return -1;
}

static struct ram_view ram_of(uint64_t bytes)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);
	struct ram_view v;

	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	assert_int_equal(ram_view_create(&v, fd, bytes), 0);
	return v;
}

static void ram_end(struct ram_view *v)
{
	int fd = v->fd;

	ram_view_destroy(v);
	(void)close(fd);
}

static bool is_ram(const struct boot_e820 *map, unsigned n, uint64_t at)
{
	for (unsigned i = 0; i < n; i++)
		if (at >= map[i].gpa && at - map[i].gpa < map[i].bytes)
			return map[i].type == 1;
	return false;
}

/*
 * Whatever the size: ascending, disjoint, RAM where RAM is, and what the
 * worker filled in is not given away.
 */
static void check_map(uint64_t bytes, uint64_t want_usable)
{
	struct ram_view ram = ram_of(bytes);
	struct boot_e820 map[BOOT_E820_MAX];
	unsigned n = boot_memory_map(&ram, map);
	uint64_t end = 0, usable = 0;

	assert_in_range(n, 1, BOOT_E820_MAX);
	for (unsigned i = 0; i < n; i++) {
		assert_true(map[i].bytes > 0);
		assert_true(map[i].gpa >= end);
		assert_in_range(map[i].type, 1, 2);
		end = map[i].gpa + map[i].bytes;
		if (map[i].type != 1)
			continue;
		usable += map[i].bytes;
		assert_non_null(ram_at(&ram, gpa(map[i].gpa), map[i].bytes));
	}
	assert_true(usable == want_usable);
	assert_true(is_ram(map, n, 0));
	assert_false(is_ram(map, n, LAYOUT_ACPI));
	assert_false(is_ram(map, n, LAYOUT_ECAM));
	assert_false(is_ram(map, n, LAYOUT_PCI_MMIO));
	assert_false(is_ram(map, n, LAYOUT_LAPIC));
	ram_end(&ram);
}

static void map_1_mib(void **state)
{
	(void)state;
	check_map(MIB(1), LAYOUT_LOW_RAM_END);
}

static void map_256_mib(void **state)
{
	(void)state;
	check_map(MIB(256), MIB(255) + LAYOUT_LOW_RAM_END);
}

static void map_3_gib(void **state)
{
	(void)state;
	check_map(GIB(3), GIB(3) - MIB(1) + LAYOUT_LOW_RAM_END);
}

static void map_6_gib(void **state)
{
	struct ram_view ram = ram_of(GIB(6));
	struct boot_e820 map[BOOT_E820_MAX];
	unsigned n = boot_memory_map(&ram, map);

	(void)state;
	check_map(GIB(6), GIB(6) - MIB(1) + LAYOUT_LOW_RAM_END);
	assert_false(is_ram(map, n, GIB(3)));
	assert_false(is_ram(map, n, GIB(4) - 1));
	assert_true(is_ram(map, n, GIB(4)));
	assert_true(is_ram(map, n, GIB(7) - 1));
	assert_false(is_ram(map, n, GIB(7)));
	ram_end(&ram);
}

/* --- what is in memory --- */

struct bench {
	struct vm vm;
	struct vcpu vcpu;
	struct worker_spec spec;
};

static struct bench b;

static void setup_vm(uint64_t bytes, enum boot_entry kind)
{
	memset(&b, 0, sizeof(b));
	b.vm.ram = ram_of(bytes);
	b.vm.spec = &b.spec;
	b.vm.vcpus = &b.vcpu;
	b.vcpu.fd = -1;
	b.spec.nr_vcpus = 2;
	b.spec.boot.entry_kind = kind;
	b.spec.boot.initrd_gpa = MIB(64);
	b.spec.boot.initrd_bytes = 12345;
	(void)strcpy(b.spec.cmdline, "console=ttyS0 quiet");
}

static uint64_t get(uint64_t at, unsigned len)
{
	uint64_t v = 0;

	assert_int_equal(ram_read(&b.vm.ram, gpa(at), &v, len), 0);
	return v;
}

static const char *text(uint64_t at)
{
	return ram_at(&b.vm.ram, gpa(at), 64);
}

/* Offsets of Linux zero-page.rst and boot.rst. */
static void linux_zero_page(void **state)
{
	uint64_t zp = LAYOUT_BOOT_PARAMS, n;
	uint8_t hdr[BOOT_HDR_MAX];

	(void)state;
	setup_vm(MIB(128), BOOT_LINUX64);
	memset(hdr, 0x5a, sizeof(hdr));
	memcpy(b.spec.boot.hdr, hdr, sizeof(hdr));
	b.spec.boot.hdr_bytes = 0x7b;
	assert_int_equal(boot_setup(&b.vm), -EBADF);
	assert_int_equal(get(zp + 0x1f1, 1), 0x5a);
	assert_int_equal(get(zp + 0x210, 1), 0xff); /* type_of_loader */
	assert_int_equal(get(zp + 0x218, 4), MIB(64));
	assert_int_equal(get(zp + 0x21c, 4), 12345);
	assert_string_equal(text(get(zp + 0x228, 4)), "console=ttyS0 quiet");
	assert_int_equal(get(zp + 0x070, 8), LAYOUT_ACPI);
	assert_memory_equal(text(LAYOUT_ACPI), "RSD PTR ", 8);
	n = get(zp + 0x1e8, 1);
	assert_in_range(n, 4, BOOT_E820_MAX);
	assert_int_equal(get(zp + 0x2d0, 8), 0);
	assert_int_equal(get(zp + 0x2d8, 8), LAYOUT_LOW_RAM_END);
	assert_int_equal(get(zp + 0x2e0, 4), 1);
	ram_end(&b.vm.ram);
}

/* The 32-bit entry: the same page, and the kernel is told where it is. */
static void linux_zero_page_of_32_bits(void **state)
{
	uint64_t zp = LAYOUT_BOOT_PARAMS;

	(void)state;
	setup_vm(MIB(128), BOOT_LINUX32);
	b.spec.boot.entry = MIB(16);
	b.spec.boot.hdr_bytes = 0x7b;
	assert_int_equal(boot_setup(&b.vm), -EBADF);
	assert_string_equal(text(get(zp + 0x228, 4)), "console=ttyS0 quiet");
	assert_int_equal(get(zp + 0x214, 4), MIB(16)); /* code32_start */
	assert_int_equal(get(zp + 0x070, 8), LAYOUT_ACPI);
	assert_int_equal(get(LAYOUT_START_INFO, 4), 0);
	assert_int_equal(get(LAYOUT_PML4, 8), 0); /* no paging */
	ram_end(&b.vm.ram);
}

/* f000:fff0, in the code that a CPU runs there: port, value, out. */
static void bios_entry_resets(void **state)
{
	const uint8_t *code;

	(void)state;
	setup_vm(MIB(128), BOOT_LINUX64);
	assert_int_equal(boot_setup(&b.vm), -EBADF);
	code = ram_at(&b.vm.ram, gpa(0xffff0), 16);
	assert_non_null(code);
	assert_memory_equal(code, "\xba\x04\x06\xb0\x01\xee", 6);
	assert_memory_equal(code + 6, "\xf4\xeb\xfd", 3);
	ram_end(&b.vm.ram);
}

/* Walk the tables as a CPU does: every address below 1 GiB is itself. */
static uint64_t walk(uint64_t va)
{
	uint64_t mask = 0xffffffffff000;
	uint64_t e = get(LAYOUT_PML4 + 8 * (va >> 39 & 511), 8);

	assert_int_equal(e & 3, 3);
	e = get((e & mask) + 8 * (va >> 30 & 511), 8);
	assert_int_equal(e & 0x83, 3);
	e = get((e & mask) + 8 * (va >> 21 & 511), 8);
	assert_int_equal(e & 0x83, 0x83);
	return (e & mask) + (va & 0x1fffff);
}

static void identity_page_tables(void **state)
{
	(void)state;
	setup_vm(MIB(128), BOOT_LINUX64);
	assert_int_equal(boot_setup(&b.vm), -EBADF);
	for (uint64_t va = 0; va < BOOT_IMAGE_MAX; va += MIB(2))
		assert_true(walk(va + 0x1234) == va + 0x1234);
	ram_end(&b.vm.ram);
}

/* Offsets of Xen's public/arch-x86/hvm/start_info.h. */
static void pvh_start_info(void **state)
{
	uint64_t si = LAYOUT_START_INFO, map, usable = 0;

	(void)state;
	setup_vm(MIB(128), BOOT_PVH);
	assert_int_equal(boot_setup(&b.vm), -EBADF);
	assert_int_equal(get(si, 4), 0x336ec578);
	assert_int_equal(get(si + 4, 4), 1);
	assert_int_equal(get(si + 12, 4), 1); /* modules */
	assert_int_equal(get(get(si + 16, 8), 8), MIB(64));
	assert_int_equal(get(get(si + 16, 8) + 8, 8), 12345);
	assert_string_equal(text(get(si + 24, 8)), "console=ttyS0 quiet");
	assert_int_equal(get(si + 32, 8), LAYOUT_ACPI);
	map = get(si + 40, 8);
	for (uint64_t i = 0; i < get(si + 48, 4); i++)
		if (get(map + 24 * i + 16, 4) == 1)
			usable += get(map + 24 * i + 8, 8);
	assert_int_equal(usable, MIB(127) + LAYOUT_LOW_RAM_END);
	ram_end(&b.vm.ram);
}

static void pvh_without_initrd(void **state)
{
	(void)state;
	setup_vm(MIB(128), BOOT_PVH);
	b.spec.boot.initrd_gpa = b.spec.boot.initrd_bytes = 0;
	assert_int_equal(boot_setup(&b.vm), -EBADF);
	assert_int_equal(get(LAYOUT_START_INFO + 12, 4), 0);
	assert_int_equal(get(LAYOUT_START_INFO + 16, 8), 0);
	ram_end(&b.vm.ram);
}

static void longest_command_line(void **state)
{
	(void)state;
	setup_vm(MIB(1), BOOT_LINUX64);
	memset(b.spec.cmdline, 'c', CMDLINE_MAX);
	b.spec.cmdline[CMDLINE_MAX] = '\0';
	assert_int_equal(boot_setup(&b.vm), -EBADF);
	assert_int_equal(get(LAYOUT_CMDLINE + CMDLINE_MAX - 1, 1), 'c');
	assert_int_equal(get(LAYOUT_CMDLINE + CMDLINE_MAX, 1), 0);
	ram_end(&b.vm.ram);
}

/* --- views --- */

static void setup_views(int khz)
{
	setup_vm(MIB(128), BOOT_LINUX64);
	b.vm.kvms.views = (void *)&b; /* only asked whether there are any */
	tsc_khz = khz;
}

static void the_clock_of_views_has_its_rate(void **state)
{
	(void)state;
	setup_views(2400123);
	assert_int_equal(boot_setup(&b.vm), -EBADF);
	assert_string_equal(text(LAYOUT_CMDLINE),
			    "tsc_early_khz=2400123 tsc=reliable "
			    "console=ttyS0 quiet");
	assert_true(snprintf(NULL, 0, CMDLINE_CLOCK, INT32_MAX) <=
		    CMDLINE_CLOCK_MAX);
	ram_end(&b.vm.ram);
}

static void no_views_without_a_rate(void **state)
{
	(void)state;
	setup_views(-1);
	assert_int_equal(boot_setup(&b.vm), -EBADF);
	assert_int_equal(get(LAYOUT_CMDLINE, 8), 0);
	ram_end(&b.vm.ram);
	setup_views(0);
	assert_int_equal(boot_setup(&b.vm), -ENOTSUP);
	ram_end(&b.vm.ram);
}

static void no_room_for_the_rate(void **state)
{
	(void)state;
	setup_views(1);
	memset(b.spec.cmdline, 'c', CMDLINE_MAX);
	b.spec.cmdline[CMDLINE_MAX] = '\0';
	assert_int_equal(boot_setup(&b.vm), -E2BIG);
	ram_end(&b.vm.ram);
	setup_views(INT32_MAX);
	memset(b.spec.cmdline, 'c', CMDLINE_MAX - CMDLINE_CLOCK_MAX);
	b.spec.cmdline[CMDLINE_MAX - CMDLINE_CLOCK_MAX] = '\0';
	assert_int_equal(boot_setup(&b.vm), -EBADF);
	ram_end(&b.vm.ram);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_1_mib),
		cmocka_unit_test(map_256_mib),
		cmocka_unit_test(map_3_gib),
		cmocka_unit_test(map_6_gib),
		cmocka_unit_test(linux_zero_page),
		cmocka_unit_test(linux_zero_page_of_32_bits),
		cmocka_unit_test(bios_entry_resets),
		cmocka_unit_test(identity_page_tables),
		cmocka_unit_test(pvh_start_info),
		cmocka_unit_test(pvh_without_initrd),
		cmocka_unit_test(longest_command_line),
		cmocka_unit_test(the_clock_of_views_has_its_rate),
		cmocka_unit_test(no_views_without_a_rate),
		cmocka_unit_test(no_room_for_the_rate),
	};

	return cmocka_run_group_tests_name("boot_setup", tests, NULL, NULL);
}
