/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/console/console_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ESC 0x1b
#define BEL 0x07
#define DEL 0x7f

static enum text_state after_esc(uint8_t c)
{
	if (c == '[')
		return TEXT_CSI;
	if (c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_')
		return TEXT_STRING;
	if (c >= 0x20 && c <= 0x2f)
		return TEXT_ESC_MIDDLE;
	return TEXT_PLAIN;
}

/* Inside a sequence; @c is swallowed. */
static enum text_state console_text_step(enum text_state state, uint8_t c)
{
	if (c == ESC)
		return state == TEXT_STRING || state == TEXT_STRING_ESC
			       ? TEXT_STRING_ESC
			       : TEXT_ESC;
	switch (state) {
	case TEXT_ESC:
		return after_esc(c);
	case TEXT_ESC_MIDDLE:
		return c >= 0x30 ? TEXT_PLAIN : TEXT_ESC_MIDDLE;
	case TEXT_CSI:
		return c >= 0x40 ? TEXT_PLAIN : TEXT_CSI;
	case TEXT_STRING:
		return c == BEL ? TEXT_PLAIN : TEXT_STRING;
	case TEXT_STRING_ESC:
		return c == '\\' ? TEXT_PLAIN : after_esc(c);
	case TEXT_PLAIN:
	case TEXT_C2:
		break;
	}
	return TEXT_PLAIN;
}

static unsigned console_text_plain(struct text_filter *f, uint8_t c,
				   uint8_t *out)
{
	if (c == ESC)
		f->state = TEXT_ESC;
	else if (c == 0xc2)
		f->state = TEXT_C2;
	else if (c == '\t' || c == '\n' || (c >= 0x20 && c != DEL))
		return *out = c, 1;
	return 0;
}

unsigned text_filter_feed(struct text_filter *f, uint8_t c, uint8_t out[2])
{
	enum text_state was = f->state;

	if (was == TEXT_PLAIN)
		return console_text_plain(f, c, out);
	if (was == TEXT_C2) {
		f->state = TEXT_PLAIN;
		if (c >= 0x80 && c <= 0x9f)
			return 0;
		out[0] = 0xc2;
		return 1 + console_text_plain(f, c, out + 1);
	}
	f->state = c == '\n' ? TEXT_PLAIN : console_text_step(was, c);
	if (c == '\n')
		return out[0] = c, 1;
	return 0;
}

int mark_create(struct mark *m, const char *text)
{
	size_t len = text ? strlen(text) : 0;
	size_t *fail = NULL;

	if (len) {
		fail = calloc(len, sizeof(*fail));
		if (!fail)
			return -ENOMEM;
	}
	for (size_t i = 1, k = 0; i < len; i++) {
		while (k && text[i] != text[k])
			k = fail[k - 1];
		if (text[i] == text[k])
			k++;
		fail[i] = k;
	}
	m->text = (const uint8_t *)text;
	m->len = len;
	m->fail = fail;
	return 0;
}

void mark_destroy(struct mark *m)
{
	if (!m)
		return;
	free(m->fail);
	m->fail = NULL;
	m->len = 0;
}

bool mark_feed(const struct mark *m, size_t *matched, const uint8_t *bytes,
	       size_t n)
{
	size_t k = *matched;

	if (!m->len)
		return false;
	for (size_t i = 0; i < n; i++) {
		while (k && bytes[i] != m->text[k])
			k = m->fail[k - 1];
		if (bytes[i] == m->text[k])
			k++;
		if (bytes[i] == '\n')
			k = 0;
		if (k == m->len)
			return true;
	}
	*matched = k;
	return false;
}

enum key_action key_feed(struct key_state *k, uint8_t c, uint8_t *out)
{
	if (!k->escaped && c == KEY_ESCAPE) {
		k->escaped = true;
		return KEY_NONE;
	}
	if (k->escaped && c != KEY_ESCAPE) {
		k->escaped = false;
		if (c == 'x' || c == 'X')
			return KEY_LEAVE;
		return c == 'd' || c == 'D' ? KEY_DETACH : KEY_HELP;
	}
	k->escaped = false;
	*out = c;
	return KEY_SEND;
}
