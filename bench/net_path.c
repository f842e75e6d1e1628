/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench-net_path: what brings a frame from one guest to another one: two network
 * devices (monitor/dev/net) with their I/O threads, in two processes, between
 * drivers that are threads instead of vCPUs. No KVM: a notification that KVM would
 * turn into an ioeventfd is a write to that eventfd, one that is an exit is a call,
 * and an interrupt is an eventfd that the driver waits for. So the costs of exits
 * and interrupts are left out, and threads, wake-ups and system calls are counted.
 *
 *	net_path [--rounds N] [--trips N] [--frames N] [--work US]
 *
 * Round trips of 64 bytes, one at a time; and a flow of frames of 64 KiB, for each
 * of which both drivers are busy for --work microseconds, as a guest's TCP is. Under
 * "strace -fc" this shows the calls. Processes are not pinned: each has two threads.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "disco/clock.h"
#include "tests/unit/net/net_guests.h"
#include "vnet/packet.h"

#define RX	   NET_QUEUE_RX
#define TX	   NET_QUEUE_TX
#define HDR	   NET_GUEST_HDR
#define SIZE	   256u /* of a queue */
#define RX_GPA	   0x1000000u
#define RX_BYTES   4096u
#define TX_GPA	   0x2000000u
#define TX_BYTES   0x11000u
#define SMALL	   64u
#define MAX_ROUNDS 101

struct side_result {
	uint64_t io_ns, driver_ns, wakeups, kicks;
};

/* Of both processes. [A: each side its own member; read after both met] */
struct shared {
	_Atomic(unsigned) meet;
	_Atomic(bool) sent;	    /* all frames of the flow */
	_Atomic(uint64_t) received; /* of them */
	struct side_result of[2];
};

static struct shared *shared;
static struct ports ports;
static struct net_guest guest;
static struct figures_io figures;
static pthread_t io_thread;
static int side, irq[2]; /* irq: of the queues */
static uint16_t tx_free; /* buffers that are not with the device */
static uint64_t kicks, trips = 20000, frames = 20000, work_ns = 3000;

static void meet(unsigned target)
{
	atomic_fetch_add(&shared->meet, 1);
	while (atomic_load(&shared->meet) < target)
		(void)poll(NULL, 0, 1);
}

/* --- the driver --- */

