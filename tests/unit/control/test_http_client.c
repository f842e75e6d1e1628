/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers that end early, or come before the request was read. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/control/cli/http_client.h"
#include "tests/unit/support.h"

static char dir[256];
static struct state_dir state_dir;
static pthread_t server;
static int listener;

static int set_up(void **state)
{
	struct diag d = { .status = ST_OK };

	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/disco-test-http.XXXXXX");
	if (!mkdtemp(dir) || setenv("DISCO_STATE_DIR", dir, 1) ||
	    state_dir_open(&state_dir, true, &d))
		return -1;
	listener = state_api_listen(&state_dir);
	return listener < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	char command[300];

	(void)state;
	(void)close(listener);
	state_dir_close(&state_dir);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command);
}

/* Reads the head alone, so that closing resets the connection. */
static void *serve_one(void *answer)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };
	int fd = poll(&p, 1, -1) == 1 ? accept(listener, NULL, NULL) : -1;
	char got[4] = "";

	while (memcmp(got, "\r\n\r\n", 4) != 0) {
		memmove(got, got + 1, 3);
		if (recv(fd, got + 3, 1, 0) != 1)
			break;
	}
	/* The body, which may come in a message of its own, is there. */
	(void)recv(fd, got, 1, MSG_PEEK);
	(void)send(fd, answer, strlen(answer), MSG_NOSIGNAL);
	(void)close(fd);
	return NULL;
}

/* Return: of http_call() with a body of which nothing is read. */
static int call(const char *answer, char **text, struct diag *d)
{
	int err;

	*d = (struct diag){ .status = ST_OK };
	assert_int_equal(pthread_create(&server, NULL, serve_one,
					(void *)(uintptr_t)answer),
			 0);
	err = http_call("POST", "/v1/vms", "{\"a\": 1}", text, d);
	assert_int_equal(pthread_join(server, NULL), 0);
	return err;
}

static void a_refusal_before_the_body_is_read(void **state)
{
	char *text = NULL;
	struct diag d;

	(void)state;
	assert_int_equal(call("HTTP/1.1 413 Too Large\r\n"
			      "Content-Length: 31\r\n\r\n"
			      "{\"error\": \"too big\", \"status\":3}",
			      &text, &d),
			 -EREMOTEIO);
	assert_int_equal(d.status, 3);
	assert_string_equal(d.text, "too big");
	assert_null(text);
}

static void an_answer_before_the_body_is_read(void **state)
{
	char *text = NULL;
	struct diag d;

	(void)state;
	assert_int_equal(call("HTTP/1.1 200 OK\r\ncontent-length:2\r\n\r\n{}",
			      &text, &d),
			 0);
	assert_string_equal(text, "{}");
	free(text);
}

/* As large as the figures of a thousand VMs with many virtual CPUs. */
static void a_large_answer(void **state)
{
	const size_t bytes = MIB(24);
	char *answer = NULL, *text = NULL;
	struct diag d;
	int head;

	(void)state;
	head = asprintf(&answer,
			"HTTP/1.1 200 OK\r\nContent-Length:%zu\r\n\r\n%*s",
			bytes, (int)bytes, "x");
	assert_true(head > (int)bytes);
	assert_int_equal(call(answer, &text, &d), 0);
	assert_int_equal(strlen(text), bytes);
	assert_int_equal(text[bytes - 1], 'x');
	free(answer);
	free(text);
}

static void half_an_answer(void **state)
{
	char *text = NULL;
	struct diag d;

	(void)state;
	assert_int_not_equal(
		call("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", &text,
		     &d),
		0);
	assert_int_equal(d.status, ST_NO_MONITOR);
	assert_null(text);
}

static void not_an_answer(void **state)
{
	char *text = NULL;
	struct diag d;

	(void)state;
	assert_int_not_equal(call("SSH-2.0-OpenSSH\r\n\r\n", &text, &d), 0);
	assert_int_equal(d.status, ST_NO_MONITOR);
	assert_int_not_equal(call("", &text, &d), 0);
	assert_int_equal(d.status, ST_NO_MONITOR);
	assert_null(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refusal_before_the_body_is_read),
		cmocka_unit_test(an_answer_before_the_body_is_read),
		cmocka_unit_test(a_large_answer),
		cmocka_unit_test(half_an_answer),
		cmocka_unit_test(not_an_answer),
	};

	return cmocka_run_group_tests_name("http_client", tests, set_up,
					   tear_down);
}
