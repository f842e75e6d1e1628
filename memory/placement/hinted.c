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
			behind.to = HINTED_NOT_MOVED;
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
		.last = POLICY_NO_NODE,
		.previous = POLICY_NO_NODE,
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

/* Misra and Gries, as of a page. */
static void hinted_miss(struct hinted_range *r, uint8_t node, uint32_t weight)
{
	uint32_t both;

	for (unsigned i = 0; i < POLICY_TOP; i++)
		if (r->counts[i] && r->nodes[i] == node) {
			r->counts[i] = (uint32_t)min_u64(
				(uint64_t)r->counts[i] + weight, UINT32_MAX);
			return;
		}
	both = (uint32_t)min_u64(weight, min_u64(r->counts[0], r->counts[1]));
	r->counts[0] -= both;
	r->counts[1] -= both;
	if (weight == both)
		return;
	both = weight - both;
	if (!r->counts[0]) {
		r->nodes[0] = node;
		r->counts[0] = both;
	} else {
		r->nodes[1] = node;
		r->counts[1] = both;
	}
}

static void hinted_grow_old(struct hinted_range *r, uint64_t period, bool halve)
{
	uint64_t passed = period - r->period;

	if (!passed)
		return;
	for (unsigned i = 0; i < POLICY_TOP; i++)
		r->counts[i] = halve && passed < 32 ? r->counts[i] >> passed
						    : 0;
	r->writes = halve && passed < 32 ? r->writes >> passed : 0;
	r->period = period;
}

bool hinted_judge(struct hinted *h, struct hinted_range *r,
		  const struct access_record *a, uint64_t period, bool halve)
{
	uint32_t weight = a->weight ? a->weight : 1;

	hinted_grow_old(r, period, halve);
	hinted_miss(r, a->node, weight);
	r->previous = r->last;
	r->last = a->node;
	if (a->kind == POLICY_WRITE)
		r->writes = (uint32_t)min_u64((uint64_t)r->writes + weight,
					      UINT32_MAX);
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

static uint32_t hinted_count_of(const struct hinted_range *r, uint8_t node)
{
	for (unsigned i = 0; i < POLICY_TOP; i++)
		if (r->counts[i] && r->nodes[i] == node)
			return r->counts[i];
	return 0;
}

bool hinted_asks(const struct hinted_range *r, const struct access_record *a)
{
	bool unit = r->kind == HINTS_READ_MOSTLY || r->kind == HINTS_PRIVATE;
	bool left = r->to != HINTED_NOT_MOVED && r->next < r->end;

	if (!unit || a->node == a->home || (left && r->credit))
		return false;
	if (r->kind == HINTS_PRIVATE && hinted_contradicts(r, a))
		return false;
	if (r->to == a->node)
		return left;
	return !left || r->action != POLICY_REPLICATE ||
	       !hinted_count_of(r, r->to);
}

void hinted_as_page(const struct hinted_range *r, const struct access_record *a,
		    struct policy_page *out)
{
	unsigned most = r->counts[1] > r->counts[0];

	*out = (struct policy_page){ .page = a->page,
				     .home = a->home,
				     .node = a->node,
				     .previous = r->previous,
				     .kind = a->kind,
				     .writes = r->writes };
	for (unsigned i = 0; i < POLICY_TOP; i++) {
		out->counts[i] = r->counts[i ^ most];
		out->nodes[i] = out->counts[i] ? r->nodes[i ^ most]
					       : POLICY_NO_NODE;
	}
}

void hinted_go(struct hinted_range *r, uint8_t action, uint8_t from, uint8_t to,
	       uint64_t pages)
{
	if (r->to != to || r->action != action) {
		r->next = r->first;
		r->went = 0;
	}
	r->action = action;
	r->from = from;
	r->to = to;
	r->waits_ns = 0;
	r->credit = pages > r->went ? pages - r->went : 0;
}

uint64_t hinted_peek(struct hinted_range *r, uint64_t now_ns)
{
	/* It was cut since. */
	r->next = max_u64(r->next, r->first);
	if (!r->credit || r->next >= r->end || now_ns < r->waits_ns)
		return 0;
	return min_u64(r->credit, r->end - r->next);
}

void hinted_advance(struct hinted_range *r, uint64_t pages)
{
	r->next += pages;
	r->went += pages;
	r->credit -= pages;
}

uint64_t hinted_waits(struct hinted *h, uint64_t now_ns)
{
	uint64_t pages = 0;

	for (unsigned i = 0; i < h->nr; i++)
		pages += hinted_peek(&h->ranges[i], now_ns);
	return pages;
}

void hinted_phase(struct hinted *h)
{
	for (unsigned i = 0; i < h->nr; i++) {
		struct hinted_range *r = &h->ranges[i];

		r->agree = r->contradict = 0;
		r->counts[0] = r->counts[1] = r->writes = 0;
		r->last = r->previous = POLICY_NO_NODE;
		r->credit = 0;
		r->to = HINTED_NOT_MOVED;
	}
}
