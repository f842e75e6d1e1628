/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that does what it likes to an entropy device, a console, a disk and a
 * balloon: the input is a program of register accesses, writes to its memory
 * and notifications. Checked: no device ends the VM, none makes the I/O thread
 * spin, a status register says no more than the specification knows, and all
 * of them work again after a reset (and what the sanitizers see).
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/dev/virtio/virtio_balloon.h"
#include "monitor/dev/virtio/virtio_blk.h"
#include "monitor/dev/virtio/virtio_console.h"
#include "monitor/dev/virtio/virtio_rng.h"
#include "tests/fuzz/bytes.h"
#include "tests/unit/virtio/guest_driver.h"

#define RAM_BYTES  MIB(1)
#define DISK_BYTES 65536u
#define MAX_OPS	   300u
#define SPINS	   4000u
#define NR_DEVS	   4u
#define BLK_QUEUES 4u

static struct fake_host h;
static struct virtio_rng rng;
static struct console con;
static struct virtio_console hvc;
static struct virtio_blk *blk;
static struct virtio_balloon balloon;
static struct driver drivers[NR_DEVS];
static unsigned queues[NR_DEVS] = { 1, 2, BLK_QUEUES, 5 };
static int peer;

/* Without a ring: what happens depends on the input only. */
static struct disk *sync_disk(void)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);
	struct rlimit before, none;
	struct disk *d;

	must(fd >= 0 && ftruncate(fd, DISK_BYTES) == 0);
	must(getrlimit(RLIMIT_NOFILE, &before) == 0);
	none = before;
	none.rlim_cur = 0;
	must(setrlimit(RLIMIT_NOFILE, &none) == 0);
	must(disk_open(fd, false, VIRTIO_BLK_DEPTH, &d) == 0);
	must(setrlimit(RLIMIT_NOFILE, &before) == 0);
	return d;
}

static void make(void)
{
	int sv[2];

	fake_host_create(&h, RAM_BYTES);
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) == 0);
	peer = sv[1];
	must(console_init(&con, &h.host, sv[0]) == 0);
	must(virtio_rng_init(&rng, &h.host) == 0);
	must(virtio_console_init(&hvc, &h.host, &con) == 0);
	must(virtio_blk_create(&h.host, sync_disk(), DISK_BYTES, false, "fuzz",
			       BLK_QUEUES, &blk) == 0);
	must(virtio_balloon_init(&balloon, &h.host) == 0);
	driver_attach(&drivers[0], &h, &rng.v);
	driver_attach(&drivers[1], &h, &hvc.v);
	driver_attach(&drivers[2], &h, virtio_blk_dev(blk));
	driver_attach(&drivers[3], &h, &balloon.v);
}

static void destroy(void)
{
	int fd = con.sock.fd;

	virtio_balloon_destroy(&balloon);
	virtio_blk_destroy(blk);
	virtio_console_destroy(&hvc);
	virtio_rng_destroy(&rng);
	console_destroy(&con);
	(void)close(fd);
	(void)close(peer);
	fake_host_destroy(&h);
}

static void run(void)
{
	must(fake_host_run(&h) < SPINS);
}

static void memory(struct bytes *b)
{
	uint64_t at = take(b, 3) % RAM_BYTES;
	uint64_t n = take(b, 1);

	n = min_u64(n, RAM_BYTES - at);
	(void)take_into(b, fake_guest(&h, at, n), n);
}

/* A descriptor of a real ring; ordinary flags, any address. */
static void descriptor(struct bytes *b, struct ring *r)
{
	unsigned i = (unsigned)take(b, 1) % r->size;
	unsigned flags = (unsigned)take(b, 1);
	uint64_t addr = take(b, flags & 0x80 ? 8 : 3);
	uint32_t len = (uint32_t)take(b, flags & 0x40 ? 4 : 2);

	ring_desc(r, i, addr, len, flags & 7, (unsigned)take(b, 1));
}

