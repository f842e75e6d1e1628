/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Walking a JSON document by tables of keys, always knowing the path of the
 * value at hand. All functions: one thread; 0 or -EINVAL with the diag of the
 * reader filled (ST_CONFIG), out parameters untouched on error.
 */
#ifndef DISCO_MONITOR_CONFIG_READER_H
#define DISCO_MONITOR_CONFIG_READER_H

#include <jansson.h>

#include "monitor/control/config/config_draft.h"

struct reader {
	const char *file; /* for messages */
	char *dir;	  /* before relative paths; NULL: none */
	char path[128];	  /* "vms[1].disks[0].ro"; "" at the top */
	struct diag *d;
	char where[512]; /* what reader_at() hands out */
	struct config_at at;
};

/* What to do with a key; a table of them ends with a NULL key. */
struct key_rule {
	const char *key;
	int (*set)(struct reader *r, json_t *v, void *obj);
};

/* "FILE: PATH" for the setters; owned by @r, valid until the next call. */
const struct config_at *reader_at(struct reader *r);

/* Appends to the path; returns the length to give to reader_leave(). */
PRINTF(2, 3)
size_t reader_enter(struct reader *r, const char *fmt, ...);
void reader_leave(struct reader *r, size_t len);

/* "must be WANT, not TYPE". Return: -EINVAL, always. */
int reader_wrong_type(struct reader *r, const json_t *v, const char *want);

/* The text stays owned by @v. */
MUST_CHECK int reader_text(struct reader *r, json_t *v, const char **out);
MUST_CHECK int reader_bool(struct reader *r, json_t *v, bool *out);
MUST_CHECK int reader_int(struct reader *r, json_t *v, int64_t *out);

/* Applies @rules to each member of @v; an unknown key is an error. */
MUST_CHECK int reader_object(struct reader *r, json_t *v,
			     const struct key_rule *rules, void *obj);

#endif
