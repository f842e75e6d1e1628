/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration space and BARs as an operating system probes them. */
#include <errno.h>
#include <string.h>

#include "monitor/dev/platform/layout.h"
#include "tests/unit/virtio/fake_host.h"
#include "tests/unit/support.h"

#define BAR   0x10u
#define BYTES 0x4000u
#define ONES  0xffffffffu

struct toy {
	struct pci_dev pci;
	uint64_t last_off, last_value, moved_to;
	unsigned accesses, moves;
};

static struct fake_host h;
static struct toy toy;

static struct toy *from_pci(struct pci_dev *d)
{
	return container_of(d, struct toy, pci);
}

static uint64_t toy_read(struct pci_dev *d, uint64_t off, unsigned len)
{
	(void)len;
	from_pci(d)->accesses++;
	from_pci(d)->last_off = off;
	return 0xabcd;
}

static void toy_write(struct pci_dev *d, uint64_t off, unsigned len,
		      uint64_t value)
{
	(void)len;
	from_pci(d)->accesses++;
	from_pci(d)->last_off = off;
	from_pci(d)->last_value = value;
}

static void toy_moved(struct pci_dev *d, uint64_t base)
{
	from_pci(d)->moves++;
	from_pci(d)->moved_to = base;
}

static const struct pci_dev_ops toy_ops = { .bar_read = toy_read,
					    .bar_write = toy_write,
					    .bar_moved = toy_moved };
static const struct pci_id toy_id = { .vendor = 0x1234,
				      .device = 0x5678,
				      .subsystem_vendor = 0x9abc,
				      .subsystem = 0xdef0,
				      .revision = 7,
				      .class_code = 0x018000 };

static int setup(void **state)
{
	(void)state;
	fake_host_create(&h, MIB(1));
	memset(&toy, 0, sizeof(toy));
	pci_dev_init(&toy.pci, &toy_id, &toy_ops, BYTES);
	return pci_add(&h.pci, &toy.pci);
}

static int teardown(void **state)
{
	(void)state;
	pci_dev_destroy(&toy.pci);
	fake_host_destroy(&h);
	return 0;
}

static uint32_t cfg(unsigned off, unsigned len)
{
	return fake_config_read(&h, 1, off, len);
}

static void set_cfg(unsigned off, unsigned len, uint32_t v)
{
	fake_config_write(&h, 1, off, len, v);
}

static uint32_t port_cfg(unsigned slot, unsigned off, unsigned len)
{
	io_bus_write(&h.pio, 0xcf8, 4, 0x80000000 | slot << 11 | (off & 0xfc));
	return (uint32_t)io_bus_read(&h.pio, 0xcfc + (off & 3), len);
}

static void header(void **state)
{
	(void)state;
	assert_int_equal(cfg(0, 4), 0x56781234);
	assert_int_equal(cfg(8, 4), 0x01800007);
	assert_int_equal(cfg(0x0e, 1), 0);
	assert_int_equal(cfg(0x2c, 4), 0xdef09abc);
	set_cfg(0, 4, 0); /* read-only */
	assert_int_equal(cfg(0, 4), 0x56781234);
	assert_int_equal(fake_config_read(&h, 0, 8, 4) >> 16, 0x0600);
}

static void ports_and_ecam_show_the_same(void **state)
{
	(void)state;
	for (unsigned slot = 0; slot < 3; slot++)
		for (unsigned len = 1; len <= 4; len *= 2)
			for (unsigned off = 0; off < 256; off += len)
				assert_int_equal(
					port_cfg(slot, off, len),
					fake_config_read(&h, slot, off, len));
}

static void writes_by_ports_and_ecam_do_the_same(void **state)
{
	(void)state;
	io_bus_write(&h.pio, 0xcf8, 4, 0x80000000 | 1 << 11 | 0x3c);
	io_bus_write(&h.pio, 0xcfc, 1, 0x5a);
	assert_int_equal(cfg(0x3c, 1), 0x5a);
	set_cfg(0x3c, 1, 0xa5);
	assert_int_equal(io_bus_read(&h.pio, 0xcfc, 1), 0xa5);
	assert_int_equal(io_bus_read(&h.pio, 0xcf8, 4),
			 0x80000000 | 1 << 11 | 0x3c);
}

