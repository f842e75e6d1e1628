/* SPDX-License-Identifier: BSD-2-Clause */
/* The UART is a 16550: registers, loopback, and a long line. */
#include "guest.h"

#define REG_IER	 1
#define REG_IIR	 2 /* read */
#define REG_FCR	 2 /* write */
#define REG_LCR	 3
#define REG_MCR	 4
#define REG_MSR	 6
#define REG_SCR	 7
#define IIR_NONE 0x01
#define IIR_THR	 0x02
#define IIR_ID	 0x0f
#define IIR_FIFO 0xc0
#define LCR_8N1	 0x03
#define LCR_DLAB 0x80
#define MCR_LOOP 0x10
#define LONG	 2000
#define TRIES	 1000000

const char guest_name[] = "serial";

static uint8_t get(unsigned reg)
{
	return inb((uint16_t)(PORT_SERIAL + reg));
}

static void set(unsigned reg, uint8_t v)
{
	outb((uint16_t)(PORT_SERIAL + reg), v);
}

static bool wait_lsr(uint8_t bits)
{
	for (unsigned i = 0; i < TRIES; i++)
		if ((get(UART_LSR) & bits) == bits)
			return true;
	return false;
}

static void check_registers(void)
{
	static const uint8_t value[] = { 0x00, 0xff, 0x5a, 0xa5 };
	uint8_t low, high;

	for (unsigned i = 0; i < ARRAY_SIZE(value); i++) {
		set(REG_SCR, value[i]);
		REQUIRE(get(REG_SCR) == value[i], "scratch reads %x, not %x",
			get(REG_SCR), value[i]);
	}
	set(REG_LCR, LCR_DLAB | LCR_8N1);
	set(0, 0x34);
	set(1, 0x12);
	low = get(0);
	high = get(1);
	set(0, 1);
	set(1, 0);
	set(REG_LCR, LCR_8N1);
	REQUIRE(low == 0x34 && high == 0x12, "divisor reads %x %x, not 12 34",
		high, low);
	REQUIRE(get(REG_LCR) == LCR_8N1, "LCR reads %x", get(REG_LCR));
}

/* No interrupt reaches the CPU; IIR names the cause all the same. */
static void check_iir(void)
{
	uint8_t first, second, third;

	set(REG_IER, 0);
	set(REG_FCR, 0x07); /* on, both FIFOs cleared */
	first = get(REG_IIR);
	REQUIRE((first & IIR_FIFO) == IIR_FIFO, "IIR %x: no FIFOs", first);
	REQUIRE((first & IIR_ID) == IIR_NONE, "IIR %x: a cause is pending",
		first);
	REQUIRE(wait_lsr(LSR_THR | LSR_IDLE), "transmitter stays busy");
	set(REG_IER, 0x02);
	second = get(REG_IIR);
	third = get(REG_IIR);
	set(REG_IER, 0);
	REQUIRE((second & IIR_ID) == IIR_THR, "IIR %x: THR not empty", second);
	REQUIRE((third & IIR_ID) == IIR_NONE, "IIR %x after the read", third);
}

/* Nothing may be printed while the loop is closed. */
static const char *in_loop(void)
{
	/* MCR bit (DTR RTS OUT1 OUT2) to MSR bit (DSR CTS RI DCD). */
	static const uint8_t modem[] = { 0x20, 0x10, 0x40, 0x80 };

	for (unsigned i = 0; i < ARRAY_SIZE(modem); i++) {
		set(REG_MCR, (uint8_t)(MCR_LOOP | 1u << i));
		if ((get(REG_MSR) & 0xf0) != modem[i])
			return "modem lines";
	}
	set(REG_MCR, MCR_LOOP);
	if (get(UART_LSR) & LSR_DATA)
		return "data ready before any";
	for (unsigned i = 0; i < 256; i++) {
		if (!wait_lsr(LSR_THR))
			return "transmitter busy";
		set(0, (uint8_t)i);
		if (!wait_lsr(LSR_DATA))
			return "no data";
		if (get(0) != (uint8_t)i)
			return "wrong data";
		if (get(UART_LSR) & LSR_DATA)
			return "data ready after the last";
	}
	return NULL;
}

static void check_loop(void)
{
	const char *bad = in_loop();

	set(REG_MCR, 0x03);
	REQUIRE(!bad, "loopback: %s", bad);
}

/* The host sees whether it arrives whole: 2000 digits, 0123456789 again. */
static void long_line(void)
{
	for (unsigned i = 0; i < LONG; i++)
		put_char((char)('0' + i % 10));
	put_char('\n');
}

void main(const struct hvm_start_info *info)
{
	(void)info;
	check_registers();
	check_iir();
	check_loop();
	long_line();
	REQUIRE(wait_lsr(LSR_THR | LSR_IDLE), "does not drain");
}
