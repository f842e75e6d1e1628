/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/exec/ga_session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disco/clock.h"
#include "disco/guest_ports.h"
#include "monitor/control/exec/ga.h"
#include "monitor/ipc/fds.h"

#define SESSION_LOOK_NS 20000000u /* between looks for a free set of streams */

struct ga_session {
	struct monitor *m;
	struct ga_session *next; /* of the guest's */
	uint64_t guest_id;
	struct loop_watch watch;
	struct ga_line in;
	char *out; /* what is left of an answer; NULL: nothing */
	size_t out_len, out_at;
	struct ga_command *asked; /* with the agent */
	int set;		  /* of streams; -1: none */
	bool with_stdin;
	long long pid; /* that guest-exec started; 0: none, or it has exited */
	bool is_exec;  /* the command with the agent is one */
	struct loop_timer timer; /* waits for a set of streams */
	bool gone;
	void (*left)(void *arg);
	void *arg;
};

static struct loop *session_loop(const struct ga_session *s)
{
	return &s->m->watcher.loop;
}

/* NULL: it is no guest any more. */
static struct guest *session_guest(const struct ga_session *s)
{
	return guest_find_id(s->m, s->guest_id);
}

/* --- the end --- */

void ga_sessions_sweep(struct monitor *m)
{
	while (m->dead_sessions) {
		struct ga_session *s = m->dead_sessions;

		m->dead_sessions = s->next;
		ga_line_destroy(&s->in);
		free(s->out);
		free(s);
	}
}

static uint64_t set_ports(int set)
{
	return 7ull << GUEST_PORT_OF((unsigned)set, GUEST_IN);
}

/* What writes to nobody would wait for ever, and keep its streams. */
static void session_kill(struct guest *g, long long pid)
{
	static const char script[] = "kill -TERM \"$0\" && sleep 5 && "
				     "kill -KILL \"$0\"";
	struct diag d = { .status = ST_OK };
	char number[24];
	json_t *request;

	(void)snprintf(number, sizeof(number), "%lld", pid);
	request = json_pack("{s:s, s:{s:s, s:[s, s, s]}}", "execute",
			    "guest-exec", "arguments", "path", "/bin/sh", "arg",
			    "-c", script, number);
	/* Without an agent there is nobody who could do it. */
	if (request)
		(void)!ga_submit(g, request, 0, NULL, NULL, NULL, &d);
	json_decref(request);
}

static void session_unlink(struct guest *g, struct ga_session *s)
{
	struct ga_session **at = &g->sessions;

	while (*at && *at != s)
		at = &(*at)->next;
	if (*at)
		*at = s->next;
}

/* The client is gone, and nothing of it is with the agent. */
static void session_end(struct ga_session *s)
{
	struct guest *g = session_guest(s);

	if (g) {
		if (s->set >= 0 && s->pid && !g->ended)
			session_kill(g, s->pid);
		if (s->set >= 0)
			g->stream_sets &= ~(1u << s->set);
		session_unlink(g, s);
	}
	s->next = s->m->dead_sessions;
	s->m->dead_sessions = s;
}

static void session_leave(struct ga_session *s)
{
	if (s->gone)
		return;
	s->gone = true;
	loop_want(session_loop(s), &s->watch, 0);
	loop_timer_cancel(session_loop(s), &s->timer);
	s->left(s->arg);
	/* Else when the agent has answered: which process is it? */
	if (!s->asked)
		session_end(s);
}

/* --- answers --- */

static void session_want(struct ga_session *s)
{
	bool busy = s->asked || s->timer.at_ns;

	/* A client that hangs up is noticed while it waits, too. */
	if (!s->gone)
		loop_want(session_loop(s), &s->watch,
			  s->out ? EPOLLOUT
			  : busy ? EPOLLRDHUP
				 : EPOLLIN);
}

