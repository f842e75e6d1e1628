/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bounded output to stdout or stderr that never blocks the control process
 * and never grows: who has something to write asks for room first, and stops
 * reading its own input while there is none.
 *
 * A reader that went away (EPIPE) or a full disk turns the sink into a hole:
 * there is always room and everything is discarded, so guests go on.
 *
 * Not thread-safe: the control process has one thread.
 */
#ifndef DISCO_MONITOR_SINK_H
#define DISCO_MONITOR_SINK_H

#include "monitor/control/base/loop.h"

#define SINK_BYTES 32768u

enum sink_kind {
	SINK_OWN,    /* our own non-blocking open file */
	SINK_SHARED, /* somebody else's, may block: ask before each write */
	SINK_SOCKET,
	SINK_FILE, /* regular: never waits */
};

struct sink {
	struct loop *loop;
	struct loop_watch watch;
	int fd; /* owned only with SINK_OWN */
	enum sink_kind kind;
	bool broken;
	size_t head, tail;    /* buf[head .. tail) is still to be written */
	bool starved;	      /* somebody waits for room */
	unsigned patience_ms; /* sink_line() waits that long for room */
	/*
	 * Called from sink_kick() when a starved sink is at most half full.
	 * May put, not kick; starves again only after it put something.
	 */
	void (*drained)(void *arg);
	void *arg;
	char buf[SINK_BYTES];
};

/**
 * sink_create() - write to a descriptor without blocking
 * @loop: must outlive @s
 * @fd:   stays the caller's and keeps its flags: O_NONBLOCK would be seen by
 *        every process that shares a terminal, so terminals and pipes are
 *        opened anew where that is possible
 *
 * Nothing can fail: a descriptor that is not open gives a broken sink.
 */
void sink_create(struct sink *s, struct loop *loop, int fd);

/* Discards what is left. NULL and all-zero are fine. */
void sink_destroy(struct sink *s);

/* Bytes sink_put() takes now, 0 .. SINK_BYTES. */
size_t sink_room(const struct sink *s);

/* Append @n <= sink_room() bytes; written by sink_kick(). */
void sink_put(struct sink *s, const void *bytes, size_t n);

/* There was too little room: ask for drained() to be called. */
void sink_starve(struct sink *s);

/* Write what can be written now; the rest goes on in the loop. */
void sink_kick(struct sink *s);

/* Nothing left to write. */
bool sink_empty(const struct sink *s);

/**
 * sink_line() - one line of the control process's own
 *
 * Waits up to s->patience_ms (a second) for room when there is none: these
 * lines are few and must not get lost to a guest that floods. Cut at 1023
 * bytes; adds '\n'.
 */
PRINTF(2, 3) void sink_line(struct sink *s, const char *fmt, ...);

/* Write everything, waiting up to @ms for the reader. Return: all written. */
bool sink_flush(struct sink *s, unsigned ms);

#endif
