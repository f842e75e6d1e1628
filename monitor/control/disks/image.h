/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `disco image`: copy-on-write files from the command line. image.c has the
 * table of subcommands, image_*.c do them.
 */
#ifndef DISCO_MONITOR_IMAGE_H
#define DISCO_MONITOR_IMAGE_H

#include "monitor/control/config/command.h"

/* `disco image create|info|check|commit|export|import|rebase` */
extern const struct command image_command;

/* The one option that a command has. */
enum { IMAGE_JSON = 0, IMAGE_FROM = 0 };

/*
 * One of them each. They block on files. Return: ST_OK, or the status that
 * `check --json` has printed; -errno with @d filled.
 */
MUST_CHECK int image_create(const struct command_args *a, struct diag *d);
MUST_CHECK int image_info(const struct command_args *a, struct diag *d);
MUST_CHECK int image_check(const struct command_args *a, struct diag *d);
MUST_CHECK int image_commit(const struct command_args *a, struct diag *d);
MUST_CHECK int image_export(const struct command_args *a, struct diag *d);
MUST_CHECK int image_import(const struct command_args *a, struct diag *d);
MUST_CHECK int image_rebase(const struct command_args *a, struct diag *d);

#endif
