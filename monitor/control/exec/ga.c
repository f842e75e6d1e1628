/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/exec/ga.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disco/clock.h"
#include "disco/guest_ports.h"
#include "monitor/ipc/fds.h"

#define GA_LOOK_NS   250000000ull /* between looks whether the agent is there */
#define GA_READ_SIZE 16384u

/* A worker that dies hangs up before its death is known: for so long at most. */
#define GA_LOST_NS 1000000000ull

#define GA_ADVICE                                                              \
	"in the guest, install and start it: apt install qemu-guest-agent "    \
	"(dnf, zypper, apk: the same name)"

struct ga_command {
	struct ga *ga;
	struct ga_command *next;
	char *text; /* one line, with its newline */
	size_t len;
	uint64_t ns;
	void (*done)(void *arg, const struct ga_result *r);
	void *arg;
};

enum ga_state {
	GA_OFF,	  /* not synchronised */
	GA_SYNC,  /* waits for the answer to guest-sync-delimited */
	GA_READY, /* idle */
	GA_ASKED, /* waits for the answer to the first command */
	GA_LOST,  /* hung up; waits to hear whether the guest has ended */
};

/* In memory until its VM ends; the socket comes and goes. */
struct ga {
	struct guest *g;
	struct loop *loop;
	struct loop_watch watch; /* fd -1: not connected */
	enum ga_state state;
	uint64_t sync_id;
	size_t noise; /* bytes skipped in this synchronisation */
	struct ga_command *first;
	unsigned nr;
	const char *out; /* what is to be sent: of the command or of sync */
	size_t out_len;
	char sync[96];
	struct ga_line in;
	struct loop_timer deadline, look;
};

static void ga_next(struct ga *ga);

bool ga_is_there(const struct guest *g)
{
	return figures_ports_now(&g->figures) & 1u << GUEST_PORT_AGENT;
}

/* --- the ends of commands --- */

static void command_free(struct ga_command *c)
{
	free(c->text);
	free(c);
}

/* The first command has ended. @line, @reply: NULL on failure. */
static void ga_finish_first(struct ga *ga, const struct ga_result *r)
{
	struct ga_command *c = ga->first;

	ga->first = c->next;
	ga->nr--;
	c->ga = NULL;
	if (c->done)
		c->done(c->arg, r);
	command_free(c);
}

/*
 * Fail the first command, or all: when the agent does not answer, those behind
 * would only wait for the same. A command that a callback submits stays.
 */
static void ga_fail(struct ga *ga, bool all, enum exit_status status, int err,
		    const char *what)
{
	struct ga_result r = { .diag = { .status = ST_OK } };
	unsigned nr = all ? ga->nr : ga->nr > 0;

	(void)diag_fail(&r.diag, status, err, "%s: %s", ga->g->record.name,
			what);
	loop_timer_cancel(ga->loop, &ga->deadline);
	ga->state = GA_OFF;
	ga->out_len = 0;
	ga_line_clear(&ga->in);
	while (nr-- && ga->first)
		ga_finish_first(ga, &r);
}

static void ga_fail_lost(struct ga *ga)
{
	ga_fail(ga, true, ST_NO_AGENT, ENOTCONN,
		"the connection to its guest agent has ended");
}

static void ga_deadline_in(struct ga *ga, uint64_t ns)
{
	loop_timer_set(ga->loop, &ga->deadline, clock_now_ns() + ns);
}

static void ga_disconnect(struct ga *ga)
{
	loop_want(ga->loop, &ga->watch, 0);
	fds_drop(&ga->watch.fd);
	ga->state = GA_OFF;
	ga->out_len = 0;
	ga_line_clear(&ga->in);
}

static void ga_hung_up(struct ga *ga)
{
	ga_disconnect(ga);
	loop_timer_cancel(ga->loop, &ga->look);
	if (ga->first) {
		ga->state = GA_LOST;
		ga_deadline_in(ga, GA_LOST_NS);
	}
}

static void ga_on_deadline(struct loop_timer *t)
{
	struct ga *ga = container_of(t, struct ga, deadline);

	if (ga->state == GA_LOST)
		ga_fail_lost(ga);
	else
		ga_fail(ga, true, ST_NO_AGENT, ETIMEDOUT,
			ga->state == GA_SYNC
				? "its guest agent does not answer"
				: "its guest agent has not answered in time");
	ga_next(ga);
}

/* An agent that has gone answers nothing: its guest was reset, perhaps. */
static void ga_on_look(struct loop_timer *t)
{
	struct ga *ga = container_of(t, struct ga, look);

	if (ga->first && !ga_is_there(ga->g))
		ga_fail(ga, true, ST_NO_AGENT, ENOTCONN,
			"its guest agent has gone");
	ga_next(ga);
}

/* --- sending --- */

