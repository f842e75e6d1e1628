/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/platform/panic_line.h"

#include <string.h>

/* Its first character comes once: a mismatch starts anew, or not at all. */
static const uint8_t BEGIN[] = "Kernel panic - not syncing: ";

#define BEGIN_LEN (sizeof(BEGIN) - 1)

/* Return: true: the line has ended. */
static bool panic_line_collect(struct panic_line *p, uint8_t c)
{
	if (c == '\n' || c == '\r') {
		p->text[p->len] = '\0';
		p->matched = 0;
		return true;
	}
	if (c >= ' ' && c < 0x7f && p->len < PANIC_TEXT_BYTES - 1)
		p->text[p->len++] = (char)c;
	return false;
}

bool panic_line_feed(struct panic_line *p, const uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (p->matched == BEGIN_LEN) {
			if (panic_line_collect(p, buf[i]))
				return true;
			continue;
		}
		if (buf[i] != BEGIN[p->matched])
			p->matched = 0;
		if (buf[i] == BEGIN[p->matched] && ++p->matched == BEGIN_LEN)
			p->len = 0;
	}
	return false;
}
