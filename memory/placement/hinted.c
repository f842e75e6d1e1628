/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/placement/hinted.h"

#include <string.h>

static bool hinted_has_effect(uint8_t kind)
{
	return kind == HINTS_READ_MOSTLY || kind == HINTS_PRIVATE ||
	       kind == HINTS_REWRITE || kind == HINTS_COLD || kind == HINTS_PIN;
}

/* Index of the first range that ends behind a page. */
static unsigned hinted_at(const struct hinted *h, uint64_t page)
{
	unsigned from = 0, to = h->nr;

	while (from < to) {
		unsigned mid = from + (to - from) / 2;

		if (h->ranges[mid].end <= page)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

static void hinted_remove(struct hinted *h, unsigned i)
{
	h->nr--;
	memmove(&h->ranges[i], &h->ranges[i + 1],
		(h->nr - i) * sizeof(h->ranges[0]));
}

static void hinted_make_room(struct hinted *h)
{
	unsigned oldest = 0;

	if (h->nr < HINTED_MAX)
		return;
	for (unsigned i = 1; i < h->nr; i++)
		if (h->ranges[i].age < h->ranges[oldest].age)
			oldest = i;
	hinted_remove(h, oldest);
}

static void hinted_insert(struct hinted *h, const struct hinted_range *r)
{
	unsigned i;

	hinted_make_room(h);
	i = hinted_at(h, r->first);
	memmove(&h->ranges[i + 1], &h->ranges[i],
		(h->nr - i) * sizeof(h->ranges[0]));
	h->ranges[i] = *r;
	h->nr++;
}

/* What was said of [first, end) is over. */
static void hinted_cut(struct hinted *h, uint64_t first, uint64_t end)
{
	unsigned i = hinted_at(h, first);

	while (i < h->nr && h->ranges[i].first < end) {
		struct hinted_range *r = &h->ranges[i], behind = *r;

		if (r->first < first && r->end > end) {
			r->end = first;
			behind.first = end;
			behind.credit = 0;
			hinted_insert(h, &behind);
			return;
		}
		if (r->first >= first && r->end <= end) {
			hinted_remove(h, i);
			continue;
		}
		if (r->first < first)
			r->end = first;
		else
			r->first = end;
		i++;
	}
}

void hinted_add(struct hinted *h, uint64_t first, uint64_t pages, uint8_t kind,
		uint8_t node)
{
	const struct hinted_range r = {
		.first = first,
		.end = first + pages,
		.age = ++h->age,
		.kind = kind,
		.node = kind == HINTS_PRIVATE ? node : ACCESS_NO_NODE,
		.to = HINTED_NOT_MOVED,
	};

	if (!pages || first > UINT64_MAX - pages)
		return;
	if (!hinted_has_effect(kind) && kind != HINTS_PIN_OFF &&
	    kind != HINTS_FORGET)
		return;
	hinted_cut(h, r.first, r.end);
	if (hinted_has_effect(kind))
		hinted_insert(h, &r);
}

struct hinted_range *hinted_find(struct hinted *h, uint64_t page)
{
	unsigned i = hinted_at(h, page);

	return i < h->nr && h->ranges[i].first <= page ? &h->ranges[i] : NULL;
}

static bool hinted_contradicts(const struct hinted_range *r,
			       const struct access_record *a)
{
	switch (r->kind) {
	case HINTS_READ_MOSTLY:
		return a->kind == POLICY_WRITE;
	case HINTS_PRIVATE:
		return r->node != ACCESS_NO_NODE && a->node != r->node;
	case HINTS_COLD:
		return true;
	default:
		return false;
	}
}

bool hinted_judge(struct hinted *h, struct hinted_range *r,
		  const struct access_record *a)
{
	if (hinted_contradicts(r, a))
		r->contradict++;
	else
		r->agree++;
	if (r->contradict < HINTED_LOOKS || r->contradict <= r->agree)
		return true;
	h->dropped++;
	hinted_remove(h, (unsigned)(r - h->ranges));
	return false;
}

void hinted_follow(struct hinted_range *r, uint64_t page, uint8_t from,
		   uint8_t to)
{
	if (r->kind != HINTS_READ_MOSTLY && r->kind != HINTS_PRIVATE)
		return;
	if (r->to != to)
		r->next = r->first;
	r->moved = page;
	r->from = from;
	r->to = to;
	r->credit = HINTED_FOLLOW;
}

struct hinted_range *hinted_next(struct hinted *h, uint64_t *page)
{
	for (unsigned i = 0; i < h->nr; i++) {
		struct hinted_range *r = &h->ranges[i];

		/* It was cut since. */
		if (r->next < r->first)
			r->next = r->first;
		if (r->next == r->moved && r->next < r->end)
			r->next++;
		if (!r->credit || r->next >= r->end)
			continue;
		r->credit--;
		*page = r->next++;
		return r;
	}
	return NULL;
}

bool hinted_waits(const struct hinted *h)
{
	for (unsigned i = 0; i < h->nr; i++)
		if (h->ranges[i].credit && h->ranges[i].next < h->ranges[i].end)
			return true;
	return false;
}

void hinted_phase(struct hinted *h)
{
	for (unsigned i = 0; i < h->nr; i++) {
		struct hinted_range *r = &h->ranges[i];

		r->agree = r->contradict = 0;
		r->credit = 0;
		r->to = HINTED_NOT_MOVED;
	}
}
