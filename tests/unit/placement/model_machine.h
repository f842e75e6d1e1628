/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine of four nodes with a CPU each, whose memory is seen by the lab's
 * plugin (lab/flash.c), which is part of the program: this file stands for QEMU.
 * No code runs on the CPUs: who uses it says what each of them accesses.
 */
#ifndef DISCO_TESTS_PLACEMENT_MODEL_MACHINE_H
#define DISCO_TESTS_PLACEMENT_MODEL_MACHINE_H

#include "numa/flash.h"

#define MODEL_NODES  4u
#define MODEL_FRAMES 32768u /* per node: 128 MiB */

/* The window, as the lab sees it; distances are 30: 900 ns. */
extern struct flash model_window;

/* @trigger: misses that make a page hot. Ends with the program if it cannot. */
void model_create(unsigned trigger);
void model_destroy(void);

/* Counts are 0 from now on. */
void model_reset(void);

/* A CPU loads from, or stores to, an address of the machine's memory. */
void model_access(unsigned cpu, uint64_t at, bool store);

/* It executes so many instructions. */
void model_execute(unsigned cpu, uint64_t instructions);

#endif
