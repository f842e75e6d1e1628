/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/console/console.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disco/clock.h"

/* '\n' of another console's open line, prefix "NAME| ", line, '\n'. */
#define LINE_ROOM (1 + VM_NAME_MAX + 2 + CONSOLE_LINE_MAX + 1)

_Static_assert(2 * LINE_ROOM <= SINK_BYTES / 2, "a drained sink takes lines");

void console_hub_break_line(struct console_hub *hub)
{
	if (!hub->open_line)
		return;
	hub->open_line = NULL;
	if (sink_room(hub->out))
		sink_put(hub->out, "\n", 1);
}

/* The line so far; the sink has LINE_ROOM. */
static void console_emit(struct vm_console *c, bool end)
{
	struct console_hub *hub = c->hub;
	struct sink *out = hub->out;

	if (hub->open_line != c) {
		console_hub_break_line(hub);
		sink_put(out, c->name, strnlen(c->name, VM_NAME_MAX));
		sink_put(out, "| ", 2);
	}
	sink_put(out, c->line, c->line_len);
	c->line_len = 0;
	if (end)
		sink_put(out, "\n", 1);
	hub->open_line = end ? NULL : c;
}

static void put_byte(struct vm_console *c, uint8_t b)
{
	if (b == '\n') {
		console_emit(c, true);
		return;
	}
	if (c->line_len == CONSOLE_LINE_MAX)
		console_emit(c, false);
	c->line[c->line_len++] = b;
}

/* Pass the chunk on, line by line. Stops when the sink is nearly full. */
static void pass_lines(struct vm_console *c)
{
	uint8_t out[2];

	while (c->raw_head < c->raw_tail) {
		unsigned n;

		if (sink_room(c->hub->out) < 2 * LINE_ROOM) {
			sink_starve(c->hub->out);
			return;
		}
		n = text_filter_feed(&c->filter, c->raw[c->raw_head++], out);
		for (unsigned i = 0; i < n; i++)
			put_byte(c, out[i]);
	}
	if (!c->eof || (!c->line_len && c->hub->open_line != c))
		return;
	if (sink_room(c->hub->out) < LINE_ROOM)
		sink_starve(c->hub->out);
	else
		console_emit(c, true);
}

static void pass_bytes(struct vm_console *c)
{
	size_t n = min_u64(c->raw_tail - c->raw_head, sink_room(c->hub->out));

	sink_put(c->hub->out, c->raw + c->raw_head, n);
	c->raw_head += n;
	if (c->hub->tidy && n)
		c->hub->open_line = c->raw[c->raw_head - 1] == '\n' ? NULL : c;
	if (c->raw_head < c->raw_tail)
		sink_starve(c->hub->out);
}

static void console_want(struct vm_console *c)
{
	bool idle = c->raw_head == c->raw_tail;
	uint32_t events = 0;

	if (c->eof)
		c->done = idle && !c->line_len;
	else
		events = (idle ? EPOLLIN : 0u) |
			 (typed_waits(&c->typed) ? EPOLLOUT : 0u);
	loop_want(c->hub->loop, &c->watch, events);
}

/*
 * A started line that nothing is added to is shown when CONSOLE_IDLE_NS are
 * over. A console that waits for stdout has no deadline.
 */
static void console_plan(struct vm_console *c)
{
	if (c->line_len && c->raw_head == c->raw_tail)
		loop_timer_set(c->hub->loop, &c->idle_timer,
			       c->last_ns + CONSOLE_IDLE_NS);
	else
		loop_timer_cancel(c->hub->loop, &c->idle_timer);
}

static void console_on_idle(struct loop_timer *t)
{
	struct vm_console *c = container_of(t, struct vm_console, idle_timer);

	if (sink_room(c->hub->out) >= LINE_ROOM)
		console_emit(c, false);
	else
		c->last_ns = clock_now_ns(); /* ask again later */
	console_plan(c);
	sink_kick(c->hub->out);
}

static void console_pass(struct vm_console *c)
{
	if (c->hub->mode == CONSOLE_LINES)
		pass_lines(c);
	else
		pass_bytes(c);
	console_want(c);
	console_plan(c);
}

