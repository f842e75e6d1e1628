/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/replica/copies_scan.h"

#include <errno.h>
#include <numaif.h>
#include <unistd.h>

#include "disco/pagemap.h"

/* Who has touched each of @nr pages, as bits. */
static int scan_touched(const struct copies_scan *s, uint64_t nr,
			uint64_t views[COPIES_SCAN_PAGES])
{
	uint64_t e[COPIES_SCAN_PAGES];

	for (uint64_t i = 0; i < nr; i++)
		views[i] = 0;
	for (unsigned v = 0; v < s->nr_views; v++) {
		uint64_t first = (uintptr_t)s->base[v] / PAGE_BYTES + s->at;
		int64_t n = pagemap_read(s->pagemap, first, e, nr);

		if (n != (int64_t)nr)
			return n < 0 ? (int)n : -EIO;
		for (uint64_t i = 0; i < nr; i++)
			views[i] |= (uint64_t)((e[i] & PM_PRESENT) != 0) << v;
	}
	return 0;
}

/* Of these, the views that show no copy: what they show is the page itself. */
static uint64_t scan_bare(const struct copies_scan *s, uint64_t page,
			  uint64_t views)
{
	for (unsigned v = 0; v < s->nr_views; v++)
		if (s->shown[v][page / 64] >> (page % 64) & 1)
			views &= ~(1ull << v);
	return views;
}

/* Not for those on whose node it is anyhow. */
static void scan_leave_out_home(const struct copies_scan *s,
				struct copies_found *f, unsigned nr)
{
	void *pages[COPIES_SCAN_PAGES];
	int status[COPIES_SCAN_PAGES];

	if (!nr || s->nodes[0] == NODE_AUTO)
		return;
	for (unsigned i = 0; i < nr; i++)
		pages[i] = (void *)(uintptr_t)(s->base[__builtin_ctzll(
						       f[i].views)] +
					       f[i].page * PAGE_BYTES);
	/* A kernel without nodes: all of them get one. */
	if (move_pages(0, nr, pages, NULL, status, 0) < 0)
		return;
	for (unsigned i = 0; i < nr; i++)
		for (unsigned v = 0; v < s->nr_views; v++)
			if (s->nodes[v] == status[i])
				f[i].views &= ~(1ull << v);
}

int copies_scan_next(struct copies_scan *s,
		     struct copies_found out[COPIES_SCAN_PAGES])
{
	uint64_t views[COPIES_SCAN_PAGES];
	uint64_t nr = min_u64(COPIES_SCAN_PAGES, s->nr_pages - s->at);
	unsigned found = 0, kept = 0;
	int err = scan_touched(s, nr, views);

	if (err)
		return err;
	for (uint64_t i = 0; i < nr; i++) {
		uint64_t bare = scan_bare(s, s->at + i, views[i]);

		if (bare && views[i] & (views[i] - 1)) /* two, or more */
			out[found++] = (struct copies_found){ s->at + i, bare };
	}
	s->at = s->at + nr < s->nr_pages ? s->at + nr : 0;
	scan_leave_out_home(s, out, found);
	for (unsigned i = 0; i < found; i++)
		if (out[i].views)
			out[kept++] = out[i];
	return (int)kept;
}
