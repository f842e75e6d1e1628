/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/vm/boot_setup.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "monitor/dev/platform/layout.h"
#include "monitor/worker/vm/vnodes.h"

#define E820_RAM      1u
#define E820_RESERVED 2u

#define CR0_PE		  0x1u
#define CR0_ET		  0x10u
#define CR0_PG		  0x80000000u
#define CR4_PAE		  0x20u
#define EFER_LME	  0x100u
#define EFER_LMA	  0x400u
#define PTE_PRESENT_WRITE 0x3u
#define PDE_HUGE	  0x80u

#define LOADER_UNKNOWN 0xff
#define PVH_MAGIC      0x336ec578u

_Static_assert(BOOT_IMAGE_MAX == GIB(1), "one page directory maps it");

/* Xen public/arch-x86/hvm/start_info.h, version 1. */
struct hvm_start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modules, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

struct hvm_module {
	uint64_t paddr, bytes, cmdline, reserved;
};

struct hvm_memmap {
	uint64_t addr, bytes;
	uint32_t type, reserved;
};

_Static_assert(sizeof(struct hvm_start_info) == 56, "Xen start_info.h");
_Static_assert(sizeof(struct hvm_memmap) == 24, "Xen start_info.h");

unsigned boot_memory_map(const struct ram_view *ram,
			 struct boot_e820 map[BOOT_E820_MAX])
{
	uint64_t low_end = ram->slots[0].bytes;
	unsigned n = 0;

	map[n++] = (struct boot_e820){ 0, LAYOUT_LOW_RAM_END, E820_RAM };
	map[n++] = (struct boot_e820){ LAYOUT_ACPI, LAYOUT_ACPI_BYTES,
				       E820_RESERVED };
	if (low_end > BOOT_LOW_END)
		map[n++] = (struct boot_e820){ BOOT_LOW_END,
					       low_end - BOOT_LOW_END,
					       E820_RAM };
	map[n++] = (struct boot_e820){ LAYOUT_ECAM, LAYOUT_ECAM_BYTES,
				       E820_RESERVED };
	if (ram->nr_slots > 1)
		map[n++] = (struct boot_e820){ ram->slots[1].gpa,
					       ram->slots[1].bytes, E820_RAM };
	return n;
}

static int boot_put(const struct vm *vm, uint64_t at, const void *p,
		    size_t bytes)
{
	return ram_write(&vm->ram, gpa(at), p, bytes);
}

static bool boot_is_linux64(const struct vm *vm)
{
	return vm->spec->boot.entry_kind == BOOT_LINUX64;
}

static bool boot_is_pvh(const struct vm *vm)
{
	return vm->spec->boot.entry_kind == BOOT_PVH;
}

/*
 * A guest with views has no kvm-clock, which would have said how fast the
 * time-stamp counter is, and no other timer to measure it by. Linux 5.9 and
 * later take the rate from the command line. "reliable": KVM gives all vCPUs the
 * same counter (views_align_tsc()), but Linux takes it for unstable where the
 * CPU does not say that it is constant. Both come first, so that the operator's
 * own words override them.
 */
static int put_clock_cmdline(const struct vm *vm)
{
	int khz = ioctl(vm->vcpus[0].fd, KVM_GET_TSC_KHZ), n;
	char s[CMDLINE_MAX + 1];

	if (khz <= 0)
		return khz < 0 ? -errno : -ENOTSUP;
	n = snprintf(s, sizeof(s), CMDLINE_CLOCK "%s", khz, vm->spec->cmdline);
	if (n >= (int)sizeof(s))
		return -E2BIG;
	return boot_put(vm, LAYOUT_CMDLINE, s, (size_t)n + 1);
}

static int put_cmdline(const struct vm *vm)
{
	const char *s = vm->spec->cmdline;

	if (vm->kvms.views)
		return put_clock_cmdline(vm);
	return boot_put(vm, LAYOUT_CMDLINE, s, strlen(s) + 1);
}

