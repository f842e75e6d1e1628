/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whole runs, from configuration to exit status, with the fake worker. The
 * run is a child process with its own standard descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "monitor/control/run/run.h"
#include "numa/bind.h"
#include "tests/unit/deny_calls.h"
#include "tests/unit/guests/fake_boot.h"
#include "tests/unit/guests/fake_worker.h"
#include "tests/unit/support.h"

#define MAX_VMS 8

/* --- one run --- */

struct test_run {
	struct run_config cfg;
	struct vm_config vms[MAX_VMS];
	pid_t pid;
	int in, out, err;     /* our ends */
	const char *out_path; /* in place of the pipe; "": closed; NULL */
	int status;
	char out_text[1 << 16], err_text[1 << 14];
};

static struct test_run *make(const char *first, ...)
{
	struct test_run *r = calloc(1, sizeof(*r));
	va_list ap;

	assert_non_null(r);
	va_start(ap, first);
	for (const char *n = first; n; n = va_arg(ap, const char *)) {
		r->vms[r->cfg.nr_vms++] =
			(struct vm_config){ .name = (char *)n,
					    .kernel = "/kernel",
					    .nr_vcpus = 1,
					    .memory_bytes = MIB(16),
					    .node = NODE_AUTO };
	}
	va_end(ap);
	r->cfg.vms = r->vms;
	r->in = -1;
	return r;
}

_Noreturn static void child(const struct run_config *cfg)
{
	struct diag d = { .status = ST_OK };
	int ret = run_vms(cfg, &d);

	(void)fflush(stdout);
	if (ret < 0)
		(void)dprintf(STDERR_FILENO, "disco: %s\n", d.text);
	_exit(ret < 0 ? (int)d.status : ret);
}

