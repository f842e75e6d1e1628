/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Walks a JSON document and keeps the path of the current value for messages.
 *
 * Context of all functions: one thread per reader; no files are opened. Unless
 * stated otherwise they return 0, or -EINVAL with the reader's diag filled
 * (ST_CONFIG); out parameters are untouched on error.
 */
#ifndef DISCO_MONITOR_CONFIG_READER_H
#define DISCO_MONITOR_CONFIG_READER_H

#include <jansson.h>

#include "monitor/control/config/option.h"

struct reader {
	const char *file; /* for messages */
	char *dir;	  /* put before relative paths; NULL: none */
	char path[128];	  /* "vms[1].disks[0].ro"; "" at the top */
	struct diag *d;
	char where[512]; /* text of reader_at() */
	struct config_at at;
};

/* Return: "FILE: PATH", for setters; owned by @r, valid until the next call. */
const struct config_at *reader_at(struct reader *r);

/* Append to the path. Return: the length to pass to reader_leave(). */
PRINTF(2, 3)
size_t reader_enter(struct reader *r, const char *fmt, ...);

/* Cut the path to @len bytes. */
void reader_leave(struct reader *r, size_t len);

/* Report "must be WANT, not TYPE". Return: always -EINVAL. */
int reader_wrong_type(struct reader *r, const json_t *v, const char *want);

/* The value of a text, a switch, an integer. The text stays owned by @v. */
MUST_CHECK int reader_text(struct reader *r, json_t *v, const char **out);
MUST_CHECK int reader_bool(struct reader *r, json_t *v, bool *out);
MUST_CHECK int reader_int(struct reader *r, json_t *v, int64_t *out);

/* A size in bytes: an integer, or a text such as "256M". */
MUST_CHECK int reader_size(struct reader *r, json_t *v, uint64_t *bytes);

/* Call @member for each member of @v, within its path; an error ends it. */
MUST_CHECK int reader_object(struct reader *r, json_t *v,
			     int (*member)(struct reader *r, const char *key,
					   json_t *v, void *obj),
			     void *obj);

/* Report "unknown key". Return: always -EINVAL. */
int reader_unknown(struct reader *r);

/*
 * Set the value of @o, which is not OPTION_DISKS, in @obj. Return: 0; -EINVAL;
 * -ENOMEM.
 */
MUST_CHECK int reader_option(struct reader *r, const struct option_entry *o,
			     json_t *v, void *obj);

#endif