static void socket_op(struct bytes *b)
{
	uint8_t buf[256];
	size_t n = take(b, 1);

	if (n & 1)
		(void)recv(peer, buf, sizeof(buf), MSG_DONTWAIT);
	else
		(void)send(peer, buf, take_into(b, buf, n),
			   MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* What a driver does at its start; sizes are good ones mostly. */
static void start(struct bytes *b, struct driver *d)
{
	uint64_t features = driver_offered(d) & take(b, 4);
	unsigned size = (unsigned)take(b, 1);

	if (driver_negotiate(d, features) & VIRTIO_STATUS_FEATURES_OK)
		for (unsigned i = 0; i < queues[d - drivers]; i++)
			driver_queue(d, i, (uint16_t)(1u << size % 9));
	if (!(size & 0x80))
		driver_ok(d);
}

/* A request as a disk driver lays it out, with lengths of the fuzzer's. */
static void request(struct bytes *b, struct driver *d, struct ring *r)
{
	uint8_t *header = fake_guest(&h, DATA_GPA, 16);
	unsigned type = (unsigned)take(b, 1);
	uint64_t sector = take(b, type & 0x80 ? 8 : 1);
	uint32_t bytes = (uint32_t)take(b, type & 0x40 ? 4 : 1) * 64;

	memset(header, 0, 16);
	header[0] = type & 15;
	memcpy(header + 8, &sector, 8);
	ring_desc(r, 0, DATA_GPA, type & 0x20 ? 8 : 16, D_NEXT, 1);
	ring_desc(r, 1, DATA_GPA + 4096, bytes,
		  D_NEXT | (type & 1 ? 0 : D_WRITE), 2);
	ring_desc(r, 2, DATA_GPA + 2048, 1, D_WRITE, 0);
	ring_offer(r, 0);
	driver_kick(d, (unsigned)(r - d->rings));
}

static void ring_op(struct bytes *b, unsigned what, struct driver *d,
		    struct ring *r)
{
	if (r->size == 0)
		return;
	switch (what) {
	case 0:
	case 1:
		descriptor(b, r);
		break;
	case 2:
		if (r->size >= 4)
			request(b, d, r);
		break;
	case 3:
		ring_set_used_event(r, (uint16_t)take(b, 1));
		break;
	default:
		ring_offer(r, (uint16_t)take(b, 1));
		driver_kick(d, (unsigned)(r - d->rings));
	}
}

static void bar_op(struct bytes *b, struct driver *d, unsigned len, bool low)
{
	uint64_t off = take(b, low ? 1 : 2) % 0x7ff8;

	if (off & 1)
		(void)driver_read(d, off & ~1ull, len);
	else
		driver_write(d, off, len, take(b, len));
}

static void config_op(struct bytes *b, struct driver *d, unsigned len)
{
	unsigned off = (unsigned)take(b, 1);

	len = len > 4 ? 4 : len;
	if (off & 1)
		(void)fake_config_read(&h, d->slot, off & ~1u, len);
	else
		fake_config_write(&h, d->slot, off, len, (uint32_t)take(b, 4));
}

static void step(struct bytes *b)
{
	unsigned what = (unsigned)take(b, 1);
	struct driver *d = &drivers[(what >> 4) % NR_DEVS];
	struct ring *r = &d->rings[(what >> 6) & 3];
	unsigned len = 1u << (what >> 6);

	switch (what & 15) {
	case 0:
	case 1:
		bar_op(b, d, len, what & 1);
		break;
	case 2:
	case 3:
		memory(b);
		break;
	case 4:
		config_op(b, d, len);
		break;
	case 5:
		start(b, d);
		break;
	case 6:
		socket_op(b);
		break;
	case 7:
		driver_kick(d, (unsigned)take(b, 1));
		break;
	case 8:
		run();
		break;
	case 9:
		(void)fake_host_msis(&h, MSG_CONFIG);
		break;
	default:
		ring_op(b, (what & 15) - 10, d, r);
	}
}

/* Put the BAR back where the driver looks for it, and start over. */
static void check_works(struct driver *d)
{
	fake_config_write(&h, d->slot, 0x10, 4, (uint32_t)d->bar);
	fake_config_write(&h, d->slot, 4, 2, 6);
	run();
	driver_write(d, R_STATUS, 1, 0);
	must(driver_status(d) == 0);
	must(driver_negotiate(d, 0) == 11);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes b = { data, size };

	make();
	for (unsigned i = 0; take(&b, 1) & 1 && i < NR_DEVS; i++)
		driver_start(&drivers[i], 0, queues[i], 16);
	for (unsigned i = 0; i < MAX_OPS && b.n; i++)
		step(&b);
	run();
	must(h.stops == 0);
	for (unsigned i = 0; i < NR_DEVS; i++)
		check_works(&drivers[i]);
	destroy();
	return 0;
}
