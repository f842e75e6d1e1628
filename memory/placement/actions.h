/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order in which an engine gives its actions: those with one destination in a
 * row, by page, as one call moves them.
 *
 * Heapsort. No qsort(3): for more than 1 KiB it asks how much memory the machine
 * has, by a system call that ends an agent.
 */
#ifndef DISCO_MEMORY_ACTIONS_H
#define DISCO_MEMORY_ACTIONS_H

#include "memory/placement/engine.h"

void actions_sort(struct placement_action *a, unsigned nr);

#endif
