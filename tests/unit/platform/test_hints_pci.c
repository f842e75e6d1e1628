/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device for hints as a guest's programs see it: where its BAR is, what the
 * memory in it shows, and who wakes the I/O thread.
 */
#include <string.h>

#include "monitor/dev/platform/hints_pci.h"
#include "tests/unit/virtio/fake_host.h"
#include "tests/unit/support.h"

#define BAR	     0x10u
#define COMMAND	     0x04u
#define COMMAND_MEM  2u
#define OTHER_BASE   0xd0000000u
#define NS_PER_CLOCK 100u

static struct fake_host h;
static struct hints_pci dev;
static struct hint_log hint_log;
static uint64_t clock_ns;
static uint64_t freed_pages;

static uint64_t host_now(void *arg)
{
	(void)arg;
	clock_ns += NS_PER_CLOCK;
	return clock_ns;
}

static bool host_is_ram(void *arg, uint64_t page, uint64_t pages)
{
	(void)arg;
	return range_fits(page, pages, 256);
}

static uint64_t host_free(void *arg, uint64_t page, uint64_t pages)
{
	(void)arg;
	(void)page;
	freed_pages += pages;
	return pages;
}

static void host_nothing(void *arg, uint64_t page, uint64_t pages)
{
	(void)arg;
	(void)page;
	(void)pages;
}

static const struct hints_ops ops = {
	.now_ns = host_now,
	.is_ram = host_is_ram,
	.free = host_free,
	.zero = host_nothing,
	.cold = host_nothing,
	.merge = host_nothing,
};

