/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest consoles: lines, prefixes, floods, marks, and the keys that are ours.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/console/console.h"
#include "tests/unit/support.h"

#define NR 3

/* Three guests and a pipe as standard output. */
struct fixture {
	struct loop loop;
	struct sink out;
	struct console_hub hub;
	struct vm_console con[NR];
	int guest[NR]; /* the worker's ends; -1: closed */
	int mine[NR];
	int pipe[2];
	char text[1 << 20];
	size_t len;
};

/* Only the test lets the time pass that a started line is waited for. */
static uint64_t loop_now_ns;

static uint64_t test_clock(void)
{
	return loop_now_ns;
}

static const char *const names[NR] = { "vm-0", "vm-1", "vm-2" };

static struct fixture *make(enum console_mode mode, const char *mark,
			    unsigned nr)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(loop_create(&f->loop), 0);
	loop_now_ns = clock_now_ns();
	f->loop.now_ns = test_clock;
	assert_int_equal(pipe2(f->pipe, O_CLOEXEC), 0);
	assert_int_equal(fcntl(f->pipe[0], F_SETFL, O_NONBLOCK), 0);
	sink_create(&f->out, &f->loop, f->pipe[1]);
	assert_int_equal(
		console_hub_create(&f->hub, &f->loop, &f->out, mode, mark), 0);
	for (unsigned i = 0; i < NR; i++) {
		int s[2];

		assert_int_equal(
			socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s),
			0);
		f->mine[i] = s[0];
		f->guest[i] = s[1];
		if (i < nr)
			console_open(&f->con[i], &f->hub, names[i], s[0],
				     clock_now_ns());
	}
	return f;
}

static void drop(struct fixture *f)
{
	for (unsigned i = 0; i < NR; i++) {
		console_close(&f->con[i]);
		(void)close(f->mine[i]);
		if (f->guest[i] >= 0)
			(void)close(f->guest[i]);
	}
	console_hub_destroy(&f->hub);
	sink_destroy(&f->out);
	(void)close(f->pipe[0]);
	if (f->pipe[1] >= 0)
		(void)close(f->pipe[1]);
	loop_destroy(&f->loop);
	free(f);
}

static void take_output(struct fixture *f)
{
	ssize_t n;

	do {
		n = read(f->pipe[0], f->text + f->len,
			 sizeof(f->text) - 1 - f->len);
		f->len += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	f->text[f->len] = '\0';
}

static void turn(struct fixture *f)
{
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(loop_turn(&f->loop, 0), 0);
		take_output(f);
	}
}

static void guest_says(struct fixture *f, unsigned i, const char *text)
{
	ssize_t n = (ssize_t)strlen(text);

	assert_int_equal(write(f->guest[i], text, (size_t)n), n);
	turn(f);
}

static void let_lines_get_old(struct fixture *f)
{
	loop_now_ns = clock_now_ns() + CONSOLE_IDLE_NS;
	turn(f);
}

static void guest_ends(struct fixture *f, unsigned i)
{
	(void)close(f->guest[i]);
	f->guest[i] = -1;
	turn(f);
}

static void lines_get_the_name(void **state)
{
	struct fixture *f = make(CONSOLE_LINES, NULL, 2);

	(void)state;
	guest_says(f, 0, "one\ntwo\r\n");
	guest_says(f, 1, "three\n\n");
	assert_string_equal(f->text, "vm-0| one\nvm-0| two\nvm-1| three\n"
				     "vm-1| \n");
	drop(f);
}

static void split_lines_stay_whole(void **state)
{
	struct fixture *f = make(CONSOLE_LINES, NULL, 2);

	(void)state;
	guest_says(f, 0, "he");
	guest_says(f, 1, "other\n");
	guest_says(f, 0, "llo\n");
	assert_string_equal(f->text, "vm-1| other\nvm-0| hello\n");
	drop(f);
}

static void an_idle_prompt_shows(void **state)
{
	struct fixture *f = make(CONSOLE_LINES, NULL, 2);
	const struct loop_timer *timer = &f->con[0].idle_timer;

	(void)state;
	assert_int_equal(timer->at_ns, 0);
	guest_says(f, 0, "login: ");
	assert_string_equal(f->text, "");
	assert_in_range(timer->at_ns, loop_now_ns + CONSOLE_IDLE_NS,
			clock_now_ns() + CONSOLE_IDLE_NS);
	let_lines_get_old(f);
	assert_string_equal(f->text, "vm-0| login: ");
	assert_int_equal(timer->at_ns, 0);
	guest_says(f, 0, "root\n");
	assert_string_equal(f->text, "vm-0| login: root\n");
	drop(f);
}