static void absent_slots_read_all_ones(void **state)
{
	(void)state;
	for (unsigned slot = 2; slot < 32; slot++) {
		assert_int_equal(fake_config_read(&h, slot, 0, 4), ONES);
		assert_int_equal(fake_config_read(&h, slot, 0, 2), 0xffff);
		assert_int_equal(port_cfg(slot, 0, 4), ONES);
		fake_config_write(&h, slot, 4, 2, 2);
	}
	/* Other functions and busses: nobody. */
	assert_int_equal(fake_mmio_read(&h, LAYOUT_ECAM + 0x9000, 4), ONES);
	io_bus_write(&h.pio, 0xcf8, 4, 0x80000900);
	assert_int_equal(io_bus_read(&h.pio, 0xcfc, 4), ONES);
	io_bus_write(&h.pio, 0xcf8, 4, 0x80010800);
	assert_int_equal(io_bus_read(&h.pio, 0xcfc, 4), ONES);
	io_bus_write(&h.pio, 0xcf8, 4, 0x00000800); /* enable bit off */
	assert_int_equal(io_bus_read(&h.pio, 0xcfc, 4), ONES);
}

static void no_extended_capabilities(void **state)
{
	(void)state;
	assert_int_equal(cfg(0x100, 4), 0);
	assert_int_equal(cfg(0xffc, 4), 0);
	assert_int_equal(cfg(0xfe, 4), 0); /* over the edge of the 256 */
	set_cfg(0x100, 4, ONES);
	set_cfg(0xfe, 4, ONES);
}

static void bar_sizing(void **state)
{
	uint32_t base = cfg(BAR, 4);

	(void)state;
	assert_int_equal(base % BYTES, 0);
	assert_in_range(base, LAYOUT_PCI_MMIO,
			LAYOUT_PCI_MMIO + LAYOUT_PCI_MMIO_BYTES - BYTES);
	set_cfg(BAR, 4, ONES);
	assert_int_equal(cfg(BAR, 4), ~(BYTES - 1));
	set_cfg(BAR, 4, base);
	assert_int_equal(cfg(BAR, 4), base);
	for (unsigned off = BAR + 4; off < 0x28; off += 4) {
		set_cfg(off, 4, ONES);
		assert_int_equal(cfg(off, 4), 0); /* no other BARs */
	}
}

static void sizing_while_decoding_moves_nothing_wrong(void **state)
{
	uint32_t base = cfg(BAR, 4);

	(void)state;
	set_cfg(4, 2, 2);
	assert_true(toy.moved_to == base);
	set_cfg(BAR, 4, ONES); /* an address with no room for the BAR */
	assert_true(toy.moved_to == 0);
	fake_mmio_write(&h, base, 4, 1);
	assert_int_equal(toy.accesses, 0);
	set_cfg(BAR, 4, base);
	assert_true(toy.moved_to == base);
	fake_mmio_write(&h, base + 8, 4, 1);
	assert_int_equal(toy.last_off, 8);
}

static void decode_on_and_off(void **state)
{
	uint32_t base = cfg(BAR, 4);

	(void)state;
	assert_int_equal(fake_mmio_read(&h, base, 4), ONES);
	set_cfg(4, 2, 2);
	assert_int_equal(fake_mmio_read(&h, base + BYTES - 4, 4), 0xabcd);
	assert_int_equal(toy.last_off, BYTES - 4);
	assert_int_equal(fake_mmio_read(&h, base + BYTES, 4), ONES);
	assert_int_equal(fake_mmio_read(&h, base + BYTES - 2, 4), ONES);
	set_cfg(4, 2, 0);
	assert_int_equal(fake_mmio_read(&h, base, 4), ONES);
	assert_int_equal(toy.accesses, 1);
	assert_int_equal(toy.moves, 2);
}

