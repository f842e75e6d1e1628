/* SPDX-License-Identifier: BSD-2-Clause */
/* The clock as a driver reads it, against the C library's calendar. */
#include <string.h>
#include <time.h>

#include "monitor/dev/platform/cmos.h"
#include "monitor/dev/platform/layout.h"
#include "tests/unit/support.h"

#define SECONDS 0x00
#define MINUTES 0x02
#define HOURS	0x04
#define WEEKDAY 0x06
#define DAY	0x07
#define MONTH	0x08
#define YEAR	0x09
#define CENTURY 0x32

static struct io_bus pio;
static struct cmos cmos;
static uint64_t now;

static uint64_t now_s(void)
{
	return now;
}

static int make(void **state)
{
	(void)state;
	memset(&pio, 0, sizeof(pio));
	cmos_init(&cmos, now_s);
	return cmos_add(&cmos, &pio);
}

static int destroy(void **state)
{
	(void)state;
	cmos_destroy(&cmos);
	return 0;
}

static uint64_t get(uint8_t reg)
{
	io_bus_write(&pio, PORT_CMOS, 1, reg);
	return io_bus_read(&pio, PORT_CMOS + 1, 1);
}

static int number(uint8_t reg)
{
	uint64_t v = get(reg);

	assert_in_range(v & 15, 0, 9);
	assert_in_range(v >> 4, 0, 9);
	return (int)(v >> 4) * 10 + (int)(v & 15);
}

static void shows(uint64_t s)
{
	time_t t = (time_t)s;
	struct tm tm;

	now = s;
	assert_non_null(gmtime_r(&t, &tm));
	assert_int_equal(number(SECONDS), tm.tm_sec);
	assert_int_equal(number(MINUTES), tm.tm_min);
	assert_int_equal(number(HOURS), tm.tm_hour);
	assert_int_equal(number(WEEKDAY), tm.tm_wday + 1);
	assert_int_equal(number(DAY), tm.tm_mday);
	assert_int_equal(number(MONTH), tm.tm_mon + 1);
	assert_int_equal(number(CENTURY) * 100 + number(YEAR),
			 tm.tm_year + 1900);
}

/* Each day of 400 years, at another time of the day. */
static void every_date(void **state)
{
	(void)state;
	for (uint64_t day = 0; day < 146097; day++)
		shows(day * 86400 + day * 7919 % 86400);
}

/* No update in progress, 24 hours, BCD, no interrupt, valid. */
static void control_registers(void **state)
{
	(void)state;
	assert_int_equal(get(0x0a) & 0x80, 0);
	assert_int_equal(get(0x0b), 0x02);
	assert_int_equal(get(0x0c), 0);
	assert_int_equal(get(0x0d), 0x80);
	for (unsigned reg = 0x0e; reg < 0x80; reg++)
		if (reg != CENTURY)
			assert_int_equal(get((uint8_t)reg), 0);
}

/* From 23:59:59 to 00:00:00, in the middle of a reader. */
static void what_is_read_belongs_together(void **state)
{
	(void)state;
	now = 86399;
	assert_int_equal(number(SECONDS), 59);
	now++;
	assert_int_equal(number(MINUTES), 59);
	assert_int_equal(number(HOURS), 23);
	assert_int_equal(number(DAY), 1);
	assert_int_equal(number(SECONDS), 0);
	assert_int_equal(number(HOURS), 0);
	assert_int_equal(number(DAY), 2);
}

static void it_cannot_be_set(void **state)
{
	(void)state;
	now = 5;
	io_bus_write(&pio, PORT_CMOS, 1, SECONDS);
	io_bus_write(&pio, PORT_CMOS + 1, 1, 0x30);
	assert_int_equal(number(SECONDS), 5);
	/* The bit that keeps NMIs off is no part of the number. */
	io_bus_write(&pio, PORT_CMOS, 1, 0x80 | SECONDS);
	assert_int_equal(io_bus_read(&pio, PORT_CMOS + 1, 1), 5);
	assert_int_equal(io_bus_read(&pio, PORT_CMOS, 1), 0);
}

/* Or Linux would wait for its counter to move. */
static void there_is_no_timer(void **state)
{
	(void)state;
	io_bus_write(&pio, PORT_TIMER_GATE, 1, 1);
	io_bus_write(&pio, PORT_TIMER + 3, 1, 0xb0);
	io_bus_write(&pio, PORT_TIMER + 2, 1, 0xff);
	assert_int_equal(io_bus_read(&pio, PORT_TIMER + 2, 1), 0);
	assert_int_equal(io_bus_read(&pio, PORT_TIMER_GATE, 1), 0);
}

static void the_hosts_clock(void **state)
{
	uint64_t before = (uint64_t)time(NULL);

	(void)state;
	cmos_destroy(&cmos);
	cmos_init(&cmos, NULL);
	(void)get(SECONDS);
	assert_in_range(cmos.taken_s, before, (uint64_t)time(NULL));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, make, destroy)
	const struct CMUnitTest tests[] = {
		T(every_date),
		T(control_registers),
		T(what_is_read_belongs_together),
		T(it_cannot_be_set),
		T(there_is_no_timer),
		T(the_hosts_clock),
	};

	return cmocka_run_group_tests_name("cmos", tests, NULL, NULL);
}
