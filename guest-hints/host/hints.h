/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker's end of a guest's hints (guest-hints/abi/hints_abi.h): takes
 * entries from the ring, checks them, and does what can be done at once, or
 * leaves a record for the placement engine.
 *
 *	hint			what is done
 *	FREE			ops.free: the pages go back to the machine
 *	ZERO			ops.zero
 *	COLD			ops.cold, and a record
 *	MERGE			ops.merge
 *	all others		a record (disco/hint_log.h)
 *
 * The guest is hostile. Each entry is copied once, then checked, then used; what
 * the guest names is its own memory or nothing. The time that its hints take is
 * bounded:
 *
 *  1. Hints, with what they cause, take at most 1/HINTS_SHARE of the time, and
 *     HINTS_BURST_NS at once. Then nothing is taken, and no doorbell is looked
 *     at, until that much time has passed. Each wake-up counts HINTS_WAKE_NS.
 *  2. FREE is not counted when at least half of the pages were returned: the
 *     guest has spent more time on touching them than it takes to free them.
 *  3. One call of hints_serve() takes HINTS_TURN_NS and one step: other devices
 *     have their turn in between.
 *  4. An entry with many pages is done in steps of HINTS_STEP pages.
 *
 * No clock and no system call of its own. Context of all functions: the I/O
 * thread, except where they say otherwise.
 */
#ifndef DISCO_GUEST_HINTS_HINTS_H
#define DISCO_GUEST_HINTS_HINTS_H

#include "disco/base.h"
#include "disco/hint_log.h"
#include "disco/limits.h"
#include "guest-hints/abi/hints_abi.h"

#define HINTS_SHARE    64u /* 1.6 % of a CPU */
#define HINTS_BURST_NS 20000000ull
#define HINTS_WAKE_NS  5000ull
#define HINTS_TURN_NS  1000000ull
#define HINTS_STEP     512u /* pages: 2 MiB */

/* What hints act upon. Pages are guest frames, 1 .. HINTS_STEP of them. */
struct hints_ops {
	uint64_t (*now_ns)(void *arg); /* CLOCK_MONOTONIC */
	/* Whether all of the pages are RAM. */
	bool (*is_ram)(void *arg, uint64_t page, uint64_t pages);
	/* Return: pages by which the guest's memory has become smaller. */
	uint64_t (*free)(void *arg, uint64_t page, uint64_t pages);
	void (*zero)(void *arg, uint64_t page, uint64_t pages);
	void (*cold)(void *arg, uint64_t page, uint64_t pages);
	void (*merge)(void *arg, uint64_t page, uint64_t pages);
};

/* Counts, in total. */
struct hints_counts {
	uint64_t kinds[HINTS_NR_KINDS]; /* entries that were of use */
	uint64_t refused;		/* entries that were of none */
	uint64_t freed, cold, merged;	/* pages */
	uint64_t slowed;		/* times that the guest had to wait */
	uint64_t broken;		/* times that the ring was */
	uint64_t spent_ns;		/* by all of this */
};

struct hints_config {
	const struct hints_ops *ops; /* outlives the object */
	void *arg;
	/*
	 * The device's memory, of HINTS_BAR_BYTES from its start on: as the
	 * host writes it, and mapped without write access. Not owned; zeroes.
	 */
	uint8_t *bar;
	const uint8_t *ring; /* HINTS_RING_BYTES */
	struct hint_log *log;
	uint32_t nr_vcpus;
	uint32_t flags; /* HINTS_INFO_REPLICAS, HINTS_INFO_KEEPS */
};

struct hints {
	struct hints_config c;	 /* [I] */
	struct hints_info *info; /* in the BAR */
	uint32_t head;
	struct hints_entry entry; /* that is under way */
	uint64_t done;		  /* pages of it */
	bool under_way, broken;
	int64_t credit_ns;   /* what may be spent; may be negative */
	uint64_t counted_ns; /* when credit was computed last */
	struct hints_counts counts;
};

enum hints_next {
	HINTS_DONE, /* the ring is empty, or broken: wait for a doorbell */
	HINTS_MORE, /* call again, when others had their turn */
	HINTS_WAIT, /* call again after a while, whatever the guest does */
};

/**
 * hints_init() - an empty ring
 *
 * Context: before the first vCPU runs.
 */
void hints_init(struct hints *h, const struct hints_config *c);

/**
 * hints_serve() - take entries, because of a doorbell or of an earlier result
 * @wait_ns: out, with HINTS_WAIT: how long
 */
enum hints_next hints_serve(struct hints *h, uint64_t *wait_ns);

/* HINTS_REG_RESET was written: the ring is empty, and not broken any more. */
void hints_reset(struct hints *h);

/**
 * hints_tell_home() - the guest's home node has changed, or is known now
 * @node: its number; NODE_AUTO: not known
 */
void hints_tell_home(struct hints *h, nodeid_t node);

/* The same for one vCPU of a guest that is spread over nodes. */
void hints_tell_vcpu_home(struct hints *h, uint32_t vcpu, nodeid_t node);

/**
 * hints_tell_distances() - the machine's nodes
 * @distance: [nr][nr], as in the ACPI SLIT, by number
 * @nr:       at most HINTS_MAX_NODES
 *
 * Context: before the first vCPU runs.
 */
void hints_tell_distances(struct hints *h, const uint8_t *distance,
			  uint32_t nr);

#endif
