/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/dev/virtio/virtio_console.h"
#include "tests/unit/virtio/guest_driver.h"
#include "tests/unit/platform/console_peer.h"
#include "tests/unit/support.h"

#define RX   0
#define TX   1
#define SIZE 16u

static struct fake_host h;
static struct console con;
static struct virtio_console hvc;
static struct driver d;
static int peer;

static int setup(void **state)
{
	(void)state;
	peer = console_peer_create(&h, MIB(4), &con);
	must(virtio_console_init(&hvc, &h.host, &con) == 0);
	driver_attach(&d, &h, &hvc.v);
	driver_start(&d, 0, 2, SIZE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	virtio_console_destroy(&hvc);
	console_peer_destroy(&h, &con, peer);
	return 0;
}

static void rx_buffer(unsigned i, uint32_t bytes)
{
	ring_desc(&d.rings[RX], i, DATA_GPA + i * 4096, bytes, D_WRITE, 0);
	ring_offer(&d.rings[RX], (uint16_t)i);
}

static void type(const char *s)
{
	assert_int_equal(send(peer, s, strlen(s), 0), strlen(s));
	assert_in_range(fake_host_run(&h), 0, 50);
}

static void expect_rx(const char *s)
{
	uint32_t id, written;

	assert_true(ring_used(&d.rings[RX], &id, &written));
	assert_int_equal(written, strlen(s));
	assert_memory_equal(fake_guest(&h, DATA_GPA + id * 4096, written), s,
			    written);
}

static void output_of_two_pieces(void **state)
{
	char buf[64];
	uint32_t id, written;

	(void)state;
	memcpy(fake_guest(&h, DATA_GPA, 16), "hello world\n", 12);
	ring_desc(&d.rings[TX], 0, DATA_GPA, 6, D_NEXT, 1);
	ring_desc(&d.rings[TX], 1, DATA_GPA + 6, 6, 0, 0);
	ring_offer(&d.rings[TX], 0);
	driver_kick(&d, TX);
	assert_int_equal(recv(peer, buf, sizeof(buf), MSG_DONTWAIT), 12);
	assert_memory_equal(buf, "hello world\n", 12);
	assert_true(ring_used(&d.rings[TX], &id, &written));
	assert_int_equal(written, 0);
	assert_int_equal(fake_host_msis(&h, MSG_QUEUE(TX)), 1);
}

/* The notification of a driver, without the I/O thread. */
static void notify(unsigned queue)
{
	fake_mmio_write(&h, d.bar + R_NOTIFY + 4 * queue, 2, queue);
}

static void offer_line(unsigned i, const char *line)
{
	memcpy(fake_guest(&h, DATA_GPA + i * 64, 64), line, strlen(line));
	ring_desc(&d.rings[TX], i, DATA_GPA + i * 64, (uint32_t)strlen(line), 0,
		  0);
	ring_offer(&d.rings[TX], (uint16_t)i);
}

/* A driver that spins until its line is taken spins for no turn at all. */
static void output_is_complete_in_the_exit(void **state)
{
	uint32_t id, written;
	char buf[64];

	(void)state;
	for (unsigned i = 0; i < SIZE; i++) {
		offer_line(i, "line\n");
		notify(TX);
		assert_true(ring_used(&d.rings[TX], &id, &written));
		assert_int_equal(id, i);
	}
	(void)fake_host_run(&h);
	(void)fake_host_wait(&h, 1000);
	assert_int_equal(recv(peer, buf, 5, MSG_DONTWAIT), 5);
	assert_memory_equal(buf, "line\n", 5);
}

/* Whoever has the device's lock: the vCPU does not wait for it. */
static void a_busy_device_is_left_to_the_io_thread(void **state)
{
	uint32_t id, written;

	(void)state;
	offer_line(0, "line\n");
	(void)pthread_mutex_lock(&hvc.v.lock);
	notify(TX);
	(void)pthread_mutex_unlock(&hvc.v.lock);
	assert_false(ring_used(&d.rings[TX], &id, &written));
	assert_true(fake_host_run(&h) > 0);
	assert_true(ring_used(&d.rings[TX], &id, &written));
}

/* A fault in a window may need the I/O thread: no vCPU causes it here. */
static void output_outside_ram_is_left_to_the_io_thread(void **state)
{
	static uint8_t bytes[PAGE_BYTES] = "window\n";
	struct ram_window w = { .gpa = GIB(8),
				.bytes = sizeof(bytes),
				.hva = bytes };
	uint32_t id, written;
	char buf[64];

	(void)state;
	h.ram.windows[h.ram.nr_windows++] = &w;
	ring_desc(&d.rings[TX], 0, w.gpa, 7, 0, 0);
	ring_offer(&d.rings[TX], 0);
	notify(TX);
	assert_false(ring_used(&d.rings[TX], &id, &written));
	assert_true(fake_host_run(&h) > 0);
	assert_true(ring_used(&d.rings[TX], &id, &written));
	(void)fake_host_wait(&h, 1000);
	assert_int_equal(recv(peer, buf, sizeof(buf), MSG_DONTWAIT), 7);
	assert_memory_equal(buf, "window\n", 7);
}

static void what_breaks_the_rules_breaks_them_in_the_io_thread_too(void **state)
{
	(void)state;
	ring_desc(&d.rings[TX], 0, GIB(9), 7, 0, 0);
	ring_offer(&d.rings[TX], 0);
	notify(TX);
	assert_in_range(fake_host_run(&h), 1, 20);
	assert_true(driver_status(&d) & VIRTIO_STATUS_NEEDS_RESET);
	ring_offer(&d.rings[TX], 0);
	notify(TX);
	assert_in_range(fake_host_run(&h), 0, 20);
}

/* Without a reader everything is taken: not all of it by one exit. */
static void an_exit_takes_a_bounded_piece(void **state)
{
	uint32_t id, written;
	unsigned exits = 0;

	(void)state;
	console_keep(&con);
	console_detach(&con);
	for (unsigned i = 0; i < SIZE; i++)
		ring_desc(&d.rings[TX], i, 0x100000, 2 << 20,
			  i + 1 < SIZE ? D_NEXT : 0, i + 1);
	ring_offer(&d.rings[TX], 0);
	notify(TX);
	assert_in_range(hvc.sent, 1, 1 << 20);
	while (!ring_used(&d.rings[TX], &id, &written)) {
		assert_true(fake_host_run(&h) > 0);
		assert_in_range(++exits, 1, 1000);
	}
}

static void input_fills_buffers(void **state)
{
	(void)state;
	rx_buffer(0, 4);
	rx_buffer(1, 100);
	driver_kick(&d, RX);
	type("abcdef");
	expect_rx("abcd");
	expect_rx("ef");
	assert_true(fake_host_msis(&h, MSG_QUEUE(RX)) >= 1);
}

static void input_before_the_first_buffer_waits(void **state)
{
	uint32_t id, written;

	(void)state;
	type("early");
	assert_int_equal(fake_host_run(&h), 0);
	assert_false(ring_used(&d.rings[RX], &id, &written));
	rx_buffer(0, 64);
	driver_kick(&d, RX);
	expect_rx("early");
}

static void the_guest_is_asked_to_say_when_there_are_buffers(void **state)
{
	(void)state;
	rx_buffer(0, 64);
	driver_kick(&d, RX);
	type("one");
	expect_rx("one");
	/* Out of buffers: it must not be suppressing notifications now. */
	assert_int_equal(ring_used_flags(&d.rings[RX]), 0);
}

static void not_ready_does_not_spin(void **state)
{
	(void)state;
	driver_negotiate(&d, 0);
	driver_queue(&d, RX, SIZE);
	rx_buffer(0, 64);
	type("x"); /* enabled, with a buffer, but no DRIVER_OK */
	console_want_input(&con);
	assert_in_range(fake_host_run(&h), 0, 20);
	driver_ok(&d);
	assert_in_range(fake_host_run(&h), 1, 50);
	expect_rx("x");
}

static void one_huge_chain(uint32_t bytes)
{
	uint8_t *data = fake_guest(&h, 0x100000, bytes);

	for (uint32_t i = 0; i < bytes; i++)
		data[i] = (uint8_t)(i % 251);
	ring_desc(&d.rings[TX], 0, 0x100000, bytes, 0, 0);
	ring_offer(&d.rings[TX], 0);
	driver_kick(&d, TX);
}

/* A chain larger than buffer and socket: it goes out as somebody reads. */
static void huge_output_waits_for_the_reader(void **state)
{
	static uint8_t buf[65536];
	size_t got = 0;
	uint32_t id, written;
	ssize_t n;

	(void)state;
	one_huge_chain(2 << 20);
	assert_false(ring_used(&d.rings[TX], &id, &written));
	assert_int_equal(fake_host_run(&h), 0);
	while ((n = recv(peer, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(buf[i], (got + (size_t)i) % 251);
		got += (size_t)n;
		(void)fake_host_run(&h);
	}
	assert_int_equal(got, 2 << 20);
	assert_true(ring_used(&d.rings[TX], &id, &written));
}

static void reset_forgets_half_a_chain(void **state)
{
	static uint8_t buf[65536];
	size_t got = 0;
	ssize_t n;

	(void)state;
	one_huge_chain(2 << 20);
	driver_start(&d, 0, 2, SIZE);
	while ((n = recv(peer, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		got += (size_t)n;
		(void)fake_host_run(&h);
	}
	assert_in_range(got, 1, (2 << 20) - 1);
	memcpy(fake_guest(&h, DATA_GPA, 4), "new\n", 4);
	ring_desc(&d.rings[TX], 0, DATA_GPA, 4, 0, 0);
	ring_offer(&d.rings[TX], 0);
	driver_kick(&d, TX);
	(void)fake_host_wait(&h, 1000); /* a line was sent just now */
	assert_int_equal(recv(peer, buf, sizeof(buf), MSG_DONTWAIT), 4);
	assert_memory_equal(buf, "new\n", 4);
}

static void buffer_without_room_does_not_spin(void **state)
{
	(void)state;
	rx_buffer(0, 0);
	driver_kick(&d, RX);
	type("x");
	assert_in_range(fake_host_run(&h), 0, 20);
	assert_int_equal(driver_status(&d) & VIRTIO_STATUS_NEEDS_RESET, 0);
}

static void broken_receive_queue_does_not_spin(void **state)
{
	(void)state;
	ring_offer(&d.rings[RX], 0xffff);
	driver_kick(&d, RX);
	type("x");
	assert_in_range(fake_host_run(&h), 0, 20);
	assert_true(driver_status(&d) & VIRTIO_STATUS_NEEDS_RESET);
	driver_start(&d, 0, 2, SIZE);
	rx_buffer(0, 64);
	driver_kick(&d, RX);
	expect_rx("x"); /* it is still there */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(output_of_two_pieces),
		T(output_is_complete_in_the_exit),
		T(a_busy_device_is_left_to_the_io_thread),
		T(output_outside_ram_is_left_to_the_io_thread),
		T(what_breaks_the_rules_breaks_them_in_the_io_thread_too),
		T(an_exit_takes_a_bounded_piece),
		T(input_fills_buffers),
		T(input_before_the_first_buffer_waits),
		T(the_guest_is_asked_to_say_when_there_are_buffers),
		T(not_ready_does_not_spin),
		T(huge_output_waits_for_the_reader),
		T(reset_forgets_half_a_chain),
		T(buffer_without_room_does_not_spin),
		T(broken_receive_queue_does_not_spin),
	};

	return cmocka_run_group_tests_name("virtio_console", tests, NULL, NULL);
}
