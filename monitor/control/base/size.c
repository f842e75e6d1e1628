/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/base/size.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char units[] = "KMGT";

/* Binary shift of a suffix, or -EINVAL. */
static int suffix_shift(const char *s)
{
	const char *unit;

	if (*s == '\0')
		return 0;
	/* Clearing bit 5 makes a letter upper case. */
	unit = strchr(units, *s & ~0x20);
	if (!unit || *unit == '\0' || (s[1] && strcmp(s + 1, "iB") != 0))
		return -EINVAL;
	return 10 * (int)(unit - units + 1);
}

int size_parse(const char *text, uint64_t *bytes)
{
	uint64_t value = 0;
	bool overflow = false;
	const char *s = text;
	int shift;

	for (; *s >= '0' && *s <= '9'; s++) {
		overflow |= __builtin_mul_overflow(value, 10u, &value);
		overflow |= __builtin_add_overflow(value, (uint64_t)(*s - '0'),
						   &value);
	}
	if (s == text)
		return -EINVAL;
	shift = suffix_shift(s);
	if (shift < 0)
		return shift;
	if (overflow || value > UINT64_MAX >> shift)
		return -ERANGE;
	*bytes = value << shift;
	return 0;
}

const char *size_text(uint64_t bytes, char buf[SIZE_TEXT_MAX])
{
	size_t unit = 0;

	while (unit < strlen(units) && bytes && bytes % 1024 == 0) {
		bytes /= 1024;
		unit++;
	}
	if (unit == 0)
		(void)snprintf(buf, SIZE_TEXT_MAX, "%llu B",
			       (unsigned long long)bytes);
	else
		(void)snprintf(buf, SIZE_TEXT_MAX, "%llu %ciB",
			       (unsigned long long)bytes, units[unit - 1]);
	return buf;
}
