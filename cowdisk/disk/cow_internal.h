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
	struct cow_slot *next; /* in a list: free, waiting, or flushing */
	uint64_t pos, end;     /* the part that is left, in bytes of the disk */
	uint64_t seg;	       /* bytes of the operation under way */
	enum cow_phase phase;
	struct iovec *iov; /* the guest's memory from pos on */
	unsigned nr_iov;
	unsigned last;	   /* the run has pieces iov[0 .. last] */
	struct iovec rest; /* of the last piece, beyond the run; may be empty */
	bool stepping;	   /* step() is active further up the stack */
	bool ready;	   /* step() has to continue */
	int err;	   /* of the operation that completed */
	struct iovec edge_iov;
	uint8_t *edge; /* buffer of one block */
};

/* Blocks that a write uses exclusively. */
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
	struct cow_slot *wait;	/* flushes that came during a round */
	struct cow_slot *round; /* flushes acknowledged at the round's end */
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
	bool failed;   /* a sync has failed: invariant I9 */
	bool no_punch; /* the file system has no holes */
	struct cow_slot *slots;
	uint8_t *edges; /* one block per slot */
	struct cow_slot *free;
	unsigned nr_busy;
	struct cow_slot *waiting, **waiting_end; /* writes, in order */
	struct cow_range *active;
	unsigned nr_active;
	bool waking, wake_again;
	/* Sequential reads, in bytes of the disk. */
	uint64_t next_read; /* where the last read ended */
	uint64_t row;	    /* length of the sequence; at most AHEAD_MOST */
	uint64_t ahead;	    /* end of the range that was announced */
};

/* End a request: free its slot and report the result to the guest. */
void cow_finish(struct cow_slot *s, int err);

/* Add a flush request. */
void cow_flush_add(struct cow_slot *s);

#endif