static void start(struct test_run *r)
{
	int in[2], out[2], err[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	(void)fflush(NULL);
	r->pid = fork();
	if (r->pid == 0) {
		(void)dup2(in[0], 0);
		(void)dup2(out[1], 1);
		(void)dup2(err[1], 2);
		(void)close(in[1]);
		(void)close(out[0]);
		(void)close(err[0]);
		if (r->out_path) {
			(void)close(1);
			(void)open(r->out_path, O_WRONLY);
		}
		child(&r->cfg);
	}
	(void)close(in[0]);
	(void)close(out[1]);
	(void)close(err[1]);
	r->in = in[1];
	r->out = out[0];
	r->err = err[0];
}

static size_t take(int fd, char *text, size_t len, size_t size)
{
	char rest[4096];
	size_t room = size - 1 - len;
	ssize_t n = room ? read(fd, text + len, room)
			 : read(fd, rest, sizeof(rest));

	return n > 0 ? (size_t)n : 0;
}

/* Read both until the run has closed them. */
static void finish(struct test_run *r)
{
	struct pollfd p[2] = { { .fd = r->out, .events = POLLIN },
			       { .fd = r->err, .events = POLLIN } };
	size_t n, out = strlen(r->out_text), err = strlen(r->err_text);

	while (p[0].fd >= 0 || p[1].fd >= 0) {
		assert_true(poll(p, 2, (int)wait_limit_ms(HANG_MS)) > 0);
		if (p[0].revents) {
			n = take(r->out, r->out_text, out, sizeof(r->out_text));
			p[0].fd = n ? r->out : -1;
			out = min_u64(out + n, sizeof(r->out_text) - 1);
		}
		if (p[1].revents) {
			n = take(r->err, r->err_text, err, sizeof(r->err_text));
			p[1].fd = n ? r->err : -1;
			err = min_u64(err + n, sizeof(r->err_text) - 1);
		}
	}
	assert_int_equal(waitpid(r->pid, &r->status, 0), r->pid);
	assert_true(WIFEXITED(r->status));
	r->status = WEXITSTATUS(r->status);
	(void)close(r->in);
	(void)close(r->out);
	(void)close(r->err);
}

static void run(struct test_run *r)
{
	start(r);
	finish(r);
}

static void has(const char *text, const char *what)
{
	if (!strstr(text, what))
		fail_msg("no '%s' in: %s", what, text);
}

/* --- ends --- */

static void guests_power_off(void **state)
{
	struct test_run *r = make("talk.0", "talk.1", NULL);

	(void)state;
	run(r);
	assert_int_equal(r->status, ST_OK);
	has(r->out_text, "talk.0| hello\n");
	has(r->out_text, "talk.0| MARK here\n");
	has(r->out_text, "talk.0| partial\n");
	has(r->out_text, "talk.1| partial\n");
	assert_string_equal(r->err_text, "");
	free(r);
}

static void every_end_is_told(void **state)
{
	static const struct {
		const char *name;
		int status;
		const char *line;
	} cases[] = {
		{ "panic", ST_GUEST_PANIC,
		  "disco: panic: guest kernel panicked: Fatal exception  "
		  "[31m\n" },
		{ "reset", ST_GUEST_RESET,
		  "disco: reset: guest asked for a reset\n" },
		{ "crash", ST_GUEST_CRASH,
		  "disco: crash: guest CPU stopped: triple fault\n" },
		{ "failed", ST_WORKER_FAIL,
		  "disco: failed: worker failed: no luck\n" },
		{ "sig9", ST_WORKER_SIGNAL,
		  "disco: sig9: worker killed by signal 9 (Killed); its guest "
		  "is gone\n" },
		{ "sys", ST_WORKER_SECCOMP,
		  "disco: sys: worker killed by its system call filter; its "
		  "guest is gone\n" },
		{ "exit3", ST_WORKER_FAIL,
		  "disco: exit3: worker exited with status 3 without saying "
		  "why; its guest is gone\n" },
		{ "short", ST_WORKER_FAIL,
		  "disco: short: worker sent a message that makes no sense and "
		  "was killed; its guest is gone\n" },
		{ "forged", ST_WORKER_FAIL,
		  "disco: forged: worker sent a message that makes no sense "
		  "and was killed; its guest is gone\n" },
		{ "unasked", ST_WORKER_FAIL,
		  "disco: unasked: worker sent a message that makes no sense "
		  "and was killed; its guest is gone\n" },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct test_run *r = make(cases[i].name, NULL);

		run(r);
		assert_string_equal(r->err_text, cases[i].line);
		assert_int_equal(r->status, cases[i].status);
		free(r);
	}
}

static void messages_of_workers_are_named(void **state)
{
	struct test_run *r = make("log", NULL);

	(void)state;
	run(r);
	assert_int_equal(r->status, ST_OK);
	assert_string_equal(r->err_text, "disco: log: first  [2Jline\n"
					 "disco: log: second line\n"
					 "disco: log: no end\n");
	free(r);
}

static void the_first_failure_is_the_status(void **state)
{
	struct test_run *r = make("talk", "reset.late", "panic", "sig9", NULL);

	(void)state;
	run(r);
	assert_int_equal(r->status, ST_GUEST_RESET);
	free(r);
}

static void one_is_killed_the_others_finish(void **state)
{
	struct test_run *r = make("sig9.x", "talk.1", "talk.2", NULL);

	(void)state;
	run(r);
	assert_int_equal(r->status, ST_WORKER_SIGNAL);
	has(r->err_text, "disco: sig9.x: worker killed by signal 9 (Killed); "
			 "its guest is gone");
	has(r->out_text, "talk.1| partial\n");
	has(r->out_text, "talk.2| partial\n");
	free(r);
}

/* --- the operator --- */

/* Wait until the run has spawned and watches: a guest's echo says so. */
static void await_echo(struct test_run *r)
{
	size_t n = 0;

	assert_int_equal(write(r->in, "up\n", 3), 3);
	while (!strstr(r->out_text, "up\n")) {
		assert_true(wait_readable(r->out));
		n += take(r->out, r->out_text, n, sizeof(r->out_text));
	}
}

static void stops_when_told(int sig)
{
	struct test_run *r = make("echo", NULL);

	start(r);
	await_echo(r);
	assert_int_equal(kill(r->pid, sig), 0);
	finish(r);
	assert_int_equal(r->status, ST_OK); /* its button was pressed */
	has(r->err_text, "disco: power button pressed; waiting for echo to ");
	free(r);
}

static void signals_stop_the_guests(void **state)
{
	(void)state;
	stops_when_told(SIGINT);
	stops_when_told(SIGTERM);
	stops_when_told(SIGHUP);
}

/* Signals, again and again, until it is dead. Return: how long that took. */
static uint64_t insist_ms(struct test_run *r)
{
	uint64_t begin = clock_now_ns(), end = wait_end_ns();
	siginfo_t si = { .si_pid = 0 };

	while (si.si_pid == 0) {
		assert_true(clock_now_ns() < end);
		assert_int_equal(kill(r->pid, SIGTERM), 0);
		(void)poll(NULL, 0, 50);
		assert_int_equal(waitid(P_PID, (id_t)r->pid, &si,
					WEXITED | WNOHANG | WNOWAIT),
				 0);
	}
	finish(r);
	assert_int_equal(r->status, ST_STOPPED);
	return (clock_now_ns() - begin) / 1000000;
}

/* Those that do nothing about the first request, nor about the second one. */
static void deaf_workers_are_killed(void **state)
{
	struct test_run *r = make("stay", "talk", NULL);

	(void)state;
	start(r);
	assert_true(wait_readable(r->out)); /* the talker's first line */
	/* As timeout(1) does it: one request, and not the one that kills. */
	assert_true(insist_ms(r) >= 1000);
	assert_null(strstr(r->err_text, "killed\n"));
	free(r);
	r = make("deaf", "talk", NULL);
	start(r);
	assert_true(wait_readable(r->out));
	assert_true(insist_ms(r) >= 2000); /* each request is a second later */
	has(r->err_text, "deaf: worker did not stop in time and was killed\n");
	free(r);
}

static void piped_input_reaches_the_guest(void **state)
{
	struct test_run *r = make("copy", NULL);
	char *text = malloc(20001);

	(void)state;
	memset(text, 'z', 20000);
	memcpy(text + 20000 - 4, "end\n", 4);
	text[20000] = '\0';
	start(r);
	assert_int_equal(write(r->in, text, 20000), 20000);
	finish(r);
	assert_int_equal(r->status, ST_OK);
	assert_string_equal(r->out_text, text);
	free(text);
	free(r);
}

static void the_end_of_input_stops_nothing(void **state)
{
	struct test_run *r = make("echo", NULL);

	(void)state;
	start(r);
	await_echo(r);
	(void)close(r->in);
	r->in = -1;
	(void)poll(NULL, 0, 200);
	assert_int_equal(waitpid(r->pid, &r->status, WNOHANG), 0);
	assert_int_equal(kill(r->pid, SIGTERM), 0);
	finish(r);
	assert_int_equal(r->status, ST_OK);
	free(r);
}

static void a_reader_that_leaves_changes_nothing(void **state)
{
	struct test_run *r = make("flood.0", "flood.1", NULL);
	int out;

	(void)state;
	start(r);
	out = r->out;
	r->out = open("/dev/null", O_RDONLY); /* end of file at once */
	(void)close(out);
	finish(r);
	assert_int_equal(r->status, ST_OK);
	free(r);
}

static void a_reader_that_sleeps_does_not_keep_us(void **state)
{
	struct test_run *r = make("flood", NULL);

	(void)state;
	start(r);
	assert_true(wait_readable(r->out));
	(void)insist_ms(r);
	free(r);
}

static int bytes_waiting(int fd)
{
	int n = 0;

	assert_int_equal(ioctl(fd, FIONREAD, &n), 0);
	return n;
}

static void a_slow_reader_loses_nothing(void **state)
{
	struct test_run *r = make("flood", NULL);
	static char buf[1 << 16];
	size_t sum = 0;
	ssize_t n;

	(void)state;
	start(r);
	/* Nobody has read: what can fill up is full, or soon is. */
	WAIT_UNTIL(bytes_waiting(r->out) >= 1 << 15);
	while ((n = read(r->out, buf, sizeof(buf))) > 0)
		sum += (size_t)n;
	finish(r);
	assert_int_equal(r->status, ST_OK);
	assert_int_equal(sum, 1 << 20);
	free(r);
}

/* --- a terminal --- */

static pid_t start_on_terminal(struct test_run *r, int *master, int *slave)
{
	struct winsize size = { .ws_row = 25, .ws_col = 80 };
	pid_t pid;

	assert_int_equal(openpty(master, slave, NULL, NULL, &size), 0);
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		(void)close(*master);
		(void)setsid();
		(void)ioctl(*slave, TIOCSCTTY, 0);
		for (int fd = 0; fd < 3; fd++)
			(void)dup2(*slave, fd);
		(void)close(*slave);
		child(&r->cfg);
	}
	return pid;
}

