/* SPDX-License-Identifier: BSD-2-Clause */
/* The byte stream: nothing lost, nothing made up, no spinning, no hanging. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/dev/platform/console.h"
#include "tests/unit/virtio/fake_host.h"
#include "tests/unit/platform/console_peer.h"
#include "tests/unit/support.h"

struct port {
	struct console_port p;
	size_t room;
	size_t got;
	unsigned drained;
	uint8_t buf[4096];
};

static struct fake_host h;
static struct console con;
static struct port a, b;
static int peer;

static struct port *from_port(struct console_port *p)
{
	return container_of(p, struct port, p);
}

static size_t port_room(struct console_port *p)
{
	return from_port(p)->room;
}

static void port_input(struct console_port *p, const uint8_t *buf, size_t len)
{
	struct port *port = from_port(p);

	assert_in_range(len, 1, port->room);
	memcpy(port->buf + port->got, buf, len);
	port->got += len;
	port->room -= len;
}

static void port_drained(struct console_port *p)
{
	from_port(p)->drained++;
}

static int setup(void **state)
{
	const struct console_port p = { .room = port_room,
					.input = port_input,
					.drained = port_drained };

	(void)state;
	peer = console_peer_create(&h, MIB(1), &con);
	a = (struct port){ .p = p, .room = 64 };
	b = (struct port){ .p = p, .room = 64 };
	console_add_port(&con, &a.p);
	console_add_port(&con, &b.p);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	console_peer_destroy(&h, &con, peer);
	return 0;
}

static size_t put(struct port *p, const char *s)
{
	return console_put(&con, &p->p, (const uint8_t *)s, strlen(s));
}

static void expect_peer(const char *s)
{
	char buf[256];
	ssize_t n = recv(peer, buf, sizeof(buf), MSG_DONTWAIT);

	assert_int_equal(n, strlen(s));
	assert_memory_equal(buf, s, strlen(s));
}

static void type(const char *s)
{
	assert_int_equal(send(peer, s, strlen(s), 0), strlen(s));
}

static void a_line_goes_out_at_once(void **state)
{
	(void)state;
	assert_int_equal(put(&a, "hello\n"), 6);
	assert_true(fake_host_run(&h) > 0);
	expect_peer("hello\n");
}

/* A guest that writes short lines must not cost a wake-up for each. */
static void many_lines_wake_the_io_thread_once(void **state)
{
	static char buf[1 << 16];
	char line[16];
	unsigned turns;
	ssize_t n;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(line, sizeof(line), "%07u\n", i);
		assert_int_equal(put(&a, line), 8);
	}
	/* One line at once, the others when their time has come. */
	turns = fake_host_run(&h);
	turns += fake_host_wait(&h, 1000);
	assert_in_range(turns, 1, 4);
	n = recv(peer, buf, sizeof(buf), MSG_DONTWAIT);
	assert_int_equal(n, 8000);
	assert_memory_equal(buf + n - 8, "0000999\n", 8);
}

/* The serial port was told that there is room: that room stays. */
static void one_port_does_not_take_the_room_of_another(void **state)
{
	static uint8_t chunk[CONSOLE_OUT_BYTES];

	(void)state;
	b.p.leaves = CONSOLE_BURST_BYTES;
	assert_true(console_has_room(&con, CONSOLE_BURST_BYTES));
	assert_int_equal(console_put(&con, &b.p, chunk, sizeof(chunk)),
			 sizeof(chunk) - CONSOLE_BURST_BYTES);
	assert_int_equal(console_put(&con, &b.p, chunk, 1), 0);
	assert_int_equal(put(&a, "0123456789abcdef"), CONSOLE_BURST_BYTES);
}

static void a_part_of_a_line_goes_out_soon(void **state)
{
	uint64_t begin = clock_now_ns();
	int ran;

	(void)state;
	put(&a, "login: ");
	ran = fake_host_run(&h);
	/* Not yet: batching. Unless this process had no CPU meanwhile. */
	if (clock_now_ns() - begin < CONSOLE_FLUSH_NS)
		assert_int_equal(ran, 0);
	if (!ran)
		assert_true(fake_host_wait(&h, 1000) > 0);
	expect_peer("login: ");
	put(&a, "x"); /* the timer is armed again */
	assert_true(fake_host_wait(&h, 1000) > 0);
	expect_peer("x");
}

