/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A heat map of a trace: how often pages were accessed over time, in cells of
 * some pages by some time, and the share of it that was remote for a given home.
 */
#ifndef DISCO_MONITOR_HEAT_H
#define DISCO_MONITOR_HEAT_H

#include "memory/sim/sim.h"
#include "memory/trace/trace_read.h"

#define HEAT_COLUMNS 96u
#define HEAT_ROWS    64u
#define HEAT_SEVERAL 254u
#define HEAT_NO_NODE 255u

struct heat {
	uint64_t first_ns, last_ns;
	double column_ns;
	uint64_t pages; /* touched ones, of all VMs: the rows are of them */
	double row_pages;
	uint64_t most; /* weight of the fullest cell */
	double floor;  /* of the cells that are not 0: the emptiest tenth */
	uint64_t cells[HEAT_ROWS][HEAT_COLUMNS];
	/* Which node made more than half of a cell's accesses; HEAT_*. */
	uint8_t nodes[HEAT_ROWS][HEAT_COLUMNS];
};

/**
 * heat_make() - read a trace twice: its extent, then its accesses
 * @out: 1 MiB and more: not for a stack
 *
 * Return: 0; -ENOMEM; errors of trace_next().
 */
MUST_CHECK int heat_make(const char *path, struct heat *out, struct diag *d);

#endif
