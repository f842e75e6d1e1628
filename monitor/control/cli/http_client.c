/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/cli/http_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define HEAD_MAX 4096u

static int no_answer(int err, struct diag *d)
{
	return diag_fail(d, ST_NO_MONITOR, err,
			 "the monitor does not answer: %s",
			 err == EAGAIN ? "time is over" : strerror(err));
}

static int connect_monitor(int *out, struct diag *d)
{
	struct state_dir s;
	int fd = -1, err = state_dir_open(&s, false, d);

	if (!err) {
		fd = state_api_connect(&s);
		if (fd == -ECONNREFUSED || fd == -ENOENT)
			err = diag_fail(d, ST_NO_MONITOR, -fd,
					"no monitor is running at %.300s; "
					"'disco run -d' or 'disco monitor' "
					"starts one",
					s.path);
		else if (fd < 0)
			err = no_answer(-fd, d);
	}
	state_dir_close(&s);
	if (!err)
		*out = fd;
	return err;
}

static int send_all(int fd, const char *bytes, size_t n)
{
	while (n) {
		ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return -errno;
		bytes += sent;
		n -= (size_t)sent;
	}
	return 0;
}

static int http_send_request(int fd, const char *method, const char *path,
			     const char *headers, const char *body)
{
	size_t len = body ? strlen(body) : 0;
	char *head = NULL;
	int err, n = asprintf(&head,
			      "%s %s HTTP/1.1\r\nHost: disco\r\n%s"
			      "Content-Length: %zu\r\n\r\n",
			      method, path, headers, len);

	if (n < 0)
		return -ENOMEM;
	err = send_all(fd, head, (size_t)n);
	free(head);
	/* One that was refused is answered before all of it was read. */
	if (!err && len)
		(void)send_all(fd, body, len);
	return err;
}

/* Bytes up to and with the empty line, one by one: nothing after it. */
static int read_head(int fd, char *head)
{
	size_t n = 0;

	while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0) {
		ssize_t got = n + 1 < HEAD_MAX ? recv(fd, head + n, 1, 0) : 0;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -EPROTO;
		n++;
	}
	head[n] = '\0';
	return 0;
}

/* Return: the status, 100 .. 999; -EPROTO. */
static int status_of(const char *head)
{
	int status = strncmp(head, "HTTP/1.1 ", 9) == 0 ? atoi(head + 9) : 0;

	return status >= 100 && status <= 999 ? status : -EPROTO;
}

/*
 * How a body ended. Who refuses a request closes with some of it unread, which
 * resets the connection: that is an end too, when all of the answer is here.
 */
static int end_of_body(const char *head, size_t n, int err)
{
	const char *at = strcasestr(head, "\r\nContent-Length:");
	size_t want = at ? strtoul(strchr(at, ':') + 1, NULL, 10) : SIZE_MAX;

	if (err == -ECONNRESET && n >= want)
		return 0;
	if (!err && at && n < want)
		return -EPROTO;
	return err;
}

/* "Connection: close" was asked for: up to the end. */
static int http_read_body(int fd, const char *head, char **out)
{
	size_t n = 0, room = 16384;
	char *buf = malloc(room), *grown;

	while (buf) {
		ssize_t got = recv(fd, buf + n, room - 1 - n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			buf[n] = '\0';
			*out = buf;
			return end_of_body(head, n, got < 0 ? -errno : 0);
		}
		n += (size_t)got;
		if (n + 1 < room)
			continue;
		room *= 2;
		grown = room <= HTTP_ANSWER_MAX ? realloc(buf, room) : NULL;
		if (!grown)
			break;
		buf = grown;
	}
	free(buf);
	return -ENOMEM;
}

/* What the monitor had to say against it. */
static int http_refused(int status, const char *text, struct diag *d)
{
	json_t *root = json_loads(text, 0, NULL);
	const char *why = NULL;
	int code = ST_INTERNAL;

	if (root && json_unpack(root, "{s:s, s:i}", "error", &why, "status",
				&code) == 0)
		(void)diag_fail(d, (enum exit_status)code, EREMOTEIO, "%s",
				why);
	else
		(void)diag_fail(d, ST_NO_MONITOR, EPROTO,
				"the monitor answered %d without a reason",
				status);
	json_decref(root);
	return -EREMOTEIO;
}

static void limit_wait(int fd, const char *method, const char *path)
{
	bool start = strcmp(method, "POST") == 0 &&
		     strcmp(path, "/v1/vms") == 0;
	const char *last = strrchr(path, '/');
	bool move = last && strcmp(last, "/move") == 0;
	bool exact = strstr(path, "?exact=1");
	struct timeval t = { .tv_sec = start   ? HTTP_START_S
				       : move  ? HTTP_MOVE_S
				       : exact ? HTTP_EXACT_S
					       : HTTP_WAIT_S };

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

int http_call(const char *method, const char *path, const char *body,
	      char **text, struct diag *d)
{
	char head[HEAD_MAX], *answer = NULL;
	int fd = -1, status = 0, err = connect_monitor(&fd, d);

	if (err)
		return err;
	limit_wait(fd, method, path);
	err = http_send_request(fd, method, path, "Connection: close\r\n",
				body);
	if (!err)
		err = read_head(fd, head);
	if (!err)
		err = http_read_body(fd, head, &answer);
	if (!err) {
		status = status_of(head);
		err = status < 0 ? status : 0;
	}
	(void)close(fd);
	if (err)
		err = no_answer(-err, d);
	else if (status < 200 || status > 299)
		err = http_refused(status, answer, d);
	if (err)
		free(answer);
	else
		*text = answer;
	return err;
}

int http_json(const char *method, const char *path, const char *body,
	      json_t **out, struct diag *d)
{
	char *text = NULL;
	int err = http_call(method, path, body, &text, d);

	if (err)
		return err;
	*out = json_loads(text, 0, NULL);
	free(text);
	return *out ? 0 : no_answer(EPROTO, d);
}

int http_upgrade(const char *path, const char *protocol, int *out,
		 struct diag *d)
{
	char head[HEAD_MAX], *headers = NULL, *text = NULL;
	int fd = -1, status, err = connect_monitor(&fd, d);

	if (err)
		return err;
	limit_wait(fd, "GET", path);
	if (asprintf(&headers, "Connection: Upgrade\r\nUpgrade: %s\r\n",
		     protocol) < 0) {
		(void)close(fd);
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	}
	err = http_send_request(fd, "GET", path, headers, NULL);
	free(headers);
	if (!err)
		err = read_head(fd, head);
	status = err ? 0 : status_of(head);
	if (!err && status == 101) {
		*out = fd;
		return 0;
	}
	/* A refusal, on a connection that is kept: its end does not come. */
	if (!err) {
		(void)shutdown(fd, SHUT_WR);
		err = http_read_body(fd, head, &text);
	}
	(void)close(fd);
	err = err ? no_answer(-err, d) : http_refused(status, text, d);
	free(text);
	return err;
}