static void session_push(struct ga_session *s)
{
	while (s->out && !s->gone) {
		ssize_t n = send(s->watch.fd, s->out + s->out_at,
				 s->out_len - s->out_at,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			session_leave(s);
			return;
		}
		s->out_at += (size_t)n;
		if (s->out_at < s->out_len)
			continue;
		free(s->out);
		s->out = NULL;
	}
	session_want(s);
}

/* @line is copied. Its end is added. */
static void session_say(struct ga_session *s, const char *line)
{
	s->out_len = strlen(line) + 1;
	s->out_at = 0;
	s->out = malloc(s->out_len);
	if (!s->out) {
		session_leave(s);
		return;
	}
	memcpy(s->out, line, s->out_len - 1);
	s->out[s->out_len - 1] = '\n';
	session_push(s);
}

static void session_fail(struct ga_session *s, const struct diag *d)
{
	json_t *root = json_pack("{s:s, s:i}", "failed", d->text, "status",
				 (int)d->status);
	char *line = root ? json_dumps(root, JSON_COMPACT | JSON_ENSURE_ASCII)
			  : NULL;

	session_say(s, line ? line : "{\"failed\":\"\",\"status\":1}");
	free(line);
	json_decref(root);
}

static void session_answered(void *arg, const struct ga_result *r)
{
	struct ga_session *s = arg;
	json_t *value = json_object_get(r->reply, "return");
	json_int_t pid = json_integer_value(json_object_get(value, "pid"));

	s->asked = NULL;
	if (s->is_exec && pid > 0)
		s->pid = pid;
	if (json_is_true(json_object_get(value, "exited")))
		s->pid = 0;
	if (s->gone)
		session_end(s);
	else if (r->line)
		session_say(s, r->line);
	else
		session_fail(s, &r->diag);
}

/* --- streams --- */

/* A set that nobody has, and whose ports the guest has closed; -1: none now. */
static int set_find(const struct guest *g)
{
	uint64_t open = figures_ports_now(&g->figures);

	for (unsigned i = 0; i < GUEST_STREAM_SETS; i++)
		if (!(g->stream_sets & 1u << i) && !(open & set_ports((int)i)))
			return (int)i;
	return -1;
}

/* One stream: its other end is for the client. Return: 0; -errno. */
static int stream_open(struct guest *g, unsigned port, int *end)
{
	struct worker_request r = { .kind = WORKER_REQ_PORT,
				    .port.port = port };
	int sv[2], err;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	err = vm_watch_send(&g->vm, &r, &sv[1]);
	(void)close(sv[1]);
	if (err)
		(void)close(sv[0]);
	else
		*end = sv[0];
	return err;
}

static int streams_send(struct ga_session *s, struct guest *g)
{
	unsigned first = GUEST_PORT_OF((unsigned)s->set, GUEST_IN);
	int fds[GUEST_STREAMS] = { -1, -1, -1 }, err = 0;
	unsigned from = s->with_stdin ? GUEST_IN : GUEST_OUT;
	char line[96];

	for (unsigned i = from; !err && i < GUEST_STREAMS; i++)
		err = stream_open(g, first + i, &fds[i]);
	(void)snprintf(line, sizeof(line),
		       "{\"return\":{\"ports\":[%u,%u,%u]}}\n",
		       s->with_stdin ? first : 0, first + GUEST_OUT,
		       first + GUEST_ERR);
	if (!err)
		err = fds_send(s->watch.fd, line, strlen(line), fds + from,
			       GUEST_STREAMS - from, MSG_DONTWAIT);
	fds_close(fds, GUEST_STREAMS);
	return err;
}

static void session_on_timer(struct loop_timer *t);

static void session_streams(struct ga_session *s)
{
	struct guest *g = session_guest(s);
	struct diag d = { .status = ST_OK };
	int err;

	if (!g || g->ended) {
		session_leave(s);
		return;
	}
	s->set = set_find(g);
	if (s->set < 0) {
		s->timer.expired = session_on_timer;
		loop_timer_set(session_loop(s), &s->timer,
			       clock_now_ns() + SESSION_LOOK_NS);
		session_want(s);
		return;
	}
	g->stream_sets |= 1u << s->set;
	err = streams_send(s, g);
	if (err) {
		(void)diag_fail(&d, ST_HOST, -err, "%s: no streams: %s",
				g->record.name, strerror(-err));
		session_fail(s, &d);
		return;
	}
	session_want(s);
}

