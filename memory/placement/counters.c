/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/placement/counters.h"

#include <errno.h>
#include <stdlib.h>

/*
 * One page, as it is stored: 0 is a page of which nothing was counted.
 *
 *	bits	what
 *	0..13	misses of the first node
 *	14..27	misses of the second one, at most as many
 *	28..33	the first node, if it has misses
 *	34..39	the second one, if it has
 *	40..47	writes
 *	48..53	node of the last access
 *	54	whether there was one
 *	55..58	moves of late
 *	59..60	moves in this period
 *	61	whether one of the moves of late has succeeded
 */
struct page_count {
	uint32_t counts[POLICY_TOP];
	uint8_t nodes[POLICY_TOP];
	uint8_t previous, has_previous;
	uint32_t writes, moves, moved, succeeded;
};

#define BITS(word, first, nr) ((word) >> (first) & ((1ull << (nr)) - 1))

/* Inline, and so are the next ones: each record needs all of them once. */
static inline struct page_count page_unpack(uint64_t w)
{
	return (struct page_count){
		.counts = { (uint32_t)BITS(w, 0, 14),
			    (uint32_t)BITS(w, 14, 14) },
		.nodes = { (uint8_t)BITS(w, 28, 6), (uint8_t)BITS(w, 34, 6) },
		.writes = (uint32_t)BITS(w, 40, 8),
		.previous = (uint8_t)BITS(w, 48, 6),
		.has_previous = (uint8_t)BITS(w, 54, 1),
		.moves = (uint32_t)BITS(w, 55, 4),
		.moved = (uint32_t)BITS(w, 59, 2),
		.succeeded = (uint32_t)BITS(w, 61, 1),
	};
}

/* No value is larger than its bits: see the limits below. */
static inline uint64_t page_pack(const struct page_count *p)
{
	return (uint64_t)p->counts[0] | (uint64_t)p->counts[1] << 14 |
	       (uint64_t)p->nodes[0] << 28 | (uint64_t)p->nodes[1] << 34 |
	       (uint64_t)p->writes << 40 | (uint64_t)p->previous << 48 |
	       (uint64_t)p->has_previous << 54 | (uint64_t)p->moves << 55 |
	       (uint64_t)p->moved << 59 | (uint64_t)p->succeeded << 61;
}

_Static_assert(COUNTERS_MOST == (1u << 14) - 1, "counts");
_Static_assert(POLICY_MAX_NODES == 1u << 6, "nodes");
_Static_assert(POLICY_MOVES_MAX == (1u << 4) - 1, "moves");
_Static_assert(POLICY_TOP == 2, "Misra and Gries with two");

#define WRITES_MOST 255u
#define MOVED_MOST  3u

struct page_chunk {
	uint64_t *words;       /* COUNTERS_CHUNK; NULL: nothing counted */
	uint32_t period, rest; /* that they are of */
};

struct page_counters {
	uint64_t pages, nr_chunks, in_use;
	enum policy_age age;
	struct page_chunk chunks[];
};

int page_counters_create(struct page_counters **out, uint64_t pages,
			 enum policy_age age)
{
	uint64_t nr = (pages + COUNTERS_CHUNK - 1) / COUNTERS_CHUNK;
	struct page_counters *c;

	if (!pages || pages > COUNTERS_MAX_PAGE)
		return -EINVAL;
	c = calloc(1, sizeof(*c) + nr * sizeof(c->chunks[0]));
	if (!c)
		return -ENOMEM;
	c->pages = pages;
	c->nr_chunks = nr;
	c->age = age;
	*out = c;
	return 0;
}

void page_counters_destroy(struct page_counters *c)
{
	if (!c)
		return;
	for (uint64_t i = 0; i < c->nr_chunks; i++)
		free(c->chunks[i].words);
	free(c);
}

uint64_t page_counters_bytes(const struct page_counters *c)
{
	return sizeof(*c) + c->nr_chunks * sizeof(c->chunks[0]) +
	       c->in_use * COUNTERS_CHUNK * sizeof(uint64_t);
}

