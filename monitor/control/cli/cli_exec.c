/* SPDX-License-Identifier: BSD-2-Clause */
/* disco exec: a command in a guest, by its guest agent. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/control/cli/base64.h"
#include "monitor/control/cli/cli.h"
#include "monitor/control/cli/guest_run.h"
#include "monitor/ipc/fds.h"

#define EXEC_KEEP_MAX MIB(64) /* of each stream, for --json */

enum { EXEC_LINES, EXEC_JSON, EXEC_WAIT };

static const struct option_entry exec_options[] = {
	[EXEC_LINES] = { .name = "lines",
			 .letter = 'n',
			 .arg = "LINES",
			 .help = "print at most so many lines of output and of "
				 "errors, and how many were left out" },
	[EXEC_JSON] = { .name = "json",
			.help = "print status, output and errors as JSON; exit "
				"with 0 if the command ran" },
	[EXEC_WAIT] = { .name = "wait",
			.arg = "SECONDS",
			.help = "wait for a guest agent that is not there yet, "
				"while the guest boots" },
	{ .name = NULL },
};

/* What the command has written to one stream. */
struct exec_output {
	uint64_t lines, left_out; /* complete lines shown, and not shown */
	bool cut; /* bytes that are not kept; or a line that is not shown */
	bool open_line; /* one that is not shown has begun */
	char *bytes;	/* kept, for --json */
	size_t len, room;
};

struct exec {
	unsigned most; /* lines; 0: all */
	bool json;
	struct exec_output out[GUEST_STREAMS];
};

static int exec_keep(struct exec_output *o, const char *bytes, size_t n)
{
	size_t room = o->room ? o->room : 65536;
	char *grown;

	if (n > EXEC_KEEP_MAX - o->len) {
		n = EXEC_KEEP_MAX - o->len;
		o->cut = true;
	}
	while (room < o->len + n)
		room *= 2;
	if (room != o->room) {
		grown = realloc(o->bytes, room);
		if (!grown)
			return -ENOMEM;
		o->bytes = grown;
		o->room = room;
	}
	memcpy(o->bytes + o->len, bytes, n);
	o->len += n;
	return 0;
}

/* Return: number of bytes that belong to lines that are shown. */
static size_t exec_count_lines(struct exec_output *o, unsigned most,
			       const char *bytes, size_t n)
{
	size_t shown = 0;

	for (size_t i = 0; i < n; i++) {
		bool end = bytes[i] == '\n';

		if (o->lines < most) {
			shown = i + 1;
			o->lines += end;
			continue;
		}
		o->left_out += end;
		o->open_line = !end;
		o->cut = true;
	}
	return shown;
}

static int exec_got(void *arg, enum guest_stream from, const void *bytes,
		    size_t n)
{
	struct exec *e = arg;
	struct exec_output *o = &e->out[from];

	if (e->most)
		n = exec_count_lines(o, e->most, bytes, n);
	return e->json ? exec_keep(o, bytes, n)
		       : fds_write(from == GUEST_OUT ? STDOUT_FILENO
						     : STDERR_FILENO,
				   bytes, n);
}

static void exec_tell_left_out(const struct exec *e)
{
	static const char *const names[] = {
		[GUEST_OUT] = "output", [GUEST_ERR] = "errors"
	};

	for (unsigned i = GUEST_OUT; i <= GUEST_ERR; i++) {
		const struct exec_output *o = &e->out[i];
		unsigned long long n = o->left_out + o->open_line;

		if (n)
			(void)fprintf(stderr, "disco: %llu more line%s of %s\n",
				      n, n == 1 ? "" : "s", names[i]);
	}
}

/* Text if it is UTF-8, else base64 under another name. */
static void exec_add_stream(json_t *root, const char *name,
			    const struct exec_output *o)
{
	json_t *text = json_stringn(o->bytes ? o->bytes : "", o->len);
	char key[32], *coded;

	(void)snprintf(key, sizeof(key), "%s%s", name, text ? "" : "_base64");
	if (!text) {
		coded = base64_encode(o->bytes, o->len);
		text = coded ? json_string(coded) : NULL;
		free(coded);
	}
	(void)json_object_set_new(root, key, text);
	(void)snprintf(key, sizeof(key), "%s_cut", name);
	(void)json_object_set_new(root, key, json_boolean(o->cut));
}

static void exec_print_json(const struct exec *e, int status)
{
	json_t *root = json_object();

	(void)json_object_set_new(root, "exit_status",
				  status < 0 ? json_null()
					     : json_integer(status));
	(void)json_object_set_new(root, "signal",
				  status < 0 ? json_integer(-status)
					     : json_null());
	exec_add_stream(root, "stdout", &e->out[GUEST_OUT]);
	exec_add_stream(root, "stderr", &e->out[GUEST_ERR]);
	cli_print_json(root);
	json_decref(root);
}

static int exec_in(struct exec *e, const struct command_args *a, double wait,
		   struct diag *d)
{
	const struct guest_run r = {
		.words = a->words + 1,
		.nr_words = a->nr_words - 1,
		.in = guest_run_is_empty(STDIN_FILENO) ? -1 : STDIN_FILENO,
		.got = exec_got,
		.arg = e,
	};
	struct agent_link l;
	int status = 0, err = agent_link_open(&l, a->words[0], wait, d);

	if (!err)
		err = guest_run(&l, &r, &status, d);
	agent_link_close(&l);
	if (err)
		return diag_fail(d, ST_HOST, -err,
				 "cannot write what the "
				 "command wrote: %s",
				 strerror(-err));
	if (e->json) {
		exec_print_json(e, status);
		return ST_OK;
	}
	exec_tell_left_out(e);
	return status < 0 ? 128 - status : status;
}

static int cli_exec_run(const struct command_args *a, struct diag *d)
{
	struct exec e = { .json = a->given[EXEC_JSON] };
	double wait = 0;
	int ret = 0;

	if (a->given[EXEC_LINES])
		ret = cli_whole(a->value[EXEC_LINES], 1, &e.most, d);
	if (!ret && a->given[EXEC_WAIT])
		ret = cli_number(a->value[EXEC_WAIT], 0, &wait, d);
	if (!ret)
		ret = exec_in(&e, a, wait, d);
	for (unsigned i = 0; i < GUEST_STREAMS; i++)
		free(e.out[i].bytes);
	return ret;
}

const struct command cli_exec = {
	.name = "exec",
	.brief = "run a command in a VM, by its guest agent",
	.words = "VM -- COMMAND...",
	.help = "Run a command in a virtual machine. Standard input, output, "
		"errors and the\nexit status pass through. The guest needs "
		"the QEMU guest agent (package\nqemu-guest-agent) and a "
		"shell.",
	.more = "128 and more: the command was killed by signal N - 128. "
		"disco(1) "
		"has the exit\nstatuses of disco itself.",
	.min_words = 2,
	.max_words = COMMAND_MAX_WORDS,
	.options = { exec_options },
	.run = cli_exec_run,
};
