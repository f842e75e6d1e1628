/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tiny guests share: one CPU, long mode, the first 8 GiB mapped one
 * to one, interrupts off, no allocation.
 *
 * A guest defines guest_name and main(). It prints one line, "PASS NAME" or
 * "FAIL NAME: what", and ends. Returning from main() passes and powers off.
 */
#ifndef DISCO_TESTS_GUEST_H
#define DISCO_TESTS_GUEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define PORT_SERIAL 0x3f8
#define UART_LSR    5
#define LSR_DATA    0x01
#define LSR_THR	    0x20
#define LSR_IDLE    0x40

/* Xen public/arch-x86/hvm/start_info.h, version 1. */
#define HVM_START_MAGIC 0x336ec578u
#define HVM_RAM		1

struct hvm_start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modules, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

struct hvm_memmap {
	uint64_t addr, bytes;
	uint32_t type, reserved;
};

struct acpi_header { /* ACPI 5.2.6 */
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem_id[6], oem_table_id[8];
	uint32_t oem_revision, creator_id, creator_revision;
} __attribute__((packed));

struct acpi_rsdp { /* 5.2.5.3 */
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt, length;
	uint64_t xsdt;
	uint8_t extended_checksum, reserved[3];
} __attribute__((packed));

#define GAS_SYSTEM_IO 1

struct acpi_gas { /* 5.2.3.2 */
	uint8_t space, bit_width, bit_offset, access_size;
	uint64_t address;
} __attribute__((packed));

#define FADT_RESET_SUPPORTED (1u << 10)
#define FADT_HW_REDUCED	     (1u << 20)

struct acpi_fadt { /* 5.2.9 */
	struct acpi_header h;
	uint32_t firmware_ctrl, dsdt;
	uint8_t legacy_1[65];
	uint16_t boot_arch;
	uint8_t reserved;
	uint32_t flags;
	struct acpi_gas reset_reg;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor;
	uint64_t x_firmware_ctrl, x_dsdt;
	struct acpi_gas legacy_2[8];
	struct acpi_gas sleep_control, sleep_status;
} __attribute__((packed));

/* --- the guest's part ---------------------------------------------------- */

extern const char guest_name[];
void main(const struct hvm_start_info *info);

/* --- what start.S saw and calls ------------------------------------------ */

struct trap_frame {
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

extern uint32_t entry_cr0, entry_cr4, entry_eflags;
extern const uint8_t trap_stubs[32][16];

__attribute__((noreturn)) void guest_start(const struct hvm_start_info *info);
__attribute__((noreturn)) void trap(const struct trap_frame *f);

/* --- instructions -------------------------------------------------------- */

static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

/* By address, one instruction each: right for devices, and address 0 works. */
static inline uint8_t read8(uint64_t at)
{
	uint8_t v;

	__asm__ volatile("movb (%1), %0" : "=q"(v) : "r"(at) : "memory");
	return v;
}

static inline void write8(uint64_t at, uint8_t v)
{
	__asm__ volatile("movb %0, (%1)" : : "q"(v), "r"(at) : "memory");
}

static inline void write16(uint64_t at, uint16_t v)
{
	__asm__ volatile("movw %0, (%1)" : : "r"(v), "r"(at) : "memory");
}

static inline uint32_t read32(uint64_t at)
{
	uint32_t v;

	__asm__ volatile("movl (%1), %0" : "=r"(v) : "r"(at) : "memory");
	return v;
}

static inline void write32(uint64_t at, uint32_t v)
{
	__asm__ volatile("movl %0, (%1)" : : "r"(v), "r"(at) : "memory");
}

static inline uint64_t read64(uint64_t at)
{
	uint64_t v;

	__asm__ volatile("movq (%1), %0" : "=r"(v) : "r"(at) : "memory");
	return v;
}

static inline void write64(uint64_t at, uint64_t v)
{
	__asm__ volatile("movq %0, (%1)" : : "r"(v), "r"(at) : "memory");
}

/* --- text ---------------------------------------------------------------- */

/* Waits for room, then one byte. */
void put_char(char c);

/* %s, %u, %lu, %x, %lx, %%; no widths. */
__attribute__((format(printf, 1, 2))) void print(const char *fmt, ...);

bool same(const void *a, const void *b, size_t bytes);
bool contains(const char *text, const char *word);

/* The decimal number after @key, as in "pages=4". Fails if @key is not there. */
uint64_t number_of(const char *text, const char *key);

/* --- ends ---------------------------------------------------------------- */

/* Prints "PASS NAME"; the caller ends the guest. */
void pass(void);

/* Prints "FAIL NAME: what", powers off. */
__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *fmt, ...);

#define REQUIRE(cond, ...)                                                     \
	do {                                                                   \
		if (!(cond))                                                   \
			fail(__VA_ARGS__);                                     \
	} while (0)

/* By fixed ports: works with whatever tables the guest was given. */
__attribute__((noreturn)) void power_off(void);
__attribute__((noreturn)) void reset(void);

/* A little while: for an end that the monitor may be about to bring. */
void linger(void);

/* --- tables -------------------------------------------------------------- */

const struct hvm_memmap *memmap(const struct hvm_start_info *info);

/* Whether @bytes bytes sum up to 0. */
bool sums_to_zero(const void *p, size_t bytes);

/* The XSDT, its entries, and a table by signature. Fail when not there. */
const struct acpi_header *acpi_xsdt(const struct hvm_start_info *info);
unsigned acpi_nr_tables(const struct acpi_header *xsdt);
const struct acpi_header *acpi_table(const struct acpi_header *xsdt,
				     unsigned i);
const void *acpi_find(const struct hvm_start_info *info, const char *signature);

/* The port of a byte-wide I/O register; fails on any other. */
uint16_t acpi_port(const struct acpi_gas *reg, const char *what);

#endif
