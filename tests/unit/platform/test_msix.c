/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI-X masks, pending bits and routes; and the PCI_CFG window. On a virtio
 * device without a purpose.
 */
#include <errno.h>

#include "tests/unit/virtio/guest_driver.h"
#include "tests/unit/support.h"

#define ENTRY(n) (R_TABLE + 16u * (n))
#define MASK	 12u

static struct fake_host h;
static struct virtio_dev dev;
static struct driver d;

static enum virtio_served serve(struct virtio_dev *v, unsigned queue)
{
	(void)v;
	(void)queue;
	return SERVED_WAIT;
}

static const struct virtio_ops ops = { .type = 42,
				       .nr_queues = 2,
				       .serve = serve };

static int setup(void **state)
{
	static const uint8_t config[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	(void)state;
	fake_host_create(&h, MIB(1));
	must(virtio_init(&dev, &h.host, &ops, 0, config, sizeof(config)) == 0);
	driver_attach(&d, &h, &dev);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	virtio_destroy(&dev);
	fake_host_destroy(&h);
	return 0;
}

static struct msix *m(void)
{
	return &dev.pci.msix;
}

static void control(uint16_t v)
{
	fake_config_write(&h, d.slot, dev.pci.msix_cap + 2, 2, v);
}

static void capability(void **state)
{
	unsigned cap = dev.pci.msix_cap;

	(void)state;
	assert_int_equal(fake_config_read(&h, d.slot, cap, 1), 0x11);
	assert_int_equal(fake_config_read(&h, d.slot, cap + 2, 2) & 0x7ff, 2);
	assert_int_equal(fake_config_read(&h, d.slot, cap + 4, 4), R_TABLE);
	assert_int_equal(fake_config_read(&h, d.slot, cap + 8, 4), R_PBA);
	control(0xffff); /* only enable and mask are the driver's */
	assert_int_equal(fake_config_read(&h, d.slot, cap + 2, 2), 0xc002);
}

static void sent_to_the_programmed_message(void **state)
{
	(void)state;
	msix_send(m(), 1);
	msix_send(m(), 1);
	msix_send(m(), 2);
	assert_int_equal(fake_host_msis(&h, MSG_CONFIG + 1), 2);
	assert_int_equal(fake_host_msis(&h, MSG_CONFIG + 2), 1);
	assert_true(h.routes[0].addr == 0xfee00000);
	assert_int_equal(driver_read(&d, R_PBA, 8), 0);
}

static void masked_vector_waits(void **state)
{
	(void)state;
	driver_write(&d, ENTRY(1) + MASK, 4, 1);
	msix_send(m(), 1);
	msix_send(m(), 1);
	assert_int_equal(fake_host_msis(&h, MSG_CONFIG + 1), 0);
	assert_int_equal(driver_read(&d, R_PBA, 8), 2);
	assert_int_equal(driver_read(&d, R_PBA, 4), 2);
	driver_write(&d, ENTRY(1) + MASK, 4, 0);
	assert_int_equal(fake_host_msis(&h, MSG_CONFIG + 1),
			 1); /* one, not two */
	assert_int_equal(driver_read(&d, R_PBA, 8), 0);
}

static void function_mask_and_enable(void **state)
{
	(void)state;
	control(0xc000);
	msix_send(m(), 0);
	control(0x0000);
	msix_send(m(), 2);
	assert_int_equal(fake_host_msis(&h, MSG_CONFIG), 0);
	control(0x8000);
	assert_int_equal(fake_host_msis(&h, MSG_CONFIG), 1);
	assert_int_equal(fake_host_msis(&h, MSG_CONFIG + 2), 1);
}

static void route_is_made_once_and_changed_when_it_changed(void **state)
{
	unsigned calls;

	(void)state;
	msix_send(m(), 1);
	calls = h.route_calls;
	for (unsigned i = 0; i < 100; i++) { /* as Linux does around affinity */
		driver_write(&d, ENTRY(1) + MASK, 4, 1);
		driver_write(&d, ENTRY(1) + 8, 4, MSG_CONFIG + 1);
		driver_write(&d, ENTRY(1) + MASK, 4, 0);
		msix_send(m(), 1);
	}
	assert_int_equal(h.route_calls, calls);
	driver_write(&d, ENTRY(1) + MASK, 4, 1);
	driver_write(&d, ENTRY(1), 8, 0x1fee01000);
	driver_write(&d, ENTRY(1) + 8, 4, 0x99);
	driver_write(&d, ENTRY(1) + MASK, 4, 0);
	msix_send(m(), 1);
	assert_int_equal(h.route_calls, calls + 1);
	assert_int_equal(h.nr_routes, 3);
	/* The vector's route counted what came before, too. */
	assert_int_equal(fake_host_msis(&h, 0x99), 102);
}

static void table_reads_back(void **state)
{
	(void)state;
	driver_write(&d, ENTRY(2), 8, 0x1122334455667788);
	driver_write(&d, ENTRY(2) + 8, 8, 0x1aabbccdd);
	assert_true(driver_read(&d, ENTRY(2), 8) == 0x1122334455667788);
	assert_int_equal(driver_read(&d, ENTRY(2) + 4, 4), 0x11223344);
	assert_true(driver_read(&d, ENTRY(2) + 8, 8) == 0x1aabbccdd);
	assert_int_equal(driver_read(&d, ENTRY(2), 2), 0); /* 6.8.2: dwords */
	assert_int_equal(driver_read(&d, ENTRY(3), 4), 0); /* past the end */
	driver_write(&d, ENTRY(3), 4, 1);
	driver_write(&d, ENTRY(255), 4, 1);
}

static void no_routes_left_is_not_lost(void **state)
{
	(void)state;
	control(0);
	driver_write(&d, ENTRY(1) + 8, 4, 0x77);
	h.refuse_routes = true;
	control(0x8000);
	msix_send(m(), 1);
	assert_int_equal(driver_read(&d, R_PBA, 8), 2);
	h.refuse_routes = false;
	control(0x8000);
	assert_int_equal(fake_host_msis(&h, 0x77), 1);
}

static void vector_out_of_range(void **state)
{
	(void)state;
	msix_send(m(), 3);
	msix_send(m(), 0xffff);
	assert_int_equal(driver_read(&d, R_PBA, 8), 0);
}

static void too_many_vectors(void **state)
{
	static const struct pci_dev_ops none = { 0 };
	static const struct pci_id id = { 0 };
	struct pci_dev p;

	(void)state;
	pci_dev_init(&p, &id, &none, 4096);
	assert_int_equal(pci_add_msix(&p, &h.host, 0, 0, 0), -ENOSPC);
	assert_int_equal(pci_add_msix(&p, &h.host, MSIX_MAX + 1, 0, 0),
			 -ENOSPC);
	pci_dev_destroy(&p); /* half built */
}

/* --- 4.1.4.9: the window into BAR 0 --- */

static void window(uint32_t off, uint32_t len)
{
	unsigned w = dev.window;

	fake_config_write(&h, d.slot, w + 4, 1, 0);
	fake_config_write(&h, d.slot, w + 8, 4, off);
	fake_config_write(&h, d.slot, w + 12, 4, len);
}

static void window_reads_and_writes_registers(void **state)
{
	unsigned data = dev.window + 16;

	(void)state;
	window(R_DEVICE + 4, 4);
	assert_int_equal(fake_config_read(&h, d.slot, data, 4), 0x08070605);
	window(R_NQUEUES, 2);
	assert_int_equal(fake_config_read(&h, d.slot, data, 2), 2);
	window(R_STATUS, 1);
	fake_config_write(&h, d.slot, data, 1, 1);
	assert_int_equal(driver_status(&d), 1);
	window(R_QSELECT, 2);
	fake_config_write(&h, d.slot, data, 2, 1);
	assert_int_equal(driver_read(&d, R_QSELECT, 2), 1);
}

static void window_works_without_decoding(void **state)
{
	(void)state;
	fake_config_write(&h, d.slot, 4, 2, 0);
	window(R_NQUEUES, 2);
	assert_int_equal(fake_config_read(&h, d.slot, dev.window + 16, 2), 2);
}

static void window_nonsense_is_plain_memory(void **state)
{
	static const struct {
		uint32_t off, len;
	} bad[] = {
		{ 0, 0 },	   { 0, 3 },	      { 0, 8 },
		{ 0, UINT32_MAX }, { 1, 2 },	      { 0x8000, 1 },
		{ 0x7ffe, 4 },	   { UINT32_MAX, 1 }, { UINT32_MAX - 3, 4 },
	};
	unsigned data = dev.window + 16;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		window(bad[i].off, bad[i].len);
		fake_config_write(&h, d.slot, data, 4, 0x5a5a5a5a);
		assert_int_equal(fake_config_read(&h, d.slot, data, 4),
				 0x5a5a5a5a);
	}
	window(0, 4);
	fake_config_write(&h, d.slot, dev.window + 4, 1, 3); /* another BAR */
	fake_config_write(&h, d.slot, data, 4, 0x5a5a5a5a);
	assert_int_equal(fake_config_read(&h, d.slot, data, 4), 0x5a5a5a5a);
}

