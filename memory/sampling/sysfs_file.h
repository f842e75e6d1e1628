/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Small files of sysfs: one line each, and each write is one write(2), which is
 * how sysfs takes a value. The answer of a kernel is checked as if it were hostile:
 * what is no line of text, or longer than it may be, is -EBADMSG.
 *
 * Context of all functions: any thread; blocks on the file.
 */
#ifndef DISCO_MEMORY_SYSFS_FILE_H
#define DISCO_MEMORY_SYSFS_FILE_H

#include "disco/base.h"

#define SYSFS_LINE 256u /* longest line with its NUL */

/* Return: 0; -errno of open() and write(); -EIO a part alone was taken. */
MUST_CHECK int sysfs_put(const char *path, const char *text);

/* The same, of a number in decimal. */
MUST_CHECK int sysfs_put_number(const char *path, uint64_t number);

/*
 * The first line, without its end. @buf: SYSFS_LINE bytes; untouched on error.
 * Return: 0; -errno of open() and read(); -EBADMSG.
 */
MUST_CHECK int sysfs_get(const char *path, char *buf);

/* A line that is a decimal number and nothing else. Return: as above. */
MUST_CHECK int sysfs_get_number(const char *path, uint64_t *out);

#endif