static int setup(void **state)
{
	const struct hints_config c = { .ops = &ops,
					.log = &hint_log,
					.nr_vcpus = 1 };

	(void)state;
	fake_host_create(&h, MIB(1));
	memset(&dev, 0, sizeof(dev));
	freed_pages = 0;
	must(hints_pci_init(&dev, &h.host, &c) == 0);
	must(pci_add(&h.pci, &dev.pci) == 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	hints_pci_destroy(&dev);
	hints_pci_destroy(&dev); /* twice is fine */
	fake_host_destroy(&h);
	return 0;
}

static uint32_t turn_on(void)
{
	uint32_t base = fake_config_read(&h, 1, BAR, 4);

	fake_config_write(&h, 1, COMMAND, 2, COMMAND_MEM);
	(void)fake_host_run(&h); /* the I/O thread follows */
	return base;
}

/* What the guest sees at an offset of the BAR that is memory. */
static void *shown(uint64_t off)
{
	uint64_t base = dev.pci.bar_base;

	for (unsigned i = 0; i < 2; i++)
		if (base + off - h.memory[i].at < h.memory[i].bytes)
			return h.memory[i].hva + (base + off - h.memory[i].at);
	return NULL;
}

static void push_free(uint32_t n, uint64_t page, uint32_t pages)
{
	struct hints_entry *ring = shown(HINTS_ENTRIES_AT);
	struct hints_tail *tail = shown(HINTS_TAIL_AT);

	ring[n % HINTS_ENTRIES] = (struct hints_entry){ .page = page,
							.pages = pages,
							.kind = HINTS_FREE };
	tail->tail = n + 1;
}

static void identity_and_registers(void **state)
{
	uint32_t base = turn_on();

	(void)state;
	assert_int_equal(fake_config_read(&h, 1, 0, 4),
			 HINTS_PCI_DEVICE << 16 | HINTS_PCI_VENDOR);
	assert_int_equal(base % HINTS_BAR_BYTES, 0);
	assert_int_equal(fake_mmio_read(&h, base + HINTS_REG_MAGIC, 4),
			 HINTS_MAGIC);
	assert_int_equal(fake_mmio_read(&h, base + HINTS_REG_VERSION, 4),
			 HINTS_VERSION);
	assert_int_equal(fake_mmio_read(&h, base + HINTS_REG_ENTRIES, 4),
			 HINTS_ENTRIES);
	assert_int_equal(fake_mmio_read(&h, base + HINTS_REG_KINDS, 4),
			 (1u << HINTS_NR_KINDS) - 2);
	assert_int_equal(fake_mmio_read(&h, base + HINTS_REG_MAGIC, 2), 0);
	assert_int_equal(fake_mmio_read(&h, base + 0x8000, 4), 0);
}

static void memory_is_shown_where_the_bar_is(void **state)
{
	const struct hints_info *info;
	uint32_t base;

	(void)state;
	assert_int_equal(h.memory[0].at, 0); /* not before it is turned on */
	assert_int_equal(h.nr_io, 0);
	base = turn_on();
	assert_int_equal(base, dev.pci.bar_base);
	assert_int_equal(h.memory[0].at, dev.pci.bar_base + HINTS_INFO_AT);
	assert_int_equal(h.memory[0].bytes, HINTS_INFO_BYTES);
	assert_true(h.memory[0].read_only);
	assert_int_equal(h.memory[1].at, dev.pci.bar_base + HINTS_TAIL_AT);
	assert_int_equal(h.memory[1].bytes, HINTS_RING_BYTES);
	assert_false(h.memory[1].read_only);
	assert_int_equal(h.nr_io, 1);
	info = shown(HINTS_INFO_AT);
	assert_int_equal(info->magic, HINTS_MAGIC);

	/* By the I/O thread: a vCPU's may change no slot. */
	fake_config_write(&h, 1, BAR, 4, OTHER_BASE);
	assert_int_equal(h.memory[1].at, base + HINTS_TAIL_AT);
	assert_true(fake_host_run(&h) > 0);
	assert_int_equal(h.memory[1].at, OTHER_BASE + HINTS_TAIL_AT);
	assert_int_equal(h.nr_io, 1);
	assert_int_equal(h.io[0].at, OTHER_BASE + HINTS_REG_DOORBELL);
	fake_config_write(&h, 1, COMMAND, 2, 0);
	(void)fake_host_run(&h);
	assert_int_equal(h.memory[0].at, 0);
	assert_int_equal(h.memory[1].at, 0);
	assert_int_equal(h.nr_io, 0);
}

static void memory_that_cannot_be_shown_is_not(void **state)
{
	uint32_t base;

	(void)state;
	h.refuse_memory = true;
	base = turn_on();
	assert_int_equal(h.memory[0].at, 0);
	assert_int_equal(fake_mmio_read(&h, base + HINTS_INFO_AT, 4), 0);
	fake_mmio_write(&h, base + HINTS_REG_DOORBELL, 4, 0);
	assert_true(fake_host_run(&h) > 0);
}

/* @refused: KVM cannot signal the doorbell. */
static void hints_arrive(bool refused)
{
	const struct hints_info *info;
	uint32_t base;

	h.refuse_ioeventfd = refused;
	base = turn_on();
	assert_int_equal(h.nr_io, refused ? 0 : 1);
	info = shown(HINTS_INFO_AT);
	push_free(0, 3, 5);
	assert_int_equal(fake_host_run(&h), 0);
	fake_mmio_write(&h, base + HINTS_REG_DOORBELL, 4, 1);
	assert_true(fake_host_run(&h) > 0);
	assert_int_equal(info->head, 1);
	assert_int_equal(freed_pages, 5);
}

static void hints_arrive_by_ioeventfd(void **state)
{
	(void)state;
	hints_arrive(false);
}

static void hints_arrive_by_exits(void **state)
{
	(void)state;
	hints_arrive(true);
}

/* What the guest writes to memory that it may only read comes here. */
static void writes_to_the_info_have_no_effect(void **state)
{
	uint32_t base = turn_on();
	struct hints_info before = *(struct hints_info *)shown(HINTS_INFO_AT);

	(void)state;
	for (uint64_t off = 0; off < sizeof(before); off += 4)
		fake_mmio_write(&h, base + HINTS_INFO_AT + off, 4, UINT32_MAX);
	assert_memory_equal(&before, shown(HINTS_INFO_AT), sizeof(before));
}

static void a_reset_mends_a_broken_ring(void **state)
{
	uint32_t base = turn_on();
	struct hints_tail *tail = shown(HINTS_TAIL_AT);
	const struct hints_info *info = shown(HINTS_INFO_AT);

	(void)state;
	tail->tail = 0x80000000;
	fake_mmio_write(&h, base + HINTS_REG_DOORBELL, 4, 0);
	(void)fake_host_run(&h);
	assert_true(info->flags & HINTS_INFO_BROKEN);
	tail->tail = 0;
	fake_mmio_write(&h, base + HINTS_REG_RESET, 2, 0); /* no register */
	assert_true(info->flags & HINTS_INFO_BROKEN);
	fake_mmio_write(&h, base + HINTS_REG_RESET, 4, 0);
	assert_false(info->flags & HINTS_INFO_BROKEN);
}

/* A doorbell that never rests is not looked at until the time has come. */
static void haste_is_slowed_down(void **state)
{
	uint32_t base = turn_on();
	const struct hints_info *info = shown(HINTS_INFO_AT);
	unsigned rung = 0;

	(void)state;
	while (!(info->flags & HINTS_INFO_SLOWED)) {
		/* What it earns meanwhile is little. */
		assert_in_range(rung++, 0,
				HINTS_BURST_NS / HINTS_WAKE_NS + 100);
		fake_mmio_write(&h, base + HINTS_REG_DOORBELL, 4, 0);
		(void)fake_host_run(&h);
	}
	fake_mmio_write(&h, base + HINTS_REG_DOORBELL, 4, 0);
	push_free(0, 1, 1);
	clock_ns += 1000000000;
	assert_int_equal(freed_pages, 0);
	assert_true(fake_host_wait(&h, 30000) > 0); /* the timer */
	(void)fake_host_run(&h);
	assert_int_equal(freed_pages, 1);
	assert_false(info->flags & HINTS_INFO_SLOWED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(identity_and_registers, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			memory_is_shown_where_the_bar_is, setup, teardown),
		cmocka_unit_test_setup_teardown(
			memory_that_cannot_be_shown_is_not, setup, teardown),
		cmocka_unit_test_setup_teardown(hints_arrive_by_ioeventfd,
						setup, teardown),
		cmocka_unit_test_setup_teardown(hints_arrive_by_exits, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			writes_to_the_info_have_no_effect, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reset_mends_a_broken_ring,
						setup, teardown),
		cmocka_unit_test_setup_teardown(haste_is_slowed_down, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