static void writers_are_not_mixed_up(void **state)
{
	(void)state;
	put(&a, "one ");
	put(&b, "two ");
	put(&a, "three\n");
	(void)fake_host_run(&h);
	expect_peer("one two three\n");
}

static void input_goes_to_the_first_port_at_first(void **state)
{
	(void)state;
	type("x");
	(void)fake_host_run(&h);
	assert_int_equal(a.got, 1);
	assert_int_equal(b.got, 0);
}

static void input_goes_to_who_wrote_last(void **state)
{
	(void)state;
	put(&a, "boot\n");
	put(&b, "shell\n");
	(void)fake_host_run(&h);
	type("ls\n");
	(void)fake_host_run(&h);
	assert_int_equal(a.got, 0);
	assert_int_equal(b.got, 3);
	put(&a, "panic\n");
	(void)fake_host_run(&h);
	type("?");
	(void)fake_host_run(&h);
	assert_int_equal(a.got, 1);
}

static void input_waits_for_room(void **state)
{
	(void)state;
	a.room = 3;
	type("abcdefgh");
	assert_in_range(fake_host_run(&h), 1, 20); /* and no spinning */
	assert_int_equal(a.got, 3);
	assert_int_equal(fake_host_run(&h), 0);
	a.room = 3;
	console_want_input(&con);
	(void)fake_host_run(&h);
	assert_int_equal(a.got, 6);
	a.room = 100;
	console_want_input(&con);
	(void)fake_host_run(&h);
	assert_int_equal(a.got, 8);
	assert_memory_equal(a.buf, "abcdefgh", 8);
}

static void typed_before_hanging_up_arrives(void **state)
{
	(void)state;
	a.room = 4;
	type("poweroff\n");
	(void)close(peer);
	peer = -1;
	assert_in_range(fake_host_run(&h), 1, 20);
	assert_int_equal(a.got, 4);
	a.room = 100;
	console_want_input(&con);
	assert_in_range(fake_host_run(&h), 1, 20);
	assert_int_equal(a.got, 9);
	assert_memory_equal(a.buf, "poweroff\n", 9);
}

/* The reader is gone: output counts as sent, nothing hangs, nothing spins. */
static void reader_gone(void **state)
{
	(void)state;
	(void)close(peer);
	peer = -1;
	assert_in_range(fake_host_run(&h), 0, 20);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(put(&a, "nobody reads this line\n"), 23);
		assert_in_range(fake_host_wait(&h, 1000), 1, 20);
	}
	assert_true(console_has_room(&con, CONSOLE_OUT_BYTES));
	console_want_input(&con);
	assert_in_range(fake_host_run(&h), 1, 20);
	assert_int_equal(a.got, 0);
}

static void end_of_input_only(void **state)
{
	(void)state;
	type("bye");
	assert_int_equal(shutdown(peer, SHUT_WR), 0);
	assert_in_range(fake_host_run(&h), 1, 20);
	assert_int_equal(a.got, 3);
	put(&a, "output goes on\n");
	assert_in_range(fake_host_run(&h), 1, 20);
	expect_peer("output goes on\n");
}

