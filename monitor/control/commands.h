/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of all commands. */
#ifndef DISCO_MONITOR_COMMANDS_H
#define DISCO_MONITOR_COMMANDS_H

#include "monitor/control/config/command.h"

/* `disco` itself. main() runs it; help, completion and man page read it. */
extern const struct command disco_command;

#endif
