/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file that crashes: struct io in memory, which remembers what was not
 * synced. Requests wait in a queue until crash_io_one() does one of them, the
 * oldest, the newest or any. A sync makes durable what was done before it
 * started, and nothing else.
 *
 * crash_view() is the file a machine finds after power was cut now: durable
 * contents, and of each write since (done, or still under way) all, nothing
 * or some sectors; of a bitmap page some bytes.
 *
 * The base is a function of the sector's number. Writing to it ends the test.
 */
#ifndef TESTS_CRASH_CRASH_IO_H
#define TESTS_CRASH_CRASH_IO_H

#include "cowdisk/disk/cow_format.h"

#define CRASH_SECTOR 512u

/* Contents of a sector in version @v; 0: the base's. */
void crash_pattern(uint64_t sector, uint64_t v, uint8_t out[CRASH_SECTOR]);

struct crash_random {
	uint64_t state;
};
uint64_t crash_rand(struct crash_random *r, uint64_t below);

/* Which of the requests that are under way is done next. */
enum crash_order { CRASH_OLDEST, CRASH_NEWEST, CRASH_ANY };

/* What becomes of writes that were not synced. */
enum crash_fate { CRASH_KEEP, CRASH_DROP, CRASH_TEAR, CRASH_FATES };

enum crash_fault {
	FAULT_NONE,
	FAULT_EIO,    /* nothing is transferred */
	FAULT_ENOSPC, /* nothing; writes only */
	FAULT_SHORT,  /* a part, then ENOSPC; writes only */
	FAULT_SYNC,   /* a sync fails, and what it had to write is lost */
};

struct crash_write; /* private */

struct crash_io {
	struct io io;
	struct cow_layout layout;
	uint8_t *now, *disk; /* file_bytes each */
	struct crash_write *log;
	unsigned nr_log, max_log;
	struct io_req *queue[64];
	unsigned queue_log[64]; /* a sync's: entries it covers */
	unsigned nr_queue;
	enum crash_order order;
	struct crash_random rand;
	uint64_t nr_done;  /* operations, of any kind */
	uint64_t fault_at; /* the nr_done it comes at */
	enum crash_fault fault;
	unsigned nr_faults; /* that came */
	bool at_once;	    /* requests are done when they are started */
	/* Called before a write, punch or sync is done; NULL: not. */
	void (*before)(struct crash_io *c, void *arg);
	void *arg;
};

void crash_io_init(struct crash_io *c, const struct cow_layout *l,
		   enum crash_order order, uint64_t seed);
void crash_io_free(struct crash_io *c);
bool crash_io_one(struct crash_io *c);

/* The file after a crash; requests are done at once. */
struct crash_view {
	struct io io;
	const struct crash_io *of;
	uint8_t **pages; /* by page of the file; NULL: as on disk */
	uint64_t *touched;
	uint64_t nr_touched, nr_pages;
};

void crash_view_init(struct crash_view *v, const struct crash_io *of);
void crash_view_cut(struct crash_view *v, enum crash_fate fate,
		    struct crash_random *r);
void crash_view_free(struct crash_view *v);

#endif
