/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The head of an HTTP request, checked before libmicrohttpd reads it: what that
 * finds malformed it answers in HTML and, in some cases, with two heads; and it
 * takes a NUL, also as %00, for the end of a path.
 */
#ifndef DISCO_MONITOR_API_HEAD_H
#define DISCO_MONITOR_API_HEAD_H

#include "disco/base.h"

#define API_HEAD_MAX 8192u /* bytes, with the empty line at its end */
/* Headers, their parts between ";", and arguments of the target. */
#define API_HEAD_VALUES 65u

enum api_head {
	API_HEAD_MORE, /* so far it is good, and not complete */
	API_HEAD_GOOD,
	API_HEAD_BAD,
};

struct api_head_error {
	unsigned http;	  /* status, 4xx or 5xx */
	const char *text; /* a literal */
};

/**
 * api_head_check() - check what has come of a head
 * @bytes: @n bytes from the connection's beginning; a body may follow
 * @e:     out: filled if the head is bad
 *
 * Stricter than it has to be: lines end with CRLF and are not folded, a target
 * begins with "/" and has no %00, a body has one Content-Length in digits and is
 * not chunked.
 *
 * Context: any thread. Source: RFC 9112, sections 2.2, 3, 5 and 6.
 */
enum api_head api_head_check(const char *bytes, size_t n,
			     struct api_head_error *e);

#endif