static void others_end_an_open_line(void **state)
{
	struct fixture *f = make(CONSOLE_LINES, NULL, 2);

	(void)state;
	guest_says(f, 0, "login: ");
	let_lines_get_old(f);
	guest_says(f, 1, "x\n");
	guest_says(f, 0, "root\n");
	assert_string_equal(f->text, "vm-0| login: \nvm-1| x\nvm-0| root\n");
	drop(f);
}

static void the_end_shows_what_is_left(void **state)
{
	struct fixture *f = make(CONSOLE_LINES, NULL, 2);

	(void)state;
	guest_says(f, 0, "no newline");
	assert_false(f->con[0].done);
	guest_ends(f, 0);
	assert_true(f->con[0].done);
	guest_says(f, 1, "x\n");
	assert_string_equal(f->text, "vm-0| no newline\nvm-1| x\n");
	drop(f);
}

static void a_dead_worker_needs_no_end_of_file(void **state)
{
	struct fixture *f = make(CONSOLE_LINES, NULL, 2);

	(void)state;
	assert_int_equal(write(f->guest[0], "last words", 10), 10);
	console_gone(&f->con[0]);
	assert_true(f->con[0].done);
	take_output(f);
	assert_string_equal(f->text, "vm-0| last words\n");
	drop(f);
}

static void long_lines_pass_in_parts(void **state)
{
	struct fixture *f = make(CONSOLE_LINES, NULL, 2);
	char line[512];

	(void)state;
	memset(line, 'y', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	for (unsigned i = 0; i < 20; i++)
		guest_says(f, 0, line);
	guest_says(f, 0, "\n");
	assert_int_equal(f->len, 6 + 20 * 511 + 1);
	assert_memory_equal(f->text, "vm-0| y", 7);
	assert_int_equal(f->text[f->len - 1], '\n');
	assert_int_equal(memchr(f->text, '\n', f->len) == f->text + f->len - 1,
			 1);
	drop(f);
}

static void control_bytes_are_taken_out(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "plain\ttext\n", "plain\ttext\n" },
		{ "a\x1b[1;31mb\x1b[0mc\n", "abc\n" },
		{ "a\x1b]0;title\x07"
		  "b\n",
		  "ab\n" },
		{ "a\x1b]0;title\x1b\\b\n", "ab\n" },
		{ "a\x1bPdevice\x1b\\b\n", "ab\n" },
		{ "a\x1b(Bb\x1b=c\n", "abc\n" },
		{ "a\x08\x07\x7f\rb\n", "ab\n" },
		{ "caf\xc3\xa9 \xe2\x82\xac\n", "caf\xc3\xa9 \xe2\x82\xac\n" },
		{ "a\xc2\x9b"
		  "31mb\n",
		  "a31mb\n" },
		{ "\xc2\xa0x\n", "\xc2\xa0x\n" },
		{ "\xff\xfe\x80\n", "\xff\xfe\x80\n" },
		{ "a\x1b[\nb\n", "a\nb\n" },
		{ "a\x1b]never ends\nb\n", "a\nb\n" },
		{ "\xc2\nx\n", "\xc2\nx\n" },
		{ "a\x1b\x1b[mb\n", "ab\n" },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct text_filter f = { 0 };
		uint8_t got[64];
		size_t n = 0;

		for (const char *c = cases[i].in; *c; c++)
			n += text_filter_feed(&f, (uint8_t)*c, got + n);
		got[n] = '\0';
		assert_string_equal((char *)got, cases[i].out);
	}
}

static void nul_bytes_do_not_end_a_line(void **state)
{
	struct fixture *f = make(CONSOLE_LINES, NULL, 2);

	(void)state;
	assert_int_equal(write(f->guest[0], "a\0b\n", 4), 4);
	turn(f);
	assert_string_equal(f->text, "vm-0| ab\n");
	drop(f);
}

static void a_single_guest_is_copied_as_it_is(void **state)
{
	struct fixture *f = make(CONSOLE_BYTES, NULL, 1);
	static const char bytes[] = "a\0\x1b[1m\r\n\xff";

	(void)state;
	assert_int_equal(write(f->guest[0], bytes, sizeof(bytes)),
			 sizeof(bytes));
	turn(f);
	assert_int_equal(f->len, sizeof(bytes));
	assert_memory_equal(f->text, bytes, sizeof(bytes));
	drop(f);
}

