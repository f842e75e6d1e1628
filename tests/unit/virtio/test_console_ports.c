/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports of a virtio console: how the guest learns of them, and their bytes. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/dev/virtio/virtio_console.h"
#include "tests/unit/platform/console_peer.h"
#include "tests/unit/support.h"
#include "tests/unit/virtio/guest_driver.h"

#define SIZE	  16u
#define QUEUES	  12u /* up to GUEST_PORT_OF(0, GUEST_ERR) */
#define MULTIPORT (1ull << 1)
#define CTRL_RX	  PORT_QUEUE_CONTROL_RX
#define CTRL_TX	  PORT_QUEUE_CONTROL_TX
#define BUFFER	  512u

#define AGENT GUEST_PORT_AGENT
#define IN    GUEST_PORT_OF(0, GUEST_IN)
#define OUT   GUEST_PORT_OF(0, GUEST_OUT)

enum { READY = 0, ADD = 1, PORT_IS_READY = 3, CONSOLE = 4, OPEN = 6, NAME = 7 };

struct message {
	uint32_t id;
	uint16_t event, value;
	char name[BUFFER - 8];
};

static struct fake_host h;
static struct console con;
static struct virtio_console hvc;
static struct driver d;
static int peer;
static uint64_t open_ports;

static unsigned rx_of(unsigned port)
{
	return 2 * port + 2;
}

static unsigned tx_of(unsigned port)
{
	return 2 * port + 3;
}

/* A buffer of its own for each descriptor of each queue. */
static uint64_t buffer(unsigned queue, unsigned i)
{
	return DATA_GPA + (queue * SIZE + i) * BUFFER;
}

static void offer_empty(unsigned queue, unsigned i)
{
	ring_desc(&d.rings[queue], i, buffer(queue, i), BUFFER, D_WRITE, 0);
	ring_offer(&d.rings[queue], (uint16_t)i);
}

static void notify(unsigned queue)
{
	driver_write(&d, R_NOTIFY + 4 * queue, 2, queue);
	(void)fake_host_run(&h);
}

static void changed(void *arg, uint64_t ports)
{
	(void)arg;
	open_ports = ports;
}

static void start(uint64_t features)
{
	driver_start(&d, features, QUEUES, SIZE);
	for (unsigned i = 0; i < SIZE; i++)
		offer_empty(CTRL_RX, i);
	notify(CTRL_RX);
}

static int set_up(void **state)
{
	(void)state;
	open_ports = 0;
	peer = console_peer_create(&h, MIB(4), &con);
	must(virtio_console_init(&hvc, &h.host, &con) == 0);
	hvc.ports.changed = changed;
	driver_attach(&d, &h, &hvc.v);
	start(MULTIPORT);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	virtio_console_destroy(&hvc);
	console_peer_destroy(&h, &con, peer);
	return 0;
}

/* --- control messages --- */

static void tell(uint32_t id, unsigned event, unsigned value)
{
	struct {
		uint32_t id;
		uint16_t event, value;
	} m = { id, (uint16_t)event, (uint16_t)value };
	uint32_t head, written;

	memcpy(fake_guest(&h, buffer(CTRL_TX, 0), sizeof(m)), &m, sizeof(m));
	ring_desc(&d.rings[CTRL_TX], 0, buffer(CTRL_TX, 0), sizeof(m), 0, 0);
	ring_offer(&d.rings[CTRL_TX], 0);
	/* Linux spins here: it is taken without the I/O thread. */
	driver_write(&d, R_NOTIFY + 4 * CTRL_TX, 2, CTRL_TX);
	assert_true(ring_used(&d.rings[CTRL_TX], &head, &written));
	(void)fake_host_run(&h);
}

static uint32_t last_head; /* of the last message's buffer */

/* The next message; its buffer goes back if @recycle. */
static bool receive(struct message *m, bool recycle)
{
	uint32_t head, written;

	if (!ring_used(&d.rings[CTRL_RX], &head, &written))
		return false;
	last_head = head;
	memset(m, 0, sizeof(*m));
	memcpy(m, fake_guest(&h, buffer(CTRL_RX, head), BUFFER), written);
	if (recycle) {
		offer_empty(CTRL_RX, head);
		notify(CTRL_RX);
	}
	return true;
}

static void expect(uint32_t id, unsigned event, unsigned value)
{
	struct message m;

	assert_true(receive(&m, true));
	assert_int_equal(m.id, id);
	assert_int_equal(m.event, event);
	assert_int_equal(m.value, value);
}

