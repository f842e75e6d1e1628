/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/cli/agent_link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/cli/cli.h"
#include "monitor/control/cli/http_client.h"
#include "monitor/control/exec/ga_session.h"
#include "monitor/ipc/fds.h"
#include "monitor/ipc/text_clean.h"

#define RETRY_NS 200000000 /* between two looks for an agent */

static int link_lost(struct agent_link *l, struct diag *d)
{
	return diag_fail(d, ST_NO_MONITOR, EPIPE,
			 "%s: the guest has ended, or the monitor has", l->vm);
}

int agent_link_send(struct agent_link *l, json_t *request, struct diag *d)
{
	char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0;
	const char *at = text;

	json_decref(request);
	if (!text)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	text[len++] = '\n'; /* in place of the terminator */
	while (len) {
		ssize_t n = send(l->fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		at += n;
		len -= (size_t)n;
	}
	free(text);
	return len ? link_lost(l, d) : 0;
}

/* One line, and the descriptors that came with its first bytes. */
static int link_read(struct agent_link *l, int *fds, unsigned nr,
		     struct diag *d)
{
	char buf[4096];
	size_t used;
	ssize_t n;
	int ret;

	ga_line_clear(&l->in);
	for (;;) {
		/* Waits; fds_receive() does not. */
		n = recv(l->fd, buf, 1, MSG_PEEK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return link_lost(l, d);
		n = nr ? fds_receive(l->fd, buf, sizeof(buf), fds, nr)
		       : recv(l->fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return link_lost(l, d);
		nr = 0;
		/* One answer per request: nothing follows the line. */
		ret = ga_line_feed(&l->in, buf, (size_t)n, &used);
		if (ret < 0 || used < (size_t)n)
			return diag_fail(d, ST_NO_MONITOR, EPROTO,
					 "%s: the monitor answers nonsense",
					 l->vm);
		if (ret > 0)
			return 0;
	}
}

/* The monitor's "failed", or the agent's "error". */
static int link_refused(struct agent_link *l, json_t *root, struct diag *d)
{
	const char *why = "no reason given";
	int status = ST_NO_AGENT;
	char text[256];

	if (json_unpack(root, "{s:s, s:i}", "failed", &why, "status",
			&status) == 0)
		return diag_fail(d, (enum exit_status)status, EREMOTEIO, "%s",
				 why);
	(void)json_unpack(root, "{s:{s:s}}", "error", "desc", &why);
	(void)snprintf(text, sizeof(text), "%s", why);
	text_clean(text, sizeof(text));
	return diag_fail(d, ST_NO_AGENT, EREMOTEIO,
			 "%s: its guest agent refuses: %s", l->vm, text);
}

static int link_take(struct agent_link *l, json_t **value, struct diag *d)
{
	json_t *root = json_loadb(l->in.bytes, l->in.len, 0, NULL);
	json_t *result = json_object_get(root, "return");
	int err = 0;

	if (result)
		*value = json_incref(result);
	else
		err = link_refused(l, root, d);
	json_decref(root);
	return err;
}

int agent_link_receive(struct agent_link *l, json_t **value, struct diag *d)
{
	int err = link_read(l, NULL, 0, d);

	return err ? err : link_take(l, value, d);
}

int agent_link_ask(struct agent_link *l, json_t *request, json_t **value,
		   struct diag *d)
{
	int err = agent_link_send(l, request, d);

	return err ? err : agent_link_receive(l, value, d);
}

int agent_link_streams(struct agent_link *l, bool with_in,
		       unsigned ports[GUEST_STREAMS], int fds[GUEST_STREAMS],
		       struct diag *d)
{
	unsigned from = with_in ? GUEST_IN : GUEST_OUT;
	int in = 0, out = 0, errs = 0, err;
	json_t *value = NULL;

	for (unsigned i = 0; i < GUEST_STREAMS; i++)
		fds[i] = -1;
	err = agent_link_send(l,
			      json_pack("{s:s, s:{s:b}}", "execute",
					"disco-streams", "arguments", "stdin",
					(int)with_in),
			      d);
	if (!err)
		err = link_read(l, fds + from, GUEST_STREAMS - from, d);
	if (!err)
		err = link_take(l, &value, d);
	if (err)
		return err;
	err = json_unpack(value, "{s:[i, i, i]}", "ports", &in, &out, &errs);
	json_decref(value);
	if (err || fds[GUEST_ERR] < 0)
		return diag_fail(d, ST_HOST, EPROTO, "%s: no streams came",
				 l->vm);
	ports[GUEST_IN] = (unsigned)in;
	ports[GUEST_OUT] = (unsigned)out;
	ports[GUEST_ERR] = (unsigned)errs;
	return 0;
}

/* --- opening --- */

int agent_link_wait(struct agent_link *l, double wait, struct diag *d)
{
	uint64_t end = clock_now_ns() + (uint64_t)(wait * 1e9);
	const struct timespec pause = { .tv_nsec = RETRY_NS };

	for (;;) {
		json_t *value = NULL;
		int err;

		*d = (struct diag){ .status = ST_OK };
		err = agent_link_ask(
			l, json_pack("{s:s}", "execute", "guest-ping"), &value,
			d);
		json_decref(value);
		if (!err || d->status != ST_NO_AGENT || clock_now_ns() >= end)
			return err;
		(void)nanosleep(&pause, NULL);
	}
}

int agent_link_open(struct agent_link *l, const char *vm, double wait,
		    struct diag *d)
{
	/* The monitor has a deadline for all that it does. */
	const struct timeval none = { .tv_sec = 0 };
	char path[CLI_PATH_MAX];
	int err = cli_vm_path(vm, "agent", path, d);

	*l = AGENT_LINK_NONE;
	l->vm = vm;
	if (!err)
		err = http_upgrade(path, API_AGENT, &l->fd, d);
	if (err)
		return err;
	(void)setsockopt(l->fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none));
	(void)setsockopt(l->fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none));
	return wait > 0 ? agent_link_wait(l, wait, d) : 0;
}

void agent_link_close(struct agent_link *l)
{
	if (!l)
		return;
	fds_drop(&l->fd);
	ga_line_destroy(&l->in);
}
