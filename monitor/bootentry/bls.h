/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entries of the Boot Loader Specification: loader/entries/NAME.conf, one boot
 * entry each. Source: UAPI group, "Boot Loader Specification".
 */
#ifndef DISCO_BOOTENTRY_BLS_H
#define DISCO_BOOTENTRY_BLS_H

#include "monitor/bootentry/boot_entry.h"

#define BLS_TEXT_MAX KIB(64)

struct bls_entry {
	char name[BOOT_PATH_MAX]; /* of the file, without tries and ".conf" */
	bool bad;		  /* it has no tries left */
	char sort_key[BOOT_TITLE_MAX];
	char machine_id[BOOT_TITLE_MAX];
	char version[BOOT_TITLE_MAX];
	struct boot_item item;
};

/**
 * bls_parse() - read an entry
 * @name: of its file, "debian-6.1.0-18+3-0.conf"
 * @text: changed
 * @env:  of GRUB, "NAME=VALUE" lines, whose variables some distributions'
 *        options refer to; NULL: none
 *
 * Return: 0; -ENOENT no kernel for this machine: a program for a firmware,
 * another architecture; -E2BIG a value is too long.
 */
MUST_CHECK int bls_parse(const char *name, char *text, const char *env,
			 struct bls_entry *out);

/* Is @name one of an entry? */
bool bls_is_name(const char *name);

/*
 * The order of a menu, the entry to boot first: < 0, 0, > 0. Newer versions
 * come first.
 */
int bls_compare(const struct bls_entry *a, const struct bls_entry *b);

/**
 * bls_default() - the pattern of loader/loader.conf's "default"
 * @text: changed
 *
 * Return: a part of @text, for fnmatch(3) on names with ".conf"; NULL: none.
 */
const char *bls_default(char *text);

/* Does the pattern match the entry's name? */
bool bls_matches(const struct bls_entry *e, const char *pattern);

#endif
