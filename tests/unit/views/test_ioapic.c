/* SPDX-License-Identifier: BSD-2-Clause */
/* The controller as a driver sees it, through the bus; what it sends. */
#include <string.h>

#include "monitor/dev/platform/layout.h"
#include "monitor/worker/views/apic.h"
#include "monitor/worker/views/ioapic.h"
#include "tests/unit/support.h"

#define MASKED	(1u << 16)
#define LEVEL	(1u << 15)
#define LOGICAL (1u << 11)
#define REMOTE	(1u << 14)
#define NR_SENT 8

static struct io_bus bus;
static struct ioapic io;
static struct {
	uint64_t address;
	uint32_t data;
} sent[NR_SENT];
static unsigned nr_sent;

static void send(void *arg, uint64_t address, uint32_t data)
{
	(void)arg;
	assert_true(nr_sent < NR_SENT);
	sent[nr_sent].address = address;
	sent[nr_sent++].data = data;
}

static int make(void **state)
{
	(void)state;
	memset(&bus, 0, sizeof(bus));
	nr_sent = 0;
	ioapic_init(&io, send, NULL);
	return ioapic_add(&io, &bus);
}

static int destroy(void **state)
{
	(void)state;
	ioapic_destroy(&io);
	return 0;
}

static uint32_t get(uint8_t reg)
{
	io_bus_write(&bus, LAYOUT_IOAPIC, 4, reg);
	return (uint32_t)io_bus_read(&bus, LAYOUT_IOAPIC + 0x10, 4);
}

static void put(uint8_t reg, uint32_t value)
{
	io_bus_write(&bus, LAYOUT_IOAPIC, 4, reg);
	io_bus_write(&bus, LAYOUT_IOAPIC + 0x10, 4, value);
}

static void put_pin(unsigned pin, uint32_t high, uint32_t low)
{
	put((uint8_t)(0x10 + 2 * pin + 1), high);
	put((uint8_t)(0x10 + 2 * pin), low);
}

static void rise(unsigned pin)
{
	ioapic_line(&io, pin, true);
	ioapic_line(&io, pin, false);
}

static void registers(void **state)
{
	(void)state;
	assert_int_equal(get(1), 0x170011);
	put(0, 0x5000000);
	assert_int_equal(get(0), 0x5000000);
	put(1, 0);
	assert_int_equal(get(1), 0x170011);
	for (unsigned i = 0; i < IOAPIC_NR_PINS; i++)
		assert_int_equal(get((uint8_t)(0x10 + 2 * i)), MASKED);
	put_pin(7, 0x3000000, 0x42 | MASKED | REMOTE | 1u << 12);
	assert_int_equal(get(0x1e), 0x42 | MASKED);
	assert_int_equal(get(0x1f), 0x3000000);
}

/* Whatever a driver does, there is nothing beyond the pins. */
static void other_registers_are_empty(void **state)
{
	(void)state;
	for (unsigned r = 0x10 + 2 * IOAPIC_NR_PINS; r < 0x100; r++) {
		put((uint8_t)r, UINT32_MAX);
		assert_int_equal(get((uint8_t)r), 0);
	}
	for (uint64_t off = 0x14; off < 0x1000; off += 4) {
		io_bus_write(&bus, LAYOUT_IOAPIC + off, 4, UINT32_MAX);
		assert_int_equal(io_bus_read(&bus, LAYOUT_IOAPIC + off, 4), 0);
	}
	ioapic_line(&io, IOAPIC_NR_PINS, true);
	ioapic_line(&io, UINT32_MAX, true);
	assert_int_equal(nr_sent, 0);
}

static void an_edge_sends(void **state)
{
	(void)state;
	put_pin(4, 0x3000000, 0x31);
	rise(4);
	assert_int_equal(nr_sent, 1);
	assert_int_equal(sent[0].address, 0xfee03000);
	assert_int_equal(sent[0].data, 0x31);
	put_pin(4, 0x2000000, 0x32 | 0x100 | LOGICAL);
	ioapic_line(&io, 4, true);
	ioapic_line(&io, 4, true);
	assert_int_equal(nr_sent, 2);
	assert_int_equal(sent[1].address, 0xfee02004);
	assert_int_equal(sent[1].data, 0x132);
}

static void a_masked_pin_sends_nothing(void **state)
{
	(void)state;
	put_pin(5, 0, 0x33 | MASKED);
	ioapic_line(&io, 5, true);
	put_pin(5, 0, 0x33);
	assert_int_equal(nr_sent, 0);
	put_pin(5, 0, 0x33 | 0x700);
	rise(5);
	assert_int_equal(nr_sent, 0);
}

static void a_level_sends_when_unmasked(void **state)
{
	(void)state;
	put_pin(6, 0, 0x34 | LEVEL | MASKED);
	ioapic_line(&io, 6, true);
	assert_int_equal(nr_sent, 0);
	put_pin(6, 0, 0x34 | LEVEL);
	assert_int_equal(nr_sent, 1);
	put_pin(6, 0, 0x35 | LEVEL);
	assert_int_equal(nr_sent, 1);
}

static void targets_of_messages(void **state)
{
	(void)state;
	assert_int_equal(apic_msi_target(0xfee03000), 3);
	assert_int_equal(apic_msi_target(0xfeefe000), APIC_ID_MAX);
	assert_true(apic_msi_target(0xfeeff000) > APIC_ID_MAX);
	assert_true(apic_msi_target(0xfee03004) > APIC_ID_MAX);
	assert_int_equal(apic_msi_target(0x100fee03008), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(registers, make, destroy),
		cmocka_unit_test_setup_teardown(other_registers_are_empty, make,
						destroy),
		cmocka_unit_test_setup_teardown(an_edge_sends, make, destroy),
		cmocka_unit_test_setup_teardown(a_masked_pin_sends_nothing,
						make, destroy),
		cmocka_unit_test_setup_teardown(a_level_sends_when_unmasked,
						make, destroy),
		cmocka_unit_test(targets_of_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
