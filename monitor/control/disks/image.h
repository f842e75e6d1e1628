/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `disco image`: copy-on-write files on the command line. image.c has the table
 * of subcommands, image_*.c implement them.
 */
#ifndef DISCO_MONITOR_IMAGE_H
#define DISCO_MONITOR_IMAGE_H

#include <jansson.h>

#include "monitor/control/config/command.h"

/* `disco image boot|create|info|check|commit|export|import|rebase` */
extern const struct command image_command;

/* The options of the subcommands, by their index. */
enum { IMAGE_JSON }; /* boot, info, check */
enum { IMAGE_CREATE_FORMAT };
enum { IMAGE_FROM, IMAGE_REBASE_FORMAT };
enum { IMAGE_BACKING }; /* import; may be given several times */

/*
 * One subcommand each. Context: control process; blocks on files. Return:
 * ST_OK, or the status that `check --json` has printed; -errno with @d filled.
 */
MUST_CHECK int image_boot(const struct command_args *a, struct diag *d);
MUST_CHECK int image_create(const struct command_args *a, struct diag *d);
MUST_CHECK int image_info(const struct command_args *a, struct diag *d);
MUST_CHECK int image_check(const struct command_args *a, struct diag *d);
MUST_CHECK int image_commit(const struct command_args *a, struct diag *d);
MUST_CHECK int image_export(const struct command_args *a, struct diag *d);
MUST_CHECK int image_import(const struct command_args *a, struct diag *d);
MUST_CHECK int image_rebase(const struct command_args *a, struct diag *d);

/*
 * Print what `--json` asked for on standard output. @j: is released, and may be
 * NULL (no memory). Return: 0; -errno with @d filled.
 */
MUST_CHECK int image_print_json(json_t *j, struct diag *d);

#endif
