/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest for a copy-on-write disk over a crash_io: random requests, several
 * under way at once, and a memory of what each sector may hold. Each write
 * has a number, its version, and writes it into every sector.
 *
 * What a sector may hold: the version its last acknowledged flush covers, or
 * any version that was started later.
 */
#ifndef TESTS_CRASH_WORKLOAD_H
#define TESTS_CRASH_WORKLOAD_H

#include "cowdisk/disk/cow.h"
#include "tests/crash/crash_io.h"

#define WL_WINDOWS	  3u
#define WL_WINDOW_SECTORS 512u
#define WL_SECTORS	  (WL_WINDOWS * WL_WINDOW_SECTORS)
#define WL_DEPTH	  8u
#define WL_REQ_SECTORS	  40u

struct wl_op {
	uint16_t first, nr; /* sectors, as the workload counts them */
	bool zero;
};

struct wl_req {
	struct disk_req r;
	struct workload *w;
	bool busy;
	uint32_t version;
	uint16_t first, nr;
	struct iovec iov[3];
	uint8_t data[WL_REQ_SECTORS * CRASH_SECTOR];
	uint32_t floor[WL_SECTORS]; /* read, flush: completed at its start */
};

struct workload {
	struct crash_io c;
	struct cow *cow;
	struct cow_layout layout;
	struct crash_random rand;
	struct wl_req reqs[WL_DEPTH];
	unsigned nr_busy;
	bool one_flush; /* never two flushes under way */
	unsigned nr_flushing;
	struct wl_op *ops; /* by version */
	uint32_t nr_ops, version;
	uint32_t durable[WL_SECTORS], completed[WL_SECTORS], zero[WL_SECTORS];
	uint8_t writers[WL_SECTORS];
	/* what happened */
	uint64_t nr_flushes, nr_reads, nr_errors, nr_flush_errors;
	uint64_t nr_checked; /* sectors */
	uint64_t nr_lost;    /* ... that held what they may not */
};

/* @nr_ops requests at most. */
void workload_init(struct workload *w, uint32_t nr_ops, enum crash_order order,
		   uint64_t seed, bool at_once);
void workload_free(struct workload *w);

/* One request more, or one operation more. */
void workload_step(struct workload *w);
/* Until nothing is under way. */
void workload_drain(struct workload *w);
/* A flush, to its end. Return: 0 or -errno. */
int workload_flush(struct workload *w);

/* Read all sectors of a disk and check them against @floor. */
void workload_check(struct workload *w, struct cow *cow, const uint32_t *floor);
/* The machine stops now: what is on the disk? */
void workload_crash(struct workload *w, struct crash_view *v,
		    enum crash_fate fate, struct crash_random *r);

#endif
