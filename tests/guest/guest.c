/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest.h"

#define PORT_SLEEP 0x600
#define PORT_RESET 0x604
#define SLEEP_S5   0x34 /* SLP_EN, SLP_TYP 5 */
#define NR_TRAPS   32
#define SEL_CODE   0x08
#define GATE_64	   0x8e00

struct idt_gate {
	uint16_t offset_low, selector, flags, offset_mid;
	uint32_t offset_high, reserved;
};

static struct idt_gate idt[NR_TRAPS];

/* --- text ---------------------------------------------------------------- */

void put_char(char c)
{
	while (!(inb(PORT_SERIAL + UART_LSR) & LSR_THR))
		;
	outb(PORT_SERIAL, (uint8_t)c);
}

static void put_text(const char *s)
{
	while (*s)
		put_char(*s++);
}

static void put_number(uint64_t v, unsigned base)
{
	char text[24];
	unsigned at = sizeof(text) - 1;

	text[at] = '\0';
	do {
		text[--at] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	put_text(text + at);
}

static void vprint(const char *fmt, va_list args)
{
	for (; *fmt; fmt++) {
		bool wide = false;

		if (*fmt != '%') {
			put_char(*fmt);
			continue;
		}
		if (*++fmt == 'l') {
			wide = true;
			fmt++;
		}
		if (*fmt == 's')
			put_text(va_arg(args, const char *));
		else if (*fmt == 'u' || *fmt == 'x')
			put_number(wide ? va_arg(args, uint64_t)
					: va_arg(args, uint32_t),
				   *fmt == 'u' ? 10 : 16);
		else
			put_char(*fmt);
	}
}

void print(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vprint(fmt, args);
	va_end(args);
}

bool same(const void *a, const void *b, size_t bytes)
{
	const uint8_t *x = a, *y = b;

	while (bytes--)
		if (*x++ != *y++)
			return false;
	return true;
}

bool contains(const char *text, const char *word)
{
	for (; *text; text++) {
		size_t n = 0;

		while (word[n] && text[n] == word[n])
			n++;
		if (!word[n])
			return true;
	}
	return false;
}

uint64_t number_of(const char *text, const char *key)
{
	uint64_t v = 0;
	size_t len = 0;

	while (key[len])
		len++;
	while (*text && !same(text, key, len))
		text++;
	REQUIRE(*text, "no %s in the command line", key);
	for (text += len; *text >= '0' && *text <= '9'; text++)
		v = v * 10 + (uint64_t)(*text - '0');
	return v;
}

/* --- ends ---------------------------------------------------------------- */

void pass(void)
{
	print("PASS %s\n", guest_name);
}

void fail(const char *fmt, ...)
{
	va_list args;

	print("FAIL %s: ", guest_name);
	va_start(args, fmt);
	vprint(fmt, args);
	va_end(args);
	put_char('\n');
	power_off();
}

static void stop_cpu(void)
{
	for (;;)
		__asm__ volatile("cli; hlt" : : : "memory");
}

void power_off(void)
{
	outb(PORT_SLEEP, SLEEP_S5);
	stop_cpu();
	__builtin_unreachable();
}

void reset(void)
{
	outb(PORT_RESET, 1);
	stop_cpu();
	__builtin_unreachable();
}

void linger(void)
{
	for (unsigned i = 0; i < 10000000; i++)
		__asm__ volatile("pause" : : : "memory");
}

/* --- tables -------------------------------------------------------------- */

const struct hvm_memmap *memmap(const struct hvm_start_info *info)
{
	return (const void *)info->memmap;
}

bool sums_to_zero(const void *p, size_t bytes)
{
	const uint8_t *byte = p;
	uint8_t sum = 0;

	while (bytes--)
		sum = (uint8_t)(sum + *byte++);
	return sum == 0;
}

const struct acpi_header *acpi_xsdt(const struct hvm_start_info *info)
{
	const struct acpi_rsdp *r = (const void *)info->rsdp;
	const struct acpi_header *x;

	REQUIRE(r, "no RSDP in the start info");
	REQUIRE(same(r->signature, "RSD PTR ", 8), "no RSDP at %lx",
		info->rsdp);
	x = (const void *)r->xsdt;
	REQUIRE(x && same(x->signature, "XSDT", 4), "no XSDT at %lx", r->xsdt);
	REQUIRE(x->length >= sizeof(*x), "XSDT of %u bytes", x->length);
	return x;
}

unsigned acpi_nr_tables(const struct acpi_header *xsdt)
{
	return (unsigned)((xsdt->length - sizeof(*xsdt)) / sizeof(uint64_t));
}

const struct acpi_header *acpi_table(const struct acpi_header *xsdt, unsigned i)
{
	return (const void *)read64((uint64_t)(xsdt + 1) +
				    i * sizeof(uint64_t));
}

const void *acpi_find(const struct hvm_start_info *info, const char *signature)
{
	const struct acpi_header *x = acpi_xsdt(info);

	for (unsigned i = 0; i < acpi_nr_tables(x); i++) {
		const struct acpi_header *t = acpi_table(x, i);

		if (t && same(t->signature, signature, 4))
			return t;
	}
	return NULL;
}

uint16_t acpi_port(const struct acpi_gas *reg, const char *what)
{
	REQUIRE(reg->space == GAS_SYSTEM_IO && reg->bit_width == 8 &&
			reg->address && reg->address <= 0xffff,
		"%s register: space %u, %u bits, address %lx", what, reg->space,
		reg->bit_width, reg->address);
	return (uint16_t)reg->address;
}

/* --- start --------------------------------------------------------------- */

void trap(const struct trap_frame *f)
{
	uint64_t cr2;

	__asm__ volatile("movq %%cr2, %0" : "=r"(cr2));
	fail("exception %lu, error %lx, rip %lx, cr2 %lx", f->vector, f->error,
	     f->rip, cr2);
}

static void set_traps(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) p = { sizeof(idt) - 1, (uint64_t)idt };

	for (unsigned i = 0; i < NR_TRAPS; i++) {
		uint64_t at = (uint64_t)trap_stubs[i];

		idt[i] = (struct idt_gate){ (uint16_t)at,
					    SEL_CODE,
					    GATE_64,
					    (uint16_t)(at >> 16),
					    (uint32_t)(at >> 32),
					    0 };
	}
	__asm__ volatile("lidt %0" : : "m"(p) : "memory");
}

void guest_start(const struct hvm_start_info *info)
{
	set_traps();
	main(info);
	pass();
	power_off();
}
