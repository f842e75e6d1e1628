/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What /proc/PID/maps says: what of a worker's address space an agent is to
 * pull, and where a program's text is.
 */
#ifndef DISCO_MONITOR_MOVE_MAP_H
#define DISCO_MONITOR_MOVE_MAP_H

#include <stdio.h>
#include <sys/types.h>

#include "disco/agent_proto.h"
#include "monitor/control/workers/ram_file.h"
#include "monitor/ipc/figures.h"

#define MOVE_RAM_NAME	  "/" RAM_FILE_NAME
#define MOVE_FIGURES_NAME "/memfd:" FIGURES_NAME

/**
 * move_map_line() - a line of /proc/PID/maps
 * @what: AGENT_FILE: guest RAM and figures, where shared; AGENT_ANON: all that
 * can hold private pages
 * @out:  untouched unless it counts
 *
 * Return: whether the mapping counts.
 */
bool move_map_line(const char *line, uint32_t what, struct agent_range *out);

/**
 * move_map_text() - is it a line of a program's text or read-only data?
 * @program: that runs from a memfd of this name (worker_code.h)
 * @out:     untouched unless it is
 */
bool move_map_text(const char *line, const char *program,
		   struct agent_range *out);

/**
 * move_map_text_pages() - where the text of a running program is
 * @pid:     of this user
 * @program: as above
 * @pages:   out, mapped pages of it; 0: not known, or not yet executed
 * @local:   out, those that are on @node
 *
 * Context: microseconds; looks at @pid without stopping it.
 */
void move_map_text_pages(pid_t pid, const char *program, nodeid_t node,
			 uint64_t *pages, uint64_t *local);

/* The lines of a process. NULL: errno of open(). */
FILE *move_map_open(pid_t pid);

/**
 * move_map_add() - add a range above the others
 * @gap: what lies between it and the one before, up to so many bytes, may
 *       become a part of that one
 *
 * Return: false: there are AGENT_MAX_RANGES already.
 */
bool move_map_add(struct agent_req_pull *r, const struct agent_range *range,
		  uint64_t gap);

/**
 * move_map_fill() - the ranges of @r, for r->what, from @maps
 * @from: 0, or where the last request ended: guest memory with overlays in it
 *        is many mappings, and has more ranges than a request
 *
 * For AGENT_ANON small gaps are looked at as well (MOVE_MAP_GAP): no page that
 * does not count is private. For AGENT_FILE they are not: what is overlaid is
 * everybody's.
 *
 * Return: 0 these are all; 1 there are more; -EIO; -ENODATA nothing counts.
 */
#define MOVE_MAP_GAP KIB(64)
MUST_CHECK int move_map_fill(struct agent_req_pull *r, FILE *maps,
			     uint64_t from);

#endif
