/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands about clusters; and `disco exec`, which also serves them. */
#ifndef DISCO_MONITOR_CLUSTER_CLI_H
#define DISCO_MONITOR_CLUSTER_CLI_H

#include "monitor/control/config/command.h"

extern const struct command cluster_up, cluster_down, cluster_exec;

#endif
