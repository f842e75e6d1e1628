/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * References to blocks of a disk image, which a frame may carry beside its bytes:
 * its sender has seen that pages of the frame are these blocks, as its guest shows
 * them from the buffer cache. They lie in the chunk, between the header of offloads
 * and the bytes of the frame, in frames of type VNET_REFS (vnet/port.h).
 *
 * A reference is a hint. Who takes one compares before it does anything, so that
 * a wrong one costs a comparison. All references of a frame are to one image, in
 * at most VNET_REF_RUNS runs of blocks, and to VNET_REF_BLOCKS blocks at most.
 *
 * Context of all functions: any thread; no memory but their arguments.
 */
#ifndef DISCO_VNET_REFS_H
#define DISCO_VNET_REFS_H

#include "disco/base.h"

#define VNET_REF_RUNS	5u
#define VNET_REF_BLOCKS 32u /* of a frame: 64 KiB in halves of a page */
#define VNET_REF_LAST	((1ull << 56) - 1) /* the largest number of a block */

/* As it lies in a chunk. */
struct vnet_refs {
	uint64_t
		image; /* which one, as control has numbered it; 0: no references */
	/* first block << 8 | number of blocks; 0: there are no more runs */
	uint64_t runs[VNET_REF_RUNS];
};

_Static_assert(sizeof(struct vnet_refs) == 48, "shared layout");

static inline uint64_t vnet_ref_first(uint64_t run)
{
	return run >> 8;
}

static inline unsigned vnet_ref_blocks(uint64_t run)
{
	return run & 0xff;
}

/**
 * vnet_refs_add() - add a reference to a block
 * @image: not 0
 * @block: 0 .. VNET_REF_LAST
 *
 * Return: false: it is of another image than the others, or there is no place for
 * one more; nothing was changed.
 */
bool vnet_refs_add(struct vnet_refs *r, uint64_t image, uint64_t block);

/* Number of blocks; @r was made by vnet_refs_add(), or was checked. */
unsigned vnet_refs_count(const struct vnet_refs *r);

/*
 * Check a copy of what a peer has written. Return: true: it names 1 to
 * VNET_REF_BLOCKS blocks, in runs that vnet_refs_add() could have made; false: @r
 * is all zeroes now.
 */
bool vnet_refs_check(struct vnet_refs *r);

#endif
