/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lines of the QEMU guest agent's protocol, as they come from a guest: every
 * byte is hostile.
 *
 * A reply is one JSON object and a newline. Bounds: GA_REPLY_MAX bytes, and
 * GA_TOKENS_MAX separators outside of strings, since an array of a million empty
 * arrays is short and takes a lot of memory once it is parsed. While a line is
 * received, nothing but its bytes is kept; while a receiver skips to the mark of
 * a synchronisation (0xff), nothing is kept at all.
 *
 * Source: QEMU's qga/qapi-schema.json; RFC 8259. Context: one thread.
 */
#ifndef DISCO_MONITOR_GA_LINE_H
#define DISCO_MONITOR_GA_LINE_H

#include <jansson.h>

#include "disco/base.h"

#define GA_REPLY_MAX   MIB(4)
#define GA_REQUEST_MAX MIB(1)
#define GA_TOKENS_MAX  4096u
#define GA_MARK	       0xffu /* before the answer to guest-sync-delimited */

/* Bytes of a line so far; all-zero is empty. */
struct ga_line {
	char *bytes; /* malloc'ed; NULL: none */
	size_t len, room;
	bool skip; /* until GA_MARK */
};

/**
 * ga_line_feed() - take bytes up to the end of a line
 * @n:    at least 1
 * @used: out: number of bytes taken, 1 .. @n
 *
 * Return: 1 the line is complete: @l->bytes, terminated, without its newline;
 * ga_line_clear() goes before the next call; 0 all bytes were taken and the line
 * goes on; -EMSGSIZE the line is longer than GA_REPLY_MAX; -ENOMEM. After an
 * error the line is empty.
 */
MUST_CHECK int ga_line_feed(struct ga_line *l, const void *bytes, size_t n,
			    size_t *used);

/* Forget the line, and return its memory if it is large. */
void ga_line_clear(struct ga_line *l);
void ga_line_destroy(struct ga_line *l);

/**
 * ga_reply_parse() - read a reply
 * @line: @len bytes, without a newline
 * @out:  an object with either "return" (any value) or "error" (an object with
 *        the strings "class" and "desc"), perhaps "id", and nothing else;
 *        released by json_decref(); untouched on error
 *
 * Return: 0; -EPROTO anything else.
 */
MUST_CHECK int ga_reply_parse(const char *line, size_t len, json_t **out);

/* Is it {"return": @id}? */
MUST_CHECK bool ga_reply_is_sync(const char *line, size_t len, uint64_t id);

/**
 * ga_request_check() - read a request of a client of ours
 * @out: an object with the string "execute", perhaps the object "arguments", and
 *       nothing else; released by json_decref(); untouched on error
 * @why: out on error: the reason, a constant
 *
 * Return: 0; -EINVAL.
 */
MUST_CHECK int ga_request_check(const char *text, size_t len, json_t **out,
				const char **why);

#endif
