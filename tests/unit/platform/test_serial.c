/* SPDX-License-Identifier: BSD-2-Clause */
/* The 16550A as a driver sees it. Names of the data sheet, chapter 8. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/dev/platform/serial.h"
#include "monitor/dev/platform/layout.h"
#include "tests/unit/virtio/fake_host.h"
#include "tests/unit/platform/console_peer.h"
#include "tests/unit/support.h"

enum { RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR, THR = RBR, FCR = IIR };

static struct fake_host h;
static struct console con;
static struct serial uart;
static int peer;

static int setup(void **state)
{
	(void)state;
	peer = console_peer_create(&h, MIB(1), &con);
	serial_init(&uart, &h.host, &con, GSI_SERIAL);
	return io_bus_add(&h.pio, PORT_SERIAL, SERIAL_PORTS, &serial_ops,
			  &uart);
}

static int teardown(void **state)
{
	(void)state;
	serial_destroy(&uart);
	console_peer_destroy(&h, &con, peer);
	return 0;
}

static uint8_t get(unsigned reg)
{
	return (uint8_t)io_bus_read(&h.pio, PORT_SERIAL + reg, 1);
}

static void set(unsigned reg, uint8_t v)
{
	io_bus_write(&h.pio, PORT_SERIAL + reg, 1, v);
}

static void type(const char *s)
{
	assert_int_equal(send(peer, s, strlen(s), 0), strlen(s));
	(void)fake_host_run(&h);
}

static bool irq(void)
{
	return h.line[GSI_SERIAL];
}

static void idle_port(void **state)
{
	(void)state;
	assert_int_equal(get(LSR), 0x60);
	assert_int_equal(get(IIR), 0x01);
	assert_int_equal(get(MSR) & 0xb0, 0xb0);
	assert_false(irq());
}

/* What Linux' 8250 driver tries to find out what it has before it. */
static void detected_as_16550a(void **state)
{
	(void)state;
	set(IER, 0);
	assert_int_equal(get(IER) & 0x0f, 0);
	set(IER, 0x0f);
	assert_int_equal(get(IER) & 0x0f, 0x0f);
	set(IER, 0);
	set(SCR, 0xa5);
	assert_int_equal(get(SCR), 0xa5);
	set(FCR, 0x01);
	assert_int_equal(get(IIR) >> 6, 3);
	set(FCR, 0x00);
	assert_int_equal(get(IIR) >> 6, 0);
	set(MCR, 0x10 | 0x0a); /* loopback, RTS and OUT2 */
	assert_int_equal(get(MSR) & 0xf0, 0x90);
	set(MCR, 0x10 | 0x05); /* DTR and OUT1 */
	assert_int_equal(get(MSR) & 0xf0, 0x60);
	set(MCR, 0);
}

static void divisor_latch_is_apart(void **state)
{
	(void)state;
	set(IER, 0x01);
	set(LCR, 0x83);
	set(RBR, 0x12);
	set(IER, 0x34);
	assert_int_equal(get(RBR), 0x12);
	assert_int_equal(get(IER), 0x34);
	set(LCR, 0x03);
	assert_int_equal(get(IER), 0x01);
	assert_int_equal(get(LCR), 0x03);
	assert_int_equal(fake_host_run(&h), 0); /* nothing was transmitted */
}

static void transmitted_bytes_arrive(void **state)
{
	const char *s = "hello\n";
	char buf[16];

	(void)state;
	for (size_t i = 0; s[i]; i++) {
		assert_true(get(LSR) & 0x20);
		set(THR, (uint8_t)s[i]);
	}
	(void)fake_host_run(&h);
	assert_int_equal(recv(peer, buf, sizeof(buf), MSG_DONTWAIT), 6);
	assert_memory_equal(buf, s, 6);
}

