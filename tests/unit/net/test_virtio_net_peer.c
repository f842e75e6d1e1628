/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's network device, and a process with another port of the network that was
 * taken over: what it does to the sockets that it holds.
 */
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/net/net_guests.h"
#include "tests/unit/support.h"

#define QUEUE	16u
#define BYTES	60u
#define RX_GPA	0x200000u
#define RX_ROOM 2048u
#define FEW	100u /* events: no more than a handful is expected */

static struct ports p;
static struct net_guest g;

static int setup(void **state)
{
	(void)state;
	ports_create(&p, 3);
	net_guest_create(&g, &p, 0, "lan", 1);
	net_guest_start(&g, NET_FEATURES, 3, QUEUE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	virtio_net_destroy(g.net);
	fake_host_destroy(&g.h);
	ports_destroy(&p);
	return 0;
}

static void give(unsigned nr)
{
	struct ring *r = &g.d.rings[NET_QUEUE_RX];

	for (unsigned i = 0; i < nr; i++) {
		ring_desc(r, i, RX_GPA + i * RX_ROOM, RX_ROOM, D_WRITE, 0);
		ring_offer(r, (uint16_t)i);
	}
	driver_kick(&g.d, NET_QUEUE_RX);
}

static unsigned got(void)
{
	return ring_used_index(&g.d.rings[NET_QUEUE_RX]);
}

static void run(void)
{
	assert_true(fake_host_run(&g.h) < FEW);
}

/*
 * All peers wake by the same end of one socket, so one can shut it down for all:
 * then it is readable for ever. The I/O thread must not spin, and the frames of
 * the others must arrive.
 */
static void wake_ups_are_shut_down(int how)
{
	run();
	assert_int_equal(shutdown(p.waker[0], how), 0);
	run();
	run();
	assert_int_equal(g.h.reports, 1);
	assert_non_null(strstr(g.h.report_text, "network 'lan': "));
	give(QUEUE);
	for (unsigned i = 1; i <= 8; i++) {
		uint32_t from = 1 + i % 2;

		assert_int_equal(
			ports_send(&p, from, p.of[from]->peers[0], BYTES, 7),
			0);
		WAIT_UNTIL((run(), got() == i));
	}
	assert_int_equal(g.h.reports, 1);
	/* Also without a driver. */
	driver_write(&g.d, R_STATUS, 1, 0);
	run();
	assert_int_equal(ports_send(&p, 1, p.of[1]->peers[0], BYTES, 7), 0);
	WAIT_UNTIL((run(), net_guest_stats(&g)->lost == 1));
}

static void no_more_bytes(void **state)
{
	(void)state;
	wake_ups_are_shut_down(SHUT_WR);
}

static void neither_way(void **state)
{
	(void)state;
	wake_ups_are_shut_down(SHUT_RDWR);
}

/* More than is read at a time: it wakes for nothing, and not for ever. */
static void many_bytes(void **state)
{
	static const char bytes[4096];

	(void)state;
	run();
	assert_int_equal(send(p.waker[0], bytes, sizeof(bytes), 0),
			 sizeof(bytes));
	run();
	give(1);
	assert_int_equal(ports_send(&p, 1, p.of[1]->peers[0], BYTES, 7), 0);
	run();
	assert_int_equal(got(), 1);
	assert_int_equal(g.h.reports, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(no_more_bytes),
		T(neither_way),
		T(many_bytes),
	};

	return cmocka_run_group_tests_name("net_peer", tests, NULL, NULL);
}
