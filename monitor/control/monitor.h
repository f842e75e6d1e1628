/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `disco monitor`: control in the background. One thread, one loop; what
 * could make it wait (files, kernels, a start) is done by a child
 * (starter.h), and no answer of a worker is waited for but in the loop.
 *
 * VMs outlive it: when it ends, they go on, and the next one takes them over.
 */
#ifndef DISCO_MONITOR_MONITOR_H
#define DISCO_MONITOR_MONITOR_H

#include "disco/diag.h"

/* Its options, for the parser, --help and the shells' completion. */
extern const struct cli_command cli_monitor;

/**
 * monitor_main() - `disco monitor`
 * Context: main thread. Return: exit status; -errno with @d filled.
 */
MUST_CHECK int monitor_main(int argc, char **argv, struct diag *d);

#endif