static void transmitter_interrupt(void **state)
{
	(void)state;
	set(IER, 0x02); /* enabling it when empty raises it at once */
	assert_true(irq());
	assert_int_equal(get(IIR) & 0x0f, 0x02);
	assert_false(irq()); /* reading IIR took it back */
	assert_int_equal(get(IIR) & 0x0f, 0x01);
	set(THR, 'x');
	assert_true(irq());
	assert_int_equal(h.edges[GSI_SERIAL], 2);
	set(THR, 'y'); /* an edge each, or an edge-triggered driver stalls */
	assert_int_equal(h.edges[GSI_SERIAL], 3);
	set(IER, 0);
	assert_false(irq());
}

static void receiver_interrupt_and_data(void **state)
{
	(void)state;
	type("ab");
	assert_false(irq()); /* not enabled */
	set(IER, 0x01);
	assert_true(irq());
	assert_int_equal(get(IIR) & 0x0f, 0x04);
	assert_int_equal(get(IIR) & 0x0f, 0x04); /* stays until data is read */
	assert_int_equal(get(LSR) & 1, 1);
	assert_int_equal(get(RBR), 'a');
	assert_true(irq());
	assert_int_equal(get(RBR), 'b');
	assert_false(irq());
	assert_int_equal(get(LSR) & 1, 0);
	assert_int_equal(get(RBR), 0);
}

static void receiver_goes_before_transmitter(void **state)
{
	(void)state;
	set(IER, 0x03);
	type("a");
	assert_int_equal(get(IIR) & 0x0f, 0x04);
	assert_int_equal(get(RBR), 'a');
	assert_int_equal(get(IIR) & 0x0f, 0x02);
	assert_int_equal(get(IIR) & 0x0f, 0x01);
}

static void new_input_is_a_new_edge(void **state)
{
	unsigned before;

	(void)state;
	set(IER, 0x01);
	type("a");
	before = h.edges[GSI_SERIAL];
	type("b"); /* the driver has not read "a" yet */
	assert_int_equal(h.edges[GSI_SERIAL], before + 1);
}

/* Far more than the FIFO holds: it waits in the socket, nothing is lost. */
static void long_input_is_not_lost(void **state)
{
	char s[1000];
	size_t got = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(s); i++)
		s[i] = (char)('a' + i % 26);
	assert_int_equal(send(peer, s, sizeof(s), 0), sizeof(s));
	assert_in_range(fake_host_run(&h), 1, 50);
	while (get(LSR) & 1) {
		assert_int_equal(get(LSR) & 2, 0); /* no overrun */
		assert_int_equal(get(RBR), s[got]);
		got++;
		(void)fake_host_run(&h);
	}
	assert_int_equal(got, sizeof(s));
}

static void loopback(void **state)
{
	char c;

	(void)state;
	set(MCR, 0x10);
	set(IER, 0x01);
	set(THR, 'L');
	assert_true(irq());
	assert_int_equal(get(RBR), 'L');
	(void)fake_host_wait(&h, 20);
	assert_int_equal(recv(peer, &c, 1, MSG_DONTWAIT), -1);
	set(MCR, 0);
}

/* A 16550 in loopback does not hear its line: what is typed waits. */
static void input_waits_for_the_end_of_loopback(void **state)
{
	(void)state;
	set(MCR, 0x10);
	type("x");
	set(THR, 'L');
	assert_int_equal(get(RBR), 'L');
	(void)fake_host_run(&h);
	assert_int_equal(get(LSR) & 1, 0);
	set(MCR, 0);
	(void)fake_host_run(&h);
	assert_int_equal(get(RBR), 'x');
}

static void overrun_is_told_once(void **state)
{
	(void)state;
	set(MCR, 0x10);
	for (unsigned i = 0; i < SERIAL_FIFO_BYTES; i++)
		set(THR, (uint8_t)i);
	assert_int_equal(get(LSR) & 2, 0);
	set(THR, 0xee);
	assert_int_equal(get(LSR) & 2, 2);
	assert_int_equal(get(LSR) & 2, 0);
	for (unsigned i = 0; i < SERIAL_FIFO_BYTES; i++)
		assert_int_equal(get(RBR), i);
	set(MCR, 0);
}

