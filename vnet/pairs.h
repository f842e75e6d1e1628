/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a port counts for each of the ports that it exchanges frames with, as
 * others read it: a table of VNET_PAIRS rows, in memory that the port's process
 * writes and others map for reading. A port has a row for each *busy* pair
 * (vnet/port.h), as long as there are rows; so the size of the table, and the work
 * of who reads it, grow with the number of ports and not with its square. A pair
 * without a row is counted all the same, and has its totals again in the next row
 * that it gets.
 *
 *	word		writer				readers
 *	who		whoever has the port		control
 *	words[]		whoever has the port		control
 *
 * One word has one writer: the process of the port, and in it who holds the
 * device's lock (monitor/dev/net/virtio_net.h). Frames of A for B are counted
 * twice: as sent by A, in A's row for B, and as received by B, in B's row for A.
 *
 * ORDERING. A row can come to belong to another pair. vnet_pair_read() returns
 * true only if all words that it has read were written for the pair that it
 * names (release and acquire of who, and a fence on each side). Words of one pair
 * are separate values: some may be newer than others.
 *
 * PROGRESS. All functions are wait-free. Checked by
 * tests/unit/vnet/test_pairs_model.c in all interleavings.
 */
#ifndef DISCO_VNET_PAIRS_H
#define DISCO_VNET_PAIRS_H

#include <stdatomic.h>

#include "disco/base.h"

#define VNET_PAIRS 64u

enum vnet_pair_word {
	VNET_PAIR_SENT = 0, /* frames; a broadcast is one for each port */
	VNET_PAIR_SENT_BYTES,
	VNET_PAIR_FULL, /* not sent: the other port takes no frames */
	VNET_PAIR_RECEIVED,
	VNET_PAIR_RECEIVED_BYTES,
	VNET_PAIR_LOST, /* received, but the guest could not take them */
	VNET_PAIR_BAD,	/* received, and against the rules */
	VNET_PAIR_WORDS
};

struct vnet_pair_row {
	/* [A: port/readers, release] generation << 32 | slot; 0: nobody */
	_Alignas(64) _Atomic(uint64_t) who;
	/* [A: port/readers, relaxed; ordered by who] */
	_Atomic(uint64_t) words[VNET_PAIR_WORDS];
};

_Static_assert(sizeof(struct vnet_pair_row) == 64, "shared layout");

/* @gen is not 0. */
static inline uint64_t vnet_pair_who(uint32_t slot, uint32_t gen)
{
	return (uint64_t)gen << 32 | slot;
}

/* The row belongs to @who from now on, whose counts are these. */
void vnet_pair_begin(struct vnet_pair_row *row, uint64_t who,
		     const uint64_t counts[VNET_PAIR_WORDS]);
/* Its counts have changed. */
void vnet_pair_update(struct vnet_pair_row *row,
		      const uint64_t counts[VNET_PAIR_WORDS]);
/* It is nobody's. */
void vnet_pair_end(struct vnet_pair_row *row);

/**
 * vnet_pair_read() - copy a row
 * @row: its writer may be hostile, and change it at any time
 * @who, @counts: out; not valid on false
 *
 * Return: true; false: it is nobody's, or has changed hands meanwhile.
 */
MUST_CHECK bool vnet_pair_read(const struct vnet_pair_row *row, uint64_t *who,
			       uint64_t counts[VNET_PAIR_WORDS]);

#endif
