/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A terminal in raw mode is given back by a process that ends, whatever ends
 * it. Each case is a child process on the slave of a pseudoterminal.
 */
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "monitor/control/console/terminal.h"
#include "tests/unit/support.h"

static int master, slave;

static int set_up(void **state)
{
	(void)state;
	return openpty(&master, &slave, NULL, NULL, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	(void)close(master);
	return close(slave);
}

/* Return: the wait status of who had it raw and then got @sig; 0: exit(). */
static int end_by(int sig, void (*handler)(int))
{
	const struct rlimit none = { 0, 0 };
	int status = 0;
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		(void)setrlimit(RLIMIT_CORE, &none);
		if (sig)
			(void)signal(sig, handler);
		if (terminal_raw(slave))
			_exit(9);
		if (sig)
			(void)raise(sig);
		exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void assert_cooked(void)
{
	struct termios t;

	assert_int_equal(tcgetattr(slave, &t), 0);
	assert_true(t.c_lflag & ICANON);
	assert_true(t.c_lflag & ECHO);
}

static void it_is_raw_while_we_live(void **state)
{
	struct termios t;

	(void)state;
	assert_int_equal(terminal_raw(slave), 0);
	assert_int_equal(tcgetattr(slave, &t), 0);
	assert_false(t.c_lflag & ICANON);
	terminal_restore();
	assert_cooked();
}

static void whatever_ends_us_gives_it_back(void **state)
{
	static const int sigs[] = { SIGSEGV, SIGABRT, SIGHUP,
				    SIGINT,  SIGPIPE, SIGTERM };

	(void)state;
	assert_int_equal(end_by(0, NULL), 0);
	assert_cooked();
	for (unsigned i = 0; i < ARRAY_SIZE(sigs); i++) {
		int status = end_by(sigs[i], SIG_DFL);

		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), sigs[i]);
		assert_cooked();
	}
}

static void what_is_ignored_ends_nothing(void **state)
{
	(void)state;
	assert_int_equal(end_by(SIGHUP, SIG_IGN), 0);
	assert_int_equal(end_by(SIGPIPE, SIG_IGN), 0);
	assert_cooked();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_ends_us_gives_it_back),
		cmocka_unit_test(what_is_ignored_ends_nothing),
		/* Last: handlers of this process stay for its children. */
		cmocka_unit_test(it_is_raw_while_we_live),
	};

	return cmocka_run_group_tests_name("terminal", tests, set_up,
					   tear_down);
}
