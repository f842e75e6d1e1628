/* SPDX-License-Identifier: BSD-2-Clause */
/* How much memory of a node its buffer cache may take. */
#ifndef DISCO_MONITOR_CACHE_LIMIT_H
#define DISCO_MONITOR_CACHE_LIMIT_H

#include "disco/diag.h"

#define CACHE_PERCENT 25 /* of a node's memory, unless told otherwise */

/* Of a node. */
struct cache_limit {
	bool off;
	uint64_t bytes;	  /* 0: see percent */
	unsigned percent; /* of the node's memory */
};

/**
 * cache_limit_parse() - "SIZE", "N%" or "off"
 * Return: 0; -EINVAL with @d filled (ST_USAGE).
 */
MUST_CHECK int cache_limit_parse(const char *text, struct cache_limit *out,
				 struct diag *d);

#endif
