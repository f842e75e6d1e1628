/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disco console: keys to a guest of the monitor, its output to stdout.
 *
 * The monitor closes the connection when the guest has ended, and it is closed
 * when the monitor ends. Which of the two it was is asked at the API: the guest
 * goes on without a monitor, and with --retry so does the command.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/control/api/api.h"
#include "monitor/control/cli/cli.h"
#include "monitor/control/console/console_text.h"
#include "monitor/control/cli/http_client.h"
#include "monitor/control/console/terminal.h"
#include "monitor/ipc/fds.h"

#define CONSOLE_KEYS "disco: Ctrl-A d: detach; Ctrl-A Ctrl-A: send Ctrl-A\n"

#define RETRY_MS 250 /* between two looks for a monitor */

enum { CONSOLE_NO_INPUT, CONSOLE_RETRY };

static const struct option_entry console_options[] = {
	[CONSOLE_NO_INPUT] = { .name = "no-input",
			       .help = "do not read standard input; leave when "
				       "the VM ends" },
	[CONSOLE_RETRY] = { .name = "retry",
			    .help = "wait while no monitor runs, and attach "
				    "again" },
	{ .name = NULL },
};

struct attached {
	const char *vm;
	int sock; /* -1: not connected */
	bool retry;
	bool tty;
	struct key_state keys;
	bool input; /* stdin is listened to */
	bool leave;
};

/* All of it: what is typed is little. */
static int cli_console_send(int sock, const char *bytes, size_t n)
{
	while (n) {
		ssize_t done = send(sock, bytes, n, MSG_NOSIGNAL);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		bytes += done;
		n -= (size_t)done;
	}
	return 0;
}

static void cli_console_say(const char *line)
{
	if (fds_write(STDERR_FILENO, line, strlen(line)) < 0)
		return; /* nobody is there to be told */
}

/* Return: bytes of @buf that are for the guest, now at its beginning. */
static size_t take_keys(struct attached *a, char *buf, size_t n)
{
	size_t out = 0;

	for (size_t i = 0; i < n && !a->leave; i++) {
		uint8_t key;

		switch (key_feed(&a->keys, (uint8_t)buf[i], &key)) {
		case KEY_SEND:
			buf[out++] = (char)key;
			break;
		case KEY_DETACH:
			a->leave = true;
			break;
		case KEY_LEAVE:
		case KEY_HELP:
			cli_console_say(CONSOLE_KEYS);
			break;
		case KEY_NONE:
			break;
		}
	}
	return out;
}

static int from_keyboard(struct attached *a)
{
	char buf[256];
	ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));
	size_t len;
	int err;

	if (n < 0 && errno == EINTR)
		return 0;
	if (n <= 0) {
		a->input = false; /* go on looking */
		return 0;
	}
	len = a->tty ? take_keys(a, buf, (size_t)n) : (size_t)n;
	err = cli_console_send(a->sock, buf, len);
	/* The guest has not read for HTTP_WAIT_S: lost, but keys detach. */
	return err == -EAGAIN ? 0 : err;
}

/* Return: 0; 1: the other end is closed; -errno of stdout. */
static int from_guest(const struct attached *a)
{
	char buf[4096];
	ssize_t n = recv(a->sock, buf, sizeof(buf), 0);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0)
		return 1;
	return fds_write(STDOUT_FILENO, buf, (size_t)n);
}

/* Return: 0 detached, or the other end is closed; -errno of stdout. */
static int cli_console_attend(struct attached *a)
{
	int err = 0;

	while (!err && !a->leave) {
		struct pollfd p[2] = { { .fd = a->sock, .events = POLLIN },
				       { .fd = a->input ? STDIN_FILENO : -1,
					 .events = POLLIN } };

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (p[0].revents)
			err = from_guest(a);
		/* Who is gone at the other end shows by reading, above. */
		if (!err && p[1].revents && from_keyboard(a) < 0)
			a->input = false;
	}
	return err < 0 ? err : 0;
}

/* A line between what the guest writes. */
static void cli_console_tell(const struct attached *a, const char *text)
{
	char line[256];

	(void)snprintf(line, sizeof(line), "%sdisco: %s: %s\n",
		       a->tty ? "\n" : "", a->vm, text);
	cli_console_say(line);
}

/* Not before there is something to attach to, or to wait for. */
static void cli_console_take_terminal(struct attached *a)
{
	if (a->tty || !a->input || !terminal_is_ours(STDIN_FILENO))
		return;
	cli_console_say(CONSOLE_KEYS);
	a->tty = terminal_raw(STDIN_FILENO) == 0;
}

