/* SPDX-License-Identifier: BSD-2-Clause */
// LINK: monitor/dev/virtio_blk.c monitor/dev/virtqueue.c memory/guest_ram.c
// LINK: monitor/dev/bus.c monitor/dev/pci.c monitor/dev/msix.c
// LINK: monitor/dev/virtio_pci.c monitor/worker/io_loop.c
// LINK: tests/unit/monitor/fake_host.c tests/unit/monitor/guest_driver.c
/*
 * The block device over a backend that this test is: slow, failing, full.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "monitor/dev/virtio_blk.h"
#include "tests/unit/monitor/guest_driver.h"
#include "tests/unit/support.h"

#define HEADERS 0x8000u
#define SECTORS 64u
#define F_RO	(1ull << 5)
#define T_OUT	1u
#define T_FLUSH 4u
#define S_OK	0
#define S_IOERR 1
#define SIZE	256u

/* --- the backend --- */

struct disk {
	int event_fd;
	int refuse; /* what disk_submit() says */
	struct disk_req *held[VIRTIO_BLK_DEPTH];
	struct {
		struct disk_req *r;
		int err;
	} done[VIRTIO_BLK_DEPTH];
	unsigned nr_held, nr_done, submitted, hurried;
	bool closed;
};

static struct disk disk;

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
	d->held[d->nr_held++] = r;
	return 0;
}

void disk_hurry(struct disk *d)
{
	d->hurried++;
}

void disk_complete(struct disk *d)
{
	uint64_t count;

	must(read(d->event_fd, &count, sizeof(count)) > 0);
	for (unsigned i = 0; i < d->nr_done; i++)
		d->done[i].r->done(d->done[i].r, d->done[i].err);
	d->nr_done = 0;
}

bool disk_can_zero(const struct disk *d)
{
	(void)d;
	return false;
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

/* Complete the newest @n requests held with @err. */
static void complete(struct fake_host *h, unsigned n, int err)
{
	uint64_t one = 1;

	for (; n; n--) {
		disk.done[disk.nr_done].r = disk.held[--disk.nr_held];
		disk.done[disk.nr_done++].err = err;
	}
	must(write(disk.event_fd, &one, sizeof(one)) == sizeof(one));
	(void)fake_host_run(h);
}

/* --- the bench --- */

static struct fake_host h;
static struct virtio_blk *blk;
static struct driver d;

static int setup_mode(bool read_only)
{
	memset(&disk, 0, sizeof(disk));
	disk.event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	fake_host_create(&h, MIB(4));
	must(virtio_blk_create(&h.host, &disk, SECTORS * 512, read_only, "s",
			       &blk) == 0);
	driver_attach(&d, &h, virtio_blk_dev(blk));
	driver_start(&d, 0, 1, SIZE);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_mode(false);
}

static int setup_read_only(void **state)
{
	(void)state;
	return setup_mode(true);
}

static int teardown(void **state)
{
	(void)state;
	if (disk.nr_held)
		complete(&h, disk.nr_held, 0);
	virtio_blk_destroy(blk);
	must(disk.closed);
	fake_host_destroy(&h);
	return 0;
}

/* Request @i in one indirect-free chain of two descriptors; data, when there
 * is some, shares a piece with the status or the header. */
static void offer(unsigned i, uint32_t type, uint64_t sector)
{
	uint32_t head[4] = { type, 0, (uint32_t)sector, 0 };
	uint64_t at = HEADERS + 16u * i;
	uint32_t data = type == T_FLUSH ? 0 : 512;
	uint64_t area = DATA_GPA + 2048u * i;

	if (type == T_OUT) {
		at = area;
		memcpy(fake_guest(&h, at, 16), head, 16);
		ring_desc(&d.rings[0], 2 * i, at, 16 + data, D_NEXT, 2 * i + 1);
		ring_desc(&d.rings[0], 2 * i + 1, area + 1024, 1, D_WRITE, 0);
	} else {
		memcpy(fake_guest(&h, at, 16), head, 16);
		ring_desc(&d.rings[0], 2 * i, at, 16, D_NEXT, 2 * i + 1);
		ring_desc(&d.rings[0], 2 * i + 1, area + 1024 - data, data + 1,
			  D_WRITE, 0);
	}
	*(uint8_t *)fake_guest(&h, area + 1024, 1) = 0xff;
	ring_offer(&d.rings[0], (uint16_t)(2 * i));
}

static uint8_t status_of(unsigned i)
{
	return *(uint8_t *)fake_guest(&h, DATA_GPA + 2048u * i + 1024, 1);
}

static unsigned used(void)
{
	return ring_used_index(&d.rings[0]);
}

/* --- tests --- */

static void waits_for_the_backend(void **state)
{
	uint32_t id, written;

	(void)state;
	offer(0, 0, 7);
	driver_kick(&d, 0);
	assert_int_equal(disk.nr_held, 1);
	assert_int_equal(disk.held[0]->op, DISK_READ);
	assert_int_equal(disk.held[0]->offset, 7 * 512);
	assert_int_equal(disk.held[0]->nr_iov, 1);
	assert_int_equal(disk.held[0]->iov[0].iov_len, 512);
	assert_int_equal(status_of(0), 0xff);
	complete(&h, 1, 0);
	assert_true(ring_used(&d.rings[0], &id, &written));
	assert_int_equal(written, 513);
	assert_int_equal(status_of(0), S_OK);
}

static void backend_error_is_ioerr(void **state)
{
	static const int errors[] = { -EIO, -ENOSPC, -EINVAL };
	uint32_t id, written;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(errors); i++) {
		offer(i, i % 2 ? T_OUT : 0, 0);
		driver_kick(&d, 0);
		complete(&h, 1, errors[i]);
		assert_true(ring_used(&d.rings[0], &id, &written));
		assert_int_equal(written, 1);
		assert_int_equal(status_of(i), S_IOERR);
	}
}

