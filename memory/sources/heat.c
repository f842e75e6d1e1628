/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/sources/heat.h"

#include <string.h>

#include "disco/mix.h"

void heat_map_add(struct heat_map *h, const struct heat_region *r, unsigned nr,
		  uint64_t pages, uint64_t *strange)
{
	for (unsigned i = 0; i < nr; i++) {
		const struct heat_region *last =
			h->nr_next ? &h->next[h->nr_next - 1] : NULL;

		if (h->nr_next == HEAT_REGIONS || !r[i].pages ||
		    r[i].page >= pages || r[i].pages > pages - r[i].page ||
		    (last && r[i].page < last->page + last->pages)) {
			++*strange;
			continue;
		}
		h->next[h->nr_next++] = r[i];
	}
}

static uint64_t heat_map_accessed(const struct heat_map *h)
{
	uint64_t pages = 0;

	for (unsigned i = 0; i < h->nr_now; i++)
		pages += h->now[i].accesses ? h->now[i].pages : 0;
	return pages;
}

void heat_map_end(struct heat_map *h, uint64_t period_ns)
{
	uint64_t accessed;

	memcpy(h->now, h->next, h->nr_next * sizeof(h->now[0]));
	h->nr_now = h->nr_next;
	h->nr_next = 0;
	h->period_ns = period_ns;
	accessed = heat_map_accessed(h);
	for (h->stride = 1; accessed / h->stride > HEAT_PAGES;)
		h->stride *= 2;
	h->phase = mix_u64((h->snapshots++ / 2 + 1) * MIX_STEP) % h->stride;
	h->at = 0;
	h->page = 0;
}

/* The first page from @page on that this snapshot names. */
static uint64_t heat_map_first(const struct heat_map *h, uint64_t page)
{
	uint64_t over = (page - h->phase) % h->stride;

	return over ? page + h->stride - over : page;
}

bool heat_map_next(struct heat_map *h, uint64_t *page, uint32_t *accesses)
{
	for (; h->at < h->nr_now; h->at++) {
		const struct heat_region *r = &h->now[h->at];
		uint64_t next = heat_map_first(h, max_u64(h->page, r->page));

		if (!r->accesses || next >= r->page + r->pages)
			continue;
		*page = next;
		*accesses = r->accesses;
		h->page = next + 1;
		return true;
	}
	return false;
}
