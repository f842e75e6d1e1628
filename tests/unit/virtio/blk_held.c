/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/virtio/blk_held.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define HEADERS 0x8000u
#define AREA	1024u /* of a request */

struct blk_held held;

/* --- the backend --- */

int disk_event_fd(const struct disk *d)
{
	return d->event_fd;
}

int disk_submit(struct disk *d, struct disk_req *r)
{
	if (d->refuse)
		return d->refuse;
	must(d->nr_held < VIRTIO_BLK_DEPTH);
	d->submitted++;
	if (r->op == DISK_FLUSH)
		r->offset = UINT64_MAX; /* at no sector */
	d->held[d->nr_held++] = r;
	return 0;
}

void disk_hurry(struct disk *d)
{
	(void)d; /* nothing waits for a cache */
}

void disk_complete(struct disk *d)
{
	unsigned n = d->nr_done;
	uint64_t count;

	must(read(d->event_fd, &count, sizeof(count)) > 0);
	d->nr_done = 0;
	for (unsigned i = 0; i < n; i++)
		d->done[i].r->done(d->done[i].r, d->done[i].err);
}

bool disk_can_zero(const struct disk *d)
{
	return d->can_zero;
}

int disk_settle(struct disk *d)
{
	(void)d;
	return 0;
}

void disk_close(struct disk *d)
{
	must(d->nr_held == 0);
	(void)close(d->event_fd);
	d->closed = true;
}

static void take(unsigned at, int err)
{
	struct disk *d = &held.disk;

	d->done[d->nr_done].r = d->held[at];
	d->done[d->nr_done++].err = err;
	d->held[at] = d->held[--d->nr_held];
}

static void signal_done(void)
{
	uint64_t one = 1;

	must(write(held.disk.event_fd, &one, sizeof(one)) == sizeof(one));
	(void)fake_host_run(&held.h);
}

void held_complete(unsigned n, int err)
{
	for (; n; n--)
		take(held.disk.nr_held - 1, err);
	signal_done();
}

void held_complete_sector(uint64_t sector)
{
	unsigned at = held.disk.nr_held;

	while (at && held.disk.held[at - 1]->offset != sector * 512)
		at--;
	must(at);
	take(at - 1, 0);
	signal_done();
}

unsigned held_at(uint64_t sector)
{
	unsigned n = 0;

	for (unsigned i = 0; i < held.disk.nr_held; i++)
		n += held.disk.held[i]->offset == sector * 512;
	return n;
}

/* --- device and driver --- */

void held_create(bool read_only, bool can_zero, unsigned queues)
{
	memset(&held, 0, sizeof(held));
	held.disk.event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	held.disk.can_zero = can_zero;
	fake_host_create(&held.h, MIB(4));
	must(virtio_blk_create(&held.h.host, &held.disk, HELD_SECTORS * 512,
			       read_only, "s", queues, &held.blk) == 0);
	driver_attach(&held.d, &held.h, virtio_blk_dev(held.blk));
	held_start(queues);
}

void held_start(unsigned queues)
{
	driver_start(&held.d, driver_offered(&held.d) & ~VIRTIO_F_EVENT_IDX,
		     queues, HELD_SIZE);
}

int held_destroy(void **state)
{
	(void)state;
	while (held.disk.nr_held)
		held_complete(held.disk.nr_held, 0);
	virtio_blk_destroy(held.blk);
	must(held.disk.closed);
	fake_host_destroy(&held.h);
	return 0;
}

void held_offer(unsigned queue, unsigned i, uint32_t type, uint64_t sector)
{
	struct ring *r = &held.d.rings[queue];
	uint32_t head[4] = { type, 0, (uint32_t)sector, 0 };
	uint64_t at = HEADERS + 16ull * (queue * HELD_SIZE / 2 + i);
	uint64_t area = DATA_GPA + 2ull * AREA * i;
	uint32_t data = type == T_FLUSH ? 0 : 512;

	if (type == T_OUT) {
		at = area;
		memcpy(fake_guest(&held.h, at, 16), head, 16);
		ring_desc(r, 2 * i, at, 16 + data, D_NEXT, 2 * i + 1);
		ring_desc(r, 2 * i + 1, area + AREA, 1, D_WRITE, 0);
	} else {
		memcpy(fake_guest(&held.h, at, 16), head, 16);
		ring_desc(r, 2 * i, at, 16, D_NEXT, 2 * i + 1);
		ring_desc(r, 2 * i + 1, area + AREA - data, data + 1, D_WRITE,
			  0);
	}
	*(uint8_t *)fake_guest(&held.h, area + AREA, 1) = 0xff;
	ring_offer(r, (uint16_t)(2 * i));
}

uint8_t held_status(unsigned i)
{
	uint64_t at = DATA_GPA + 2ull * AREA * i + AREA;

	return *(uint8_t *)fake_guest(&held.h, at, 1);
}

unsigned held_used(unsigned queue)
{
	return ring_used_index(&held.d.rings[queue]);
}
