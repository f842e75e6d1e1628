/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handling of a guest's console bytes, without any descriptor: removing
 * terminal control sequences, finding a text, and recognising Disco's own keys.
 * It works byte by byte, so the boundaries of chunks do not matter.
 */
#ifndef DISCO_MONITOR_CONSOLE_TEXT_H
#define DISCO_MONITOR_CONSOLE_TEXT_H

#include "disco/base.h"

/*
 * The filter removes everything that would move the cursor, set colours or make
 * a terminal answer: ECMA-48 escape and control sequences, C0 controls except
 * tab and newline (carriage return is removed too), DEL, and C1 controls
 * written in UTF-8. Other bytes, including those from 0x80 on, pass. A newline
 * ends any sequence, so a guest cannot swallow its own output by never ending
 * one.
 */
enum text_state {
	TEXT_PLAIN = 0,
	TEXT_ESC,	 /* after ESC */
	TEXT_ESC_MIDDLE, /* ESC and intermediate bytes, 0x20-0x2f */
	TEXT_CSI,	 /* after ESC [, until 0x40-0x7e */
	TEXT_STRING,	 /* OSC, DCS, SOS, PM, APC, until BEL or ESC \ */
	TEXT_STRING_ESC, /* ESC inside a string */
	TEXT_C2,	 /* 0xc2 is held back, because C1 may follow */
};

struct text_filter {
	enum text_state state; /* all-zero is the initial state */
};

/**
 * text_filter_feed() - pass one byte through the filter
 * @out: bytes to print
 *
 * Return: number of bytes set in @out, 0 .. 2.
 */
unsigned text_filter_feed(struct text_filter *f, uint8_t c, uint8_t out[2]);

/* A text to find; shared by all consoles. */
struct mark {
	const uint8_t *text; /* owned by the caller, outlives this */
	size_t len;
	size_t *fail; /* owned: Knuth-Morris-Pratt, len entries */
};

/**
 * mark_create() - prepare a search
 * @text: NUL-terminated, not copied; NULL or "": never found
 *
 * Return: 0; -ENOMEM.
 */
MUST_CHECK int mark_create(struct mark *m, const char *text);

/* NULL, all-zero and half-built are accepted. */
void mark_destroy(struct mark *m);

/**
 * mark_feed() - search the next bytes of a stream for the text
 * @matched: per stream, 0 at its start: how much of the text the stream ends
 *           with; meaningless after the text was found
 *
 * A match lies within one line, whatever the chunks.
 * Return: true: the last byte of the text was seen.
 */
bool mark_feed(const struct mark *m, size_t *matched, const uint8_t *bytes,
	       size_t n);

#define KEY_ESCAPE 0x01 /* Ctrl-A */
#define KEY_HELP_LINE                                                          \
	"Ctrl-A x: shut the guest down and leave; Ctrl-A Ctrl-A: send "        \
	"Ctrl-A; "                                                             \
	"Ctrl-A h: this line"

enum key_action {
	KEY_NONE,   /* wait for the next key */
	KEY_SEND,   /* send *out to the guest */
	KEY_LEAVE,  /* Ctrl-A x */
	KEY_DETACH, /* Ctrl-A d; as KEY_HELP where detaching is not possible */
	KEY_HELP,   /* Ctrl-A and any other key */
};

struct key_state {
	bool escaped; /* Ctrl-A was the last key; initially false */
};

/* Handle one typed byte. @out is set with KEY_SEND only. */
enum key_action key_feed(struct key_state *k, uint8_t c, uint8_t *out);

#endif
