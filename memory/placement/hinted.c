/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/placement/hinted.h"

#include <string.h>

static bool hinted_has_effect(uint8_t kind)
{
	return kind == HINTS_READ_MOSTLY || kind == HINTS_PRIVATE ||
	       kind == HINTS_REWRITE || kind == HINTS_COLD || kind == HINTS_PIN;
}

struct hinted_group *hinted_group_of(struct hinted *h,
				     const struct hinted_range *r)
{
	return r->group < HINTED_GROUPS ? &h->groups[r->group] : NULL;
}

/* --- ranges --------------------------------------------------------------- */

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

/* Its group has so many pages more or less. */
static void hinted_resize(struct hinted *h, struct hinted_range *r,
			  uint64_t first, uint64_t end)
{
	struct hinted_group *g = hinted_group_of(h, r);

	if (g)
		g->pages += (end - first) - (r->end - r->first);
	r->first = first;
	r->end = end;
}

static void hinted_remove(struct hinted *h, unsigned i)
{
	struct hinted_group *g = hinted_group_of(h, &h->ranges[i]);

	if (g) {
		g->nr--;
		g->pages -= h->ranges[i].end - h->ranges[i].first;
	}
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
	struct hinted_group *g = hinted_group_of(h, r);
	unsigned i;

	hinted_make_room(h);
	i = hinted_at(h, r->first);
	memmove(&h->ranges[i + 1], &h->ranges[i],
		(h->nr - i) * sizeof(h->ranges[0]));
	h->ranges[i] = *r;
	h->nr++;
	if (g) {
		g->nr++;
		g->pages += r->end - r->first;
	}
}

/* Return: whether the range before it, of the same group, is that much longer now. */
static bool hinted_extend(struct hinted *h, const struct hinted_range *r)
{
	unsigned i = hinted_at(h, r->first);
	struct hinted_range *before = i ? &h->ranges[i - 1] : NULL;

	if (!before || before->end != r->first || r->group == HINTED_GROUPS ||
	    before->group != r->group)
		return false;
	hinted_resize(h, before, before->first, r->end);
	before->age = r->age;
	return true;
}

/* What was said of [first, end) is over. */
static void hinted_cut(struct hinted *h, uint64_t first, uint64_t end)
{
	unsigned i = hinted_at(h, first);

	while (i < h->nr && h->ranges[i].first < end) {
		struct hinted_range *r = &h->ranges[i], behind = *r;

		if (r->first < first && r->end > end) {
			hinted_resize(h, r, r->first, first);
			behind.first = end;
			hinted_insert(h, &behind);
			return;
		}
		if (r->first >= first && r->end <= end) {
			hinted_remove(h, i);
			continue;
		}
		if (r->first < first)
			hinted_resize(h, r, r->first, first);
		else
			hinted_resize(h, r, end, r->end);
		i++;
	}
}

struct hinted_range *hinted_find(struct hinted *h, uint64_t page)
{
	unsigned i = hinted_at(h, page);

	return i < h->nr && h->ranges[i].first <= page ? &h->ranges[i] : NULL;
}

/* --- groups --------------------------------------------------------------- */

/* All of its ranges go. */
static void hinted_drop(struct hinted *h, unsigned group)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < h->nr; i++)
		if (h->ranges[i].group != group)
			h->ranges[kept++] = h->ranges[i];
	h->nr = kept;
	h->groups[group].nr = h->groups[group].pages = 0;
}

/* One that is free; if none is, the oldest ends. */
static unsigned hinted_free_group(struct hinted *h)
{
	unsigned oldest = 0;

	for (unsigned i = 0; i < HINTED_GROUPS; i++) {
		if (!h->groups[i].nr)
			return i;
		if (h->groups[i].joined_ns < h->groups[oldest].joined_ns)
			oldest = i;
	}
	hinted_drop(h, oldest);
	return oldest;
}