static void failed_flush_is_ioerr(void **state)
{
	(void)state;
	offer(0, T_FLUSH, 0);
	driver_kick(&d, 0);
	assert_int_equal(disk.held[0]->op, DISK_FLUSH);
	complete(&h, 1, -EIO);
	assert_int_equal(status_of(0), S_IOERR);
}

static void refused_submission_is_ioerr(void **state)
{
	(void)state;
	disk.refuse = -EINVAL;
	offer(0, 0, 0);
	driver_kick(&d, 0);
	assert_int_equal(status_of(0), S_IOERR);
	assert_int_equal(used(), 1);
	disk.refuse = 0;
	offer(1, 0, 0);
	driver_kick(&d, 0);
	complete(&h, 1, 0);
	assert_int_equal(status_of(1), S_OK);
}

static void completions_in_any_order(void **state)
{
	uint32_t id, written;

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		offer(i, 0, i);
	driver_kick(&d, 0);
	complete(&h, 10, 0); /* newest first */
	for (unsigned i = 10; i-- > 0;) {
		assert_true(ring_used(&d.rings[0], &id, &written));
		assert_int_equal(id, 2 * i);
	}
}

/* More requests than the depth: the rest goes on as others come back. */
static void deeper_than_the_backend(void **state)
{
	unsigned total = SIZE / 2; /* of two descriptors each */

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < total; i++)
			offer(i, 0, i % SECTORS);
		driver_kick(&d, 0);
		while (disk.nr_held)
			complete(&h, disk.nr_held > 50 ? 50 : disk.nr_held, 0);
		assert_int_equal(used(), (round + 1) * total);
	}
	assert_int_equal(disk.submitted, 3 * total);
}

