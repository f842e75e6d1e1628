/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a worker reports about itself, from the kernel's own accounting.
 */
#ifndef DISCO_MONITOR_STATS_H
#define DISCO_MONITOR_STATS_H

#include "monitor/worker/vm/vm.h"

/* Open the needed files while files can be opened. Return: 0; -errno. */
MUST_CHECK int stats_init(void);

/**
 * stats_fill() - fill in CPU time, exits, and where guest memory is
 * @u: out
 *
 * Walks guest memory and the mappings, which takes milliseconds.
 * Context: I/O thread.
 */
void stats_fill(struct vm *vm, struct worker_usage *u);

#endif
