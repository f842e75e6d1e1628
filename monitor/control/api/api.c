/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/api/api.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/api/api_front.h"
#include "monitor/control/api/api_handlers.h"
#include "monitor/control/api/mhd.h"
#include "monitor/control/exec/ga.h"
#include "monitor/control/exec/ga_session.h"
#include "monitor/control/guests/move.h"
#include "monitor/control/guests/starter.h"
#include "monitor/ipc/text_clean.h"

#define CONN_MEMORY ((size_t)KIB(16)) /* headers of one request */

/* A connection; MHD's socket context. */
struct conn {
	struct api *api;
	int fd;
	/*
	 * Closes a connection that had no answer for API_LIFE_NS. Otherwise a
	 * client that sends a byte now and then would occupy one of
	 * API_MAX_COMMANDS. Not armed while a call of it waits, nor after an
	 * upgrade: then it lives as long as its client and the guest.
	 */
	struct loop_timer life;
	bool console; /* counted in api->consoles */
};

struct api {
	struct monitor *m;
	struct MHD_Daemon *daemon;
	struct api_front *front;
	struct loop_watch watch;
	struct loop_timer timer; /* MHD's */
	struct api_call *waiting;
	unsigned consoles;
	bool closed; /* a connection, or has to be, since MHD began to run */
};

/* --- answers --- */

void api_answer(struct api_call *c, unsigned http, json_t *root)
{
	c->answer = http;
	c->type = "application/json";
	c->text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	if (!c->text) {
		c->answer = MHD_HTTP_INTERNAL_SERVER_ERROR;
		c->text = strdup("{\"error\":\"out of memory\",\"status\":1}");
	}
}

void api_answer_text(struct api_call *c, const char *type, char *text)
{
	c->answer = MHD_HTTP_OK;
	c->type = type;
	c->text = text;
}

void api_fail(struct api_call *c, unsigned http, enum exit_status status,
	      const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	text_clean(line, sizeof(line));
	api_answer(
		c, http,
		json_pack("{s:s, s:i}", "error", line, "status", (int)status));
}

void api_fail_diag(struct api_call *c, const struct diag *d)
{
	unsigned http = MHD_HTTP_BAD_REQUEST;

	switch (d->status) {
	case ST_FILE:
	case ST_KERNEL_CUT:
	case ST_KERNEL_KIND:
	case ST_DISK:
	case ST_BOOT:
		http = MHD_HTTP_UNPROCESSABLE_CONTENT;
		break;
	case ST_MEMORY:
	case ST_KVM:
	case ST_HOST:
		http = MHD_HTTP_SERVICE_UNAVAILABLE;
		break;
	case ST_OK:
	case ST_INTERNAL:
		http = MHD_HTTP_INTERNAL_SERVER_ERROR;
		break;
	default:
		break;
	}
	api_fail(c, http, d->status ? d->status : ST_INTERNAL, "%s", d->text);
}

/* --- routes --- */

/* Does @url match @path? "{name}" takes a VM's name. */
static bool api_match(const char *path, const char *url, char *name)
{
	const char *hole = strstr(path, "{name}");
	size_t head = hole ? (size_t)(hole - path) : strlen(path);
	const char *tail = hole ? hole + strlen("{name}") : "";
	size_t n;

	if (!hole)
		return strcmp(path, url) == 0;
	if (strncmp(path, url, head) != 0)
		return false;
	n = strcspn(url + head, "/");
	if (n == 0 || n > VM_NAME_MAX || strcmp(url + head + n, tail) != 0)
		return false;
	memcpy(name, url + head, n);
	name[n] = '\0';
	return true;
}

static void find_route(struct api_call *c, const char *method, const char *url)
{
	bool known = false;

	for (const struct api_route *r = api_routes(); r->method; r++) {
		if (!api_match(r->path, url, c->name))
			continue;
		known = true;
		if (strcmp(r->method, method) == 0) {
			c->route = r;
			return;
		}
	}
	if (known)
		api_fail(c, MHD_HTTP_METHOD_NOT_ALLOWED, ST_USAGE,
			 "%.16s is not for %.200s", method, url);
	else
		api_fail(c, MHD_HTTP_NOT_FOUND, ST_USAGE,
			 "nothing is at %.200s", url);
}

/* --- one request --- */

