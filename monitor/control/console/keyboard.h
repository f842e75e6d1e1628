/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Typed input for the only guest of a run. A terminal is raw while the guest
 * has it, and Ctrl-A begins a key of Disco's own. A pipe or file is passed on
 * unchanged until it ends, as fast as the guest reads.
 */
#ifndef DISCO_MONITOR_KEYBOARD_H
#define DISCO_MONITOR_KEYBOARD_H

#include "monitor/control/console/console.h"

enum keyboard_kind {
	KEYBOARD_NONE = 0, /* nothing is read: several guests, or closed */
	KEYBOARD_PLAIN,
	KEYBOARD_TERMINAL,
};

struct keyboard {
	struct loop *loop;
	struct vm_console *console;
	enum keyboard_kind kind;
	struct loop_watch watch;
	struct key_state keys;
	bool away;  /* a terminal, and this process is in its background */
	bool leave; /* Ctrl-A x was typed; the owner's loop handles it */
	bool help;  /* Ctrl-A h was typed; the owner's loop handles it */
};

/**
 * keyboard_create() - start reading a descriptor
 * @fd: stays the caller's
 * @c:  the guest that gets the bytes; outlives the keyboard
 *
 * A terminal becomes raw if this process is in its foreground.
 */
void keyboard_create(struct keyboard *k, struct loop *loop, int fd,
		     struct vm_console *c);

/* Stops reading, restores the terminal. NULL and all-zero are accepted. */
void keyboard_destroy(struct keyboard *k);

/* Called before each turn of the loop: read only while the guest has room. */
void keyboard_update(struct keyboard *k);

/* This process is about to be stopped (SIGTSTP), or was continued (SIGCONT). */
void keyboard_suspend(struct keyboard *k);
void keyboard_resume(struct keyboard *k);

#endif
