/* SPDX-License-Identifier: BSD-2-Clause */
/* GRUB's environment block: /boot/grub/grubenv. */
#ifndef DISCO_BOOTENTRY_GRUB_ENV_H
#define DISCO_BOOTENTRY_GRUB_ENV_H

#include "disco/base.h"

#define GRUB_ENV_MAX KIB(64)

/**
 * grub_env_get() - look a variable up
 * @env: text of the block, or of "NAME=VALUE" lines; NULL: there is none
 * @to:  @size bytes; untouched if there is no such variable, or it is too long
 *
 * Return: was it found? Source: GRUB manual, "Environment block".
 */
bool grub_env_get(const char *env, const char *name, char *to, size_t size);

#endif
