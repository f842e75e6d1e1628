/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest consoles: from each worker's stream socket to stdout, and typed bytes
 * back to the guest.
 *
 * Several guests share stdout line by line, as "NAME| text"; a single guest has
 * it byte by byte. A guest may flood its console. So each console holds at most
 * one chunk and one line, and reads its socket only when both are passed on;
 * consoles that wait for stdout take turns. Input that a guest does not read
 * stays in a bounded buffer.
 *
 * Context: one thread. A console is embedded in its VM; the hub outlives it.
 */
#ifndef DISCO_MONITOR_CONSOLE_MUX_H
#define DISCO_MONITOR_CONSOLE_MUX_H

#include "disco/limits.h"
#include "monitor/control/console/console_text.h"
#include "monitor/control/base/loop.h"
#include "monitor/control/base/sink.h"
#include "monitor/control/console/typed.h"

#define CONSOLE_CHUNK	 4096u
#define CONSOLE_LINE_MAX 4096u /* bytes; longer lines are passed in parts */
#define CONSOLE_IDLE_NS	 100000000ull /* then a line without '\n' is shown */

enum console_mode {
	CONSOLE_LINES, /* prefixed lines */
	CONSOLE_BYTES, /* as they come */
};

struct vm_console;

struct console_hub {
	struct loop *loop;
	struct sink *out;
	enum console_mode mode;
	struct mark mark;
	struct vm_console *first; /* all consoles, a ring through next */
	/*
	 * With CONSOLE_BYTES: keep open_line too, because something else will
	 * be printed on the same terminal.
	 */
	bool tidy;
	/* Whose line on stdout is open; NULL: stdout is at a line's start. */
	struct vm_console *open_line;
};

struct vm_console {
	struct console_hub *hub;
	struct vm_console *next;
	const char *name; /* owned by the configuration */
	struct loop_watch watch;
	struct loop_timer idle_timer; /* shows a started line when it fires */
	bool gone; /* the worker is dead: an empty read is the end */
	bool eof;  /* nothing more to read */
	bool done; /* eof, and everything passed on */

	uint64_t start_ns; /* CLOCK_MONOTONIC when the worker was spawned */
	uint64_t mark_ns;  /* from start_ns to the mark's end; 0: not seen */
	size_t mark_matched;

	struct text_filter filter;
	uint64_t last_ns;	   /* when bytes were last added to line */
	size_t raw_head, raw_tail; /* raw[head .. tail): not passed on yet */
	size_t line_len;
	uint8_t raw[CONSOLE_CHUNK];
	uint8_t line[CONSOLE_LINE_MAX];
	struct typed typed;
};

/**
 * console_hub_create() - create the hub of a run's consoles
 * @loop, @out: not owned, outlive the hub, which sets @out's drained callback
 * @mark: text whose first appearance on each console is timed; NULL: none
 *
 * Return: 0; -ENOMEM.
 */
MUST_CHECK int console_hub_create(struct console_hub *hub, struct loop *loop,
				  struct sink *out, enum console_mode mode,
				  const char *mark);

/* Consoles and sink stay. NULL and all-zero are accepted. */
void console_hub_destroy(struct console_hub *hub);

/* End an unfinished line on stdout, before something else is printed. */
void console_hub_break_line(struct console_hub *hub);

/**
 * console_open() - start reading a guest's console
 * @c:        filled
 * @name:     prefix; not copied
 * @fd:       non-blocking stream socket; stays the caller's, who closes it
 *            after console_close()
 * @start_ns: CLOCK_MONOTONIC when the worker was spawned
 */
void console_open(struct vm_console *c, struct console_hub *hub,
		  const char *name, int fd, uint64_t start_ns);

/*
 * Leave the hub; bytes that were not passed on are lost. NULL and all-zero are
 * accepted.
 */
void console_close(struct vm_console *c);

/*
 * The worker is dead. Reads what is left. c->done becomes true when stdout has
 * taken everything, in this call or later from the loop.
 */
void console_gone(struct vm_console *c);

/* Number of bytes that console_type() takes now, 0 .. TYPED_MAX. */
size_t console_input_room(const struct vm_console *c);

/**
 * console_type() - pass bytes to the guest as input
 *
 * Return: number of bytes taken, 0 .. @n. Bytes for a guest whose console is
 * closed are taken and discarded.
 */
size_t console_type(struct vm_console *c, const uint8_t *bytes, size_t n);

#endif
