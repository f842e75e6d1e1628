/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/views/ioapic.h"

#include "monitor/dev/platform/layout.h"
#include "monitor/worker/views/apic.h"

#define IOAPIC_BYTES 0x1000u
#define AT_SELECT    0x00u
#define AT_WINDOW    0x10u

#define REG_ID	    0x00u
#define REG_VERSION 0x01u
#define REG_ARBITER 0x02u
#define REG_PINS    0x10u /* two of 32 bits per pin */

#define IOAPIC_VERSION (0x11u | (IOAPIC_NR_PINS - 1) << 16)
#define ID_SHIFT       24
#define ID_MASK	       0xfu

/* Of a pin: a redirection table entry. */
#define PIN_VECTOR	0xffull
#define PIN_MODE	0x700ull /* as in a message's data */
#define PIN_MODE_EXTINT 0x700ull
#define PIN_LOGICAL	(1ull << 11)
#define PIN_READ_ONLY	(1ull << 12 | 1ull << 14)
#define PIN_LEVEL	(1ull << 15)
#define PIN_MASKED	(1ull << 16)
#define PIN_DEST_SHIFT	56

#define MSI_LOGICAL    (1u << 2)
#define MSI_DEST_SHIFT 12

static void ioapic_send_pin(struct ioapic *io, uint32_t pin)
{
	uint64_t e = io->pins[pin];
	uint64_t address = APIC_MSI_ADDRESS | e >> PIN_DEST_SHIFT
							      << MSI_DEST_SHIFT;

	/* Interrupts of a PIC, which is not there. */
	if (e & PIN_MASKED || (e & PIN_MODE) == PIN_MODE_EXTINT)
		return;
	if (e & PIN_LOGICAL)
		address |= MSI_LOGICAL;
	io->send(io->arg, address, (uint32_t)(e & (PIN_VECTOR | PIN_MODE)));
}

static void ioapic_write_pin(struct ioapic *io, uint32_t reg, uint32_t value)
{
	uint32_t pin = (reg - REG_PINS) / 2;
	uint64_t before = io->pins[pin], e = before;

	if (reg & 1)
		e = (e & UINT32_MAX) | (uint64_t)value << 32;
	else
		e = (e & ~(uint64_t)UINT32_MAX) | value;
	io->pins[pin] = e & ~PIN_READ_ONLY;
	if (before & PIN_MASKED && e & PIN_LEVEL && io->lines >> pin & 1)
		ioapic_send_pin(io, pin);
}

static bool ioapic_is_pin(uint32_t reg)
{
	return reg >= REG_PINS && reg < REG_PINS + 2 * IOAPIC_NR_PINS;
}

static uint32_t ioapic_register(const struct ioapic *io)
{
	uint32_t reg = io->select;

	if (ioapic_is_pin(reg))
		return (uint32_t)(io->pins[(reg - REG_PINS) / 2] >>
				  (reg & 1) * 32);
	if (reg == REG_VERSION)
		return IOAPIC_VERSION;
	if (reg == REG_ID || reg == REG_ARBITER)
		return (uint32_t)io->id << ID_SHIFT;
	return 0;
}

static uint64_t ioapic_read(void *ctx, uint64_t off, unsigned len)
{
	struct ioapic *io = ctx;
	uint64_t value = 0;

	(void)len;
	(void)pthread_mutex_lock(&io->lock);
	if (off == AT_SELECT)
		value = io->select;
	else if (off == AT_WINDOW)
		value = ioapic_register(io);
	(void)pthread_mutex_unlock(&io->lock);
	return value;
}

static void ioapic_write(void *ctx, uint64_t off, unsigned len, uint64_t value)
{
	struct ioapic *io = ctx;

	(void)len;
	(void)pthread_mutex_lock(&io->lock);
	if (off == AT_SELECT)
		io->select = (uint8_t)value;
	else if (off == AT_WINDOW && ioapic_is_pin(io->select))
		ioapic_write_pin(io, io->select, (uint32_t)value);
	else if (off == AT_WINDOW && io->select == REG_ID)
		io->id = value >> ID_SHIFT & ID_MASK;
	(void)pthread_mutex_unlock(&io->lock);
}

void ioapic_init(struct ioapic *io,
		 void (*send)(void *arg, uint64_t address, uint32_t data),
		 void *arg)
{
	*io = (struct ioapic){ .send = send, .arg = arg };
	(void)pthread_mutex_init(&io->lock, NULL);
	for (uint32_t i = 0; i < IOAPIC_NR_PINS; i++)
		io->pins[i] = PIN_MASKED;
}

void ioapic_destroy(struct ioapic *io)
{
	(void)pthread_mutex_destroy(&io->lock);
}

int ioapic_add(struct ioapic *io, struct io_bus *mmio)
{
	static const struct io_ops ops = { .read = ioapic_read,
					   .write = ioapic_write };

	return io_bus_add(mmio, LAYOUT_IOAPIC, IOAPIC_BYTES, &ops, io);
}

void ioapic_line(struct ioapic *io, uint32_t pin, bool high)
{
	uint32_t bit;

	if (pin >= IOAPIC_NR_PINS)
		return;
	bit = 1u << pin;
	(void)pthread_mutex_lock(&io->lock);
	if (high && !(io->lines & bit))
		ioapic_send_pin(io, pin);
	io->lines = high ? io->lines | bit : io->lines & ~bit;
	(void)pthread_mutex_unlock(&io->lock);
}
