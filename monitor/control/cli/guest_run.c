/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/cli/guest_run.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/cli/base64.h"
#include "monitor/ipc/fds.h"
#include "monitor/ipc/text_clean.h"

#define RUN_CHUNK	 65536u
#define LOOK_MIN_NS	 1000000u  /* between looks for the exit status, */
#define LOOK_MAX_NS	 50000000u /* when the output has ended, */
#define LOOK_OPEN_NS	 50000000u /* and before that, at first */
#define LOOK_OPEN_MAX_NS 1000000000u

/*
 * $1, $2, $3: ports of input (0: none), output and errors; then the command. No
 * process besides the shell, which becomes the command. Ports are tried as
 * character devices first: ">" would make files of names that are none.
 */
static const char script[] =
	"i=/dev/null;[ \"$1\" = 0 ]||for i in /dev/vport*p$1;do :;done;"
	"for o in /dev/vport*p$2;do :;done;for e in /dev/vport*p$3;do :;done;"
	"if [ ! -c \"$i\" ]||[ ! -c \"$o\" ]||[ ! -c \"$e\" ];then "
	"echo no device of the streams in /dev >&2;exit 126;fi;"
	"shift 3;exec \"$@\" <\"$i\" >\"$o\" 2>\"$e\"";

struct run_state {
	struct agent_link *l;
	const struct guest_run *r;
	int fds[GUEST_STREAMS];
	bool in_ended; /* of r->in */
	char *buf;     /* RUN_CHUNK bytes of input */
	size_t at, len;
	json_int_t pid;
	bool asked; /* for the exit status */
	bool exited;
	int status;
	uint64_t look_ns; /* next look; not while @asked */
	uint64_t wait_ns; /* between the last two */
	uint64_t heard_ns;
};

static bool run_is_open(const struct run_state *s)
{
	return s->fds[GUEST_OUT] >= 0 || s->fds[GUEST_ERR] >= 0;
}

/* --- input --- */

static void run_end_input(struct run_state *s)
{
	fds_drop(&s->fds[GUEST_IN]);
	s->in_ended = true;
	s->len = 0;
}

static int run_read_input(struct run_state *s, struct diag *d)
{
	ssize_t n = read(s->r->in, s->buf, RUN_CHUNK);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n < 0)
		return diag_fail(d, ST_HOST, errno, "standard input: %s",
				 strerror(errno));
	s->at = 0;
	s->len = (size_t)n;
	if (n == 0)
		run_end_input(s);
	return 0;
}

static void run_send_input(struct run_state *s)
{
	ssize_t n = send(s->fds[GUEST_IN], s->buf + s->at, s->len - s->at,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n < 0) { /* the command reads no more */
		run_end_input(s);
		return;
	}
	s->at += (size_t)n;
	if (s->at == s->len)
		s->len = 0;
	if (s->r->sent)
		s->r->sent(s->r->arg, (size_t)n);
}

/* --- output --- */