static void starved_queue_goes_on(void **state)
{
	(void)state;
	/* Heads used twice, so more requests than descriptors allow: legal
	 * as far as the device can see, up to the queue's size. */
	for (unsigned i = 0; i < SIZE / 2; i++)
		offer(i, T_FLUSH, 0);
	for (unsigned i = 0; i < 20; i++)
		ring_offer(&d.rings[0], (uint16_t)(2 * i));
	driver_kick(&d, 0);
	assert_int_equal(disk.nr_held, VIRTIO_BLK_DEPTH);
	complete(&h, 5, 0);
	assert_int_equal(disk.nr_held, VIRTIO_BLK_DEPTH);
	while (disk.nr_held)
		complete(&h, disk.nr_held, 0);
	assert_int_equal(used(), SIZE / 2 + 20);
}

static void reset_waits_for_requests_in_flight(void **state)
{
	(void)state;
	offer(0, 0, 0);
	offer(1, 0, 1);
	driver_kick(&d, 0);
	driver_write(&d, R_STATUS, 1, 0);
	assert_int_not_equal(driver_status(&d), 0);
	complete(&h, 1, 0);
	assert_int_not_equal(driver_status(&d), 0);
	complete(&h, 1, -EIO);
	assert_int_equal(driver_status(&d), 0);
	/* From now on not a byte of the old rings may change. */
	driver_start(&d, 0, 1, SIZE);
	assert_int_equal(used(), 0);
	offer(2, 0, 2);
	driver_kick(&d, 0);
	complete(&h, 1, 0);
	assert_int_equal(status_of(2), S_OK);
	assert_int_equal(used(), 1);
}

static void reset_while_starved(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SIZE / 2; i++)
		offer(i, T_FLUSH, 0);
	ring_offer(&d.rings[0], 0);
	driver_kick(&d, 0);
	driver_write(&d, R_STATUS, 1, 0);
	complete(&h, disk.nr_held, 0);
	assert_int_equal(driver_status(&d), 0);
	assert_int_equal(disk.nr_held, 0); /* the one that waited is gone */
	assert_int_equal(disk.submitted, VIRTIO_BLK_DEPTH);
}

static void broken_queue_with_requests_in_flight(void **state)
{
	(void)state;
	offer(0, 0, 0);
	ring_offer(&d.rings[0], 0xffff);
	driver_kick(&d, 0);
	assert_true(driver_status(&d) & VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(disk.nr_held, 1);
	complete(&h, 1, 0);
	driver_start(&d, 0, 1, SIZE);
	assert_int_equal(driver_status(&d) & VIRTIO_STATUS_NEEDS_RESET, 0);
}

static void read_only_disk(void **state)
{
	(void)state;
	assert_true(driver_offered(&d) & F_RO);
	offer(0, T_OUT, 0);
	driver_kick(&d, 0);
	assert_int_equal(status_of(0), S_IOERR);
	assert_int_equal(disk.submitted, 0);
	offer(1, 0, 0);
	driver_kick(&d, 0);
	assert_int_equal(disk.submitted, 1);
}

static void write_takes_data_behind_the_header(void **state)
{
	(void)state;
	offer(0, T_OUT, 3);
	driver_kick(&d, 0);
	assert_int_equal(disk.held[0]->op, DISK_WRITE);
	assert_int_equal(disk.held[0]->offset, 3 * 512);
	assert_int_equal(disk.held[0]->iov[0].iov_len, 512);
	assert_ptr_equal(disk.held[0]->iov[0].iov_base,
			 ram_at(&h.ram, gpa(DATA_GPA + 16), 512));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(waits_for_the_backend),
		T(backend_error_is_ioerr),
		T(failed_flush_is_ioerr),
		T(refused_submission_is_ioerr),
		T(completions_in_any_order),
		T(deeper_than_the_backend),
		T(starved_queue_goes_on),
		T(reset_waits_for_requests_in_flight),
		T(reset_while_starved),
		T(broken_queue_with_requests_in_flight),
		cmocka_unit_test_setup_teardown(read_only_disk, setup_read_only,
						teardown),
		T(write_takes_data_behind_the_header),
	};

	return cmocka_run_group_tests_name("blk_backend", tests, NULL, NULL);
}
