/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is typed, for the only guest of a run. A terminal is raw while the
 * guest has it and Ctrl-A begins a key for us; a pipe or file is passed on
 * as it is, as fast as the guest reads, until it ends.
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
	bool away;  /* a terminal in whose background we are */
	bool leave; /* Ctrl-A x was typed; whoever sees it acts on it */
	bool help;  /* Ctrl-A h, likewise */
};

/**
 * keyboard_create() - listen to a descriptor
 * @fd: stays the caller's
 * @c:  the guest that gets the bytes; outlives the keyboard
 *
 * A terminal in whose foreground we are becomes raw.
 */
void keyboard_create(struct keyboard *k, struct loop *loop, int fd,
		     struct vm_console *c);

/* Stops listening, restores the terminal. NULL and all-zero are fine. */
void keyboard_destroy(struct keyboard *k);

/* Before each turn of the loop: listen only while the guest has room. */
void keyboard_update(struct keyboard *k);

/* We are about to be stopped (SIGTSTP), or went on (SIGCONT). */
void keyboard_suspend(struct keyboard *k);
void keyboard_resume(struct keyboard *k);

#endif