static void expect_nothing(void)
{
	struct message m;

	assert_false(receive(&m, true));
}

/* As Linux does it: ports are added, and each is ready. */
static void handshake(void)
{
	struct message m;

	tell(~0u, READY, 1);
	for (unsigned i = 0; i < GUEST_NR_PORTS; i++)
		expect(i, ADD, 1);
	expect_nothing();
	for (unsigned i = 0; i < GUEST_NR_PORTS; i++)
		tell(i, PORT_IS_READY, 1);
	while (receive(&m, true))
		;
}

/* --- bytes --- */

static void guest_writes(unsigned port, unsigned i, const char *text)
{
	unsigned q = tx_of(port);

	memcpy(fake_guest(&h, buffer(q, i), BUFFER), text, strlen(text));
	ring_desc(&d.rings[q], i, buffer(q, i), (uint32_t)strlen(text), 0, 0);
	ring_offer(&d.rings[q], (uint16_t)i);
	notify(q);
}

static void expect_guest_reads(unsigned port, const char *text)
{
	uint32_t head, written;

	(void)fake_host_run(&h);
	assert_true(ring_used(&d.rings[rx_of(port)], &head, &written));
	assert_int_equal(written, strlen(text));
	assert_memory_equal(fake_guest(&h, buffer(rx_of(port), head), BUFFER),
			    text, written);
}

static bool guest_got_nothing(unsigned port)
{
	struct ring *r = &d.rings[rx_of(port)];

	(void)fake_host_run(&h);
	return ring_used_index(r) == r->used_idx;
}

/* Return: our end of its socket. */
static int attach(unsigned port)
{
	int sv[2];

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
	console_ports_attach(&hvc.ports, port, sv[1]);
	(void)fake_host_run(&h);
	return sv[0];
}

static void expect_bytes(int fd, const char *text)
{
	char buf[BUFFER];

	(void)fake_host_run(&h);
	assert_int_equal(recv(fd, buf, sizeof(buf), MSG_DONTWAIT),
			 strlen(text));
	assert_memory_equal(buf, text, strlen(text));
}

