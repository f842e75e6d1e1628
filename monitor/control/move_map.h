/* SPDX-License-Identifier: BSD-2-Clause */
/* What of a worker's address space an agent is to pull: from /proc/PID/maps. */
#ifndef DISCO_MONITOR_MOVE_MAP_H
#define DISCO_MONITOR_MOVE_MAP_H

#include <stdio.h>
#include <sys/types.h>

#include "disco/agent_proto.h"
#include "monitor/control/ram_file.h"

#define MOVE_RAM_NAME "/" RAM_FILE_NAME

/**
 * move_map_line() - a line of /proc/PID/maps
 * @what: AGENT_FILE: guest RAM, where it is shared; AGENT_ANON: all that can
 *        hold private pages
 * @out:  untouched unless it counts
 *
 * Return: whether the mapping counts.
 */
bool move_map_line(const char *line, uint32_t what, struct agent_range *out);

/* Add a range above the others; beyond AGENT_MAX_RANGES the last one grows. */
void move_map_add(struct agent_request *r, const struct agent_range *range);

/**
 * move_map_fill() - the ranges of @r, for r->what, from @maps
 * Return: 0; -EIO; -ENODATA nothing counts.
 */
MUST_CHECK int move_map_fill(struct agent_request *r, FILE *maps);

#endif
