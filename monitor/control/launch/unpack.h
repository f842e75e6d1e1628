/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DISCO_MONITOR_UNPACK_H
#define DISCO_MONITOR_UNPACK_H

#include "monitor/control/config/command.h"

/*
 * `disco unpack KERNEL...`: fill the cache of unpacked kernels. Prints one line
 * per kernel; the first one that fails ends it. Blocks on files.
 */
extern const struct command unpack_command;

#endif
