/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The operator's terminal: raw while a single guest has it, and always put
 * back - on return, exit(), fatal signals. Signals that the supervise loop
 * handles (INT, TERM, HUP, QUIT, TSTP) end in terminal_restore() there. Only
 * SIGKILL leaves a raw terminal behind.
 *
 * One terminal a process; state is static because exit handlers and signal
 * handlers take no argument.
 */
#ifndef DISCO_MONITOR_TERMINAL_H
#define DISCO_MONITOR_TERMINAL_H

#include "disco/base.h"

/* @fd is a terminal and this process is in its foreground group. */
bool terminal_is_ours(int fd);

/**
 * terminal_raw() - give keys to us one by one, unechoed
 * @fd: a terminal that is ours; must stay open until terminal_restore()
 *
 * Output processing stays on, so lines of our own come out straight. Again
 * when already raw sets it again (after SIGCONT); what is restored later is
 * what was there the first time.
 *
 * Context: main thread. Return: 0; -ENOTTY; -EIO; -EINTR; -ENOMEM no room
 * for the exit handler.
 */
MUST_CHECK int terminal_raw(int fd);

/**
 * terminal_restore() - put back what terminal_raw() changed
 *
 * Does nothing when it is not raw. Async-signal-safe; errno kept.
 */
void terminal_restore(void);

#endif
