/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control's side of a worker's figures (monitor/ipc/figures.h): mapped
 * read-only, copied word by word, once, and cut to what can be added up and
 * printed. Nothing in it is an index, a length or an address, so a worker that
 * writes nonsense there has wrong figures, and that is all.
 */
#ifndef DISCO_MONITOR_CONTROL_FIGURES_H
#define DISCO_MONITOR_CONTROL_FIGURES_H

#include <sys/types.h>

#include "monitor/ipc/figures.h"
#include "numa/region.h"

/* The largest count told: exact as a double, and 512 of them fit an int64. */
#define FIGURES_MAX (1ull << 53)

struct figures_copy {
	uint64_t exits[VM_MAX_VCPUS][FIGURES_NR_EXITS];
	uint64_t io_wakeups, io_events, freed_pages;
	uint64_t cache[FIGURES_NR_CACHE]; /* enum figures_cache_word */
};

/* All-zero is one that was not opened. One thread. */
struct figures_view {
	struct region_view region; /* empty: not open */
	unsigned nr_vcpus;
	bool known;		  /* @last says something */
	struct figures_copy last; /* when they were looked at last */
};

/**
 * figures_open() - map the region of a worker that runs
 * @f:        all-zero, open (nothing is done), or closed
 * @pid:      of the worker, known to be it
 * @nr_vcpus: of its VM; beyond VM_MAX_VCPUS they are not read
 *
 * Through /proc, so the same for one that was adopted.
 *
 * Return: 0; -EPROTO there is no region of this size and these seals (a worker
 * of another build); -EBADF; -ESRCH, -ENOENT it is gone; -errno of open().
 */
MUST_CHECK int figures_open(struct figures_view *f, pid_t pid,
			    unsigned nr_vcpus);

/* Copy what is there now to @f->last. One that is not open stays as it is. */
void figures_look(struct figures_view *f);

/* Look, and unmap; @f->last stays. */
void figures_close(struct figures_view *f);

/**
 * figures_leave() - close, so that the region's pages can be pulled to a node
 * @node: where pages that are not there yet come from, from now on
 *
 * A page that two processes map stays where it is (move_pages(2) without
 * MPOL_MF_MOVE_ALL, which takes a capability): control has to let go first.
 * figures_open() afterwards.
 */
void figures_leave(struct figures_view *f, nodeid_t node);

/* "io" and the like. */
const char *figures_exit_name(enum figures_exit why);

#endif