/* The group of a hint that has just come. */
static uint8_t hinted_join(struct hinted *h, uint8_t kind, uint8_t node,
			   uint64_t now_ns)
{
	struct hinted_group *g = &h->groups[h->latest];

	if (!g->nr || g->kind != kind || g->node != node ||
	    now_ns > g->joined_ns + HINTED_JOIN_NS) {
		h->latest = hinted_free_group(h);
		g = &h->groups[h->latest];
		*g = (struct hinted_group){ .last = POLICY_NO_NODE,
					    .previous = POLICY_NO_NODE,
					    .round = 1,
					    .kind = kind,
					    .node = node,
					    .to = HINTED_NOT_MOVED };
	}
	g->joined_ns = now_ns;
	return (uint8_t)h->latest;
}

void hinted_add(struct hinted *h, uint64_t first, uint64_t pages, uint8_t kind,
		uint8_t node, uint64_t now_ns)
{
	struct hinted_range r = { .first = first,
				  .end = first + pages,
				  .age = ++h->age,
				  .group = HINTED_GROUPS,
				  .kind = kind };

	if (!pages || first > UINT64_MAX - pages)
		return;
	if (!hinted_has_effect(kind) && kind != HINTS_PIN_OFF &&
	    kind != HINTS_FORGET)
		return;
	if (kind == HINTS_READ_MOSTLY || kind == HINTS_PRIVATE)
		r.group = hinted_join(
			h, kind, kind == HINTS_PRIVATE ? node : ACCESS_NO_NODE,
			now_ns);
	hinted_cut(h, r.first, r.end);
	if (hinted_has_effect(kind) && !hinted_extend(h, &r))
		hinted_insert(h, &r);
}

/* --- accesses ------------------------------------------------------------- */

/* @node: of private memory */
static bool hinted_contradicts(uint8_t kind, uint8_t node,
			       const struct access_record *a)
{
	switch (kind) {
	case HINTS_READ_MOSTLY:
		return a->kind == POLICY_WRITE;
	case HINTS_PRIVATE:
		return node != ACCESS_NO_NODE && a->node != node;
	case HINTS_COLD:
		return true;
	default:
		return false;
	}
}

/* Misra and Gries, as of a page. */
static void hinted_miss(struct hinted_group *g, uint8_t node, uint32_t weight)
{
	uint32_t both;

	for (unsigned i = 0; i < POLICY_TOP; i++)
		if (g->counts[i] && g->nodes[i] == node) {
			g->counts[i] = (uint32_t)min_u64(
				(uint64_t)g->counts[i] + weight, UINT32_MAX);
			return;
		}
	both = (uint32_t)min_u64(weight, min_u64(g->counts[0], g->counts[1]));
	g->counts[0] -= both;
	g->counts[1] -= both;
	if (weight == both)
		return;
	both = weight - both;
	if (!g->counts[0]) {
		g->nodes[0] = node;
		g->counts[0] = both;
	} else {
		g->nodes[1] = node;
		g->counts[1] = both;
	}
}

static void hinted_grow_old(struct hinted_group *g, uint64_t period, bool halve)
{
	uint64_t passed = period - g->period;

	if (!passed)
		return;
	for (unsigned i = 0; i < POLICY_TOP; i++)
		g->counts[i] = halve && passed < 32 ? g->counts[i] >> passed
						    : 0;
	g->writes = halve && passed < 32 ? g->writes >> passed : 0;
	g->period = period;
}

static void hinted_count(struct hinted_group *g, const struct access_record *a,
			 uint64_t period, bool halve)
{
	uint32_t weight = a->weight ? a->weight : 1;

	hinted_grow_old(g, period, halve);
	hinted_miss(g, a->node, weight);
	g->previous = g->last;
	g->last = a->node;
	if (a->kind == POLICY_WRITE)
		g->writes = (uint32_t)min_u64((uint64_t)g->writes + weight,
					      UINT32_MAX);
}

bool hinted_judge(struct hinted *h, struct hinted_range *r,
		  const struct access_record *a, uint64_t period, bool halve)
{
	bool grouped = r->group < HINTED_GROUPS;
	struct hinted_group *g = grouped ? &h->groups[r->group] : NULL;
	uint32_t *agree = grouped ? &g->agree : &r->agree;
	uint32_t *contradict = grouped ? &g->contradict : &r->contradict;

	if (grouped)
		hinted_count(g, a, period, halve);
	if (hinted_contradicts(r->kind, grouped ? g->node : ACCESS_NO_NODE, a))
		++*contradict;
	else
		++*agree;
	if (*contradict < HINTED_LOOKS || *contradict <= *agree)
		return true;
	h->dropped++;
	if (grouped)
		hinted_drop(h, r->group);
	else
		hinted_remove(h, (unsigned)(r - h->ranges));
	return false;
}

