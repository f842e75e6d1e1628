/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parses /proc/PID/maps: which parts of a worker's address space an agent has
 * to pull, and where a program's text is.
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
 * move_map_line() - parse a line of /proc/PID/maps
 * @what: AGENT_FILE: shared mappings of guest RAM and figures; AGENT_ANON: all
 *        mappings that can hold private pages
 * @out:  untouched unless the mapping counts
 *
 * Return: whether the mapping counts for @what.
 */
bool move_map_line(const char *line, uint32_t what, struct agent_range *out);

/**
 * move_map_text() - is it a line of a program's text or read-only data?
 * @program: name of the memfd that the program runs from (worker_code.h)
 * @out:     untouched unless it is such a line
 */
bool move_map_text(const char *line, const char *program,
		   struct agent_range *out);

/*
 * Where the text of one process was found. All-zero: not looked for. An agent
 * has some mappings per VM, and its text does not move.
 */
#define MOVE_MAP_TEXTS 4u
struct move_map_text {
	pid_t pid;
	unsigned nr;
	struct agent_range ranges[MOVE_MAP_TEXTS];
};

/**
 * move_map_text_pages() - find where the text of a running program is
 * @known:   in and out: what was found before
 * @pid:     a process of this user
 * @program: as for move_map_text()
 * @pages:   out, number of mapped pages; 0: not known, or not yet executed
 * @local:   out, how many of them are on @node
 *
 * Context: takes microseconds, the first time some per mapping of @pid; does not
 * stop @pid.
 */
void move_map_text_pages(struct move_map_text *known, pid_t pid,
			 const char *program, nodeid_t node, uint64_t *pages,
			 uint64_t *local);

/* Open the maps of a process. NULL: see errno, of open(). */
FILE *move_map_open(pid_t pid);

/**
 * move_map_add() - add a range above the others
 * @gap: a gap of at most this many bytes to the range before may become a part
 *       of that range
 *
 * Return: false: there are AGENT_MAX_RANGES already.
 */
bool move_map_add(struct agent_req_pull *r, const struct agent_range *range,
		  uint64_t gap);

/**
 * move_map_fill() - fill in the ranges of @r, for r->what, from @maps
 * @from: 0, or where the last request ended: guest memory with overlays
 *        consists of many mappings, and has more ranges than fit in one request
 *
 * For AGENT_ANON, small gaps (MOVE_MAP_GAP) become parts of ranges: a page in
 * them that does not count is not private. For AGENT_FILE they do not, because
 * overlaid pages are shared with other guests.
 *
 * Return: 0 these are all; 1 there are more; -EIO; -ENODATA no mapping counts.
 */
#define MOVE_MAP_GAP KIB(64)
MUST_CHECK int move_map_fill(struct agent_req_pull *r, FILE *maps,
			     uint64_t from);

#endif