static void note_mark(struct vm_console *c, size_t n)
{
	if (!c->mark_ns &&
	    mark_feed(&c->hub->mark, &c->mark_matched, c->raw, n))
		c->mark_ns = max_u64(c->last_ns - c->start_ns, 1);
}

/* Read one chunk, when the last was passed on. */
static void console_fill(struct vm_console *c)
{
	ssize_t n;

	if (c->eof || c->raw_head < c->raw_tail)
		return;
	n = read(c->watch.fd, c->raw, sizeof(c->raw));
	if (n <= 0) {
		c->eof = n == 0 || c->gone ||
			 (errno != EAGAIN && errno != EINTR);
		return;
	}
	c->raw_head = 0;
	c->raw_tail = (size_t)n;
	c->last_ns = clock_now_ns();
	note_mark(c, (size_t)n);
}

/* A living worker's next chunk waits for the loop; a dead one's does not. */
static void console_settle(struct vm_console *c)
{
	console_pass(c);
	while (c->gone && !c->eof && c->raw_head == c->raw_tail) {
		console_fill(c);
		console_pass(c);
	}
}

static void console_on_ready(struct loop_watch *w, uint32_t events)
{
	struct vm_console *c = container_of(w, struct vm_console, watch);

	if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
		typed_give(&c->typed, c->watch.fd);
	if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		console_fill(c);
	console_settle(c);
	sink_kick(c->hub->out);
}

/*
 * stdout takes bytes again. The ring turns by one each time, so the console
 * that gets the first of the room is another one.
 */
static void on_drained(void *arg)
{
	struct console_hub *hub = arg;
	struct vm_console *c = hub->first;

	if (!c)
		return;
	do {
		if (c->raw_head < c->raw_tail || (c->eof && !c->done))
			console_settle(c);
		c = c->next;
	} while (c != hub->first);
	hub->first = hub->first->next;
}

int console_hub_create(struct console_hub *hub, struct loop *loop,
		       struct sink *out, enum console_mode mode,
		       const char *mark)
{
	memset(hub, 0, sizeof(*hub));
	hub->loop = loop;
	hub->out = out;
	hub->mode = mode;
	out->drained = on_drained;
	out->arg = hub;
	return mark_create(&hub->mark, mark);
}

void console_hub_destroy(struct console_hub *hub)
{
	if (!hub)
		return;
	if (hub->out)
		hub->out->drained = NULL;
	mark_destroy(&hub->mark);
}

void console_open(struct vm_console *c, struct console_hub *hub,
		  const char *name, int fd, uint64_t start_ns)
{
	memset(c, 0, offsetof(struct vm_console, raw));
	c->hub = hub;
	c->name = name;
	c->start_ns = start_ns;
	c->watch.fd = fd;
	c->watch.ready = console_on_ready;
	c->idle_timer.expired = console_on_idle;
	if (hub->first) {
		c->next = hub->first->next;
		hub->first->next = c;
	} else {
		c->next = c;
	}
	hub->first = c;
	console_want(c);
}

void console_close(struct vm_console *c)
{
	struct console_hub *hub = c ? c->hub : NULL;
	struct vm_console *before = c;

	if (!hub)
		return;
	loop_want(hub->loop, &c->watch, 0);
	loop_timer_cancel(hub->loop, &c->idle_timer);
	if (hub->open_line == c)
		console_hub_break_line(hub);
	while (before->next != c)
		before = before->next;
	before->next = c->next;
	if (hub->first == c)
		hub->first = before == c ? NULL : before;
	c->hub = NULL;
}

void console_gone(struct vm_console *c)
{
	c->gone = true;
	console_settle(c);
	sink_kick(c->hub->out);
}

size_t console_input_room(const struct vm_console *c)
{
	return typed_room(&c->typed);
}

size_t console_type(struct vm_console *c, const uint8_t *bytes, size_t n)
{
	if (c->eof)
		return n;
	n = typed_add(&c->typed, bytes, n);
	typed_give(&c->typed, c->watch.fd);
	console_want(c);
	return n;
}
