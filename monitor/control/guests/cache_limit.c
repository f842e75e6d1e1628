/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/guests/cache_limit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/control/base/size.h"

int cache_limit_parse(const char *text, struct cache_limit *out, struct diag *d)
{
	char *end;
	unsigned long percent = strtoul(text, &end, 10);
	uint64_t bytes;

	if (strcmp(text, "off") == 0) {
		*out = (struct cache_limit){ .off = true };
		return 0;
	}
	if (*text >= '0' && *text <= '9' && strcmp(end, "%") == 0 &&
	    percent >= 1 && percent <= 90) {
		*out = (struct cache_limit){ .percent = (unsigned)percent };
		return 0;
	}
	if (size_parse(text, &bytes) || bytes < MIB(1))
		return diag_fail(d, ST_USAGE, EINVAL,
				 "--cache=%s: wants a size of 1M or more, a "
				 "part of a node's memory from 1%% to 90%%, or "
				 "'off'",
				 text);
	*out = (struct cache_limit){ .bytes = bytes };
	return 0;
}
