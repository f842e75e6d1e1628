/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/replica/copies_move.h"

#include <numaif.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14 */
#endif

void copies_move(uint8_t *const *base, unsigned nr_maps, const uint64_t *pages,
		 unsigned nr, nodeid_t node, bool moved[COPIES_MOVE_PAGES])
{
	void *at[COPIES_MOVE_PAGES];
	int nodes[COPIES_MOVE_PAGES] = { 0 }, status[COPIES_MOVE_PAGES];
	long err;

	for (unsigned i = 0; i < nr; i++) {
		at[i] = base[0] + pages[i] * PAGE_BYTES;
		nodes[i] = node;
		/* move_pages(2) finds it by this mapping's page table. */
		(void)madvise(at[i], PAGE_BYTES, MADV_POPULATE_READ);
		for (unsigned m = 1; m < nr_maps; m++)
			(void)madvise(base[m] + pages[i] * PAGE_BYTES,
				      PAGE_BYTES, MADV_DONTNEED);
	}
	(void)move_pages(0, nr, at, nodes, status, MPOL_MF_MOVE);
	/* Where they are: if one has failed, the call has said of none. */
	err = move_pages(0, nr, at, NULL, status, 0);
	for (unsigned i = 0; i < nr; i++)
		moved[i] = !err && status[i] == node;
}