static uint64_t cpu_ns(clockid_t clock)
{
	struct timespec t;

	(void)clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void work(void)
{
	uint64_t end = clock_now_ns() + work_ns;

	while (clock_now_ns() < end)
		__builtin_ia32_pause();
}

/* After ring_offer(): notify if the device wants that. */
static void kick(unsigned queue)
{
	struct ring *r = &guest.d.rings[queue];

	atomic_thread_fence(memory_order_seq_cst);
	if (ring_avail_event(r) != (uint16_t)(r->avail_idx - 1))
		return;
	kicks++;
	driver_write(&guest.d, R_NOTIFY + 4u * queue, 2, queue);
}

/*
 * Wait until the device has used something, with an interrupt as HLT would. Return:
 * false: the flow has ended, and this is not for what was dropped of it.
 */
static bool wait_used(unsigned queue)
{
	struct ring *r = &guest.d.rings[queue];
	struct pollfd p = { .fd = irq[queue], .events = POLLIN };
	uint64_t n;

	for (;;) {
		ring_set_used_event(r, r->used_idx);
		atomic_thread_fence(memory_order_seq_cst);
		if (ring_used_index(r) != r->used_idx)
			return true;
		if (poll(&p, 1, 1000) == 0 && atomic_load(&shared->sent))
			return false;
		(void)!read(p.fd, &n, sizeof(n));
	}
}

static void give(uint32_t id)
{
	ring_offer(&guest.d.rings[RX], (uint16_t)id);
	kick(RX);
}

/* All buffers of one frame; they are given again at once. Return: wait_used(). */
static bool receive(void)
{
	struct ring *r = &guest.d.rings[RX];
	uint32_t id, written;
	unsigned nr = 1;

	for (unsigned i = 0; i < nr; i++) {
		const uint8_t *at;

		while (!ring_used(r, &id, &written))
			if (!wait_used(RX))
				return false;
		at = fake_guest(&guest.h, RX_GPA + id * RX_BYTES, HDR);
		if (i == 0)
			nr = at[10] | at[11] << 8;
		give(id);
	}
	return true;
}

static void reclaim(void)
{
	uint32_t id, written;

	while (ring_used(&guest.d.rings[TX], &id, &written))
		tx_free++;
}

static void transmit(uint32_t bytes)
{
	struct ring *r = &guest.d.rings[TX];
	unsigned n = r->avail_idx % (SIZE / 2);

	reclaim();
	while (!tx_free) {
		(void)wait_used(TX);
		reclaim();
	}
	tx_free--;
	/* As Linux does for one frame (virtqueue_enable_cb_delayed()). */
	ring_set_used_event(
		r, (uint16_t)(r->used_idx + (SIZE / 2 - 1 - tx_free) * 3 / 4));
	ring_desc(r, n, TX_GPA + n * TX_BYTES, HDR + bytes, 0, 0);
	ring_offer(r, (uint16_t)n);
	kick(TX);
}

static void fill_frames(void)
{
	static const struct vnet_hdr tso = { .flags = VNET_HDR_NEEDS_CSUM,
					     .gso_type = VNET_GSO_TCPV4,
					     .hdr_len = 54,
					     .gso_size = 1460,
					     .csum_start = 34,
					     .csum_offset = 16 };
	const struct vnet_station own = ports_station((uint32_t)side);
	const struct vnet_station to = ports_station((uint32_t)!side);

	for (unsigned n = 0; n < SIZE / 2; n++) {
		uint8_t *at =
			fake_guest(&guest.h, TX_GPA + n * TX_BYTES, TX_BYTES);
		uint8_t *ip = at + HDR + VNET_ETH_BYTES;

		memset(at, 0, TX_BYTES);
		memcpy(at, &tso, sizeof(tso));
		memcpy(at + HDR, to.mac, VNET_MAC_BYTES);
		memcpy(at + HDR + ETH_SRC, own.mac, VNET_MAC_BYTES);
		vnet_put16(at + HDR + ETH_TYPE, ETHERTYPE_IP4);
		ip[0] = 0x45;
		memcpy(ip + IP4_SRC, own.ip, 4);
		memcpy(ip + IP4_DST, to.ip, 4);
	}
}

/* --- one side --- */

static void *io_run(void *arg)
{
	(void)arg;
	must(io_loop_run(&guest.h.loop) == 0);
	return NULL;
}

static int route_fd(unsigned queue)
{
	for (unsigned i = 0; i < guest.h.nr_routes; i++)
		if (guest.h.routes[i].data == MSG_QUEUE(queue))
			return guest.h.routes[i].fd;
	must(false);
	return -1;
}

static void open_side(void)
{
	memset(&guest, 0, sizeof(guest));
	fake_host_create(&guest.h, 64u << 20);
	must(virtio_net_create(&guest.h.host, ports.of[side], "lan", NULL, 1,
			       &guest.net) == 0);
	driver_attach(&guest.d, &guest.h, virtio_net_dev(guest.net));
	driver_start(&guest.d, NET_FEATURES | VIRTIO_F_EVENT_IDX, 3, SIZE);
	irq[RX] = route_fd(RX);
	irq[TX] = route_fd(TX);
	fill_frames();
	tx_free = SIZE / 2 - 1;
	for (unsigned i = 0; i < SIZE; i++) {
		ring_desc(&guest.d.rings[RX], i, RX_GPA + i * RX_BYTES,
			  RX_BYTES, D_WRITE, 0);
		ring_offer(&guest.d.rings[RX], (uint16_t)i);
	}
	guest.h.loop.figures = &figures;
	must(pthread_create(&io_thread, NULL, io_run, NULL) == 0);
}

static void round_trips(uint64_t *ns)
{
	for (uint64_t i = 0; i < trips; i++) {
		uint64_t start = clock_now_ns();

		if (side == 0)
			transmit(SMALL);
		(void)receive();
		if (side == 1)
			transmit(SMALL);
		ns[i] = clock_now_ns() - start;
	}
}

/* Return: when the last frame was there. */
static uint64_t flow(void)
{
	uint64_t last = 0;

	for (uint64_t i = 0; i < frames; i++) {
		work();
		if (side == 0)
			transmit(VNET_FRAME_MAX - 100);
		else if (!receive())
			break;
		last = clock_now_ns();
		if (side == 1)
			atomic_fetch_add(&shared->received, 1);
	}
	if (side == 0)
		atomic_store(&shared->sent, true);
	return last;
}

/* --- figures --- */

static void take_result(struct side_result *r)
{
	clockid_t io;

	must(pthread_getcpuclockid(io_thread, &io) == 0);
	*r = (struct side_result){ .io_ns = cpu_ns(io) - r->io_ns,
				   .driver_ns =
					   clock_thread_ns() - r->driver_ns,
				   .wakeups = figures.wakeups - r->wakeups,
				   .kicks = kicks - r->kicks };
}

static int by_ns(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static double per(uint64_t a, uint64_t b, uint64_t nr)
{
	return (double)(a + b) / (double)nr;
}

static void print_counts(const char *what, uint64_t nr)
{
	const struct side_result *a = &shared->of[0], *b = &shared->of[1];

	printf("   per %s: %.2f wake-ups of I/O threads, %.2f notifications, "
	       "%.2f us of I/O threads, %.2f us of drivers\n",
	       what, per(a->wakeups, b->wakeups, nr),
	       per(a->kicks, b->kicks, nr), per(a->io_ns, b->io_ns, nr) / 1e3,
	       per(a->driver_ns, b->driver_ns, nr) / 1e3);
}

static void measure(void)
{
	uint64_t *ns = calloc(trips, sizeof(*ns)), start;

	must(ns);
	for (unsigned i = 0; i < 2; i++) { /* the first is to warm up */
		meet(2 + 6 * i);
		shared->of[side] = (struct side_result){ 0 };
		take_result(&shared->of[side]);
		round_trips(ns);
		take_result(&shared->of[side]);
		meet(4 + 6 * i);
		if (side == 0 && i == 1) {
			qsort(ns, trips, sizeof(*ns), by_ns);
			printf("round trip: p50 %.2f us, p99 %.2f us\n",
			       (double)ns[trips / 2] / 1e3,
			       (double)ns[trips * 99 / 100] / 1e3);
			print_counts("round trip", trips);
		}
		meet(6 + 6 * i);
	}
	free(ns);
	shared->of[side] = (struct side_result){ 0 };
	take_result(&shared->of[side]);
	start = clock_now_ns();
	start = flow() - start;
	take_result(&shared->of[side]);
	meet(14);
	if (side == 1) {
		uint64_t got = atomic_load(&shared->received);

		printf("flow: %.2f GB/s, %.2f%% dropped\n",
		       (double)(got * (VNET_FRAME_MAX - 100)) / (double)start,
		       (double)(frames - got) * 100 / (double)frames);
		print_counts("frame", got);
	}
	meet(16);
}

static void one_round(void)
{
	pid_t pid;

	memset(shared, 0, sizeof(*shared));
	ports_create(&ports, 2);
	(void)fflush(stdout);
	pid = fork();
	must(pid >= 0);
	side = pid == 0;
	if (side)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	open_side();
	measure();
	(void)fflush(stdout);
	if (side)
		_exit(0);
	must(waitpid(pid, NULL, 0) == pid);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "rounds", 1, NULL, 'r' }, { "trips", 1, NULL, 't' },
		{ "frames", 1, NULL, 'f' }, { "work", 1, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t rounds = 1, us;
	int opt;

	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		us = optarg ? strtoull(optarg, NULL, 10) : 0;
		if (opt == 'r')
			rounds = us;
		else if (opt == 't')
			trips = us;
		else if (opt == 'f')
			frames = us;
		else if (opt == 'w')
			work_ns = us * 1000;
		else
			return 2;
	}
	if (!trips || rounds > MAX_ROUNDS)
		return 2;
	shared = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(shared != MAP_FAILED);
	for (uint64_t i = 0; i < rounds; i++) {
		pid_t pid = fork(); /* each has threads of its own */

		must(pid >= 0);
		if (pid == 0) {
			one_round();
			_exit(0);
		}
		must(waitpid(pid, NULL, 0) == pid);
	}
	return 0;
}
