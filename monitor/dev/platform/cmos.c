/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/platform/cmos.h"

#include <time.h>

#include "monitor/dev/platform/layout.h"

#define AT_INDEX 0u
#define AT_DATA	 1u

#define NMI_OFF 0x80u /* bit of the index port */

#define REG_SECONDS 0x00u
#define REG_MINUTES 0x02u
#define REG_HOURS   0x04u
#define REG_WEEKDAY 0x06u
#define REG_DAY	    0x07u
#define REG_MONTH   0x08u
#define REG_YEAR    0x09u
#define REG_A	    0x0au
#define REG_B	    0x0bu
#define REG_D	    0x0du
#define REG_CENTURY 0x32u

#define A_32768_HZ 0x26u /* the usual divider and rate; no update */
#define B_24_HOURS 0x02u /* BCD */
#define D_VALID	   0x80u

#define DAY_S		86400u
#define DAYS_PER_400Y	146097u
#define DAYS_FROM_1_3_0 719468u /* 1 March of year 0 to 1 January 1970 */
#define EPOCH_WEEKDAY	4u	/* a Thursday; Sunday is 0 */

struct date {
	unsigned year, month, day; /* month and day from 1 */
};

/*
 * Days since 1970 as a date of the Gregorian calendar. Years begin in March
 * here, so that the leap day is the last one of a year. gmtime_r() would read
 * files, which a vCPU's thread must not.
 */
static struct date cmos_date(uint64_t days)
{
	uint64_t z = days + DAYS_FROM_1_3_0;
	unsigned era = (unsigned)(z / DAYS_PER_400Y);
	unsigned of_era = (unsigned)(z % DAYS_PER_400Y);
	unsigned y =
		(of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) /
		365;
	unsigned of_year = of_era - (365 * y + y / 4 - y / 100);
	unsigned m = (5 * of_year + 2) / 153; /* from March */
	struct date d = { .day = of_year - (153 * m + 2) / 5 + 1 };

	d.month = m < 10 ? m + 3 : m - 9;
	d.year = era * 400 + y + (d.month <= 2);
	return d;
}

static uint8_t cmos_bcd(uint64_t n)
{
	return (uint8_t)(n / 10 % 10 << 4 | n % 10);
}

/* With the lock. */
static uint8_t cmos_register(struct cmos *c)
{
	uint64_t days, s;
	struct date d;

	if (c->index == REG_SECONDS)
		c->taken_s = c->now_s();
	days = c->taken_s / DAY_S;
	s = c->taken_s % DAY_S;
	d = cmos_date(days);
	switch (c->index) {
	case REG_SECONDS:
		return cmos_bcd(s % 60);
	case REG_MINUTES:
		return cmos_bcd(s / 60 % 60);
	case REG_HOURS:
		return cmos_bcd(s / 3600);
	case REG_WEEKDAY:
		return (uint8_t)((days + EPOCH_WEEKDAY) % 7 + 1);
	case REG_DAY:
		return cmos_bcd(d.day);
	case REG_MONTH:
		return cmos_bcd(d.month);
	case REG_YEAR:
		return cmos_bcd(d.year % 100);
	case REG_CENTURY:
		return cmos_bcd(d.year / 100);
	case REG_A:
		return A_32768_HZ;
	case REG_B:
		return B_24_HOURS;
	case REG_D:
		return D_VALID;
	default:
		return 0;
	}
}

static uint64_t cmos_read(void *ctx, uint64_t off, unsigned len)
{
	struct cmos *c = ctx;
	uint8_t value = 0;

	(void)len;
	(void)pthread_mutex_lock(&c->lock);
	if (off == AT_DATA)
		value = cmos_register(c);
	(void)pthread_mutex_unlock(&c->lock);
	return value;
}

static void cmos_write(void *ctx, uint64_t off, unsigned len, uint64_t value)
{
	struct cmos *c = ctx;

	(void)len;
	(void)pthread_mutex_lock(&c->lock);
	if (off == AT_INDEX)
		c->index = (uint8_t)(value & ~(uint64_t)NMI_OFF);
	(void)pthread_mutex_unlock(&c->lock);
}

static uint64_t timer_read(void *ctx, uint64_t off, unsigned len)
{
	(void)ctx;
	(void)off;
	(void)len;
	return 0;
}

static void timer_write(void *ctx, uint64_t off, unsigned len, uint64_t value)
{
	(void)ctx;
	(void)off;
	(void)len;
	(void)value;
}

static uint64_t host_now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec > 0 ? (uint64_t)t.tv_sec : 0;
}

void cmos_init(struct cmos *c, uint64_t (*now_s)(void))
{
	*c = (struct cmos){ .now_s = now_s ? now_s : host_now_s };
	(void)pthread_mutex_init(&c->lock, NULL);
}

void cmos_destroy(struct cmos *c)
{
	(void)pthread_mutex_destroy(&c->lock);
}

int cmos_add(struct cmos *c, struct io_bus *pio)
{
	static const struct io_ops clock_ops = { cmos_read, cmos_write };
	static const struct io_ops timer_ops = { timer_read, timer_write };
	int err = io_bus_add(pio, PORT_CMOS, 2, &clock_ops, c);

	if (!err)
		err = io_bus_add(pio, PORT_TIMER, 4, &timer_ops, c);
	return err ? err : io_bus_add(pio, PORT_TIMER_GATE, 1, &timer_ops, c);
}
