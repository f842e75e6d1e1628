/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames that the vCPU sends which notifies, and those that it leaves to the I/O
 * thread (monitor/dev/net/virtio_net.h, LONELY FRAMES); and the timer by which a
 * device gives back the memory that its port does not use. fake_host_run() is the
 * I/O thread, so what happens without it happens in the exit.
 */
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/dev/net/virtio_net_internal.h"
#include "tests/unit/net/net_guests.h"
#include "tests/unit/support.h"
#include "vnet/packet.h"

#define QUEUE  64u
#define HDR    NET_GUEST_HDR
#define RX     NET_QUEUE_RX
#define TX     NET_QUEUE_TX
#define TX_GPA 0x100000u
#define RX_GPA 0x200000u
#define ROOM   0x12000u /* of a buffer */

static struct ports p;
static struct net_guest a, b;

static int setup(void **state)
{
	(void)state;
	ports_create(&p, 2);
	net_guest_create(&a, &p, 0, "lan", 1);
	net_guest_create(&b, &p, 1, "lan", 1);
	net_guest_start(&a, NET_FEATURES, 3, QUEUE);
	net_guest_start(&b, NET_FEATURES, 3, QUEUE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	net_guests_destroy(&a, &b);
	ports_destroy(&p);
	return 0;
}

static void give(struct net_guest *g, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++, g->given[0]++) {
		unsigned n = g->given[0] % QUEUE;

		ring_desc(&g->d.rings[RX], n, RX_GPA + n * ROOM, ROOM, D_WRITE,
			  0);
		ring_offer(&g->d.rings[RX], (uint16_t)n);
	}
	driver_kick(&g->d, RX);
}

/* Offer a frame to the other guest, of @bytes, without notifying. */
static void offer(struct net_guest *g, uint32_t bytes)
{
	uint32_t from = g == &a ? 0 : 1;
	const struct vnet_station own = ports_station(from);
	const struct vnet_station to = ports_station(!from);
	unsigned n = g->put[0]++ % QUEUE;
	uint8_t *at = fake_guest(&g->h, TX_GPA + n * ROOM, HDR + bytes);
	uint8_t *ip = at + HDR + VNET_ETH_BYTES;

	memset(at, 0, HDR + bytes);
	memcpy(at + HDR, to.mac, VNET_MAC_BYTES);
	memcpy(at + HDR + ETH_SRC, own.mac, VNET_MAC_BYTES);
	vnet_put16(at + HDR + ETH_TYPE, ETHERTYPE_IP4);
	ip[0] = 0x45;
	memcpy(ip + IP4_SRC, own.ip, 4);
	memcpy(ip + IP4_DST, to.ip, 4);
	ring_desc(&g->d.rings[TX], n, TX_GPA + n * ROOM, HDR + bytes, 0, 0);
	ring_offer(&g->d.rings[TX], (uint16_t)n);
}

/* The exit of a vCPU that notifies, and nothing else. */
static void notify(struct net_guest *g)
{
	driver_write(&g->d, R_NOTIFY + 4u * TX, 2, TX);
}

static bool sent(struct net_guest *g)
{
	uint32_t id, written;

	return ring_used(&g->d.rings[TX], &id, &written);
}

static bool got(struct net_guest *g)
{
	uint32_t id, written;

	return ring_used(&g->d.rings[RX], &id, &written);
}

/* A guest has received something, and so may answer. */
static void receive_one(struct net_guest *g)
{
	struct net_guest *other = g == &a ? &b : &a;

	offer(other, 64);
	notify(other);
	net_guests_run(&a, &b);
	assert_true(sent(other));
	assert_true(got(g));
}