static void expect_no_bytes(int fd)
{
	char b;

	(void)fake_host_run(&h);
	assert_int_equal(recv(fd, &b, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

static void expect_end(int fd)
{
	char b;

	(void)fake_host_run(&h);
	assert_int_equal(recv(fd, &b, 1, MSG_DONTWAIT), 0);
}

/* --- tests --- */

static void ports_have_names_and_one_is_the_console(void **state)
{
	static const char *const names[] = {
		"",
		"org.qemu.guest_agent.0",
		"org.disco.exec.0.in",
		"org.disco.exec.0.out",
		"org.disco.exec.0.err",
		"org.disco.exec.1.in",
		"org.disco.exec.1.out",
		"org.disco.exec.1.err",
	};
	struct message m;

	(void)state;
	assert_true(driver_offered(&d) & MULTIPORT);
	assert_int_equal(driver_read(&d, R_DEVICE + 4, 4), GUEST_NR_PORTS);
	tell(~0u, READY, 1);
	for (unsigned i = 0; i < GUEST_NR_PORTS; i++)
		expect(i, ADD, 1);
	for (unsigned i = 0; i < GUEST_NR_PORTS; i++) {
		tell(i, PORT_IS_READY, 1);
		assert_true(receive(&m, true));
		assert_int_equal(m.id, i);
		assert_int_equal(m.event, i ? NAME : CONSOLE);
		assert_string_equal(m.name, names[i]);
		expect(i, OPEN, 1);
		expect_nothing();
	}
}

static void the_console_is_there_without_them(void **state)
{
	char buf[16];

	(void)state;
	start(0);
	memcpy(fake_guest(&h, buffer(1, 0), 8), "console\n", 8);
	ring_desc(&d.rings[1], 0, buffer(1, 0), 8, 0, 0);
	ring_offer(&d.rings[1], 0);
	notify(1);
	(void)fake_host_wait(&h, 1000);
	assert_int_equal(recv(peer, buf, sizeof(buf), MSG_DONTWAIT), 8);
	expect_nothing();
}

static void messages_wait_for_buffers_and_are_not_repeated(void **state)
{
	struct message m;

	(void)state;
	/* SIZE buffers are there, and none comes back. */
	for (unsigned i = 0; i < 100; i++)
		tell(~0u, READY, 1);
	for (unsigned i = 0; i < SIZE; i++) {
		assert_true(receive(&m, false));
		assert_int_equal(m.event, ADD);
	}
	assert_false(receive(&m, false));
	for (unsigned i = 0; i < SIZE; i++)
		offer_empty(CTRL_RX, i);
	notify(CTRL_RX);
	/* What was left: at most one of a kind per port. */
	for (unsigned n = 0; receive(&m, false); n++)
		assert_in_range(n, 0, GUEST_NR_PORTS);
}

static void nonsense_on_the_control_queue_changes_nothing(void **state)
{
	(void)state;
	handshake();
	tell(GUEST_NR_PORTS, OPEN, 1);
	tell(~0u, OPEN, 1);
	tell(AGENT, 77, 1);
	tell(AGENT, READY, 0);
	assert_int_equal(open_ports, 0);
	expect_nothing();
	assert_false(driver_status(&d) & VIRTIO_STATUS_NEEDS_RESET);
}

static void bytes_pass_both_ways_while_the_guest_has_it_open(void **state)
{
	int fd;

	(void)state;
	handshake();
	fd = attach(AGENT);
	for (unsigned i = 0; i < SIZE; i++)
		offer_empty(rx_of(AGENT), i);
	notify(rx_of(AGENT));
	must(send(fd, "request", 7, 0) == 7);
	/* Linux would discard it now. */
	assert_true(guest_got_nothing(AGENT));
	tell(AGENT, OPEN, 1);
	assert_int_equal(open_ports, 1u << AGENT);
	expect_guest_reads(AGENT, "request");
	guest_writes(AGENT, 0, "answer");
	expect_bytes(fd, "answer");
	/* The agent is started anew: the socket stays. */
	tell(AGENT, OPEN, 0);
	assert_int_equal(open_ports, 0);
	must(send(fd, "more", 4, 0) == 4);
	assert_true(guest_got_nothing(AGENT));
	tell(AGENT, OPEN, 1);
	expect_guest_reads(AGENT, "more");
	(void)close(fd);
}

static void a_guest_that_writes_to_nobody_waits(void **state)
{
	uint32_t head, written;
	int fd;

	(void)state;
	handshake();
	tell(AGENT, OPEN, 1);
	guest_writes(AGENT, 0, "one");
	guest_writes(AGENT, 1, "two");
	assert_false(ring_used(&d.rings[tx_of(AGENT)], &head, &written));
	fd = attach(AGENT);
	expect_bytes(fd, "onetwo");
	assert_true(ring_used(&d.rings[tx_of(AGENT)], &head, &written));
	/* Control goes; the next one gets what is written then. */
	(void)close(fd);
	guest_writes(AGENT, 2, "three");
	fd = attach(AGENT);
	expect_bytes(fd, "three");
	(void)close(fd);
}

static void
a_reader_that_is_slow_holds_the_guest_up_and_loses_nothing(void **state)
{
	static char text[BUFFER];
	uint64_t sent = 0, got = 0;
	unsigned busy = 0;
	int fd;

	(void)state;
	handshake();
	fd = attach(OUT);
	tell(OUT, OPEN, 1);
	memset(text, 'x', sizeof(text) - 1);
	/* Up to where it is held up. */
	while (busy < SIZE) {
		uint32_t head, written;

		assert_in_range(sent, 0, MIB(8));
		guest_writes(OUT, (unsigned)(sent / (BUFFER - 1) % SIZE), text);
		sent += BUFFER - 1;
		busy++;
		while (ring_used(&d.rings[tx_of(OUT)], &head, &written))
			busy--;
	}
	assert_in_range(fake_host_run(&h), 0, 50); /* it does not spin */
	tell(OUT, OPEN, 0);
	assert_int_equal(open_ports, 1u << OUT); /* until all is sent */
	for (;;) {
		char buf[4096];
		ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

		if (n == 0)
			break;
		assert_true(n > 0 || errno == EAGAIN);
		got += n > 0 ? (uint64_t)n : 0;
		(void)fake_host_run(&h);
	}
	assert_int_equal(got, sent);
	assert_int_equal(open_ports, 0);
	(void)close(fd);
}

static void the_end_of_output_is_the_end_of_its_socket(void **state)
{
	int fd;

	(void)state;
	handshake();
	fd = attach(OUT);
	tell(OUT, OPEN, 1);
	guest_writes(OUT, 0, "last");
	expect_bytes(fd, "last");
	expect_no_bytes(fd);
	tell(OUT, OPEN, 0);
	expect_end(fd);
	(void)close(fd);
	/* And the next command has it. */
	fd = attach(OUT);
	tell(OUT, OPEN, 1);
	guest_writes(OUT, 1, "next");
	expect_bytes(fd, "next");
	(void)close(fd);
}

static void the_end_of_input_is_told_after_its_bytes(void **state)
{
	struct message m;
	int fd;

	(void)state;
	handshake();
	fd = attach(IN);
	for (unsigned i = 0; i < SIZE; i++)
		offer_empty(rx_of(IN), i);
	notify(rx_of(IN));
	must(send(fd, "input", 5, 0) == 5);
	must(shutdown(fd, SHUT_WR) == 0);
	tell(IN, OPEN, 1);
	expect_guest_reads(IN, "input");
	expect(IN, OPEN, 0);
	assert_in_range(fake_host_run(&h), 0, 5);
	tell(IN, OPEN, 0);
	expect_end(fd);
	/* For the next reader it is open again, once the guest knows it. */
	assert_true(receive(&m, false));
	assert_int_equal(m.value, 1);
	(void)fake_host_run(&h);
	assert_int_equal(open_ports, 1u << IN);
	offer_empty(CTRL_RX, last_head);
	notify(CTRL_RX);
	assert_int_equal(open_ports, 0);
	(void)close(fd);
}

static void what_the_guest_writes_to_an_input_is_dropped(void **state)
{
	uint32_t head, written;
	int fd;

	(void)state;
	handshake();
	fd = attach(IN);
	tell(IN, OPEN, 1);
	guest_writes(IN, 0, "nonsense");
	assert_false(ring_used(&d.rings[tx_of(IN)], &head, &written));
	expect_no_bytes(fd);
	tell(IN, OPEN, 0);
	expect_end(fd);
	assert_true(ring_used(&d.rings[tx_of(IN)], &head, &written));
	(void)close(fd);
}

static void a_reset_closes_streams_and_keeps_the_agents_socket(void **state)
{
	int out, agent;

	(void)state;
	handshake();
	out = attach(OUT);
	agent = attach(AGENT);
	tell(OUT, OPEN, 1);
	tell(AGENT, OPEN, 1);
	start(MULTIPORT);
	assert_int_equal(open_ports, 0);
	expect_end(out);
	expect_no_bytes(agent);
	handshake();
	tell(AGENT, OPEN, 1);
	guest_writes(AGENT, 0, "again");
	expect_bytes(agent, "again");
	(void)close(out);
	(void)close(agent);
}

static void a_broken_queue_does_not_spin(void **state)
{
	static char text[BUFFER];
	int fd;

	(void)state;
	handshake();
	fd = attach(AGENT);
	tell(AGENT, OPEN, 1);
	memset(text, 'x', sizeof(text) - 1);
	for (unsigned i = 0; i < 2000; i++)
		guest_writes(AGENT, i % SIZE, text);
	/* The socket is full. Now a chain that breaks the rules. */
	ring_desc(&d.rings[CTRL_TX], 0, ~0ull, 8, 0, 0);
	ring_offer(&d.rings[CTRL_TX], 0);
	notify(CTRL_TX);
	assert_true(driver_status(&d) & VIRTIO_STATUS_NEEDS_RESET);
	for (unsigned i = 0; i < 64; i++) {
		char buf[65536];

		(void)recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		assert_in_range(fake_host_run(&h), 0, 20);
	}
	(void)close(fd);
}

static void other_numbers_are_refused(void **state)
{
	int sv[2];
	char b;

	(void)state;
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
	console_ports_attach(&hvc.ports, GUEST_NR_PORTS, sv[1]);
	assert_int_equal(recv(sv[0], &b, 1, MSG_DONTWAIT), 0);
	(void)close(sv[0]);
}

int main(void)
{
#define PORT_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		PORT_TEST(ports_have_names_and_one_is_the_console),
		PORT_TEST(the_console_is_there_without_them),
		PORT_TEST(messages_wait_for_buffers_and_are_not_repeated),
		PORT_TEST(nonsense_on_the_control_queue_changes_nothing),
		PORT_TEST(bytes_pass_both_ways_while_the_guest_has_it_open),
		PORT_TEST(a_guest_that_writes_to_nobody_waits),
		PORT_TEST(
			a_reader_that_is_slow_holds_the_guest_up_and_loses_nothing),
		PORT_TEST(the_end_of_output_is_the_end_of_its_socket),
		PORT_TEST(the_end_of_input_is_told_after_its_bytes),
		PORT_TEST(what_the_guest_writes_to_an_input_is_dropped),
		PORT_TEST(a_reset_closes_streams_and_keeps_the_agents_socket),
		PORT_TEST(a_broken_queue_does_not_spin),
		PORT_TEST(other_numbers_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
