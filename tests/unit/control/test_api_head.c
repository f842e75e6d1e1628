/* SPDX-License-Identifier: BSD-2-Clause */
/* Heads of HTTP requests: which are good, and that no beginning is judged so. */
#include <string.h>

#include "monitor/control/api/api_head.h"
#include "tests/unit/support.h"

#define CRLF "\r\n"
#define GET  "GET /v1/vms HTTP/1.1" CRLF
#define POST "POST /v1/vms HTTP/1.1" CRLF "Host: x" CRLF

struct head_case {
	const char *bytes;
	size_t n;
	unsigned http; /* 0: good */
};

#define CASE(http, text)                                                       \
	{                                                                      \
		text, sizeof(text) - 1, http                                   \
	}

static const struct head_case cases[] = {
	CASE(0, GET CRLF),
	CASE(0, CRLF GET CRLF),
	CASE(0, "GET / HTTP/1.0" CRLF CRLF),
	CASE(0, GET "Host: x" CRLF "A:" CRLF "B: \t\xff" CRLF CRLF),
	CASE(0, POST "Content-Length: 2" CRLF CRLF "{}"),
	CASE(0, POST "content-length:\t0 " CRLF CRLF "\0\1\2"),
	CASE(0, "GET /v1/vms/a%2Fb?c=%01 HTTP/1.1" CRLF CRLF),
	/* Request lines. */
	CASE(400, "GET /v1/vms" CRLF CRLF),
	CASE(400, "GET  /v1/vms HTTP/1.1" CRLF CRLF),
	CASE(400, "GET /v1/vms  HTTP/1.1" CRLF CRLF),
	CASE(400, "GET /v1/vms HTTP/1.1 " CRLF CRLF),
	CASE(400, "GET /v1/vms HTTP/1.10" CRLF CRLF),
	CASE(400, "GET /v1/vms http/1.1" CRLF CRLF),
	CASE(400, " GET /v1/vms HTTP/1.1" CRLF CRLF),
	CASE(400, "GET v1/vms HTTP/1.1" CRLF CRLF),
	CASE(400, "GET http://x/v1/vms HTTP/1.1" CRLF CRLF),
	CASE(400, "G(T /v1/vms HTTP/1.1" CRLF CRLF),
	CASE(400, "GET" CRLF CRLF),
	CASE(505, "GET /v1/vms HTTP/9.9" CRLF CRLF),
	CASE(505, "GET /v1/vms HTTP/2.0" CRLF CRLF),
	/* Targets. */
	CASE(400, "GET /v1/vms%00 HTTP/1.1" CRLF CRLF),
	CASE(400, "GET /v1/vms/a%00b HTTP/1.1" CRLF CRLF),
	CASE(400, "GET /v1/vms?a=%00 HTTP/1.1" CRLF CRLF),
	CASE(400, "GET /v1/vms%0 HTTP/1.1" CRLF CRLF),
	CASE(400, "GET /v1/vms%zz HTTP/1.1" CRLF CRLF),
	CASE(400, "GET /v1/vms% HTTP/1.1" CRLF CRLF),
	CASE(400, "GET /v1/\xc3\xa4 HTTP/1.1" CRLF CRLF),
	/* Characters. */
	CASE(400, "GET /v1/vms\0x HTTP/1.1" CRLF CRLF),
	CASE(400, GET "A: b\0c" CRLF CRLF),
	CASE(400, GET "A: b\rc" CRLF CRLF),
	CASE(400, GET "A: \x7f" CRLF CRLF),
	CASE(400, "\x16\x03\x01\x02"),
	CASE(400, "GET /v1/vms HTTP/1.1\n\n"),
	CASE(400, GET "A: b\n" CRLF),
	/* Headers. */
	CASE(400, GET "no colon" CRLF CRLF),
	CASE(400, GET "A : b" CRLF CRLF),
	CASE(400, GET ": b" CRLF CRLF),
	CASE(400, GET "A: b" CRLF " folded" CRLF CRLF),
	CASE(400, POST "Content-Length: abc" CRLF CRLF),
	CASE(400, POST "Content-Length: -1" CRLF CRLF),
	CASE(400, POST "Content-Length: +1" CRLF CRLF),
	CASE(400, POST "Content-Length: 0x10" CRLF CRLF),
	CASE(400, POST "Content-Length:" CRLF CRLF),
	CASE(400, POST "Content-Length: 1 1" CRLF CRLF),
	CASE(400, POST "Content-Length: 2, 2" CRLF CRLF),
	CASE(400, POST "Content-Length: 2" CRLF "content-length: 2" CRLF CRLF),
	CASE(413, POST "Content-Length: 9999999999999999999" CRLF CRLF),
	CASE(411, POST "Transfer-Encoding: chunked" CRLF CRLF),
	CASE(411, POST "transfer-encoding: x" CRLF CRLF),
};

