/* SPDX-License-Identifier: BSD-2-Clause */
/* Traces in memory, for tests. */
#ifndef TESTS_UNIT_TRACE_FILES_H
#define TESTS_UNIT_TRACE_FILES_H

#include "memory/import/synth.h"
#include "memory/sim/sim.h"
#include "memory/trace/trace_read.h"

/* A file without a name. */
int file_make(void);

/* A small machine of two nodes, with one VM of 100 pages; owned by the test. */
struct trace_info *info_make(void);

/* An access of @page by @node at @ms. */
struct access_record access_of(uint64_t ms, uint64_t page, uint8_t node);

/* A synthetic run in a file. */
int synth_file(const char *text);

/* The machine of a trace. */
void machine_of(const struct trace_info *i, struct sim_machine *m);

#endif