static void ga_push(struct ga *ga)
{
	while (ga->out_len) {
		ssize_t n = send(ga->watch.fd, ga->out, ga->out_len,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			ga_hung_up(ga);
			return;
		}
		ga->out += n;
		ga->out_len -= (size_t)n;
	}
	loop_want(ga->loop, &ga->watch,
		  EPOLLIN | (ga->out_len ? EPOLLOUT : 0u));
}

/* Numbers that fit a double, and that no guest can guess. */
static uint64_t ga_new_id(void)
{
	uint64_t id = 0;

	while (getrandom(&id, sizeof(id), 0) < 0 && errno == EINTR)
		;
	return (id & 0xffffffffffffull) | 1;
}

static void ga_synchronise(struct ga *ga)
{
	ga->state = GA_SYNC;
	ga->sync_id = ga_new_id();
	ga->noise = 0;
	ga->in.skip = true;
	/* The mark makes the agent forget half a command of ours. */
	(void)snprintf(ga->sync, sizeof(ga->sync),
		       "\xff{\"execute\":\"guest-sync-delimited\","
		       "\"arguments\":{\"id\":%llu}}\n",
		       (unsigned long long)ga->sync_id);
	ga->out = ga->sync;
	ga->out_len = strlen(ga->sync);
	ga_deadline_in(ga, GA_SYNC_NS);
	ga_push(ga);
}

static void ga_next(struct ga *ga)
{
	if (ga->watch.fd < 0 || !ga->first) {
		loop_timer_cancel(ga->loop, &ga->look);
		if (ga->watch.fd >= 0)
			loop_want(ga->loop, &ga->watch, 0);
		return;
	}
	loop_timer_set(ga->loop, &ga->look, clock_now_ns() + GA_LOOK_NS);
	if (ga->state == GA_OFF) {
		ga_synchronise(ga);
	} else if (ga->state == GA_READY) {
		ga->state = GA_ASKED;
		ga->out = ga->first->text;
		ga->out_len = ga->first->len;
		ga_deadline_in(ga, ga->first->ns);
		ga_push(ga);
	}
}

/* --- receiving --- */

static void ga_answered(struct ga *ga)
{
	struct ga_result r = { .diag = { .status = ST_OK } };
	struct ga_line line = ga->in;

	if (ga_reply_parse(line.bytes, line.len, &r.reply)) {
		ga_fail(ga, false, ST_NO_AGENT, EPROTO,
			"what its guest agent answers is not its protocol");
		return;
	}
	loop_timer_cancel(ga->loop, &ga->deadline);
	ga->state = GA_READY;
	ga->in = (struct ga_line){ .bytes = NULL };
	r.line = line.bytes;
	ga_finish_first(ga, &r);
	json_decref(r.reply);
	ga_line_destroy(&line);
}

static void ga_take_line(struct ga *ga)
{
	if (ga->state == GA_ASKED) {
		ga_answered(ga);
		return;
	}
	if (ga->state == GA_SYNC &&
	    ga_reply_is_sync(ga->in.bytes, ga->in.len, ga->sync_id)) {
		loop_timer_cancel(ga->loop, &ga->deadline);
		ga->state = GA_READY;
	} else {
		/* Of an earlier synchronisation, or noise: look on. */
		ga->in.skip = true;
	}
	ga_line_clear(&ga->in);
}

/* Return: false: the command has failed. */
static bool ga_take(struct ga *ga, const char *bytes, size_t n)
{
	size_t used = 0;
	int ret;

	for (; n; bytes += used, n -= used) {
		/* Nobody has asked for this: the next command resynchronises. */
		if (ga->state == GA_READY || ga->state == GA_OFF) {
			ga->state = GA_OFF;
			return false;
		}
		ret = ga_line_feed(&ga->in, bytes, n, &used);
		ga->noise += ga->state == GA_SYNC ? used : 0;
		if (ga->noise > GA_NOISE_MAX) {
			ga->noise = 0;
			ga_fail(ga, true, ST_NO_AGENT, EPROTO,
				"its guest agent writes without end");
			return false;
		}
		if (ret < 0 && ga->state == GA_SYNC) {
			ga->in.skip = true;
		} else if (ret < 0) {
			ga_fail(ga, false, ST_NO_AGENT, -ret,
				"an answer of its guest agent is too long");
			return false;
		}
		if (ret > 0)
			ga_take_line(ga);
	}
	return true;
}

static void ga_on_ready(struct loop_watch *w, uint32_t events)
{
	struct ga *ga = container_of(w, struct ga, watch);
	char buf[GA_READ_SIZE];

	if (events & EPOLLOUT)
		ga_push(ga);
	for (size_t left = GA_TURN_BYTES; left && ga->watch.fd >= 0;) {
		ssize_t n = recv(w->fd, buf, sizeof(buf), MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			ga_hung_up(ga);
			break;
		}
		left -= min_u64(left, (size_t)n);
		if (!ga_take(ga, buf, (size_t)n))
			break;
	}
	ga_next(ga);
}

