/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * As a sequence lock whose sequence is the owner:
 *
 *	writer: store who 0; release fence; store words; store who (release)
 *	reader: load who (acquire); load words; acquire fence; load who
 *
 * A reader that has seen a word of another owner sees, after its fence, the 0
 * that was stored before that word, or what came later: so who differs.
 */
#include "vnet/pairs.h"

#include "numa/atomic_ops.h"

void vnet_pair_update(struct vnet_pair_row *row,
		      const uint64_t counts[VNET_PAIR_WORDS])
{
	for (unsigned i = 0; i < VNET_PAIR_WORDS; i++)
		shared_store(&row->words[i], counts[i], memory_order_relaxed);
}

void vnet_pair_end(struct vnet_pair_row *row)
{
	shared_store(&row->who, 0, memory_order_relaxed);
}

void vnet_pair_begin(struct vnet_pair_row *row, uint64_t who,
		     const uint64_t counts[VNET_PAIR_WORDS])
{
	vnet_pair_end(row);
	shared_fence(memory_order_release);
	vnet_pair_update(row, counts);
	shared_store(&row->who, who, memory_order_release);
}

bool vnet_pair_read(const struct vnet_pair_row *row, uint64_t *who,
		    uint64_t counts[VNET_PAIR_WORDS])
{
	*who = shared_load(&row->who, memory_order_acquire);
	if (!*who)
		return false;
	for (unsigned i = 0; i < VNET_PAIR_WORDS; i++)
		counts[i] = shared_load(&row->words[i], memory_order_relaxed);
	shared_fence(memory_order_acquire);
	return shared_load(&row->who, memory_order_relaxed) == *who;
}