static int put_acpi(const struct vm *vm)
{
	static uint8_t tables[ACPI_TABLES_BYTES]; /* one start */
	struct acpi_machine m;
	size_t used;
	int err;

	vnodes_tables(vm->spec, &vm->ram, &m);
	err = acpi_build(tables, sizeof(tables), LAYOUT_ACPI, &m, &used);

	return err ? err : boot_put(vm, LAYOUT_ACPI, tables, used);
}

/*
 * All the firmware there is. Linux on hardware-reduced ACPI asks EFI for a
 * reset and, where there is none, jumps to the BIOS in real mode instead of
 * using the FADT's reset register (efi_reboot_required(), reboot.c).
 */
static int put_reset_code(const struct vm *vm)
{
	static const uint8_t code[] = {
		0xba,
		PORT_RESET & 0xff,
		PORT_RESET >> 8, /* mov PORT, %dx */
		0xb0,
		RESET_VALUE, /* mov VALUE, %al */
		0xee,	     /* out %al, %dx */
		0xf4,
		0xeb,
		0xfd, /* hlt; jmp to it */
	};

	_Static_assert(sizeof(code) <= 16, "up to 1 MiB");
	return boot_put(vm, LAYOUT_BIOS_ENTRY, code, sizeof(code));
}

static int put_boot_params(const struct vm *vm)
{
	const struct boot_layout *b = &vm->spec->boot;
	struct boot_params p = { 0 };
	struct boot_e820 map[BOOT_E820_MAX];
	unsigned n = boot_memory_map(&vm->ram, map);

	memcpy(&p.hdr, b->hdr, min_u64(b->hdr_bytes, sizeof(p.hdr)));
	p.hdr.type_of_loader = LOADER_UNKNOWN;
	p.hdr.cmd_line_ptr = LAYOUT_CMDLINE;
	/* Where the 32-bit entry is now, if the kernel was moved. */
	if (b->entry_kind == BOOT_LINUX32)
		p.hdr.code32_start = (uint32_t)b->entry;
	p.hdr.ramdisk_image = (uint32_t)b->initrd_gpa;
	p.hdr.ramdisk_size = (uint32_t)b->initrd_bytes;
	p.acpi_rsdp_addr = LAYOUT_ACPI;
	for (unsigned i = 0; i < n; i++) {
		p.e820_table[i].addr = map[i].gpa;
		p.e820_table[i].size = map[i].bytes;
		p.e820_table[i].type = map[i].type;
	}
	p.e820_entries = (uint8_t)n;
	return boot_put(vm, LAYOUT_BOOT_PARAMS, &p, sizeof(p));
}

static int put_start_info(const struct vm *vm)
{
	const struct boot_layout *b = &vm->spec->boot;
	struct {
		struct hvm_start_info info;
		struct hvm_module initrd;
		struct hvm_memmap map[BOOT_E820_MAX];
	} s = { .info = { .magic = PVH_MAGIC,
			  .version = 1,
			  .cmdline = LAYOUT_CMDLINE,
			  .rsdp = LAYOUT_ACPI } };
	struct boot_e820 map[BOOT_E820_MAX];
	unsigned n = boot_memory_map(&vm->ram, map);

	s.info.memmap = LAYOUT_START_INFO + offsetof(typeof(s), map);
	s.info.memmap_entries = n;
	for (unsigned i = 0; i < n; i++)
		s.map[i] = (struct hvm_memmap){ map[i].gpa, map[i].bytes,
						map[i].type, 0 };
	if (b->initrd_bytes) {
		s.info.nr_modules = 1;
		s.info.modules =
			LAYOUT_START_INFO + offsetof(typeof(s), initrd);
		s.initrd.paddr = b->initrd_gpa;
		s.initrd.bytes = b->initrd_bytes;
	}
	return boot_put(vm, LAYOUT_START_INFO, &s, sizeof(s));
}

