/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/placement/actions.h"

static bool actions_precede(const struct placement_action *a,
			    const struct placement_action *b)
{
	return a->to != b->to ? a->to < b->to : a->page < b->page;
}

/* Of a heap of @nr actions, all but the one at @at are in order. */
static void actions_sift(struct placement_action *a, unsigned at, unsigned nr)
{
	struct placement_action moved = a[at];
	unsigned child;

	while ((child = 2 * at + 1) < nr) {
		if (child + 1 < nr && actions_precede(&a[child], &a[child + 1]))
			child++;
		if (!actions_precede(&moved, &a[child]))
			break;
		a[at] = a[child];
		at = child;
	}
	a[at] = moved;
}

void actions_sort(struct placement_action *a, unsigned nr)
{
	struct placement_action last;

	for (unsigned i = nr / 2; i-- > 0;)
		actions_sift(a, i, nr);
	for (unsigned n = nr; n-- > 1;) {
		last = a[n];
		a[n] = a[0];
		a[0] = last;
		actions_sift(a, 0, n);
	}
}