static void an_answer_is_sent_in_the_exit(void **state)
{
	(void)state;
	give(&a, 20);
	give(&b, 20);
	receive_one(&a);
	for (unsigned i = 0; i < 5; i++) {
		unsigned interrupts = fake_host_msis(&a.h, MSG_QUEUE(TX));

		offer(&a, 64);
		notify(&a);
		assert_true(sent(&a));
		assert_int_equal(fake_host_msis(&a.h, MSG_QUEUE(TX)),
				 interrupts + 1);
		/* The other worker was woken; this one has nothing to do. */
		assert_int_equal(fake_host_run(&a.h), 0);
		assert_false(got(&b));
		assert_true(fake_host_run(&b.h) > 0);
		assert_true(got(&b));
		/* And back. */
		offer(&b, 1000);
		notify(&b);
		assert_true(sent(&b));
		assert_int_equal(fake_host_run(&b.h), 0);
		assert_true(fake_host_run(&a.h) > 0);
		assert_true(got(&a));
	}
	assert_int_equal(net_guest_stats(&a)->sent, 5);
	assert_int_equal(net_guest_stats(&a)->received, 6);
}

/* It is left to the I/O thread, which does it. */
static void expect_left(struct net_guest *g, unsigned nr)
{
	notify(g);
	assert_false(sent(g));
	net_guests_run(&a, &b);
	for (unsigned i = 0; i < nr; i++)
		assert_true(sent(g));
	assert_false(sent(g));
}

static void what_is_no_answer_is_left(void **state)
{
	(void)state;
	give(&b, 20);
	offer(&a, 64);
	expect_left(&a, 1);
	/* One answer each. */
	give(&a, 20);
	receive_one(&a);
	offer(&a, 64);
	notify(&a);
	assert_true(sent(&a));
	offer(&a, 64);
	expect_left(&a, 1);
	assert_int_equal(net_guest_stats(&b)->received, 3);
}

static void streams_are_left(void **state)
{
	(void)state;
	give(&a, 20);
	give(&b, 20);
	receive_one(&a);
	offer(&a, 64);
	offer(&a, 64);
	expect_left(&a, 2);
	receive_one(&a);
	offer(&a, VNET_SMALL_ROOM + 1);
	expect_left(&a, 1);
	receive_one(&a);
	offer(&a, VNET_SMALL_ROOM);
	notify(&a);
	assert_true(sent(&a));
}

/* The vCPU does not wait for the lock: if it did, this would never end. */
static void the_lock_is_not_waited_for(void **state)
{
	struct virtio_dev *v = virtio_net_dev(a.net);

	(void)state;
	give(&a, 20);
	give(&b, 20);
	receive_one(&a);
	offer(&a, 64);
	assert_int_equal(pthread_mutex_lock(&v->lock), 0);
	notify(&a);
	assert_false(sent(&a));
	assert_int_equal(pthread_mutex_unlock(&v->lock), 0);
	net_guests_run(&a, &b);
	assert_true(sent(&a));
	assert_true(got(&b));
}

/* A vCPU may not send copies of frames. */
static void a_dump_has_all_frames(void **state)
{
	uint8_t buf[2048];
	int fds[2];

	(void)state;
	give(&a, 20);
	give(&b, 20);
	receive_one(&a);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	virtio_net_dump(a.net, fds[0], 0, 2000);
	offer(&a, 64);
	expect_left(&a, 1);
	assert_true(recv(fds[1], buf, sizeof(buf), MSG_DONTWAIT) > 64);
	(void)close(fds[1]);
}

/* Where the receiver has no room, the I/O thread waits for it. */
static void without_room_it_is_left(void **state)
{
	(void)state;
	give(&a, 40);
	receive_one(&a); /* b gives no buffers: its frames stay in their ring */
	while (vnet_tx_depth(&virtio_net_port(a.net)->peers[1]->tx) <
	       VNET_RING_SLOTS) {
		offer(&a, 64);
		notify(&a);
		assert_true(fake_host_run(&a.h) < 4000);
		assert_true(sent(&a));
	}
	receive_one(&a);
	offer(&a, 64);
	notify(&a);
	assert_false(sent(&a));
	assert_true(fake_host_run(&a.h) > 0);
	assert_false(sent(&a));
	give(&b, 20);
	net_guests_run(&a, &b);
	assert_true(sent(&a));
}

