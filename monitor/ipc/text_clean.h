/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DISCO_MONITOR_TEXT_CLEAN_H
#define DISCO_MONITOR_TEXT_CLEAN_H

#include "disco/base.h"

/**
 * text_clean() - make untrusted bytes safe for one line on a terminal
 * @text: changed in place: ends at the first NUL or at @size - 1; control
 *        characters become spaces, bytes from 0x80 on become '?'
 * @size: size of the array, at least 1
 *
 * Context: any thread.
 */
void text_clean(char *text, size_t size);

#endif