/* Fill everything up without a reader; then read: it all comes, in order. */
static void full_buffer_refuses_and_loses_nothing(void **state)
{
	static uint8_t chunk[1000], got[4096];
	size_t sent = 0, received = 0;
	ssize_t n;

	(void)state;
	for (;;) {
		for (size_t i = 0; i < sizeof(chunk); i++)
			chunk[i] = (uint8_t)((sent + i) % 251);
		size_t taken = console_put(&con, &a.p, chunk, sizeof(chunk));

		sent += taken;
		(void)fake_host_run(&h);
		if (taken < sizeof(chunk))
			break;
		assert_in_range(sent, 0, 16 << 20);
	}
	assert_true(sent >= CONSOLE_OUT_BYTES);
	assert_false(console_has_room(&con, CONSOLE_OUT_BYTES));
	assert_int_equal(a.drained, 0);
	assert_int_equal(fake_host_run(&h), 0);
	do {
		n = recv(peer, got, sizeof(got), MSG_DONTWAIT);
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(got[i], (received + (size_t)i) % 251);
		received += n > 0 ? (size_t)n : 0;
		(void)fake_host_run(&h);
	} while (n > 0);
	assert_int_equal(received, sent);
	assert_true(a.drained >= 1);
	assert_int_equal(a.drained, b.drained); /* whoever was refused */
	assert_true(console_has_room(&con, CONSOLE_OUT_BYTES));
}

static void has_room_is_exact(void **state)
{
	static uint8_t chunk[CONSOLE_OUT_BYTES - 16];

	(void)state;
	memset(chunk, 'x', sizeof(chunk));
	assert_int_equal(console_put(&con, &a.p, chunk, sizeof(chunk)),
			 sizeof(chunk));
	assert_true(console_has_room(&con, 16));
	assert_false(console_has_room(&con, 17));
	assert_int_equal(put(&a, "0123456789abcdefGONE"), 16);
}

static void flush_ends_in_time(void **state)
{
	static uint8_t chunk[CONSOLE_OUT_BYTES];
	uint64_t start;

	(void)state;
	for (unsigned i = 0; i < 64; i++) { /* more than the socket takes */
		(void)console_put(&con, &a.p, chunk, sizeof(chunk));
		(void)fake_host_run(&h);
	}
	start = clock_now_ns();
	console_flush(&con, 50); /* it ends */
	assert_true(clock_now_ns() - start >= 40 * 1000000);
}

/*
 * A reader that takes a little now and then does not make a flush longer. What
 * it can take in the flush's time is less than a quarter of what is there, on
 * any machine: a KiB per 10 ms.
 */
static _Atomic bool reading;

static void *slow_reader(void *arg)
{
	uint8_t buf[1024];

	while (atomic_load(&reading)) {
		(void)usleep(10000);
		(void)recv(peer, buf, sizeof(buf), MSG_DONTWAIT);
	}
	return arg;
}

static void flush_ends_in_time_with_a_slow_reader(void **state)
{
	static uint8_t chunk[CONSOLE_OUT_BYTES];
	int small = 1;
	pthread_t thread;

	(void)state;
	must(setsockopt(con.sock.fd, SOL_SOCKET, SO_SNDBUF, &small,
			sizeof(small)) == 0);
	(void)console_put(&con, &a.p, chunk, sizeof(chunk));
	(void)fake_host_run(&h);
	atomic_store(&reading, true);
	must(pthread_create(&thread, NULL, slow_reader, NULL) == 0);
	console_flush(&con, 100);
	assert_false(console_has_room(&con, CONSOLE_OUT_BYTES / 2));
	atomic_store(&reading, false);
	(void)pthread_join(thread, NULL);
}

static void flush_sends_everything(void **state)
{
	(void)state;
	put(&a, "last words");
	console_flush(&con, 1000);
	expect_peer("last words");
	console_flush(&con, 1000);
}

/* --- between two readers --- */

static void new_reader(void)
{
	int sv[2];

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) == 0);
	must(dup2(sv[0], con.sock.fd) == con.sock.fd);
	(void)close(sv[0]);
	peer = sv[1];
	console_attach(&con);
}

/* Read everything; the count of bytes, the last ones in @last. */
static size_t read_all(char *last, size_t size)
{
	static char buf[2 * CONSOLE_OUT_BYTES];
	size_t n = 0;
	ssize_t got;

	do {
		(void)fake_host_run(&h);
		got = recv(peer, buf + n, sizeof(buf) - n, MSG_DONTWAIT);
		n += got > 0 ? (size_t)got : 0;
	} while (got > 0);
	must(n >= size);
	memcpy(last, buf + n - size, size);
	return n;
}

