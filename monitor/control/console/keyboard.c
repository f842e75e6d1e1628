/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/console/keyboard.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "monitor/control/console/terminal.h"

#define CHUNK 256u

static void type_key(struct keyboard *k, uint8_t c)
{
	uint8_t out;

	switch (key_feed(&k->keys, c, &out)) {
	case KEY_SEND:
		/* As a full terminal line: what has no room is lost. */
		(void)console_type(k->console, &out, 1);
		break;
	case KEY_LEAVE:
		k->leave = true;
		break;
	case KEY_DETACH:
	case KEY_HELP:
		k->help = true;
		break;
	case KEY_NONE:
		break;
	}
}

static void keyboard_on_ready(struct loop_watch *w, uint32_t events)
{
	struct keyboard *k = container_of(w, struct keyboard, watch);
	uint8_t buf[CHUNK];
	size_t max = sizeof(buf);
	ssize_t n;

	(void)events;
	if (k->kind == KEYBOARD_PLAIN)
		max = min_u64(max, console_input_room(k->console));
	if (max == 0)
		return;
	n = read(w->fd, buf, max);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		/* Its end, or a terminal that hung up: the guest goes on. */
		keyboard_destroy(k);
		return;
	}
	if (k->kind == KEYBOARD_PLAIN) {
		(void)console_type(k->console, buf, (size_t)n);
		return;
	}
	for (ssize_t i = 0; i < n; i++)
		type_key(k, buf[i]);
}

void keyboard_create(struct keyboard *k, struct loop *loop, int fd,
		     struct vm_console *c)
{
	memset(k, 0, sizeof(*k));
	k->loop = loop;
	k->console = c;
	k->watch.fd = fd;
	k->watch.ready = keyboard_on_ready;
	k->kind = isatty(fd) ? KEYBOARD_TERMINAL : KEYBOARD_PLAIN;
	keyboard_resume(k);
}

void keyboard_destroy(struct keyboard *k)
{
	if (!k || k->kind == KEYBOARD_NONE)
		return;
	loop_want(k->loop, &k->watch, 0);
	if (k->kind == KEYBOARD_TERMINAL)
		terminal_restore();
	k->kind = KEYBOARD_NONE;
}

void keyboard_update(struct keyboard *k)
{
	bool listen = !k->away;

	if (k->kind == KEYBOARD_NONE)
		return;
	if (k->kind == KEYBOARD_PLAIN)
		listen = console_input_room(k->console) > 0;
	loop_want(k->loop, &k->watch, listen ? EPOLLIN : 0u);
}

void keyboard_suspend(struct keyboard *k)
{
	if (k->kind != KEYBOARD_TERMINAL)
		return;
	terminal_restore();
	k->away = true;
}

/* Reading in the background would stop us (SIGTTIN): wait for SIGCONT. */
void keyboard_resume(struct keyboard *k)
{
	if (k->kind != KEYBOARD_TERMINAL)
		return;
	k->away = !terminal_is_ours(k->watch.fd) ||
		  terminal_raw(k->watch.fd) < 0;
	k->keys.escaped = false;
}