/* What the terminal shows until @what is there. */
static void await_text(int master, const char *what)
{
	char text[4096] = "";
	size_t n = 0;

	while (!strstr(text, what)) {
		if (!wait_readable(master))
			fail_msg("no '%s' in: %s", what, text);
		n += take(master, text, n, sizeof(text));
		text[n] = '\0';
	}
}

static bool is_raw(int fd)
{
	struct termios t;

	assert_int_equal(tcgetattr(fd, &t), 0);
	return !(t.c_lflag & (ICANON | ECHO));
}

static void await_cooked(int fd)
{
	WAIT_UNTIL(!is_raw(fd));
}

static void same_settings(int fd, const struct termios *before)
{
	struct termios t;

	assert_int_equal(tcgetattr(fd, &t), 0);
	assert_int_equal(t.c_lflag, before->c_lflag);
	assert_int_equal(t.c_iflag, before->c_iflag);
	assert_int_equal(t.c_oflag, before->c_oflag);
}

static void a_terminal_is_the_guests_until_ctrl_a_x(void **state)
{
	struct test_run *r = make("echo", NULL);
	struct termios before;
	int master, slave, status;
	pid_t pid = start_on_terminal(r, &master, &slave);

	(void)state;
	assert_int_equal(tcgetattr(slave, &before), 0);
	await_text(master, "Ctrl-A x");
	assert_true(is_raw(slave));
	assert_int_equal(write(master, "a\x03\x01\x01z", 5), 5);
	await_text(master, "a\x03\x01z"); /* ^C and Ctrl-A are the guest's */
	assert_int_equal(write(master, "\x01h", 2), 2);
	await_text(master, "Ctrl-A h");
	assert_int_equal(write(master, "\x01x", 2), 2);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), ST_OK);
	assert_false(is_raw(slave));
	same_settings(slave, &before);
	(void)close(master);
	(void)close(slave);
	free(r);
}