static void the_last_bytes_wait_for_the_next_reader(void **state)
{
	char line[16], last[8];

	(void)state;
	console_keep(&con);
	(void)close(peer);
	for (unsigned i = 0; i < 20000; i++) {
		(void)snprintf(line, sizeof(line), "%07u\n", i);
		assert_int_equal(put(&a, line), 8);
		if (i % 1000 == 0)
			assert_in_range(fake_host_run(&h), 0, 20);
	}
	assert_true(console_has_room(&con, CONSOLE_OUT_BYTES));
	assert_in_range(fake_host_run(&h), 0, 20);
	console_flush(&con, 10000); /* ends at once */
	console_detach(&con);
	new_reader();
	assert_int_equal(read_all(last, sizeof(last)), CONSOLE_OUT_BYTES);
	assert_memory_equal(last, "0019999\n", 8);
	type("again");
	assert_in_range(fake_host_run(&h), 1, 20);
	assert_int_equal(a.got, 5);
	assert_int_equal(put(&a, "and on\n"), 7);
	(void)fake_host_wait(&h, 1000);
	expect_peer("and on\n");
}

static void who_waits_for_room_goes_on_without_a_reader(void **state)
{
	(void)state;
	console_keep(&con);
	while (put(&a, "fills the buffer and the socket\n") == 32)
		(void)fake_host_run(&h);
	a.drained = 0;
	(void)close(peer);
	peer = -1;
	console_detach(&con);
	assert_true(a.drained > 0);
	assert_int_equal(put(&a, "goes on\n"), 8);
	assert_in_range(fake_host_run(&h), 0, 20);
}

/* --- a kernel that panics --- */

static char panic_text[PANIC_TEXT_BYTES];
static unsigned panics;

static void panic_seen(void *arg, const char *text)
{
	assert_ptr_equal(arg, &con);
	(void)snprintf(panic_text, sizeof(panic_text), "%s", text);
	panics++;
}

static void the_line_of_a_panic_is_seen(void **state)
{
	(void)state;
	panics = 0;
	con.panic_seen = panic_seen;
	con.panic_arg = &con;
	put(&a, "Kernel panic - not ");
	put(&b, "this is another port\n");
	put(&a, "syncing: no init\n");
	(void)fake_host_run(&h);
	assert_int_equal(panics, 1);
	assert_string_equal(panic_text, "no init");
	(void)fake_host_wait(&h, 1000);
	assert_int_equal(panics, 1);
	assert_int_equal(console_written(&con), 19 + 21 + 17);
}

static void the_line_of_a_panic_is_seen_without_a_reader(void **state)
{
	(void)state;
	panics = 0;
	con.panic_seen = panic_seen;
	con.panic_arg = &con;
	console_keep(&con);
	console_detach(&con);
	put(&a, "Kernel panic - not syncing: alone\n");
	(void)fake_host_run(&h);
	assert_int_equal(panics, 1);
	assert_string_equal(panic_text, "alone");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_line_goes_out_at_once),
		T(many_lines_wake_the_io_thread_once),
		T(one_port_does_not_take_the_room_of_another),
		T(a_part_of_a_line_goes_out_soon),
		T(writers_are_not_mixed_up),
		T(input_goes_to_the_first_port_at_first),
		T(input_goes_to_who_wrote_last),
		T(input_waits_for_room),
		T(typed_before_hanging_up_arrives),
		T(reader_gone),
		T(end_of_input_only),
		T(full_buffer_refuses_and_loses_nothing),
		T(has_room_is_exact),
		T(flush_ends_in_time),
		T(flush_ends_in_time_with_a_slow_reader),
		T(flush_sends_everything),
		T(the_last_bytes_wait_for_the_next_reader),
		T(who_waits_for_room_goes_on_without_a_reader),
		T(the_line_of_a_panic_is_seen),
		T(the_line_of_a_panic_is_seen_without_a_reader),
	};

	return cmocka_run_group_tests_name("console", tests, NULL, NULL);
}