/* What a boot image can fill mapped one to one by 2 MiB pages. */
static int put_page_tables(const struct vm *vm)
{
	uint64_t table[512] = { 0 };
	uint64_t dir = LAYOUT_PML4 + 2 * PAGE_BYTES;
	int err;

	table[0] = (LAYOUT_PML4 + PAGE_BYTES) | PTE_PRESENT_WRITE;
	err = boot_put(vm, LAYOUT_PML4, table, sizeof(table));
	if (err)
		return err;
	table[0] = dir | PTE_PRESENT_WRITE;
	err = boot_put(vm, LAYOUT_PML4 + PAGE_BYTES, table, sizeof(table));
	if (err)
		return err;
	for (unsigned i = 0; i < 512; i++)
		table[i] = MIB(2) * i | PDE_HUGE | PTE_PRESENT_WRITE;
	return boot_put(vm, dir, table, sizeof(table));
}

static struct kvm_segment boot_flat(uint16_t selector, bool code,
				    bool long_mode)
{
	return (struct kvm_segment){ .limit = 0xffffffff,
				     .selector = selector,
				     .type = code ? 0xb : 0x3,
				     .present = 1,
				     .db = !long_mode,
				     .s = 1,
				     .l = long_mode,
				     .g = 1 };
}

/*
 * boot.rst: __BOOT_CS is selector 0x10, __BOOT_DS 0x18, both flat; the
 * descriptors are in memory too, for a guest that loads them again.
 */
static int put_gdt(const struct vm *vm, struct kvm_sregs *s, bool long_mode)
{
	const uint64_t gdt[] = { 0, 0,
				 long_mode ? 0x00af9b000000ffffull
					   : 0x00cf9b000000ffffull,
				 0x00cf93000000ffffull, 0x00008b0000000067ull };

	s->gdt.base = LAYOUT_GDT;
	s->gdt.limit = sizeof(gdt) - 1;
	s->cs = boot_flat(0x10, true, long_mode);
	s->ds = boot_flat(0x18, false, false);
	s->es = s->fs = s->gs = s->ss = s->ds;
	s->tr = (struct kvm_segment){
		.limit = 0x67, .selector = 0x20, .type = 0xb, .present = 1
	};
	return boot_put(vm, LAYOUT_GDT, gdt, sizeof(gdt));
}

static int set_sregs(const struct vm *vm)
{
	bool long_mode = boot_is_linux64(vm);
	struct kvm_sregs s;
	int err;

	if (ioctl(vm->vcpus[0].fd, KVM_GET_SREGS, &s) < 0)
		return -errno;
	err = put_gdt(vm, &s, long_mode);
	if (err)
		return err;
	s.cr0 = CR0_PE | CR0_ET;
	if (long_mode) {
		s.cr3 = LAYOUT_PML4;
		s.cr4 = CR4_PAE;
		s.cr0 |= CR0_PG;
		s.efer = EFER_LME | EFER_LMA;
	}
	return ioctl(vm->vcpus[0].fd, KVM_SET_SREGS, &s) < 0 ? -errno : 0;
}

static int set_regs(const struct vm *vm)
{
	struct kvm_regs r = { .rip = vm->spec->boot.entry,
			      .rflags = 2,
			      .rsi = LAYOUT_BOOT_PARAMS };

	/* boot.rst, "32-bit boot protocol": ebx, ebp and edi are 0. */
	if (boot_is_pvh(vm))
		r.rbx = LAYOUT_START_INFO;

	return ioctl(vm->vcpus[0].fd, KVM_SET_REGS, &r) < 0 ? -errno : 0;
}

int boot_setup(struct vm *vm)
{
	static const struct {
		int (*step)(const struct vm *vm);
		unsigned kinds; /* a bit per entry kind that has it */
	} steps[] = {
		{ put_cmdline, ~0u },
		{ put_acpi, ~0u },
		{ put_reset_code, ~0u },
		{ put_boot_params, 1u << BOOT_LINUX64 | 1u << BOOT_LINUX32 },
		{ put_start_info, 1u << BOOT_PVH },
		{ put_page_tables, 1u << BOOT_LINUX64 },
		{ set_sregs, ~0u },
		{ set_regs, ~0u },
	};
	unsigned kind = 1u << vm->spec->boot.entry_kind;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		int err = 0;

		if (steps[i].kinds & kind)
			err = steps[i].step(vm);
		if (err)
			return err;
	}
	return 0;
}