/* As much as the sockets and buffers take, from every guest. */
static size_t flood(struct fixture *f, unsigned i, const char *text)
{
	size_t len = strlen(text), sum = 0;
	ssize_t n;

	while ((n = write(f->guest[i], text, len)) > 0)
		sum += (size_t)n;
	return sum;
}

static void a_flood_waits_and_nothing_is_lost(void **state)
{
	struct fixture *f = make(CONSOLE_BYTES, NULL, 1);
	char text[4097] = "";
	size_t sent = 0;

	(void)state;
	for (unsigned i = 0; i < 4096; i++)
		text[i] = "0123456789abcdef"[i % 16];
	for (unsigned i = 0; i < 200; i++) {
		sent += flood(f, 0, text);
		assert_int_equal(loop_turn(&f->loop, 0), 0);
	}
	/* Nobody reads stdout: the sink is full and the guest has to wait. */
	assert_int_equal(sink_room(&f->out), 0);
	assert_int_equal(flood(f, 0, text), 0);
	for (unsigned i = 0; i < 2000 && f->len < sent; i++)
		turn(f);
	assert_int_equal(f->len, sent);
	drop(f);
}

/* Not by strstr(): a sanitizer measures all of the text at every call. */
static size_t count(const char *text, const char *what)
{
	const char *end = text + strlen(text);
	size_t n = 0, bytes = strlen(what);

	for (; (text = memmem(text, (size_t)(end - text), what, bytes));
	     text += bytes)
		n++;
	return n;
}

static void floods_take_turns(void **state)
{
	struct fixture *f = make(CONSOLE_LINES, NULL, 3);
	size_t n[NR];

	(void)state;
	for (unsigned round = 0; round < 40; round++) {
		for (unsigned i = 0; i < NR; i++)
			(void)flood(f, i, "\n\n\n\n\n\n\n\n");
		turn(f);
	}
	for (unsigned i = 0; i < NR; i++)
		n[i] = count(f->text, names[i]);
	for (unsigned i = 1; i < NR; i++) {
		assert_true(n[i] > n[0] / 2);
		assert_true(n[i] < n[0] * 2);
	}
	drop(f);
}

static void a_closed_stdout_is_a_hole(void **state)
{
	struct fixture *f = make(CONSOLE_LINES, NULL, 2);

	(void)state;
	(void)close(f->pipe[0]);
	for (unsigned i = 0; i < 100; i++) {
		(void)flood(f, 0, "text\n");
		for (unsigned k = 0; k < 50; k++)
			assert_int_equal(loop_turn(&f->loop, 0), 0);
	}
	assert_true(f->out.broken);
	guest_ends(f, 0);
	for (unsigned k = 0; k < 200 && !f->con[0].done; k++)
		assert_int_equal(loop_turn(&f->loop, 0), 0);
	assert_true(f->con[0].done);
	drop(f);
}

static void input_waits_for_the_guest(void **state)
{
	struct fixture *f = make(CONSOLE_BYTES, NULL, 1);
	static uint8_t typed[1024];
	uint8_t got[4096];
	size_t in = 0, out = 0, n;
	ssize_t r;

	(void)state;
	do {
		for (size_t i = 0; i < sizeof(typed); i++)
			typed[i] = (uint8_t)(in + i);
		n = console_type(&f->con[0], typed, sizeof(typed));
		in += n;
	} while (n == sizeof(typed));
	assert_int_equal(console_input_room(&f->con[0]), 0);
	assert_int_equal(console_type(&f->con[0], typed, 1), 0);
	while (out < in) {
		r = read(f->guest[0], got, sizeof(got));
		for (ssize_t i = 0; i < r; i++)
			assert_int_equal(got[i], (uint8_t)(out + (size_t)i));
		out += r > 0 ? (size_t)r : 0;
		turn(f);
	}
	assert_int_equal(console_input_room(&f->con[0]), TYPED_MAX);
	drop(f);
}

static void input_for_a_dead_guest_is_dropped(void **state)
{
	struct fixture *f = make(CONSOLE_BYTES, NULL, 1);

	(void)state;
	guest_ends(f, 0);
	assert_true(f->con[0].done);
	assert_int_equal(console_type(&f->con[0], (const uint8_t *)"x", 1), 1);
	drop(f);
}

