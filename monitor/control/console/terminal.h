/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The operator's terminal. It is raw while a single guest has it, and is always
 * restored: on return, on exit() and on fatal signals. Signals that the
 * supervise loop handles (INT, TERM, HUP, QUIT, TSTP) lead to
 * terminal_restore() there. Only SIGKILL leaves a raw terminal behind.
 *
 * There is one terminal per process. Its state is static because exit handlers
 * and signal handlers take no argument.
 */
#ifndef DISCO_MONITOR_TERMINAL_H
#define DISCO_MONITOR_TERMINAL_H

#include "disco/base.h"

/* Is @fd a terminal, with this process in its foreground process group? */
bool terminal_is_ours(int fd);

/**
 * terminal_raw() - deliver keys to this process one by one, without echo
 * @fd: a terminal that is ours; must stay open until terminal_restore()
 *
 * Output processing stays on, so lines that this process prints are intact. A
 * call on a raw terminal makes it raw again (after SIGCONT); the settings to be
 * restored are those of the first call.
 *
 * Context: main thread. Return: 0; -ENOTTY; -EIO; -EINTR; -ENOMEM no room
 * for the exit handler.
 */
MUST_CHECK int terminal_raw(int fd);

/**
 * terminal_restore() - restore the settings that terminal_raw() changed
 *
 * Does nothing if the terminal is not raw. Async-signal-safe; errno is kept.
 */
void terminal_restore(void);

#endif