static struct conn *conn_of(struct MHD_Connection *conn)
{
	const union MHD_ConnectionInfo *info = mhd.get_connection_info(
		conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static void conn_on_life(struct loop_timer *t)
{
	(void)shutdown(container_of(t, struct conn, life)->fd, SHUT_RDWR);
}

static void conn_live(struct conn *k)
{
	loop_timer_set(&k->api->m->watcher.loop, &k->life,
		       clock_now_ns() + API_LIFE_NS);
}

static void conn_stay(struct conn *k)
{
	loop_timer_cancel(&k->api->m->watcher.loop, &k->life);
}

void api_upgrade(struct api_call *c, const char *protocol)
{
	const char *to = mhd.lookup_connection_value(c->conn, MHD_HEADER_KIND,
						     "Upgrade");
	struct conn *k = conn_of(c->conn);

	if (!to || strcasecmp(to, protocol) != 0) {
		api_fail(c, MHD_HTTP_UPGRADE_REQUIRED, ST_USAGE,
			 "this call wants 'Upgrade: %s'", protocol);
		return;
	}
	if (!k || (!k->console && k->api->consoles >= API_MAX_CONSOLES)) {
		api_fail(c, MHD_HTTP_SERVICE_UNAVAILABLE, ST_HOST,
			 "%u consoles are attached already; detach one",
			 API_MAX_CONSOLES);
		return;
	}
	k->api->consoles += !k->console;
	k->console = true;
	c->upgrade = protocol;
	c->answer = MHD_HTTP_SWITCHING_PROTOCOLS;
}

static struct api_call *call_create(struct api *api,
				    struct MHD_Connection *conn,
				    const char *method, const char *url)
{
	struct api_call *c = calloc(1, sizeof(*c));
	const char *length;

	if (!c)
		return NULL;
	c->api = api;
	c->m = api->m;
	c->conn = conn;
	find_route(c, method, url);
	length = mhd.lookup_connection_value(conn, MHD_HEADER_KIND,
					     "Content-Length");
	if (length && strtoull(length, NULL, 10) > API_MAX_BODY)
		c->too_large = true;
	return c;
}

static void unlink_waiting(struct api_call *c)
{
	struct api_call **at = &c->api->waiting;

	while (*at && *at != c)
		at = &(*at)->next;
	if (*at)
		*at = c->next;
	c->waits = false;
}

static void call_free(struct api_call *c)
{
	if (c->waits)
		unlink_waiting(c);
	loop_timer_cancel(&c->m->watcher.loop, &c->deadline);
	starter_forget(c->m, c);
	move_forget(c->m, c);
	if (c->ga)
		ga_forget(c->ga);
	free(c->body);
	free(c->text);
	free(c);
}

static void take_body(struct api_call *c, const char *bytes, size_t n)
{
	size_t room = c->body_room ? c->body_room : 4096;
	char *grown;

	if (c->too_large || n > API_MAX_BODY - c->body_len) {
		c->too_large = true; /* the rest is read and thrown away */
		return;
	}
	while (room < c->body_len + n + 1)
		room *= 2;
	if (room != c->body_room) {
		grown = realloc(c->body, room);
		if (!grown) {
			c->too_large = true;
			return;
		}
		c->body = grown;
		c->body_room = room;
	}
	memcpy(c->body + c->body_len, bytes, n);
	c->body_len += n;
	c->body[c->body_len] = '\0';
}

/* --- consoles --- */

static void console_left(void *urh)
{
	(void)mhd.upgrade_action(urh, MHD_UPGRADE_ACTION_CLOSE);
}

static int api_serve_upgraded(const struct api_call *c, struct guest *g,
			      int sock, const char *extra, size_t extra_len,
			      void *urh)
{
	int err;

	if (strcmp(c->upgrade, API_AGENT) == 0)
		return ga_session_open(g, sock, extra, extra_len, console_left,
				       urh);
	if (strcmp(c->upgrade, API_DUMP) == 0) {
		err = net_dump_open(g, sock, c->dump_bytes);
		/* The client has what it needs, or nothing. */
		if (!err)
			console_left(urh);
		return err;
	}
	err = tap_attach(&g->tap, sock, console_left, urh);
	if (!err && extra_len)
		tap_type(&g->tap, extra, extra_len);
	return err;
}

static void api_upgraded(void *cls, struct MHD_Connection *conn, void *req_cls,
			 const char *extra, size_t extra_len, MHD_socket sock,
			 struct MHD_UpgradeResponseHandle *urh)
{
	struct api_call *c = req_cls;
	struct guest *g = guest_find(c->m, c->name);
	struct conn *k = conn_of(conn);

	(void)cls;
	if (k)
		conn_stay(k);
	if (!g || api_serve_upgraded(c, g, sock, extra, extra_len, urh)) {
		console_left(urh);
		return;
	}
	/* The guest may have ended: MHD has to close what has just left. */
	c->api->closed = true;
}

static struct MHD_Response *upgrade_response(const char *protocol)
{
	struct MHD_Response *r =
		mhd.create_response_for_upgrade(api_upgraded, NULL);

	if (r)
		(void)mhd.add_response_header(r, "Upgrade", protocol);
	return r;
}

static enum MHD_Result api_send_answer(struct api_call *c)
{
	struct MHD_Response *r;
	enum MHD_Result ret;

	if (c->upgrade) {
		r = upgrade_response(c->upgrade);
	} else {
		r = mhd.create_response_from_buffer(
			c->text ? strlen(c->text) : 0, c->text,
			MHD_RESPMEM_MUST_COPY);
		if (r && c->type)
			(void)mhd.add_response_header(r, "Content-Type",
						      c->type);
	}
	if (!r)
		return MHD_NO;
	/* The front has seen one head: there is no second one. */
	if (!c->upgrade)
		(void)mhd.add_response_header(r, "Connection", "close");
	ret = mhd.queue_response(c->conn, c->answer, r);
	mhd.destroy_response(r);
	return ret;
}

static void api_call_on_deadline(struct loop_timer *t)
{
	container_of(t, struct api_call, deadline)->late = true;
}

void api_wait(struct api_call *c, uint64_t ns)
{
	c->deadline.expired = api_call_on_deadline;
	loop_timer_set(&c->m->watcher.loop, &c->deadline, c->begun_ns + ns);
}

bool api_may_last(struct api_call *c)
{
	unsigned n = 0;

	for (const struct api_call *w = c->api->waiting; w; w = w->next)
		n += w->lasts;
	c->lasts = n < API_MAX_LASTING;
	if (!c->lasts)
		api_fail(c, MHD_HTTP_SERVICE_UNAVAILABLE, ST_HOST,
			 "%u calls wait for starts, stops, moves and exact "
			 "figures already; try again later",
			 API_MAX_LASTING);
	return c->lasts;
}

static void api_begin(struct api_call *c)
{
	struct conn *k = conn_of(c->conn);

	c->begun = true;
	c->begun_ns = clock_now_ns();
	if (c->too_large && !c->answer)
		api_fail(c, MHD_HTTP_CONTENT_TOO_LARGE, ST_CONFIG,
			 "the request is larger than %u KiB",
			 (unsigned)(API_MAX_BODY >> 10));
	if (!c->answer && (!c->route->lasting || api_may_last(c)))
		c->route->begin(c);
	if (c->answer)
		return;
	c->waits = true;
	c->next = c->api->waiting;
	c->api->waiting = c;
	if (k)
		conn_stay(k);
	mhd.suspend_connection(c->conn);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn,
				  const char *url, const char *method,
				  const char *version, const char *upload,
				  size_t *upload_len, void **ctx)
{
	struct api_call *c = *ctx;

	(void)version;
	if (!c) {
		c = call_create(cls, conn, method, url);
		*ctx = c;
		if (!c)
			return MHD_NO;
		if (!c->too_large)
			return MHD_YES;
		api_begin(c); /* and do not ask for the body */
		return api_send_answer(c);
	}
	if (*upload_len) {
		take_body(c, upload, *upload_len);
		*upload_len = 0;
		return MHD_YES;
	}
	if (!c->begun)
		api_begin(c);
	return c->answer ? api_send_answer(c) : MHD_YES;
}

static void on_completed(void *cls, struct MHD_Connection *conn, void **ctx,
			 enum MHD_RequestTerminationCode why)
{
	struct conn *k = conn_of(conn);
	const struct api_call *c = *ctx;

	(void)cls;
	(void)why;
	if (k && !(c && c->upgrade))
		conn_live(k);
	if (*ctx)
		call_free(*ctx);
	*ctx = NULL;
}

/* --- connections --- */

static void conn_open(struct api *api, struct MHD_Connection *conn, void **ctx)
{
	const union MHD_ConnectionInfo *info = mhd.get_connection_info(
		conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct conn *k = calloc(1, sizeof(*k));

	*ctx = k;
	if (!k)
		return;
	k->api = api;
	k->fd = info ? info->connect_fd : -1;
	k->life.expired = conn_on_life;
	conn_live(k);
}

static void on_connection(void *cls, struct MHD_Connection *conn, void **ctx,
			  enum MHD_ConnectionNotificationCode what)
{
	struct conn *k = *ctx;
	struct api *api = cls;

	api->closed = api->closed || what == MHD_CONNECTION_NOTIFY_CLOSED;
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		conn_open(cls, conn, ctx);
		return;
	}
	if (k) {
		conn_stay(k);
		api->consoles -= k->console;
	}
	free(k);
	*ctx = NULL;
}

/* --- the loop --- */

static void api_on_ready(struct loop_watch *w, uint32_t events)
{
	(void)w;
	(void)events; /* api_turn() comes after every turn */
}

static void api_on_timer(struct loop_timer *t)
{
	(void)t; /* the same */
}

/* Return: some were answered. */
static bool turn_waiting(struct api *api)
{
	struct api_call *c, *next;
	bool answered = false;

	for (c = api->waiting; c; c = next) {
		next = c->next;
		if (!c->answer && c->route->poll)
			c->route->poll(c, c->late);
		if (!c->answer)
			continue;
		unlink_waiting(c);
		mhd.resume_connection(c->conn);
		answered = true;
	}
	return answered;
}

/* MHD closes connections when it begins to run; nothing would wake us for it. */
static void run_daemon(struct api *api)
{
	for (unsigned i = 0; i < API_MAX_CONNECTIONS; i++) {
		api->closed = false;
		(void)mhd.run(api->daemon);
		if (!api->closed)
			return;
	}
}

/* MHD has deadlines of its own, of connections that say nothing. */
static void api_plan(struct api *api)
{
	struct loop *loop = &api->m->watcher.loop;
	MHD_UNSIGNED_LONG_LONG ms;

	if (mhd.get_timeout(api->daemon, &ms) == MHD_YES)
		loop_timer_set(loop, &api->timer,
			       clock_now_ns() +
				       min_u64(ms, INT32_MAX) * 1000000u);
	else
		loop_timer_cancel(loop, &api->timer);
}

void api_turn(struct api *api)
{
	run_daemon(api);
	/* New calls included: what they wait for may be there already. */
	if (turn_waiting(api))
		run_daemon(api);
	api_front_turn(api->front);
	api_plan(api);
}

/* What MHD has to say of hostile clients is no news. */
static void no_log(void *cls, const char *fmt, va_list ap)
{
	(void)cls;
	(void)fmt;
	(void)ap;
}

static int start_daemon(struct api *api)
{
	const union MHD_DaemonInfo *info;

	api->daemon = mhd.start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET |
			MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE |
			MHD_USE_ERROR_LOG,
		0, NULL, NULL, on_request, api, MHD_OPTION_EXTERNAL_LOGGER,
		no_log, NULL, MHD_OPTION_CONNECTION_LIMIT, API_MAX_CONNECTIONS,
		MHD_OPTION_CONNECTION_TIMEOUT, API_IDLE_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONN_MEMORY,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, api,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, api,
		MHD_OPTION_END);
	if (!api->daemon)
		return -EIO;
	info = mhd.get_daemon_info(api->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info || info->epoll_fd < 0)
		return -EIO;
	api->watch.fd = info->epoll_fd;
	api->watch.ready = api_on_ready;
	loop_want(&api->m->watcher.loop, &api->watch, EPOLLIN);
	return 0;
}

int api_create(struct monitor *m, struct api **out, struct diag *d)
{
	struct api *api;
	int err = mhd_load(d), listener;

	if (err)
		return err;
	api = calloc(1, sizeof(*api));
	if (!api)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	api->m = m;
	api->timer.expired = api_on_timer;
	*out = api;
	listener = state_api_listen(&m->state);
	err = listener < 0 ? listener : start_daemon(api);
	if (!err)
		err = api_front_create(&m->watcher.loop, listener, api->daemon,
				       API_MAX_CONNECTIONS, &api->front);
	else if (listener >= 0)
		(void)close(listener);
	if (err)
		return diag_fail(d, ST_HOST, -err, "%.300s/api.sock: %s",
				 m->state.path, strerror(-err));
	return 0;
}

void api_destroy(struct api *api)
{
	if (!api)
		return;
	api_front_destroy(api->front);
	if (api->daemon) {
		loop_want(&api->m->watcher.loop, &api->watch, 0);
		loop_timer_cancel(&api->m->watcher.loop, &api->timer);
		while (api->waiting) {
			struct api_call *c = api->waiting;

			unlink_waiting(c);
			api_fail(c, MHD_HTTP_SERVICE_UNAVAILABLE, ST_NO_MONITOR,
				 "the monitor is leaving");
			mhd.resume_connection(c->conn);
		}
		(void)mhd.run(api->daemon);
		mhd.stop_daemon(api->daemon);
	}
	free(api);
}