static uint32_t hinted_count_of(const struct hinted_group *g, uint8_t node)
{
	for (unsigned i = 0; i < POLICY_TOP; i++)
		if (g->counts[i] && g->nodes[i] == node)
			return g->counts[i];
	return 0;
}

static uint64_t hinted_left(const struct hinted_group *g)
{
	return g->to != HINTED_NOT_MOVED && g->pages > g->went
		       ? g->pages - g->went
		       : 0;
}

bool hinted_asks(const struct hinted_group *g, const struct access_record *a)
{
	bool left = hinted_left(g) > 0;

	if (a->node == a->home || (left && g->credit))
		return false;
	if (g->kind == HINTS_PRIVATE && hinted_contradicts(g->kind, g->node, a))
		return false;
	if (g->to == a->node)
		return left;
	return !left || g->action != POLICY_REPLICATE ||
	       !hinted_count_of(g, g->to);
}

void hinted_as_page(const struct hinted_group *g, const struct access_record *a,
		    struct policy_page *out)
{
	unsigned most = g->counts[1] > g->counts[0];

	*out = (struct policy_page){ .page = a->page,
				     .home = a->home,
				     .node = a->node,
				     .previous = g->previous,
				     .kind = a->kind,
				     .writes = g->writes };
	for (unsigned i = 0; i < POLICY_TOP; i++) {
		out->counts[i] = g->counts[i ^ most];
		out->nodes[i] = out->counts[i] ? g->nodes[i ^ most]
					       : POLICY_NO_NODE;
	}
}

/* --- pages that go -------------------------------------------------------- */

void hinted_go(struct hinted_group *g, uint8_t action, uint8_t from, uint8_t to,
	       uint64_t pages)
{
	if (g->to != to || g->action != action) {
		g->round++;
		g->went = 0;
	}
	g->action = action;
	g->from = from;
	g->to = to;
	g->waits_ns = 0;
	g->credit = pages > g->went ? pages - g->went : 0;
}

uint64_t hinted_peek(struct hinted *h, const struct hinted_range *r,
		     uint64_t now_ns, uint64_t *page)
{
	const struct hinted_group *g = hinted_group_of(h, r);

	if (!g || !g->credit || now_ns < g->waits_ns)
		return 0;
	/* It may have been cut since. */
	*page = r->round == g->round ? max_u64(r->next, r->first) : r->first;
	return *page < r->end ? min_u64(g->credit, r->end - *page) : 0;
}

void hinted_advance(struct hinted *h, struct hinted_range *r, uint64_t pages)
{
	struct hinted_group *g = hinted_group_of(h, r);

	if (r->round != g->round)
		r->next = r->first;
	r->round = g->round;
	r->next = max_u64(r->next, r->first) + pages;
	g->went += pages;
	g->credit -= pages;
}

static uint64_t hinted_waits_of(const struct hinted_group *g, uint64_t now_ns)
{
	return g->nr && now_ns >= g->waits_ns
		       ? min_u64(g->credit, hinted_left(g))
		       : 0;
}

uint64_t hinted_waits(const struct hinted *h, uint64_t now_ns)
{
	uint64_t pages = 0;

	for (unsigned i = 0; i < HINTED_GROUPS; i++)
		pages += hinted_waits_of(&h->groups[i], now_ns);
	return pages;
}

void hinted_phase(struct hinted *h)
{
	for (unsigned i = 0; i < h->nr; i++)
		h->ranges[i].agree = h->ranges[i].contradict = 0;
	for (unsigned i = 0; i < HINTED_GROUPS; i++) {
		struct hinted_group *g = &h->groups[i];

		g->agree = g->contradict = 0;
		g->counts[0] = g->counts[1] = g->writes = 0;
		g->last = g->previous = POLICY_NO_NODE;
		g->credit = 0;
		g->to = HINTED_NOT_MOVED;
	}
}
