/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GRUB's configuration: finds the menu entry that GRUB boots by itself, and what
 * that entry loads.
 *
 * The script is interpreted as far as configurations made by update-grub and
 * grub-mkconfig need it: variables, if, functions (which are not called), menu
 * entries, submenus, and the commands that choose a default, a file system, a
 * kernel and its initrds. Other commands do nothing, and are false.
 * "next_entry", which GRUB would clear, is ignored.
 */
#ifndef DISCO_BOOTENTRY_GRUB_CFG_H
#define DISCO_BOOTENTRY_GRUB_CFG_H

#include "monitor/bootentry/boot_entry.h"

#define GRUB_CFG_MAX MIB(1)

/**
 * grub_cfg_default() - find what is booted by default
 * @text: the configuration
 * @env:  text of the environment block; NULL: there is none
 * @out:  title, files, command line and device; untouched on error
 * @why:  out on -EBADMSG and -ENOENT: text that follows "FILE: " in a message
 *
 * Return: 0; -ENOENT no entry, or the default entry does not load Linux;
 * -EBADMSG the script is broken, or exceeds a bound; -ENOMEM.
 */
MUST_CHECK int grub_cfg_default(const char *text, const char *env,
				struct boot_item *out, const char **why);

#endif
