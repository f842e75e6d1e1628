/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>

#include "monitor/dev/platform/bus.h"
#include "tests/unit/support.h"

struct seen {
	uint64_t off, value;
	unsigned len, calls;
};

static uint64_t seen_read(void *ctx, uint64_t off, unsigned len)
{
	struct seen *s = ctx;

	s->off = off;
	s->len = len;
	s->calls++;
	return 0x1122334455667788;
}

static void seen_write(void *ctx, uint64_t off, unsigned len, uint64_t value)
{
	struct seen *s = ctx;

	s->off = off;
	s->len = len;
	s->value = value;
	s->calls++;
}

static const struct io_ops ops = { seen_read, seen_write };

static void nobody_there(void **state)
{
	struct io_bus bus = { 0 };

	(void)state;
	assert_int_equal(io_bus_read(&bus, 0x80, 1), 0xff);
	assert_int_equal(io_bus_read(&bus, 0x80, 2), 0xffff);
	assert_int_equal(io_bus_read(&bus, 0x80, 4), 0xffffffff);
	assert_true(io_bus_read(&bus, 0x80, 8) == UINT64_MAX);
	io_bus_write(&bus, 0x80, 8, 1);
}

static void offset_and_width(void **state)
{
	struct io_bus bus = { 0 };
	struct seen s = { 0 };

	(void)state;
	assert_int_equal(io_bus_add(&bus, 0x1000, 0x100, &ops, &s), 0);
	assert_int_equal(io_bus_read(&bus, 0x1010, 1), 0x88);
	assert_int_equal(s.off, 0x10);
	assert_int_equal(io_bus_read(&bus, 0x10fe, 2), 0x7788);
	assert_int_equal(s.off, 0xfe);
	assert_int_equal(s.len, 2);
	io_bus_write(&bus, 0x1000, 1, 0x1234);
	assert_int_equal(s.value, 0x34);
}

static void access_over_the_edge_is_nobodys(void **state)
{
	struct io_bus bus = { 0 };
	struct seen s = { 0 };

	(void)state;
	assert_int_equal(io_bus_add(&bus, 0x1000, 0x10, &ops, &s), 0);
	assert_int_equal(io_bus_add(&bus, 0x1010, 0x10, &ops, &s), 0);
	assert_int_equal(io_bus_read(&bus, 0x100e, 4), 0xffffffff);
	assert_int_equal(io_bus_read(&bus, 0xffe, 4), 0xffffffff);
	io_bus_write(&bus, 0x101f, 2, 0);
	(void)io_bus_read(&bus, UINT64_MAX, 8);
	assert_int_equal(s.calls, 0);
}

static void overlap_is_refused(void **state)
{
	struct io_bus bus = { 0 };

	(void)state;
	assert_int_equal(io_bus_add(&bus, 0x1000, 0x10, &ops, NULL), 0);
	assert_int_equal(io_bus_add(&bus, 0x100f, 1, &ops, NULL), -EEXIST);
	assert_int_equal(io_bus_add(&bus, 0xfff, 2, &ops, NULL), -EEXIST);
	assert_int_equal(io_bus_add(&bus, 0, 0x10000, &ops, NULL), -EEXIST);
	assert_int_equal(io_bus_add(&bus, 0x1010, 1, &ops, NULL), 0);
	assert_int_equal(io_bus_add(&bus, 0xfff, 1, &ops, NULL), 0);
}

static void full(void **state)
{
	struct io_bus bus = { 0 };

	(void)state;
	for (unsigned i = 0; i < IO_BUS_MAX; i++)
		assert_int_equal(io_bus_add(&bus, i, 1, &ops, NULL), 0);
	assert_int_equal(io_bus_add(&bus, 1000, 1, &ops, NULL), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_there),
		cmocka_unit_test(offset_and_width),
		cmocka_unit_test(access_over_the_edge_is_nobodys),
		cmocka_unit_test(overlap_is_refused),
		cmocka_unit_test(full),
	};

	return cmocka_run_group_tests_name("bus", tests, NULL, NULL);
}