/* Periods and rests that have gone by since one of its pages was counted. */
static void page_chunk_age(struct page_chunk *ch, enum policy_age age,
			   uint32_t period, uint32_t rest)
{
	uint32_t periods = period - ch->period, rests = rest - ch->rest;
	unsigned shift = age == POLICY_HALVE && periods < 14 ? periods : 14;

	if (!periods && !rests)
		return;
	for (unsigned i = 0; i < COUNTERS_CHUNK; i++) {
		struct page_count p = page_unpack(ch->words[i]);

		if (periods) {
			p.counts[0] >>= shift;
			p.counts[1] >>= shift;
			p.writes >>= shift;
			p.moved = 0;
		}
		p.moves = p.moves > rests ? p.moves - rests : 0;
		p.succeeded = p.moves ? p.succeeded : 0;
		ch->words[i] = page_pack(&p);
	}
	ch->period = period;
	ch->rest = rest;
}

static uint32_t page_most(uint64_t a, uint64_t b, uint32_t most)
{
	return (uint32_t)min_u64(a + b, most);
}

/* Misra and Gries, with weights. The larger count is kept first. */
static inline void page_count_miss(struct page_count *p, uint8_t node,
				   uint32_t weight)
{
	uint32_t both, count;
	uint8_t other;
	unsigned i;

	for (i = 0; i < POLICY_TOP; i++)
		if (p->counts[i] && p->nodes[i] == node)
			break;
	if (i == POLICY_TOP) {
		/* A third one: 0 unless both places are taken. */
		both = (uint32_t)min_u64(weight, p->counts[1]);
		p->counts[0] -= both;
		p->counts[1] -= both;
		weight -= both;
		i = p->counts[0] ? 1 : 0;
		/* Its place is taken still: all of it was for the others. */
		if (p->counts[i])
			return;
		p->nodes[i] = node;
	}
	p->counts[i] = page_most(p->counts[i], weight, COUNTERS_MOST);
	if (p->counts[1] <= p->counts[0])
		return;
	count = p->counts[0];
	other = p->nodes[0];
	p->counts[0] = p->counts[1];
	p->nodes[0] = p->nodes[1];
	p->counts[1] = count;
	p->nodes[1] = other;
}

static inline void page_count_show(const struct page_count *p,
				   struct policy_page *out)
{
	out->previous = p->has_previous ? p->previous : POLICY_NO_NODE;
	out->moves = (uint8_t)p->moves;
	out->moved = (uint8_t)p->moved;
	out->writes = p->writes;
	for (unsigned i = 0; i < POLICY_TOP; i++) {
		out->nodes[i] = p->counts[i] ? p->nodes[i] : POLICY_NO_NODE;
		out->counts[i] = p->counts[i];
	}
}

static struct page_chunk *page_chunk_of(struct page_counters *c, uint64_t page,
					uint32_t period, uint32_t rest)
{
	struct page_chunk *ch = &c->chunks[page / COUNTERS_CHUNK];

	if (!ch->words) {
		ch->words = calloc(COUNTERS_CHUNK, sizeof(*ch->words));
		if (!ch->words)
			return NULL;
		ch->period = period;
		ch->rest = rest;
		c->in_use++;
	}
	page_chunk_age(ch, c->age, period, rest);
	return ch;
}

int page_counters_add(struct page_counters *c, const struct page_access *a,
		      uint32_t period, uint32_t rest, struct policy_page *out)
{
	uint32_t weight = a->weight ? a->weight : 1;
	struct page_chunk *ch;
	struct page_count p;
	uint64_t *w;

	if (a->page >= c->pages || a->node >= POLICY_MAX_NODES)
		return -ERANGE;
	ch = page_chunk_of(c, a->page, period, rest);
	if (!ch)
		return -ENOMEM;
	w = &ch->words[a->page % COUNTERS_CHUNK];
	p = page_unpack(*w);
	page_count_miss(&p, a->node, weight);
	if (a->kind == POLICY_WRITE)
		p.writes = page_most(p.writes, weight, WRITES_MOST);
	*out = (struct policy_page){ .page = a->page,
				     .node = a->node,
				     .kind = a->kind };
	page_count_show(&p, out);
	p.previous = a->node;
	p.has_previous = 1;
	*w = page_pack(&p);
	return 0;
}

bool page_counters_moved(struct page_counters *c, uint64_t page, bool moved)
{
	struct page_count p;
	uint64_t *w;
	bool before;

	if (page >= c->pages || !c->chunks[page / COUNTERS_CHUNK].words)
		return false;
	w = &c->chunks[page / COUNTERS_CHUNK].words[page % COUNTERS_CHUNK];
	p = page_unpack(*w);
	before = p.succeeded;
	p.succeeded |= moved;
	p.moves = page_most(p.moves, 1, POLICY_MOVES_MAX);
	p.moved = page_most(p.moved, 1, MOVED_MOST);
	*w = page_pack(&p);
	return before;
}
