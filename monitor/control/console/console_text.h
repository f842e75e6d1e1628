/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest's console bytes mean, without any descriptor: taking terminal
 * control out of them, finding a text in them, and the keys that are ours.
 * Byte at a time, so it does not matter how a stream was cut.
 */
#ifndef DISCO_MONITOR_CONSOLE_TEXT_H
#define DISCO_MONITOR_CONSOLE_TEXT_H

#include "disco/base.h"

/*
 * Removes what would move the cursor, set colours or make a terminal answer:
 * ECMA-48 escape and control sequences, C0 controls but tab and newline
 * (carriage return included), DEL, and C1 controls written in UTF-8. Other
 * bytes, 0x80 and up included, pass. A newline ends any sequence, so a guest
 * cannot swallow its own output by never ending one.
 */
enum text_state {
	TEXT_PLAIN = 0,
	TEXT_ESC,	 /* after ESC */
	TEXT_ESC_MIDDLE, /* ESC and intermediate bytes, 0x20-0x2f */
	TEXT_CSI,	 /* after ESC [, until 0x40-0x7e */
	TEXT_STRING,	 /* OSC, DCS, SOS, PM, APC, until BEL or ESC \ */
	TEXT_STRING_ESC, /* ESC inside a string */
	TEXT_C2,	 /* 0xc2 held back: C1 may follow */
};

struct text_filter {
	enum text_state state; /* all-zero is the start */
};

/**
 * text_filter_feed() - pass one byte through
 * @out: bytes to print, at most two
 *
 * Return: how many bytes of @out are set, 0 .. 2.
 */
unsigned text_filter_feed(struct text_filter *f, uint8_t c, uint8_t out[2]);

/* A text to look for; shared by all consoles. */
struct mark {
	const uint8_t *text; /* owned by the caller, outlives this */
	size_t len;
	size_t *fail; /* owned: Knuth-Morris-Pratt, len entries */
};

/**
 * mark_create() - prepare a search
 * @text: NUL-terminated, kept by reference; NULL or "": never found
 *
 * Return: 0; -ENOMEM.
 */
MUST_CHECK int mark_create(struct mark *m, const char *text);

/* NULL, all-zero and half-built are fine. */
void mark_destroy(struct mark *m);

/**
 * mark_feed() - look for the text in the next bytes of a stream
 * @matched: how much of the text the stream ends with; starts at 0, one for
 *           each stream; meaningless once found
 *
 * A match lies within one line, whatever the chunks.
 * Return: true once the last byte of the text was seen.
 */
bool mark_feed(const struct mark *m, size_t *matched, const uint8_t *bytes,
	       size_t n);

#define KEY_ESCAPE 0x01 /* Ctrl-A */
#define KEY_HELP_LINE                                                          \
	"Ctrl-A x: stop the guest and leave; Ctrl-A Ctrl-A: send Ctrl-A; "     \
	"Ctrl-A h: this line"

enum key_action {
	KEY_NONE,   /* wait for the next key */
	KEY_SEND,   /* give *out to the guest */
	KEY_LEAVE,  /* Ctrl-A x */
	KEY_DETACH, /* Ctrl-A d; where one cannot: as KEY_HELP */
	KEY_HELP,   /* Ctrl-A and anything else */
};

struct key_state {
	bool escaped; /* Ctrl-A was the last key; all-zero is the start */
};

/* One typed byte. @out is set with KEY_SEND only. */
enum key_action key_feed(struct key_state *k, uint8_t c, uint8_t *out);

#endif
