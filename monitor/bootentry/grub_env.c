/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/bootentry/grub_env.h"

#include <string.h>

bool grub_env_get(const char *env, const char *name, char *to, size_t size)
{
	size_t len = strlen(name);

	for (const char *line = env; line && *line;) {
		const char *end = strchr(line, '\n');
		size_t n = end ? (size_t)(end - line) : strlen(line);

		if (*line != '#' && n > len && line[len] == '=' &&
		    memcmp(line, name, len) == 0) {
			n -= len + 1;
			if (n >= size)
				return false;
			memcpy(to, line + len + 1, n);
			to[n] = '\0';
			return true;
		}
		line = end ? end + 1 : NULL;
	}
	return false;
}
