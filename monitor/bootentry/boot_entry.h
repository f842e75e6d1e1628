/* SPDX-License-Identifier: BSD-2-Clause */
/* A boot entry: which files are loaded, and the kernel's command line. */
#ifndef DISCO_BOOTENTRY_BOOT_ENTRY_H
#define DISCO_BOOTENTRY_BOOT_ENTRY_H

#include "disco/base.h"
#include "disco/limits.h"

#define BOOT_PATH_MAX	 256u
#define BOOT_TITLE_MAX	 128u
#define BOOT_DEVICE_MAX	 128u
#define BOOT_MAX_INITRDS 8u

struct boot_item {
	char title[BOOT_TITLE_MAX];
	/*
	 * Where the paths are: "" in the file system of the entry; "uuid:X",
	 * "label:X", "file:PATH" in the one that has it; "hd0,gpt2".
	 */
	char device[BOOT_DEVICE_MAX];
	char kernel[BOOT_PATH_MAX];
	char initrds[BOOT_MAX_INITRDS]
		    [BOOT_PATH_MAX]; /* read one after another */
	unsigned nr_initrds;
	char cmdline[CMDLINE_MAX + 1];
};

/* Append a word to a list of words, behind a space. Return: 0; -E2BIG. */
MUST_CHECK int boot_words_add(char *list, size_t size, const char *word);

/* Set an array to a text. Return: 0; -E2BIG, and it is unchanged. */
MUST_CHECK int boot_text_set(char *to, size_t size, const char *text);

/* Add a file. Return: 0; -E2BIG too many, or its path is too long. */
MUST_CHECK int boot_item_add_initrd(struct boot_item *item, const char *path);

/*
 * Does a command line have a console that Disco's VMs have? "console=ttyS0" or
 * another serial port, or "console=hvc0".
 */
bool boot_cmdline_has_console(const char *cmdline);

/*
 * Add "console=ttyS0" unless there is a console already. Last, so that it is
 * /dev/console. Return: 0; -E2BIG.
 */
MUST_CHECK int boot_cmdline_add_console(char cmdline[CMDLINE_MAX + 1]);

#endif
