/* SPDX-License-Identifier: BSD-2-Clause */
/* How a guest ends itself, and what does not end it. */
#include "monitor/dev/platform/power.h"
#include "monitor/dev/platform/layout.h"
#include "tests/unit/virtio/fake_host.h"
#include "tests/unit/support.h"

static struct fake_host h;
static struct pvpanic pvpanic;
static struct reset_ports resets;

static int setup(void **state)
{
	(void)state;
	fake_host_create(&h, MIB(1));
	reset_ports_init(&resets, &h.host, &h.pci);
	/* In the place of the ports that the fake host gave to PCI alone. */
	h.pio.nr = 0;
	must(io_bus_add(&h.pio, PORT_PCI_CONFIG, 8, &power_cf9_ops, &resets) ==
	     0);
	must(io_bus_add(&h.pio, PORT_FAST_RESET, 1, &power_fast_ops, &resets) ==
	     0);
	must(io_bus_add(&h.pio, PORT_SLEEP, 2, &power_sleep_ops, &h.host) == 0);
	must(io_bus_add(&h.pio, PORT_RESET, 1, &power_reset_ops, &h.host) == 0);
	must(io_bus_add(&h.pio, PORT_I8042, 1, &power_i8042_ops, &h.host) == 0);
	pvpanic_init(&pvpanic, &h.host);
	return pci_add(&h.pci, &pvpanic.pci);
}

static int teardown(void **state)
{
	(void)state;
	pci_dev_destroy(&pvpanic.pci);
	fake_host_destroy(&h);
	return 0;
}

static void only_s5_with_enable_powers_off(void **state)
{
	(void)state;
	for (unsigned v = 0; v < 256; v++)
		if ((v & 0x20) == 0 || (v >> 2 & 7) != SLEEP_TYPE_S5)
			io_bus_write(&h.pio, PORT_SLEEP, 1, v);
	io_bus_write(&h.pio, PORT_SLEEP + 1, 1, 0x34);
	assert_int_equal(h.stops, 0);
	io_bus_write(&h.pio, PORT_SLEEP, 1, 0x20 | SLEEP_TYPE_S5 << 2);
	assert_int_equal(h.stop_why, STOP_POWEROFF);
	assert_int_equal(io_bus_read(&h.pio, PORT_SLEEP + 1, 1), 0);
}

static void the_button_is_an_edge(void **state)
{
	(void)state;
	power_button_press(&h.host);
	assert_int_equal(h.edges[GSI_BUTTON], 1);
	assert_false(h.line[GSI_BUTTON]);
	power_button_press(&h.host);
	assert_int_equal(h.edges[GSI_BUTTON], 2);
	assert_int_equal(h.stops, 0);
}

static void reset_register(void **state)
{
	(void)state;
	for (unsigned v = 0; v < 256; v++)
		if (v != 1)
			io_bus_write(&h.pio, PORT_RESET, 1, v);
	assert_int_equal(h.stops, 0);
	io_bus_write(&h.pio, PORT_RESET, 1, 1);
	assert_int_equal(h.stop_why, STOP_RESET);
}

static void keyboard_controller(void **state)
{
	(void)state;
	io_bus_write(&h.pio, PORT_I8042, 1, 0xd1);
	assert_int_equal(h.stops, 0);
	/* Linux waits for "input buffer empty" before it pulls the line. */
	assert_int_equal(io_bus_read(&h.pio, PORT_I8042, 1) & 2, 0);
	io_bus_write(&h.pio, PORT_I8042, 1, 0xfe);
	assert_int_equal(h.stop_why, STOP_RESET);
}

#define PORT_CF9 (PORT_PCI_CONFIG + 1)

/* Linux, reboot=p: system reset, then with the CPU's (full or not). */
static void reset_control(void **state)
{
	(void)state;
	for (unsigned v = 0; v < 256; v++)
		if (!(v & 4))
			io_bus_write(&h.pio, PORT_CF9, 1, v);
	assert_int_equal(io_bus_read(&h.pio, PORT_CF9, 1), 0x0a);
	io_bus_write(&h.pio, PORT_CF9, 1, 2);
	assert_int_equal(h.stops, 0);
	io_bus_write(&h.pio, PORT_CF9, 1, 6);
	assert_int_equal(h.stop_why, STOP_RESET);
	io_bus_write(&h.pio, PORT_CF9, 1, 0x0e); /* was 1 before */
	assert_int_equal(h.stops, 1);
}

/* The byte is in the middle of PCI's address register: neither hurts. */
static void reset_control_is_not_the_pci_address(void **state)
{
	(void)state;
	io_bus_write(&h.pio, PORT_PCI_CONFIG, 4, 0x80000800);
	io_bus_write(&h.pio, PORT_CF9, 1, 2);
	assert_int_equal(io_bus_read(&h.pio, PORT_PCI_CONFIG, 4), 0x80000800);
	assert_int_equal(io_bus_read(&h.pio, PORT_PCI_CONFIG + 4, 4),
			 0x00111b36);
	io_bus_write(&h.pio, PORT_PCI_CONFIG, 4, 0x8000ff00);
	io_bus_write(&h.pio, PORT_CF9, 2, 0x0606);
	io_bus_write(&h.pio, PORT_PCI_CONFIG, 2, 0x0606);
	assert_int_equal(io_bus_read(&h.pio, PORT_CF9, 1), 2);
	assert_int_equal(h.stops, 0);
}

static void fast_reset(void **state)
{
	(void)state;
	for (unsigned v = 0; v < 256; v += 2)
		io_bus_write(&h.pio, PORT_FAST_RESET, 1, v);
	assert_int_equal(h.stops, 0);
	assert_int_equal(io_bus_read(&h.pio, PORT_FAST_RESET, 1), 2);
	io_bus_write(&h.pio, PORT_FAST_RESET, 1, 3);
	assert_int_equal(h.stop_why, STOP_RESET);
}

static void panic_device(void **state)
{
	uint64_t bar;

	(void)state;
	assert_int_equal(fake_config_read(&h, 1, 0, 4), 0x00111b36);
	bar = fake_config_read(&h, 1, 0x10, 4);
	fake_mmio_write(&h, bar, 1, 1); /* not decoded yet */
	assert_int_equal(h.stops, 0);
	fake_config_write(&h, 1, 4, 2, 2);
	assert_int_equal(fake_mmio_read(&h, bar, 1) & 1, 1);
	fake_mmio_write(&h, bar, 1, 0x80);
	fake_mmio_write(&h, bar + 1, 1, 1);
	assert_int_equal(h.stops, 0);
	fake_mmio_write(&h, bar, 1, 1);
	assert_int_equal(h.stop_why, STOP_PANIC);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(only_s5_with_enable_powers_off),
		T(the_button_is_an_edge),
		T(reset_register),
		T(keyboard_controller),
		T(reset_control),
		T(reset_control_is_not_the_pci_address),
		T(fast_reset),
		T(panic_device),
	};

	return cmocka_run_group_tests_name("power", tests, NULL, NULL);
}
