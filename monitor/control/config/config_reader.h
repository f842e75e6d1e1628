/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Walking a JSON document, always knowing the path of the value at hand. All functions: one thread; 0 or -EINVAL with the diag of the
 * reader filled (ST_CONFIG), out parameters untouched on error.
 */
#ifndef DISCO_MONITOR_CONFIG_READER_H
#define DISCO_MONITOR_CONFIG_READER_H

#include <jansson.h>

#include "monitor/control/config/option.h"

struct reader {
	const char *file; /* for messages */
	char *dir;	  /* before relative paths; NULL: none */
	char path[128];	  /* "vms[1].disks[0].ro"; "" at the top */
	struct diag *d;
	char where[512]; /* what reader_at() hands out */
	struct config_at at;
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

MUST_CHECK int reader_size(struct reader *r, json_t *v, uint64_t *bytes);

/* Calls @member for each member of @v, inside its path; an error ends it. */
MUST_CHECK int reader_object(struct reader *r, json_t *v,
			     int (*member)(struct reader *r, const char *key,
					   json_t *v, void *obj),
			     void *obj);

/* "unknown key". Return: -EINVAL, always. */
int reader_unknown(struct reader *r);

/* Sets the value of @o, which is not OPTION_DISKS, in @obj. -ENOMEM, too. */
MUST_CHECK int reader_option(struct reader *r, const struct option_entry *o,
			     json_t *v, void *obj);

#endif