/* --- ioeventfds follow the BAR --- */

static void ioeventfds_follow_the_bar(void **state)
{
	uint64_t to = d.bar + 0x100000;

	(void)state;
	assert_int_equal(h.nr_io, 2);
	assert_true(h.io[0].at == d.bar + R_NOTIFY ||
		    h.io[1].at == d.bar + R_NOTIFY);
	fake_config_write(&h, d.slot, 0x10, 4, (uint32_t)to);
	assert_int_equal(h.nr_io, 2);
	for (unsigned i = 0; i < 2; i++)
		assert_in_range(h.io[i].at, to + R_NOTIFY, to + R_NOTIFY + 4);
	fake_config_write(&h, d.slot, 4, 2, 0);
	assert_int_equal(h.nr_io, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(capability),
		T(sent_to_the_programmed_message),
		T(masked_vector_waits),
		T(function_mask_and_enable),
		T(route_is_made_once_and_changed_when_it_changed),
		T(table_reads_back),
		T(no_routes_left_is_not_lost),
		T(vector_out_of_range),
		T(too_many_vectors),
		T(window_reads_and_writes_registers),
		T(window_works_without_decoding),
		T(window_nonsense_is_plain_memory),
		T(ioeventfds_follow_the_bar),
	};

	return cmocka_run_group_tests_name("msix", tests, NULL, NULL);
}