static void a_stopped_run_gives_the_terminal_back(void **state)
{
	struct test_run *r = make("echo", NULL);
	int master, slave, status;
	pid_t pid = start_on_terminal(r, &master, &slave);

	(void)state;
	await_text(master, "Ctrl-A x");
	assert_int_equal(kill(pid, SIGTSTP), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	assert_false(is_raw(slave));
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_int_equal(write(master, "back\n", 5), 5);
	await_text(master, "back");
	WAIT_UNTIL(is_raw(slave));
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(is_raw(slave));
	(void)close(master);
	(void)close(slave);
	free(r);
}

static void a_crash_of_ours_restores_the_terminal(void **state)
{
	struct test_run *r = make("echo", NULL);
	int master, slave, status;
	pid_t pid = start_on_terminal(r, &master, &slave);

	(void)state;
	await_text(master, "Ctrl-A x");
	assert_int_equal(kill(pid, SIGABRT), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	await_cooked(slave);
	(void)close(master);
	(void)close(slave);
	free(r);
}

/* --- what is refused before anything starts --- */

static void refused(struct test_run *r, int status, const char *line)
{
	run(r);
	assert_string_equal(r->err_text, line);
	assert_int_equal(r->status, status);
	free(r);
}

static void bad_requests_are_one_line(void **state)
{
	struct test_run *r;

	(void)state;
	r = make("talk", NULL);
	r->vms[0].kernel = "/missing";
	refused(r, ST_FILE, "disco: kernel /missing: gone\n");
	r = make("talk", NULL);
	r->vms[0].memory_bytes = MIB(9) - PAGE_BYTES;
	refused(r, ST_MEMORY,
		"disco: talk: memory of 9212 KiB does not hold its kernel and "
		"initrd; give it 9M\n");
	r = make("talk", NULL);
	r->vms[0].cmdline = "twenty-one characters";
	refused(r, ST_CONFIG,
		"disco: talk: the command line has 21 characters, and kernel "
		"/kernel takes 20; shorten it\n");
	r = make("talk", NULL);
	r->vms[0].disks[0].path = "/";
	r->vms[0].nr_disks = 1;
	refused(r, ST_DISK,
		"disco: talk: disk /: is a directory; give a raw image file or "
		"a block device\n");
	r = make("talk", NULL);
	r->vms[0].node = 62;
	run(r);
	assert_int_equal(r->status, ST_CONFIG);
	free(r);
}

static void another_machines_nodes_bind_nothing(void **state)
{
	struct test_run *r = make("talk.0", "talk.1", "talk.2", NULL);

	(void)state;
	assert_int_equal(setenv("HWLOC_SYNTHETIC", "numa:4 pu:2", 1), 0);
	r->cfg.summary = true;
	run(r);
	assert_int_equal(unsetenv("HWLOC_SYNTHETIC"), 0);
	assert_int_equal(r->status, ST_OK);
	has(r->err_text, "nothing is bound");
	has(r->out_text, "talk.2     2");
	free(r);
}

/* --- figures --- */

static void summary_and_report_are_written(void **state)
{
	struct test_run *r = make("talk", "sig9", NULL);
	char path[] = "/tmp/disco-report.XXXXXX", text[8192] = "";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	r->cfg.mark = "MARK";
	r->cfg.summary = true;
	r->cfg.report = path;
	run(r);
	assert_int_equal(r->status, ST_WORKER_SIGNAL);
	has(r->out_text, "VM    node  ms to user space  local memory  exit ");
	has(r->out_text, "        99.5 %  0 ok\n");
	has(r->out_text, "             -  31 worker-signal\n");
	(void)close(fd);
	fd = open(path, O_RDONLY);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	has(text, "\"cpu_ns_before_first_run\": 1000");
	has(text, "\"ram_pages_local\": 199");
	has(text, "\"mark_ms\": null");
	(void)close(fd);
	(void)unlink(path);
	free(r);
}

static void the_table_starts_a_line_of_its_own(void **state)
{
	struct test_run *r = make("talk", NULL);

	(void)state;
	r->cfg.summary = true;
	run(r);
	has(r->out_text, "here\npartial\nVM    node");
	free(r);
	r = make("talk", NULL); /* nothing follows: not a byte is added */
	run(r);
	assert_string_equal(r->out_text + strlen(r->out_text) - 7, "partial");
	free(r);
}

#define NO_REPORT                                                              \
	"disco: report /nowhere/report.json was not written: No such file or " \
	"directory\n"

static void a_report_that_fails_is_a_failure(void **state)
{
	struct test_run *r = make("talk", NULL);

	(void)state;
	r->cfg.report = "/nowhere/report.json";
	refused(r, ST_HOST, NO_REPORT);
	r = make("talk", "sig9", NULL); /* what a guest did is worth more */
	r->cfg.report = "/nowhere/report.json";
	run(r);
	assert_int_equal(r->status, ST_WORKER_SIGNAL);
	has(r->err_text, NO_REPORT);
	free(r);
}

/* In a container whose filter forbids to bind memory. */
static void run_without_binding(struct test_run *r)
{
	int out[2];

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	(void)fflush(NULL);
	r->pid = fork();
	if (r->pid == 0) {
		(void)dup2(out[1], 2);
		if (deny_call(SYS_mbind))
			_exit(99);
		child(&r->cfg);
	}
	(void)close(out[1]);
	r->err = out[0];
	for (size_t n = 0, len = 1; len; n += len)
		len = take(r->err, r->err_text, n, sizeof(r->err_text));
	(void)close(r->err);
	assert_int_equal(waitpid(r->pid, &r->status, 0), r->pid);
}

static void a_guest_runs_where_nothing_can_be_bound(void **state)
{
	struct test_run *r = make("check", NULL);

	(void)state;
	if (node_bind_probe(0))
		SKIP("memory cannot be bound here anyway");
	run_without_binding(r);
	assert_int_equal(WEXITSTATUS(r->status), ST_OK);
	assert_non_null(strstr(r->err_text, "disco: memory is not bound to "
					    "nodes: Operation not permitted"));
	free(r);
	r = make("check", NULL);
	r->vms[0].strict = true;
	run_without_binding(r);
	assert_int_equal(WEXITSTATUS(r->status), ST_MEMORY);
	assert_non_null(strstr(r->err_text, "disco: vm 'check': this host "
					    "refuses to bind memory"));
	free(r);
}

/* Not when the guest comes to touch it. */
static void strict_memory_is_there_at_the_start(void **state)
{
	struct test_run *r = make("full", NULL);

	(void)state;
	if (node_bind_probe(0))
		SKIP("memory cannot be bound here");
	r->vms[0].strict = true;
	start(r);
	finish(r);
	assert_int_equal(r->status, ST_OK);
	free(r);
	r = make("check", NULL);
	r->vms[0].strict = true;
	r->vms[0].memory_bytes = VM_MAX_MEMORY;
	start(r);
	finish(r);
	assert_int_equal(r->status, ST_MEMORY);
	assert_non_null(strstr(r->err_text, "insist with --overcommit"));
	free(r);
	/* It may be there, or not. */
	r = make("check", NULL);
	r->vms[0].strict = true;
	r->vms[0].overcommit = true;
	r->vms[0].memory_bytes = VM_MAX_MEMORY;
	start(r);
	finish(r);
	assert_int_equal(r->status, ST_OK);
	free(r);
}

/* --- standard output that takes nothing --- */

static void a_full_disk_is_a_failure(void **state)
{
	struct test_run *r = make("talk", NULL);

	(void)state;
	r->out_path = "/dev/full";
	run(r);
	has(r->err_text, "disco: standard output: No space left on device: "
			 "what the guests print is lost");
	assert_int_equal(r->status, ST_HOST);
	free(r);
}

static void a_closed_output_is_refused(void **state)
{
	struct test_run *r = make("talk", NULL);

	(void)state;
	r->out_path = "";
	run(r);
	has(r->err_text, "disco: standard output is closed or cannot be");
	assert_int_equal(r->status, ST_HOST);
	free(r);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guests_power_off),
		cmocka_unit_test(every_end_is_told),
		cmocka_unit_test(messages_of_workers_are_named),
		cmocka_unit_test(the_first_failure_is_the_status),
		cmocka_unit_test(one_is_killed_the_others_finish),
		cmocka_unit_test(signals_stop_the_guests),
		cmocka_unit_test(deaf_workers_are_killed),
		cmocka_unit_test(piped_input_reaches_the_guest),
		cmocka_unit_test(the_end_of_input_stops_nothing),
		cmocka_unit_test(a_reader_that_leaves_changes_nothing),
		cmocka_unit_test(a_reader_that_sleeps_does_not_keep_us),
		cmocka_unit_test(a_slow_reader_loses_nothing),
		cmocka_unit_test(a_terminal_is_the_guests_until_ctrl_a_x),
		cmocka_unit_test(a_stopped_run_gives_the_terminal_back),
		cmocka_unit_test(a_crash_of_ours_restores_the_terminal),
		cmocka_unit_test(bad_requests_are_one_line),
		cmocka_unit_test(another_machines_nodes_bind_nothing),
		cmocka_unit_test(a_guest_runs_where_nothing_can_be_bound),
		cmocka_unit_test(strict_memory_is_there_at_the_start),
		cmocka_unit_test(summary_and_report_are_written),
		cmocka_unit_test(the_table_starts_a_line_of_its_own),
		cmocka_unit_test(a_report_that_fails_is_a_failure),
		cmocka_unit_test(a_full_disk_is_a_failure),
		cmocka_unit_test(a_closed_output_is_refused),
	};

	fake_worker_hook(argc, argv);
	(void)setenv("DISCO_VM", "/proc/self/exe", 1);
	(void)setenv("DISCO_CACHE_DIR", "/dev/null/cache", 1);
	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
