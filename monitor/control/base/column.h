/* SPDX-License-Identifier: BSD-2-Clause */
/* Columns of tables that are as wide as what they hold. */
#ifndef DISCO_MONITOR_COLUMN_H
#define DISCO_MONITOR_COLUMN_H

#include <string.h>

/* Return: @width, or what @text takes if that is more; in characters. */
static inline int column_widest(int width, const char *text)
{
	int n = (int)strlen(text);

	return n > width ? n : width;
}

#endif