static enum api_head look(const char *bytes, size_t n, unsigned *http)
{
	struct api_head_error e = { 0, NULL };
	enum api_head ret = api_head_check(bytes, n, &e);

	assert_int_equal(ret == API_HEAD_BAD, e.http != 0);
	if (e.http)
		assert_true(strlen(e.text) < 128 && !strpbrk(e.text, "\"\\"));
	*http = e.http;
	return ret;
}

/* What is found in a part is found in the whole, and nothing too early. */
static void heads_are_judged_once(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct head_case *c = &cases[i];
		enum api_head ret = API_HEAD_MORE;
		unsigned http = 0;

		for (size_t n = 0; n <= c->n && ret == API_HEAD_MORE; n++)
			ret = look(c->bytes, n, &http);
		if (http != c->http ||
		    ret != (c->http ? API_HEAD_BAD : API_HEAD_GOOD))
			fail_msg("case %u: %u, not %u", i, http, c->http);
		assert_int_equal(look(c->bytes, c->n, &http), ret);
		assert_int_equal(http, c->http);
	}
}

/* @n headers of two bytes and more, and the rest of @bytes in a last one. */
static char *make_head(unsigned n, size_t bytes)
{
	char *head = calloc(1, bytes + 64), *at = head;

	assert_non_null(head);
	at = stpcpy(at, GET);
	for (unsigned i = 0; i < n; i++)
		at = stpcpy(at, "A:" CRLF);
	at = stpcpy(at, "B: ");
	while ((size_t)(at - head) < bytes - 4)
		*at++ = 'x';
	(void)stpcpy(at, CRLF CRLF);
	return head;
}

static void heads_are_bounded(void **state)
{
	unsigned http;
	char *head;

	(void)state;
	head = make_head(0, API_HEAD_MAX);
	assert_int_equal(look(head, API_HEAD_MAX, &http), API_HEAD_GOOD);
	assert_int_equal(look(head, API_HEAD_MAX - 1, &http), API_HEAD_MORE);
	free(head);
	head = make_head(0, API_HEAD_MAX + 1);
	assert_int_equal(look(head, API_HEAD_MAX, &http), API_HEAD_BAD);
	assert_int_equal(http, 431);
	free(head);
	head = make_head(API_HEAD_VALUES - 2, 1000);
	assert_int_equal(look(head, 1000, &http), API_HEAD_GOOD);
	free(head);
	head = make_head(API_HEAD_VALUES - 1, 1000);
	assert_int_equal(look(head, 1000, &http), API_HEAD_BAD);
	assert_int_equal(http, 431);
	free(head);
	head = make_head(0, 1000);
	memset(head + 100, ';', API_HEAD_VALUES - 2);
	assert_int_equal(look(head, 1000, &http), API_HEAD_GOOD);
	head[99] = ';';
	assert_int_equal(look(head, 1000, &http), API_HEAD_BAD);
	assert_int_equal(http, 431);
	memset(head + 5, '&', API_HEAD_VALUES);
	assert_int_equal(look(head, 1000, &http), API_HEAD_BAD);
	assert_int_equal(http, 414);
	free(head);
	head = make_head(0, API_HEAD_MAX);
	memset(head + 5, 'x', API_HEAD_MAX - 5);
	assert_int_equal(look(head, API_HEAD_MAX, &http), API_HEAD_BAD);
	assert_int_equal(http, 414);
	free(head);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_are_judged_once),
		cmocka_unit_test(heads_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
