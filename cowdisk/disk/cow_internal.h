/* SPDX-License-Identifier: BSD-2-Clause */
/* What cow.c and cow_flush.c share. */
#ifndef DISCO_COWDISK_COW_INTERNAL_H
#define DISCO_COWDISK_COW_INTERNAL_H

#include "cowdisk/disk/cow.h"

enum cow_phase {
	PHASE_RUN,   /* between the guest's memory and a file */
	PHASE_FILL,  /* reading a block of the base into the buffer */
	PHASE_EDGE,  /* writing the buffer */
	PHASE_ZERO,  /* writing zeroes from the buffer */
	PHASE_PUNCH, /* making a hole */
};

/* A request under way. */
struct cow_slot {
	struct io_req io;
	struct cow *cow;
	struct disk_req *r;
	struct cow_slot *next; /* free, waiting, or for the flush */
	uint64_t pos, end;     /* what is left, in bytes of the disk */
	uint64_t seg;	       /* bytes of the operation under way */
	enum cow_phase phase;
	struct iovec *iov; /* the guest's memory from pos on */
	unsigned nr_iov;
	unsigned last;	   /* pieces of the run: iov[0 .. last] */
	struct iovec rest; /* what is left of the last one; may be empty */
	bool stepping;	   /* step() is at work further up the stack */
	bool ready;	   /* ... and has to go on */
	int err;	   /* of the operation that is done */
	struct iovec edge_iov;
	uint8_t *edge; /* a block */
};

/* Blocks that a write has to itself. */
struct cow_range {
	uint64_t first, last;
	struct cow_slot *slot;
};

enum flush_phase { FLUSH_IDLE, FLUSH_DATA, FLUSH_MAP, FLUSH_MAP_SYNC };

struct cow_flush {
	struct io_req io;
	struct iovec iov;
	enum flush_phase phase;
	uint64_t page;		/* being written */
	uint64_t nr_taken;	/* pages of this round */
	struct cow_slot *wait;	/* came while a round was under way */
	struct cow_slot *round; /* acknowledged at the end of this one */
	bool stepping, ready;
	int err;
};

struct cow {
	struct io *io;
	struct cow_header header;
	struct cow_layout layout;
	struct cow_map map;
	struct cow_flush flush;
	unsigned flags;
	unsigned depth;
	bool failed;   /* a sync has failed: I9 */
	bool no_punch; /* the file system has no holes */
	struct cow_slot *slots;
	uint8_t *edges; /* a block a slot */
	struct cow_slot *free;
	unsigned nr_busy;
	struct cow_slot *waiting, **waiting_end; /* writes, in order */
	struct cow_range *active;
	unsigned nr_active;
	bool waking, wake_again;
	/* sequential reads, bytes of the disk */
	uint64_t next_read; /* where the last one ended */
	uint64_t row;	    /* bytes read up to there; at most AHEAD_MOST */
	uint64_t ahead;	    /* asked for up to here */
};

/* The end of a request: the slot is free, the guest is told. */
void cow_finish(struct cow_slot *s, int err);

/* A flush request has come. */
void cow_flush_add(struct cow_slot *s);

#endif