static void session_on_timer(struct loop_timer *t)
{
	session_streams(container_of(t, struct ga_session, timer));
}

/* --- requests --- */

static void session_ask_streams(struct ga_session *s, json_t *request)
{
	json_t *args = json_object_get(request, "arguments");
	struct diag d = { .status = ST_OK };

	s->with_stdin = json_is_true(json_object_get(args, "stdin"));
	if (s->set < 0) {
		session_streams(s);
		return;
	}
	(void)diag_fail(&d, ST_USAGE, EBUSY, "this session has streams");
	session_fail(s, &d);
}

static void session_ask(struct ga_session *s, json_t *request)
{
	const char *name =
		json_string_value(json_object_get(request, "execute"));
	struct guest *g = session_guest(s);
	struct diag d = { .status = ST_OK };

	if (!g) {
		session_leave(s);
		return;
	}
	if (strcmp(name, "disco-streams") == 0) {
		session_ask_streams(s, request);
		return;
	}
	s->is_exec = strcmp(name, "guest-exec") == 0;
	if (ga_submit(g, request, 0, session_answered, s, &s->asked, &d))
		session_fail(s, &d);
	else
		session_want(s);
}

static void session_take_line(struct ga_session *s)
{
	struct diag d = { .status = ST_OK };
	const char *why = NULL;
	json_t *request = NULL;

	if (s->in.len > GA_REQUEST_MAX) {
		session_leave(s);
		return;
	}
	if (ga_request_check(s->in.bytes, s->in.len, &request, &why)) {
		(void)diag_fail(&d, ST_CONFIG, EINVAL, "request: %s", why);
		session_fail(s, &d);
	} else {
		session_ask(s, request);
	}
	json_decref(request);
	ga_line_clear(&s->in);
}

/* One request at a time: a client that sends more has not read the rules. */
static void session_take(struct ga_session *s, const char *bytes, size_t n)
{
	size_t used = 0;
	int ret = ga_line_feed(&s->in, bytes, n, &used);

	if (ret < 0 || used < n || s->in.len > GA_REQUEST_MAX)
		session_leave(s);
	else if (ret > 0)
		session_take_line(s);
}

static void session_on_ready(struct loop_watch *w, uint32_t events)
{
	struct ga_session *s = container_of(w, struct ga_session, watch);
	char buf[16384];
	ssize_t n;

	if (events & EPOLLOUT)
		session_push(s);
	if (s->gone)
		return;
	if (w->want != EPOLLIN) {
		if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
			session_leave(s);
		return;
	}
	n = recv(w->fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n > 0)
		session_take(s, buf, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		session_leave(s);
}

/* --- life --- */

int ga_session_open(struct guest *g, int fd, const void *extra, size_t n,
		    void (*left)(void *arg), void *arg)
{
	struct ga_session *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	*s = (struct ga_session){ .m = g->m,
				  .next = g->sessions,
				  .guest_id = g->id,
				  .watch = { .fd = fd,
					     .ready = session_on_ready },
				  .set = -1,
				  .left = left,
				  .arg = arg };
	g->sessions = s;
	session_want(s);
	if (n)
		session_take(s, extra, n);
	return 0;
}

unsigned ga_sessions_count(const struct guest *g)
{
	unsigned nr = 0;

	for (const struct ga_session *s = g->sessions; s; s = s->next)
		nr += !s->gone;
	return nr;
}

void ga_sessions_guest_ended(struct guest *g)
{
	struct ga_session *s, *next;

	for (s = g->sessions; s; s = next) {
		next = s->next;
		session_leave(s);
	}
}

void ga_sessions_leave(struct monitor *m)
{
	for (struct guest *g = m->guests; g; g = g->next)
		ga_sessions_guest_ended(g);
}
