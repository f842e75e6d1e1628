/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Manual pages: what the tables know of commands and options, put into the
 * text that people write (docs/disco.1.in, docs/disco.json.5.in).
 */
#ifndef DISCO_MONITOR_MAN_H
#define DISCO_MONITOR_MAN_H

#include <stdio.h>

#include "monitor/control/config/command.h"

/**
 * man_page() - fill in a page
 * @in:   mdoc(7); of its lines these are replaced:
 *          .\" @synopsis            every command below @root
 *          .\" @options COMMAND     its options, with what goes into them
 *          .\" @keys vm|disk        of the JSON configuration
 * @out:  the page
 * @root: has all commands
 *
 * Return: 0; -EINVAL a line like these that is none of them; -EIO.
 */
MUST_CHECK int man_page(FILE *in, FILE *out, const struct command *root);

#endif