static void a_moved_bar_answers_at_its_new_place_only(void **state)
{
	uint32_t base = cfg(BAR, 4), to = LAYOUT_PCI_MMIO + 0x10000000;

	(void)state;
	set_cfg(4, 2, 2);
	set_cfg(BAR, 4, to);
	assert_int_equal(fake_mmio_read(&h, base, 4), ONES);
	assert_int_equal(fake_mmio_read(&h, to + 4, 4), 0xabcd);
	assert_true(toy.moved_to == to);
	/* A byte at a time, as nobody does. */
	set_cfg(BAR + 3, 1, LAYOUT_PCI_MMIO >> 24);
	assert_int_equal(cfg(BAR, 4) >> 24, LAYOUT_PCI_MMIO >> 24);
}

static void a_bar_outside_the_window_is_nowhere(void **state)
{
	static const uint32_t bad[] = {
		0, BYTES, 0xbfffc000, LAYOUT_ECAM, 0xfee00000, 0xffffc000,
	};

	(void)state;
	set_cfg(4, 2, 2);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		set_cfg(BAR, 4, bad[i]);
		assert_true(toy.moved_to == 0);
		assert_int_equal(cfg(BAR, 4), bad[i]);
	}
	assert_int_equal(toy.accesses, 0);
	/* The last place that fits. */
	set_cfg(BAR, 4, LAYOUT_ECAM - BYTES);
	assert_true(toy.moved_to == LAYOUT_ECAM - BYTES);
}

static void bars_do_not_overlap(void **state)
{
	static struct toy more[4];
	uint64_t end = cfg(BAR, 4) + BYTES;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(more); i++) {
		uint32_t bytes = 0x1000u << (3 * (i % 2)), base;

		pci_dev_init(&more[i].pci, &toy_id, &toy_ops, bytes);
		assert_int_equal(pci_add(&h.pci, &more[i].pci), 0);
		base = fake_config_read(&h, 2 + i, BAR, 4);
		assert_int_equal(base % bytes, 0);
		assert_true(base >= end);
		end = base + bytes;
	}
}

static void a_full_bus(void **state)
{
	static struct toy more[PCI_SLOTS];
	unsigned i = 0;

	(void)state;
	for (; i < PCI_SLOTS - 2; i++) {
		pci_dev_init(&more[i].pci, &toy_id, &toy_ops, 0);
		assert_int_equal(pci_add(&h.pci, &more[i].pci), 0);
	}
	pci_dev_init(&more[i].pci, &toy_id, &toy_ops, 0);
	assert_int_equal(pci_add(&h.pci, &more[i].pci), -ENOSPC);
}

static void capabilities_are_a_list(void **state)
{
	const uint8_t body[6] = { 1, 2, 3, 4, 5, 6 };
	unsigned at, n = 0;

	(void)state;
	assert_int_equal(cfg(6, 2) & 0x10, 0);
	assert_int_equal(pci_add_cap(&toy.pci, 0x09, body, 6), 0x40);
	assert_int_equal(pci_add_cap(&toy.pci, 0x0b, body, 3), 0x48);
	assert_int_equal(pci_add_cap(&toy.pci, 0x0c, body, 6), 0x50);
	assert_int_equal(cfg(6, 2) & 0x10, 0x10);
	for (at = cfg(0x34, 1); at; at = cfg(at + 1, 1)) {
		assert_int_equal(cfg(at + 2, 1), 1);
		n++;
	}
	assert_int_equal(n, 3);
	while (pci_add_cap(&toy.pci, 0x09, body, 6) > 0)
		assert_in_range(++n, 0, 40);
	assert_int_equal(pci_add_cap(&toy.pci, 0x09, body, 6), -ENOSPC);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(header),
		T(ports_and_ecam_show_the_same),
		T(writes_by_ports_and_ecam_do_the_same),
		T(absent_slots_read_all_ones),
		T(no_extended_capabilities),
		T(bar_sizing),
		T(sizing_while_decoding_moves_nothing_wrong),
		T(decode_on_and_off),
		T(a_moved_bar_answers_at_its_new_place_only),
		T(a_bar_outside_the_window_is_nowhere),
		T(bars_do_not_overlap),
		T(a_full_bus),
		T(capabilities_are_a_list),
	};

	return cmocka_run_group_tests_name("pci", tests, NULL, NULL);
}
