/* SPDX-License-Identifier: BSD-2-Clause */
/* disco console: keys to a guest of the monitor, its output to stdout. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/control/api/api.h"
#include "monitor/control/cli/cli.h"
#include "monitor/control/console/console_text.h"
#include "monitor/control/cli/http_client.h"
#include "monitor/control/console/terminal.h"

#define CONSOLE_KEYS "disco: Ctrl-A d: detach; Ctrl-A Ctrl-A: send Ctrl-A\n"

enum { CONSOLE_NO_INPUT };

static const struct option_entry console_options[] = {
	[CONSOLE_NO_INPUT] = { .name = "no-input",
			       .help = "only look; leave when the machine "
				       "ends" },
	{ .name = NULL },
};

struct attached {
	int sock;
	bool tty;
	struct key_state keys;
	bool input; /* stdin is listened to */
	bool leave;
};

/* All of it: what is typed is little, and a terminal is slow. */
static int put_all(int fd, bool is_socket, const char *bytes, size_t n)
{
	while (n) {
		ssize_t done = is_socket ? send(fd, bytes, n, MSG_NOSIGNAL)
					 : write(fd, bytes, n);

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
	(void)put_all(STDERR_FILENO, false, line, strlen(line));
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
	err = put_all(a->sock, true, buf, len);
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
	return put_all(STDOUT_FILENO, false, buf, (size_t)n);
}

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

static int cli_console_run(const struct command_args *args, struct diag *d)
{
	struct attached a = { .sock = -1, .input = true };
	char path[CLI_PATH_MAX];
	int err = cli_vm_path(args->words[0], "console", path, d);

	if (err)
		return err;
	err = http_upgrade(path, API_CONSOLE, &a.sock, d);
	if (err)
		return err;
	a.input = !args->given[CONSOLE_NO_INPUT];
	a.tty = a.input && terminal_is_ours(STDIN_FILENO);
	if (a.tty) {
		cli_console_say(CONSOLE_KEYS);
		a.tty = terminal_raw(STDIN_FILENO) == 0;
	}
	err = cli_console_attend(&a);
	terminal_restore();
	(void)close(a.sock);
	if (a.leave)
		cli_console_say("\ndisco: detached\n");
	if (err)
		return diag_fail(d, ST_HOST, -err, "console: %s",
				 strerror(-err));
	return ST_OK;
}

const struct command cli_console = {
	.name = "console",
	.brief = "attach to the console of a VM",
	.words = "VM",
	.help = "Show the last 64 KiB of a virtual machine's console, then "
		"take part in it.\nCtrl-A d detaches; the machine goes on.",
	.min_words = 1,
	.max_words = 1,
	.options = { console_options },
	.run = cli_console_run,
};
