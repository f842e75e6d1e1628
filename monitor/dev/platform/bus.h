/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bus: maps I/O ports or MMIO addresses to the devices that handle them.
 *
 * A bus is filled before the first vCPU runs and never changes afterwards. So
 * the lookup on every exit needs no lock and no barrier (vCPU threads are
 * created after the bus is filled).
 */
#ifndef DISCO_MONITOR_BUS_H
#define DISCO_MONITOR_BUS_H

#include "disco/base.h"

#define IO_BUS_MAX 16

/* @off is relative to the range; @len is 1, 2, 4 or 8 and ends inside it. */
struct io_ops {
	uint64_t (*read)(void *ctx, uint64_t off, unsigned len);
	void (*write)(void *ctx, uint64_t off, unsigned len, uint64_t value);
};

struct io_range {
	uint64_t base;
	uint64_t bytes;
	const struct io_ops *ops;
	void *ctx;
};

struct io_bus {
	unsigned nr;
	struct io_range ranges[IO_BUS_MAX];
};

/*
 * Add a range; @ctx is passed to @ops. Context: before the first vCPU runs.
 * Return: 0; -EEXIST it overlaps another range; -ENOSPC the bus is full.
 */
MUST_CHECK int io_bus_add(struct io_bus *bus, uint64_t base, uint64_t bytes,
			  const struct io_ops *ops, void *ctx);

/**
 * io_bus_read(), io_bus_write() - perform one access of a guest
 * @len: 1, 2, 4 or 8 bytes
 *
 * Where no device is, reads return all ones and writes have no effect, as on a
 * real bus. Context: vCPU threads.
 */
uint64_t io_bus_read(const struct io_bus *bus, uint64_t at, unsigned len);
void io_bus_write(const struct io_bus *bus, uint64_t at, unsigned len,
		  uint64_t value);

/* All ones in @len bytes (1..8). */
static inline uint64_t io_ones(unsigned len)
{
	return len >= 8 ? UINT64_MAX : (1ull << (8 * len)) - 1;
}

#endif
