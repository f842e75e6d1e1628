/* SPDX-License-Identifier: BSD-2-Clause */
#include "vnet/refs.h"

#include <string.h>

unsigned vnet_refs_count(const struct vnet_refs *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < VNET_REF_RUNS && r->runs[i]; i++)
		n += vnet_ref_blocks(r->runs[i]);
	return n;
}

bool vnet_refs_add(struct vnet_refs *r, uint64_t image, uint64_t block)
{
	unsigned i = 0;

	if ((r->image && r->image != image) || block > VNET_REF_LAST ||
	    vnet_refs_count(r) == VNET_REF_BLOCKS)
		return false;
	while (i < VNET_REF_RUNS && r->runs[i])
		i++;
	if (i &&
	    vnet_ref_first(r->runs[i - 1]) + vnet_ref_blocks(r->runs[i - 1]) ==
		    block) {
		r->runs[i - 1]++;
		return true;
	}
	if (i == VNET_REF_RUNS)
		return false;
	r->image = image;
	r->runs[i] = block << 8 | 1;
	return true;
}

bool vnet_refs_check(struct vnet_refs *r)
{
	bool good = r->image && r->runs[0], ended = false;
	unsigned n = 0;

	for (unsigned i = 0; i < VNET_REF_RUNS; i++) {
		unsigned blocks = vnet_ref_blocks(r->runs[i]);

		/* No run of no blocks, and none after the end. */
		good = good && (!r->runs[i] || (blocks && !ended));
		ended |= !r->runs[i];
		n += blocks;
	}
	good = good && n <= VNET_REF_BLOCKS;
	if (!good)
		memset(r, 0, sizeof(*r));
	return good;
}