static int run_receive(struct run_state *s, enum guest_stream from)
{
	static char buf[RUN_CHUNK];
	ssize_t n = recv(s->fds[from], buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	s->heard_ns = clock_now_ns();
	if (n > 0)
		return s->r->got(s->r->arg, from, buf, (size_t)n);
	fds_drop(&s->fds[from]);
	/* Both have ended: the command has, most likely. */
	if (!run_is_open(s)) {
		s->wait_ns = 0;
		s->look_ns = 0;
	}
	return 0;
}

/* --- the exit status --- */

/* The shell did not get to the command: its streams were never opened. */
static int run_shell_failed(struct run_state *s, json_t *value, struct diag *d)
{
	const char *text =
		json_string_value(json_object_get(value, "err-data"));
	char line[256], *bytes;
	size_t n = 0;
	int err = -ENOMEM;

	if (!text)
		return 0;
	bytes = malloc(strlen(text) + 1);
	if (bytes)
		err = base64_decode(text, bytes, &n);
	(void)snprintf(line, sizeof(line), "%.*s",
		       err ? 0 : (int)min_u64(n, 255), err ? "" : bytes);
	free(bytes);
	line[strcspn(line, "\n")] = '\0';
	text_clean(line, sizeof(line));
	return diag_fail(d, ST_NO_AGENT, EREMOTEIO,
			 "%s: the command was not started: %s", s->l->vm, line);
}

static int run_take_status(struct run_state *s, struct diag *d)
{
	json_t *value = NULL, *code, *sig;
	int err = agent_link_receive(s->l, &value, d);

	s->asked = false;
	if (err)
		return err;
	code = json_object_get(value, "exitcode");
	sig = json_object_get(value, "signal");
	s->exited = json_is_true(json_object_get(value, "exited"));
	if (json_is_integer(sig))
		s->status = -(int)(json_integer_value(sig) & 0x7f);
	else
		s->status = (int)(json_integer_value(code) & 0xff);
	if (s->exited)
		err = run_shell_failed(s, value, d);
	json_decref(value);
	s->wait_ns = s->wait_ns	      ? 2 * s->wait_ns
		     : run_is_open(s) ? LOOK_OPEN_NS
				      : LOOK_MIN_NS;
	s->wait_ns = min_u64(s->wait_ns,
			     run_is_open(s) ? LOOK_OPEN_MAX_NS : LOOK_MAX_NS);
	s->look_ns = clock_now_ns() + s->wait_ns;
	return err;
}

static int run_look(struct run_state *s, struct diag *d)
{
	if (s->asked || s->exited || clock_now_ns() < s->look_ns)
		return 0;
	s->asked = true;
	return agent_link_send(s->l,
			       json_pack("{s:s, s:{s:I}}", "execute",
					 "guest-exec-status", "arguments",
					 "pid", s->pid),
			       d);
}

/* --- all of it --- */

enum { POLL_LINK, POLL_OUT, POLL_ERR, POLL_IN, POLL_STDIN, POLL_NR };

static int run_timeout(const struct run_state *s)
{
	uint64_t now = clock_now_ns(), at = s->look_ns;

	if (s->asked)
		return -1;
	if (s->exited)
		at = s->heard_ns + GUEST_RUN_QUIET_NS;
	return at <= now ? 0 : (int)((at - now) / 1000000u) + 1;
}

static bool run_is_over(const struct run_state *s)
{
	return s->exited && (!run_is_open(s) || clock_now_ns() - s->heard_ns >=
							GUEST_RUN_QUIET_NS);
}

static int run_turn(struct run_state *s, struct diag *d)
{
	bool reads = !s->in_ended && s->len == 0;
	struct pollfd p[POLL_NR] = {
		[POLL_LINK] = { s->l->fd, POLLIN, 0 },
		[POLL_OUT] = { s->fds[GUEST_OUT], POLLIN, 0 },
		[POLL_ERR] = { s->fds[GUEST_ERR], POLLIN, 0 },
		[POLL_IN] = { s->len ? s->fds[GUEST_IN] : -1, POLLOUT, 0 },
		[POLL_STDIN] = { reads ? s->r->in : -1, POLLIN, 0 },
	};
	int err = 0;

	if (poll(p, POLL_NR, run_timeout(s)) < 0 && errno != EINTR)
		return diag_fail(d, ST_HOST, errno, "poll: %s",
				 strerror(errno));
	if (p[POLL_OUT].revents)
		err = run_receive(s, GUEST_OUT);
	if (!err && p[POLL_ERR].revents)
		err = run_receive(s, GUEST_ERR);
	if (!err && p[POLL_IN].revents)
		run_send_input(s);
	if (!err && p[POLL_STDIN].revents)
		err = run_read_input(s, d);
	if (!err && p[POLL_LINK].revents)
		err = run_take_status(s, d);
	return err ? err : run_look(s, d);
}

static int run_begin(struct run_state *s, const unsigned *ports, struct diag *d)
{
	json_t *args = json_pack("[s, s, s]", "-c", script, "sh");
	json_t *value = NULL;
	char number[16];
	int err;

	for (unsigned i = 0; i < GUEST_STREAMS; i++) {
		(void)snprintf(number, sizeof(number), "%u", ports[i]);
		(void)json_array_append_new(args, json_string(number));
	}
	for (unsigned i = 0; i < s->r->nr_words; i++)
		if (json_array_append_new(args, json_string(s->r->words[i]))) {
			json_decref(args);
			return diag_fail(d, ST_USAGE, EINVAL,
					 "word %u of the command is not UTF-8, "
					 "which the guest agent wants",
					 i + 1);
		}
	err = agent_link_ask(s->l,
			     json_pack("{s:s, s:{s:s, s:o, s:b}}", "execute",
				       "guest-exec", "arguments", "path",
				       "/bin/sh", "arg", args, "capture-output",
				       1),
			     &value, d);
	if (err)
		return err;
	s->pid = json_integer_value(json_object_get(value, "pid"));
	json_decref(value);
	s->heard_ns = clock_now_ns();
	s->wait_ns = LOOK_OPEN_NS / 2;
	s->look_ns = s->heard_ns + LOOK_OPEN_NS;
	return 0;
}

int guest_run(struct agent_link *l, const struct guest_run *r, int *status,
	      struct diag *d)
{
	struct run_state s = { .l = l, .r = r, .in_ended = r->in < 0 };
	unsigned ports[GUEST_STREAMS];
	int err = agent_link_streams(l, r->in >= 0, ports, s.fds, d);

	if (!err && r->in >= 0)
		s.buf = malloc(RUN_CHUNK);
	if (!err && r->in >= 0 && !s.buf)
		err = diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	if (!err)
		err = run_begin(&s, ports, d);
	while (!err && !run_is_over(&s))
		err = run_turn(&s, d);
	fds_close(s.fds, GUEST_STREAMS);
	free(s.buf);
	if (!err)
		*status = s.status;
	return err;
}

bool guest_run_is_empty(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct stat st;

	if (fstat(fd, &st) < 0)
		return true;
	if (S_ISCHR(st.st_mode))
		return st.st_rdev == makedev(1, 3); /* /dev/null */
	if (S_ISREG(st.st_mode))
		return lseek(fd, 0, SEEK_CUR) >= st.st_size;
	return poll(&p, 1, 0) > 0 && !(p.revents & POLLIN);
}
