/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/api/api_head.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define LENGTH_DIGITS 18u /* more is larger than any body we take */

struct head_reader {
	struct api_head_error *e;
	unsigned values; /* libmicrohttpd keeps each, in bounded memory */
	unsigned lengths;
};

static enum api_head head_bad(struct head_reader *r, unsigned http,
			      const char *text)
{
	*r->e = (struct api_head_error){ http, text };
	return API_HEAD_BAD;
}

/* RFC 9110, 5.6.2: of methods and names of headers. Return: its length. */
static size_t token_length(const char *s, size_t n)
{
	size_t len = 0;

	while (len < n && (isalnum((unsigned char)s[len]) ||
			   (s[len] && strchr("!#$%&'*+-.^_`|~", s[len]))))
		len++;
	return len;
}

static bool is_hex(const char *s, size_t n)
{
	return n >= 2 && isxdigit((unsigned char)s[0]) &&
	       isxdigit((unsigned char)s[1]);
}

/* @parts: what a value may be made of several of. */
static bool has_too_many(struct head_reader *r, const char *s, size_t n,
			 char parts)
{
	r->values++;
	for (size_t i = 0; i < n; i++)
		r->values += s[i] == parts;
	return r->values > API_HEAD_VALUES;
}

static enum api_head check_target(struct head_reader *r, const char *s,
				  size_t n)
{
	if (n == 0 || s[0] != '/')
		return head_bad(r, 400, "the target has to begin with '/'");
	if (has_too_many(r, s, n, '&'))
		return head_bad(r, 414,
				"the target has more than 64 "
				"arguments");
	for (size_t i = 0; i < n; i++) {
		if (s[i] <= ' ' || s[i] > '~')
			return head_bad(r, 400,
					"the target has a character that must "
					"be written as %XX");
		if (s[i] != '%')
			continue;
		if (!is_hex(s + i + 1, n - i - 1))
			return head_bad(r, 400,
					"the target has a '%' without two hex "
					"digits");
		if (s[i + 1] == '0' && s[i + 2] == '0')
			return head_bad(r, 400, "the target has a %00");
	}
	return API_HEAD_GOOD;
}

/* GET /v1/vms HTTP/1.1 */
static enum api_head check_request(struct head_reader *r, const char *s,
				   size_t n)
{
	size_t method = token_length(s, n), target;
	const char *end;
	enum api_head ret;

	if (method == 0 || method == n || s[method] != ' ')
		return head_bad(r, 400,
				"no request line: 'METHOD /PATH "
				"HTTP/1.1' is expected");
	s += method + 1;
	n -= method + 1;
	end = memchr(s, ' ', n);
	target = end ? (size_t)(end - s) : n;
	ret = check_target(r, s, target);
	if (ret != API_HEAD_GOOD)
		return ret;
	s += target;
	n -= target;
	if (n != strlen(" HTTP/1.1") || memcmp(s, " HTTP/", 6) != 0)
		return head_bad(r, 400,
				"the request line does not end with "
				"'HTTP/1.1'");
	if (memcmp(s, " HTTP/1.1", n) != 0 && memcmp(s, " HTTP/1.0", n) != 0)
		return head_bad(r, 505, "only HTTP/1.1 and HTTP/1.0 are known");
	return API_HEAD_GOOD;
}

static enum api_head check_length(struct head_reader *r, const char *s,
				  size_t n)
{
	while (n && (*s == ' ' || *s == '\t')) {
		s++;
		n--;
	}
	while (n && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		n--;
	for (size_t i = 0; i < n; i++)
		if (!isdigit((unsigned char)s[i]))
			n = 0;
	if (n == 0)
		return head_bad(r, 400, "Content-Length is not a number");
	if (n > LENGTH_DIGITS)
		return head_bad(r, 413, "Content-Length is too large");
	if (r->lengths++)
		return head_bad(r, 400, "two Content-Lengths");
	return API_HEAD_GOOD;
}

static bool is_named(const char *s, size_t n, const char *name)
{
	return n == strlen(name) && strncasecmp(s, name, n) == 0;
}

static enum api_head check_field(struct head_reader *r, const char *s, size_t n)
{
	size_t name = token_length(s, n);

	if (has_too_many(r, s, n, ';'))
		return head_bad(r, 431,
				"more than 64 headers, or parts of "
				"them");
	if (name == 0 || name == n || s[name] != ':')
		return head_bad(r, 400, "a header is not 'NAME: VALUE'");
	if (is_named(s, name, "Content-Length"))
		return check_length(r, s + name + 1, n - name - 1);
	if (is_named(s, name, "Transfer-Encoding"))
		return head_bad(r, 411,
				"a body has to come with a "
				"Content-Length, not in chunks");
	return API_HEAD_GOOD;
}

/* Also of a line that is not complete. */
static bool has_controls(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < ' ' ? s[i] != '\t' : s[i] == 0x7f)
			return true;
	return false;
}

static enum api_head check_line(struct head_reader *r, const char *s, size_t n,
				bool first)
{
	if (n == 0 || s[n - 1] != '\r')
		return head_bad(r, 400, "a line does not end with CR LF");
	n--;
	if (has_controls(s, n))
		return head_bad(r, 400, "the head has a control character");
	return first ? check_request(r, s, n) : check_field(r, s, n);
}

enum api_head api_head_check(const char *bytes, size_t n,
			     struct api_head_error *e)
{
	struct head_reader r = { .e = e };
	const char *at = bytes, *all = bytes + min_u64(n, API_HEAD_MAX);
	bool first = true;

	/* RFC 9112, 2.2: an empty line or two before it are to be ignored. */
	while (all - at >= 2 && memcmp(at, "\r\n", 2) == 0)
		at += 2;
	while (at < all) {
		const char *end = memchr(at, '\n', (size_t)(all - at));
		enum api_head ret;

		if (!end)
			break;
		if (!first && end - at == 1 && *at == '\r')
			return API_HEAD_GOOD;
		ret = check_line(&r, at, (size_t)(end - at), first);
		if (ret != API_HEAD_GOOD)
			return ret;
		first = false;
		at = end + 1;
	}
	/* A CR may be the end of what has come so far. */
	if (at < all &&
	    has_controls(at, (size_t)(all - at) - (all[-1] == '\r')))
		return head_bad(&r, 400, "the head has a control character");
	if (n >= API_HEAD_MAX)
		return head_bad(&r, first ? 414 : 431,
				"the head is larger than 8 KiB");
	return API_HEAD_MORE;
}
