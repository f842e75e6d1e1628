/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Set-up and tear-down of a group of tests: a directory of its own under /tmp
 * is the working directory, and goes with all that is in it. And what a test
 * asks of folders.
 */
#ifndef TESTS_UNIT_BOOT_TEMP_DIR_H
#define TESTS_UNIT_BOOT_TEMP_DIR_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/support.h"

static char temp_dir[] = "/tmp/disco-boot.XXXXXX";

static inline int enter_dir(void **state)
{
	(void)state;
	return mkdtemp(temp_dir) && chdir(temp_dir) == 0 ? 0 : -1;
}

static inline int remove_dir(void **state)
{
	char cmd[64];

	(void)state;
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", temp_dir);
	return chdir("/") == 0 ? system(cmd) : -1;
}

/* Hidden ones do not count. */
static inline unsigned count_files(const char *dir)
{
	DIR *d = opendir(dir);
	unsigned nr = 0;

	assert_non_null(d);
	for (const struct dirent *e = readdir(d); e; e = readdir(d))
		nr += e->d_name[0] != '.';
	assert_int_equal(closedir(d), 0);
	return nr;
}

#endif