/* --- interrupts --- */

static _Atomic(bool) serve_done;

static void *serve_b(void *arg)
{
	(void)arg;
	(void)fake_host_run(&b.h);
	atomic_store(&serve_done, true);
	return NULL;
}

static int irq_fd(const struct net_guest *g, unsigned queue)
{
	for (unsigned i = 0; i < g->h.nr_routes; i++)
		if (g->h.routes[i].data == MSG_QUEUE(queue))
			return g->h.routes[i].fd;
	return -1;
}

/*
 * The I/O thread hangs in the write that sends the interrupt, as the counter is
 * full: and a vCPU, which that may wake, finds the lock free and sends its answer.
 */
static void an_interrupt_is_sent_without_the_lock(void **state)
{
	uint64_t full = UINT64_MAX - 1, end = clock_now_ns() + 30000000000ull;
	int fd = irq_fd(&b, RX);
	pthread_t thread;
	uint64_t n;

	(void)state;
	give(&b, 20);
	give(&a, 20);
	offer(&a, 64);
	expect_left(&a, 1);
	assert_true(got(&b));
	(void)!read(fd, &n, sizeof(n));
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
	offer(&a, 64);
	notify(&a);
	(void)fake_host_run(&a.h);
	assert_int_equal(pthread_create(&thread, NULL, serve_b, NULL), 0);
	while (!got(&b))
		assert_true(clock_now_ns() < end);
	offer(&b, 64);
	while (!sent(&b)) { /* it may be on its way there */
		notify(&b);
		if (clock_now_ns() >= end)
			break;
	}
	assert_true(clock_now_ns() < end);
	assert_false(atomic_load(&serve_done));
	assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

/* --- memory --- */

/* Until as many rings are left, as if the time of the sweep had come. */
static void sweep_now(struct net_guest *g, unsigned rings)
{
	uint64_t last;

	do {
		last = g->net->port->sweep_ns = 1;
		net_arm(g->net, clock_now_ns(), 1);
		while (g->net->port->sweep_ns == last)
			(void)fake_host_wait(&g->h,
					     (int)wait_limit_ms(HANG_MS));
	} while (g->net->port->nr_rings != rings);
}

static void memory_that_is_not_used_goes(void **state)
{
	uint64_t before = clock_now_ns();

	(void)state;
	assert_int_equal(a.net->timer_ns, 0);
	give(&b, 20);
	offer(&a, 64);
	expect_left(&a, 1);
	assert_true(got(&b));
	assert_int_equal(a.net->port->nr_rings, 1);
	assert_true(a.net->timer_ns >= before + VNET_SWEEP_NS);
	assert_true(a.net->timer_ns <= clock_now_ns() + VNET_SWEEP_NS);
	/* Frames do not set it. */
	before = a.net->timer_ns;
	offer(&a, 64);
	expect_left(&a, 1);
	assert_true(a.net->timer_ns == before);
	sweep_now(&a, 1);
	sweep_now(&a, 0);
	/* No timer, until there is something again. */
	assert_int_equal(a.net->timer_ns, 0);
	offer(&a, 64);
	expect_left(&a, 1);
	assert_int_equal(a.net->port->nr_rings, 1);
	assert_true(a.net->timer_ns > 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_answer_is_sent_in_the_exit),
		T(what_is_no_answer_is_left),
		T(streams_are_left),
		T(the_lock_is_not_waited_for),
		T(a_dump_has_all_frames),
		T(without_room_it_is_left),
		T(an_interrupt_is_sent_without_the_lock),
		T(memory_that_is_not_used_goes),
	};

	return cmocka_run_group_tests_name("virtio_net_exit", tests, NULL,
					   NULL);
}