static void marks_are_found_across_chunks(void **state)
{
	static const char text[] = "aabaabaaab MARK\nno\nREADY aaab\n";
	static const struct {
		const char *mark;
		bool found;
	} cases[] = {
		{ "MARK", true },   { "aabaaab", true }, { "READY aaab", true },
		{ "abaaba", true }, { "MARKno", false }, { "absent", false },
		{ "ab MA", true },  { "a", true },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		for (size_t chunk = 1; chunk < sizeof(text); chunk++) {
			struct mark m = { 0 };
			size_t matched = 0;
			bool found = false;

			assert_int_equal(mark_create(&m, cases[i].mark), 0);
			for (size_t at = 0; at < sizeof(text) - 1 && !found;
			     at += chunk)
				found = mark_feed(
					&m, &matched,
					(const uint8_t *)text + at,
					min_u64(chunk, sizeof(text) - 1 - at));
			assert_int_equal(found, cases[i].found);
			mark_destroy(&m);
		}
	}
}

static void the_first_mark_is_timed(void **state)
{
	struct fixture *f = make(CONSOLE_LINES, "user space", 2);
	uint64_t first;

	(void)state;
	guest_says(f, 0, "in us");
	assert_int_equal(f->con[0].mark_ns, 0);
	guest_says(f, 0, "er space now\n");
	first = f->con[0].mark_ns;
	assert_true(first > 0);
	guest_says(f, 0, "user space again\n");
	assert_true(f->con[0].mark_ns == first);
	assert_int_equal(f->con[1].mark_ns, 0);
	drop(f);
}

static void no_mark_is_never_found(void **state)
{
	struct mark m = { 0 };
	size_t matched = 0;

	(void)state;
	assert_int_equal(mark_create(&m, NULL), 0);
	assert_false(mark_feed(&m, &matched, (const uint8_t *)"x", 1));
	assert_int_equal(mark_create(&m, ""), 0);
	assert_false(mark_feed(&m, &matched, (const uint8_t *)"x", 1));
	mark_destroy(&m);
}

static void keys_of_ours_are_seen(void **state)
{
	static const struct {
		const char *typed, *sent;
		unsigned leave, help;
	} cases[] = {
		{ "abc", "abc", 0, 0 },	      { "\x01x", "", 1, 0 },
		{ "\x01\x01", "\x01", 0, 0 }, { "\x01h", "", 0, 1 },
		{ "\x01q", "", 0, 1 },	      { "\x01\x01x", "\x01x", 0, 0 },
		{ "a\x01Xb", "ab", 1, 0 },    { "\x01\x01\x01x", "\x01", 1, 0 },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct key_state k = { 0 };
		unsigned leave = 0, help = 0;
		char sent[16] = "";
		size_t n = 0;

		for (const char *c = cases[i].typed; *c; c++) {
			uint8_t out = 0;
			enum key_action a = key_feed(&k, (uint8_t)*c, &out);

			if (a == KEY_SEND)
				sent[n++] = (char)out;
			leave += a == KEY_LEAVE;
			help += a == KEY_HELP;
		}
		assert_string_equal(sent, cases[i].sent);
		assert_int_equal(leave, cases[i].leave);
		assert_int_equal(help, cases[i].help);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_get_the_name),
		cmocka_unit_test(split_lines_stay_whole),
		cmocka_unit_test(an_idle_prompt_shows),
		cmocka_unit_test(others_end_an_open_line),
		cmocka_unit_test(the_end_shows_what_is_left),
		cmocka_unit_test(a_dead_worker_needs_no_end_of_file),
		cmocka_unit_test(long_lines_pass_in_parts),
		cmocka_unit_test(control_bytes_are_taken_out),
		cmocka_unit_test(nul_bytes_do_not_end_a_line),
		cmocka_unit_test(a_single_guest_is_copied_as_it_is),
		cmocka_unit_test(a_flood_waits_and_nothing_is_lost),
		cmocka_unit_test(floods_take_turns),
		cmocka_unit_test(a_closed_stdout_is_a_hole),
		cmocka_unit_test(input_waits_for_the_guest),
		cmocka_unit_test(input_for_a_dead_guest_is_dropped),
		cmocka_unit_test(marks_are_found_across_chunks),
		cmocka_unit_test(the_first_mark_is_timed),
		cmocka_unit_test(no_mark_is_never_found),
		cmocka_unit_test(keys_of_ours_are_seen),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
