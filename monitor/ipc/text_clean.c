/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/ipc/text_clean.h"

#include <string.h>

void text_clean(char *text, size_t size)
{
	size_t i;

	for (i = 0; i + 1 < size && text[i]; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 || c == 0x7f)
			text[i] = ' ';
		else if (c >= 0x80)
			text[i] = '?';
	}
	memset(text + i, 0, size - i);
	while (i && text[i - 1] == ' ')
		text[--i] = '\0';
}
