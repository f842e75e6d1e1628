/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/platform/bus.h"

#include <errno.h>

int io_bus_add(struct io_bus *bus, uint64_t base, uint64_t bytes,
	       const struct io_ops *ops, void *ctx)
{
	if (bus->nr == IO_BUS_MAX)
		return -ENOSPC;
	for (unsigned i = 0; i < bus->nr; i++) {
		const struct io_range *r = &bus->ranges[i];

		if (base < r->base + r->bytes && r->base < base + bytes)
			return -EEXIST;
	}
	bus->ranges[bus->nr++] = (struct io_range){ base, bytes, ops, ctx };
	return 0;
}

static const struct io_range *bus_find(const struct io_bus *bus, uint64_t at,
				       unsigned len)
{
	for (unsigned i = 0; i < bus->nr; i++) {
		const struct io_range *r = &bus->ranges[i];

		if (at >= r->base && range_fits(at - r->base, len, r->bytes))
			return r;
	}
	return NULL;
}

uint64_t io_bus_read(const struct io_bus *bus, uint64_t at, unsigned len)
{
	const struct io_range *r = bus_find(bus, at, len);

	if (!r)
		return io_ones(len);
	return r->ops->read(r->ctx, at - r->base, len) & io_ones(len);
}

void io_bus_write(const struct io_bus *bus, uint64_t at, unsigned len,
		  uint64_t value)
{
	const struct io_range *r = bus_find(bus, at, len);

	if (r)
		r->ops->write(r->ctx, at - r->base, len, value & io_ones(len));
}