static void clearing_the_fifo(void **state)
{
	(void)state;
	type("abc");
	set(FCR, 0x03);
	assert_int_equal(get(LSR) & 1, 0);
}

/* Nobody reads: the port says busy, and "empty" again once somebody does. */
static void full_output_shows_busy(void **state)
{
	static uint8_t buf[65536];
	size_t sent = 0, got = 0;
	unsigned edges;
	ssize_t n;

	(void)state;
	for (; get(LSR) & 0x20; sent++) {
		set(THR, (uint8_t)(sent % 251));
		if (sent % 4096 == 0)
			(void)fake_host_run(&h);
		assert_in_range(sent, 0, 16 << 20);
	}
	(void)fake_host_run(&h);
	while (get(LSR) & 0x20)
		set(THR, (uint8_t)(sent++ % 251));
	assert_int_equal(get(LSR) & 0x60, 0);
	set(IER, 0x02);
	assert_false(irq());
	edges = h.edges[GSI_SERIAL];
	while ((n = recv(peer, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(buf[i], (got + (size_t)i) % 251);
		got += (size_t)n;
		(void)fake_host_run(&h);
	}
	assert_int_equal(got, sent);
	assert_true(irq());
	assert_int_equal(h.edges[GSI_SERIAL], edges + 1);
	assert_int_equal(get(IIR) & 0x0f, 0x02);
	assert_int_equal(get(LSR) & 0x60, 0x60);
}

/* As a driver that is woken by the interrupt; until there is no room. */
static size_t transmit_all(size_t most)
{
	size_t n = 0;

	while (n < most && (get(LSR) & 0x20)) {
		for (unsigned i = 0; i < 16; i++)
			set(THR, 'x');
		n += 16;
		(void)get(IIR);
		(void)fake_host_run(&h);
	}
	return n;
}

/*
 * The monitor is killed while a guest waits for room: it is woken, and goes on
 * without anybody who reads.
 */
static void a_writer_goes_on_when_its_reader_has_gone(void **state)
{
	unsigned before;

	(void)state;
	console_keep(&con);
	set(FCR, 0x01);
	set(IER, 0x02);
	(void)transmit_all(SIZE_MAX);
	assert_int_equal(get(LSR) & 0x60, 0);
	assert_false(irq());
	before = h.edges[GSI_SERIAL];
	(void)close(peer);
	peer = -1;
	(void)fake_host_run(&h); /* the socket says so, or control has gone */
	console_detach(&con);
	assert_true(h.edges[GSI_SERIAL] > before);
	assert_true(irq());
	assert_int_equal(get(IIR) & 0x0f, 0x02);
	assert_int_equal(transmit_all(1 << 20), 1 << 20);
	assert_int_equal(get(LSR) & 0x60, 0x60);
}

static void wide_accesses_are_nobodys(void **state)
{
	(void)state;
	assert_int_equal(io_bus_read(&h.pio, PORT_SERIAL, 2), 0xffff);
	assert_int_equal(io_bus_read(&h.pio, PORT_SERIAL + 4, 4), 0xffffffff);
	io_bus_write(&h.pio, PORT_SERIAL, 4, 0x41414141);
	assert_int_equal(fake_host_wait(&h, 10), 0);
	set(LSR, 0xff);
	set(MSR, 0xff);
	assert_int_equal(get(LSR), 0x60);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(idle_port),
		T(detected_as_16550a),
		T(divisor_latch_is_apart),
		T(transmitted_bytes_arrive),
		T(transmitter_interrupt),
		T(receiver_interrupt_and_data),
		T(receiver_goes_before_transmitter),
		T(new_input_is_a_new_edge),
		T(long_input_is_not_lost),
		T(loopback),
		T(input_waits_for_the_end_of_loopback),
		T(overrun_is_told_once),
		T(clearing_the_fifo),
		T(full_output_shows_busy),
		T(a_writer_goes_on_when_its_reader_has_gone),
		T(wide_accesses_are_nobodys),
	};

	return cmocka_run_group_tests_name("serial", tests, NULL, NULL);
}
