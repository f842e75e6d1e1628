/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `disco console` as a process of its own: what it says and ends with when the
 * guest ends, and when the monitor does.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/control/cli/cli.h"
#include "tests/unit/guests/monitor_calls.h"

static pid_t console_pid;
static int in_fd, out_fd; /* its standard input; its output and errors */
static char text[8192];	  /* what it has printed */
static size_t text_len;

_Noreturn static void run_console(char *option, char *vm)
{
	static char word[] = "console";
	char *argv[] = { word, option ? option : vm, option ? vm : NULL, NULL };
	struct diag d = { .status = ST_OK };
	int ret = command_run(&cli_console, option ? 3 : 2, argv, &d);

	if (ret < 0)
		(void)dprintf(2, "disco: %s\n", d.text);
	_exit(ret < 0 ? (int)d.status : ret);
}

static void start_console(char *option, char *vm)
{
	int in[2], out[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	(void)fflush(NULL);
	console_pid = fork();
	if (console_pid == 0) {
		(void)dup2(in[0], 0);
		(void)dup2(out[1], 1);
		(void)dup2(out[1], 2);
		(void)close(in[1]);
		run_console(option, vm);
	}
	(void)close(in[0]);
	(void)close(out[1]);
	in_fd = in[1];
	out_fd = out[0];
	text_len = 0;
}

/* Wait until it has printed @what; "": until it prints no more. */
static void prints(const char *what)
{
	text[text_len] = '\0';
	while (!*what || !strstr(text, what)) {
		ssize_t n;

		assert_true(wait_readable(out_fd));
		n = read(out_fd, text + text_len, sizeof(text) - 1 - text_len);
		if (n <= 0 && *what)
			fail_msg("no '%s' in: %s", what, text);
		if (n <= 0)
			return;
		text_len += (size_t)n;
		text[text_len] = '\0';
	}
}

static void types(const char *line)
{
	assert_int_equal(write(in_fd, line, strlen(line)), strlen(line));
	prints(line);
}

static void ends_with(int want)
{
	int status;

	prints("");
	assert_int_equal(waitpid(console_pid, &status, 0), console_pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), want);
	(void)close(in_fd);
	(void)close(out_fd);
}

static void a_guest_ends_in_silence(void **state)
{
	static char vm[] = "echo.e";

	(void)state;
	start_vm(vm);
	start_console(NULL, vm);
	types("hello\n");
	vm_call(vm, "stop");
	ends_with(ST_OK);
	assert_null(strstr(text, "disco:"));
}

static void the_end_of_a_monitor_is_told(void **state)
{
	static const int sigs[] = { SIGTERM, SIGKILL };
	static char vm[] = "echo.m";

	(void)state;
	start_vm(vm);
	for (unsigned i = 0; i < ARRAY_SIZE(sigs); i++) {
		start_console(NULL, vm);
		types("hello\n");
		end_monitor(sigs[i]);
		(void)close(log_fd);
		ends_with(ST_NO_MONITOR);
		assert_non_null(strstr(text, "echo.m: the monitor "));
		assert_non_null(strstr(text, "the guest goes on"));
		start_monitor();
	}
	vm_call(vm, "kill");
}

static void a_console_comes_back(void **state)
{
	static char vm[] = "echo.r", option[] = "--retry";

	(void)state;
	start_vm(vm);
	start_console(option, vm);
	types("hello\n");
	for (unsigned i = 0; i < 2; i++) {
		text_len = 0;
		end_monitor(i ? SIGTERM : SIGKILL);
		(void)close(log_fd);
		prints("waiting for one");
		start_monitor();
		prints("disco: echo.r: attached");
		types(i ? "twice\n" : "once\n");
	}
	vm_call(vm, "stop");
	ends_with(ST_OK);
}

/* Nobody waits for a guest that is gone. */
static void a_console_does_not_wait_for_a_lost_guest(void **state)
{
	static char vm[] = "echo.l", option[] = "--retry";
	pid_t pid;

	(void)state;
	start_vm(vm);
	pid = pid_of(vm);
	start_console(option, vm);
	types("hello\n");
	end_monitor(SIGKILL);
	(void)close(log_fd);
	prints("waiting for one");
	assert_int_equal(kill(pid, SIGKILL), 0);
	start_monitor();
	ends_with(ST_OK);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define WITH_MONITOR(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		WITH_MONITOR(a_guest_ends_in_silence),
		WITH_MONITOR(the_end_of_a_monitor_is_told),
		WITH_MONITOR(a_console_comes_back),
		WITH_MONITOR(a_console_does_not_wait_for_a_lost_guest),
	};
	int failed;

	if (!monitor_calls_begin(argc, argv))
		return 1;
	failed = cmocka_run_group_tests_name("monitor's consoles", tests, NULL,
					     NULL);
	monitor_calls_end();
	return failed;
}