/* --- commands --- */

static int ga_connect(struct ga *ga)
{
	struct worker_request r = { .kind = WORKER_REQ_PORT,
				    .port.port = GUEST_PORT_AGENT };
	int sv[2], err;

	/* What was asked before may have run: nothing is asked twice. */
	if (ga->state == GA_LOST)
		ga_fail_lost(ga);
	if (ga->watch.fd >= 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	err = vm_watch_send(&ga->g->vm, &r, &sv[1]);
	(void)close(sv[1]);
	if (err) {
		(void)close(sv[0]);
		return err;
	}
	ga->watch.fd = sv[0];
	ga->state = GA_OFF;
	return 0;
}

static struct ga *ga_of(struct guest *g)
{
	struct ga *ga = g->ga ? g->ga : calloc(1, sizeof(*ga));

	if (!ga || g->ga)
		return ga;
	ga->g = g;
	ga->loop = &g->m->watcher.loop;
	ga->watch = (struct loop_watch){ .fd = -1, .ready = ga_on_ready };
	ga->deadline.expired = ga_on_deadline;
	ga->look.expired = ga_on_look;
	g->ga = ga;
	return ga;
}

static int ga_check(const struct guest *g, struct diag *d)
{
	const char *name = g->record.name;

	if (g->ended)
		return diag_fail(d, ST_NO_VM, ESRCH, "%s: has ended", name);
	if (g->vm.paused)
		return diag_fail(d, ST_NO_VM, EAGAIN,
				 "%s: is paused, and so is its guest agent; "
				 "'disco resume %s' lets it go on",
				 name, name);
	if (!ga_is_there(g))
		return diag_fail(d, ST_NO_AGENT, ENOTCONN,
				 "%s: no guest agent answers; " GA_ADVICE,
				 name);
	if (g->ga && g->ga->nr >= GA_MAX_WAITING)
		return diag_fail(d, ST_NO_AGENT, EBUSY,
				 "%s: %u commands wait for its guest agent "
				 "already",
				 name, GA_MAX_WAITING);
	return 0;
}

static struct ga_command *command_create(const json_t *request)
{
	struct ga_command *c = calloc(1, sizeof(*c));
	char *grown;

	if (!c)
		return NULL;
	c->text = json_dumps(request, JSON_COMPACT);
	c->len = c->text ? strlen(c->text) : 0;
	grown = c->text ? realloc(c->text, c->len + 2) : NULL;
	if (!grown) {
		command_free(c);
		return NULL;
	}
	c->text = grown;
	c->text[c->len++] = '\n';
	c->text[c->len] = '\0';
	return c;
}

static void ga_queue(struct ga *ga, struct ga_command *c)
{
	struct ga_command **at = &ga->first;

	while (*at)
		at = &(*at)->next;
	*at = c;
	ga->nr++;
	c->ga = ga;
}

int ga_submit(struct guest *g, const json_t *request, uint64_t ns,
	      void (*done)(void *arg, const struct ga_result *r), void *arg,
	      struct ga_command **out, struct diag *d)
{
	int err = ga_check(g, d);
	struct ga_command *c;
	struct ga *ga;

	if (err)
		return err;
	ga = ga_of(g);
	c = ga ? command_create(request) : NULL;
	if (!c)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	err = ga_connect(ga);
	if (err) {
		command_free(c);
		return diag_fail(d, ST_HOST, -err, "%s: guest agent: %s",
				 g->record.name, strerror(-err));
	}
	c->ns = ns ? ns : GA_COMMAND_NS;
	c->done = done;
	c->arg = arg;
	ga_queue(ga, c);
	if (out)
		*out = c;
	/* Not now: a failure would call @done before we return. */
	loop_timer_set(ga->loop, &ga->look, clock_now_ns());
	return 0;
}

void ga_forget(struct ga_command *c)
{
	c->done = NULL; /* the answer has to be read, whoever waits for it */
}

int guest_agent_shutdown(struct guest *g, uint64_t ns,
			 void (*done)(void *arg, const struct ga_result *r),
			 void *arg, struct ga_command **out, struct diag *d)
{
	json_t *request = json_pack("{s:s, s:{s:s}}", "execute",
				    "guest-shutdown", "arguments", "mode",
				    "powerdown");
	int err;

	if (!request)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	err = ga_submit(g, request, ns, done, arg, out, d);
	json_decref(request);
	return err;
}

void ga_guest_ended(struct guest *g)
{
	struct ga *ga = g->ga;

	if (!ga)
		return;
	ga_disconnect(ga);
	ga_fail(ga, true, ST_NO_VM, ESRCH, "the guest has ended");
	ga_line_destroy(&ga->in);
	loop_timer_cancel(ga->loop, &ga->look);
}

void ga_leave(struct monitor *m)
{
	for (struct guest *g = m->guests; g; g = g->next)
		ga_guest_ended(g);
}
