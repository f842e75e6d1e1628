/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bounded output to stdout or stderr that never blocks the control process and
 * never grows: a producer checks for room first, and stops reading its own
 * input while there is none.
 *
 * A reader that has gone (EPIPE) or a full disk breaks the sink: then there is
 * always room, and everything is discarded, so that guests go on.
 *
 * Not thread-safe: the control process has one thread.
 */
#ifndef DISCO_MONITOR_SINK_H
#define DISCO_MONITOR_SINK_H

#include "monitor/control/base/loop.h"

#define SINK_BYTES 32768u

enum sink_kind {
	SINK_OWN,    /* a non-blocking open file of this process alone */
	SINK_SHARED, /* shared with others, may block: poll before each write */
	SINK_SOCKET,
	SINK_FILE, /* regular: never waits */
};

struct sink {
	struct loop *loop;
	struct loop_watch watch;
	int fd; /* owned only with SINK_OWN */
	enum sink_kind kind;
	bool broken;
	int err; /* errno of the write that broke it, EPIPE: the reader left */
	size_t head, tail;    /* buf[head .. tail) is still to be written */
	bool starved;	      /* a producer waits for room */
	unsigned patience_ms; /* how long sink_line() waits for room */
	/*
	 * Called from sink_kick() when a starved sink is at most half full. It
	 * may call sink_put(), but not sink_kick(), and may starve the sink
	 * again only after it has put something.
	 */
	void (*drained)(void *arg);
	void *arg;
	char buf[SINK_BYTES];
};

/**
 * sink_create() - write to a descriptor without blocking
 * @loop: must outlive @s
 * @fd:   stays the caller's and keeps its flags. Every process that shares a
 *        terminal would see O_NONBLOCK, so terminals and pipes are opened anew
 *        where that is possible
 *
 * Cannot fail: a descriptor that is not open, or not for writing, gives a broken
 * sink.
 */
void sink_create(struct sink *s, struct loop *loop, int fd);

/* Discards what is left. NULL and all-zero are accepted. */
void sink_destroy(struct sink *s);

/* Number of bytes that sink_put() takes now, 0 .. SINK_BYTES. */
size_t sink_room(const struct sink *s);

/* Append @n <= sink_room() bytes; written by sink_kick(). */
void sink_put(struct sink *s, const void *bytes, size_t n);

/* There was too little room: drained() is called when there is more. */
void sink_starve(struct sink *s);

/* Write as much as possible now; the loop writes the rest. */
void sink_kick(struct sink *s);

/* Is nothing left to write? */
bool sink_empty(const struct sink *s);

/**
 * sink_line() - print one line of the control process itself
 *
 * If there is no room, it waits up to s->patience_ms (a second) for some: these
 * lines are few and must not get lost because a guest floods. A line is cut at
 * 1023 bytes; '\n' is added.
 */
PRINTF(2, 3) void sink_line(struct sink *s, const char *fmt, ...);

/*
 * Write everything, waiting up to @ms for the reader. Return: whether all was
 * written.
 */
bool sink_flush(struct sink *s, unsigned ms);

#endif
