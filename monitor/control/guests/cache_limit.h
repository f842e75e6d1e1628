/* SPDX-License-Identifier: BSD-2-Clause */
/* The limit on the memory of a node that its buffer cache may use. */
#ifndef DISCO_MONITOR_CACHE_LIMIT_H
#define DISCO_MONITOR_CACHE_LIMIT_H

#include "disco/diag.h"

#define CACHE_PERCENT 25 /* of a node's memory; the default */

/* The limit of one node. */
struct cache_limit {
	bool off;
	uint64_t bytes;	  /* 0: see percent */
	unsigned percent; /* of the node's memory */
};

/**
 * cache_limit_parse() - read "SIZE", "N%" or "off"
 * @out: untouched on error
 *
 * Return: 0; -EINVAL with @d filled (ST_USAGE).
 */
MUST_CHECK int cache_limit_parse(const char *text, struct cache_limit *out,
				 struct diag *d);

#endif