/* --- without a monitor --- */

/*
 * The connection was closed. Return: 0 as the guest has ended; -ENOTCONN as the
 * monitor is gone, or was, and the guest goes on (ST_NO_MONITOR); else the
 * reason why that is not known.
 */
static int cli_console_judge(const struct attached *a, struct diag *d)
{
	char path[CLI_PATH_MAX + 8];
	const char *state = "";
	json_t *vm = NULL;
	bool ended;
	int err;

	(void)snprintf(path, sizeof(path), "/v1/vms/%s", a->vm);
	err = http_json("GET", path, NULL, &vm, d);
	if (err && d->status == ST_NO_MONITOR) {
		*d = (struct diag){ .status = ST_OK };
		return diag_fail(
			d, ST_NO_MONITOR, ENOTCONN,
			"%s: the monitor is gone, and the console with "
			"it; the guest goes on, and 'disco monitor' "
			"takes it over",
			a->vm);
	}
	if (err)
		return err;
	(void)json_unpack(vm, "{s:s}", "state", &state);
	ended = strcmp(state, "ended") == 0;
	json_decref(vm);
	if (ended)
		return 0;
	return diag_fail(d, ST_NO_MONITOR, ENOTCONN,
			 "%s: the monitor has closed the console; the guest "
			 "goes on",
			 a->vm);
}

/* Keys without a guest only detach. */
static void cli_console_pause(struct attached *a)
{
	struct pollfd p = { .fd = a->tty ? STDIN_FILENO : -1,
			    .events = POLLIN };
	char buf[256];
	ssize_t n;

	if (poll(&p, 1, RETRY_MS) <= 0)
		return;
	n = read(STDIN_FILENO, buf, sizeof(buf));
	if (n > 0)
		(void)take_keys(a, buf, (size_t)n);
	else if (n == 0 || errno != EINTR)
		a->tty = a->input = false;
}

/*
 * Attach; with --retry when a monitor runs. Return: 0, also if the operator did
 * not want to wait; errors of http_upgrade().
 */
static int cli_console_connect(struct attached *a, const char *path,
			       struct diag *d)
{
	bool told = false;
	int err;

	for (;;) {
		*d = (struct diag){ .status = ST_OK };
		err = http_upgrade(path, API_CONSOLE, &a->sock, d);
		if (err && !(a->retry && d->status == ST_NO_MONITOR))
			return err;
		cli_console_take_terminal(a);
		if (!err && told)
			cli_console_tell(a, "attached");
		if (!err)
			return 0;
		if (!told)
			cli_console_tell(a, "no monitor is running; waiting "
					    "for one");
		told = true;
		cli_console_pause(a);
		if (a->leave)
			break;
	}
	*d = (struct diag){ .status = ST_OK };
	return 0;
}

/* Return: 0 the guest has ended, or the operator has left; -errno. */
static int cli_console_stay(struct attached *a, const char *path,
			    struct diag *d)
{
	for (;;) {
		int err = cli_console_connect(a, path, d);

		if (err || a->leave)
			return err;
		err = cli_console_attend(a);
		(void)close(a->sock);
		a->sock = -1;
		if (err)
			return diag_fail(d, ST_HOST, -err, "console: %s",
					 strerror(-err));
		if (a->leave)
			return 0;
		err = cli_console_judge(a, d);
		if (err != -ENOTCONN || !a->retry)
			return err;
	}
}

static int cli_console_run(const struct command_args *args, struct diag *d)
{
	struct attached a = { .vm = args->words[0],
			      .sock = -1,
			      .input = !args->given[CONSOLE_NO_INPUT],
			      .retry = args->given[CONSOLE_RETRY] };
	char path[CLI_PATH_MAX];
	int err = cli_vm_path(a.vm, "console", path, d);

	if (err)
		return err;
	err = cli_console_stay(&a, path, d);
	terminal_restore();
	if (a.leave)
		cli_console_say("\ndisco: detached\n");
	return err ? err : ST_OK;
}

const struct command cli_console = {
	.name = "console",
	.brief = "attach to the console of a VM",
	.words = "VM",
	.help = "Print the last 64 KiB of a virtual machine's console, then "
		"attach to it. Ctrl-A d detaches, and the virtual machine goes "
		"on. If the monitor ends, so does this command, with status "
		"16, unless --retry waits for the next monitor.",
	.min_words = 1,
	.max_words = 1,
	.options = { console_options },
	.run = cli_console_run,
};
