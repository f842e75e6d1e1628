/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/placement/counters.h"

#include <stdlib.h>

/* A word of counters.h, unpacked. */
struct page_count {
	uint32_t counts[POLICY_TOP];
	uint8_t nodes[POLICY_TOP];
	uint8_t previous, has_previous;
	uint32_t writes, moves, moved, succeeded;
};

static struct page_count page_unpack(uint64_t w)
{
	return (struct page_count){
		.counts = { (uint32_t)PAGE_BITS(w, 0, 14),
			    (uint32_t)PAGE_BITS(w, 14, 14) },
		.nodes = { (uint8_t)PAGE_BITS(w, 28, 6),
			   (uint8_t)PAGE_BITS(w, 34, 6) },
		.writes = (uint32_t)PAGE_BITS(w, 40, 8),
		.previous = (uint8_t)PAGE_BITS(w, 48, 6),
		.has_previous = (uint8_t)PAGE_BITS(w, 54, 1),
		.moves = (uint32_t)PAGE_BITS(w, 55, 4),
		.moved = (uint32_t)PAGE_BITS(w, 59, 2),
		.succeeded = (uint32_t)PAGE_BITS(w, 61, 1),
	};
}

/* No value is larger than its bits: see the limits below. */
static uint64_t page_pack(const struct page_count *p)
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

#define MOVED_MOST 3u

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

#define COUNTS(nr) ((uint64_t)(nr) * (PAGE_FIRST + PAGE_SECOND))
#define PERIOD_FIELDS                                                          \
	(COUNTS(COUNTERS_MOST) | PAGE_WRITES_MOST * PAGE_WRITE |               \
	 (uint64_t)MOVED_MOST << 59)

/*
 * Counts and writes are divided by 2^shift, and moves in this period begin anew:
 * in all fields of a word at once, as a trace of a large memory has a chunk for
 * every few accesses.
 */
static void page_words_halve(uint64_t *words, unsigned shift)
{
	uint64_t divided = COUNTS(COUNTERS_MOST >> shift) |
			   (PAGE_WRITES_MOST >> shift) * PAGE_WRITE;

	for (unsigned i = 0; i < COUNTERS_CHUNK; i++)
		words[i] = (words[i] & ~PERIOD_FIELDS) |
			   (words[i] >> shift & divided);
}

/* So many POLICY_REST_NS have gone by. */
static void page_words_rest(uint64_t *words, uint32_t rests)
{
	for (unsigned i = 0; i < COUNTERS_CHUNK; i++) {
		struct page_count p = page_unpack(words[i]);

		p.moves = p.moves > rests ? p.moves - rests : 0;
		p.succeeded = p.moves ? p.succeeded : 0;
		words[i] = page_pack(&p);
	}
}

/* What has gone by since one of its pages was counted. */
static void page_words_age(uint64_t *words, enum policy_age age,
			   uint32_t periods, uint32_t rests)
{
	if (periods)
		page_words_halve(words, age == POLICY_HALVE && periods < 14
						? periods
						: 14);
	if (rests)
		page_words_rest(words, rests);
}

int page_chunk_age(struct page_counters *c, struct page_chunk *ch,
		   uint32_t period, uint32_t rest)
{
	if (ch->words) {
		page_words_age(ch->words, c->age, period - ch->period,
			       rest - ch->rest);
	} else {
		ch->words = calloc(COUNTERS_CHUNK, sizeof(*ch->words));
		if (!ch->words)
			return -ENOMEM;
		c->in_use++;
	}
	ch->period = period;
	ch->rest = rest;
	return 0;
}

static uint32_t page_most(uint64_t a, uint64_t b, uint32_t most)
{
	return (uint32_t)min_u64(a + b, most);
}

uint64_t page_word_swap(uint64_t w)
{
	struct page_count p = page_unpack(w), swapped = p;

	swapped.counts[0] = p.counts[1];
	swapped.nodes[0] = p.nodes[1];
	swapped.counts[1] = p.counts[0];
	swapped.nodes[1] = p.nodes[0];
	return page_pack(&swapped);
}

uint64_t page_word_take(uint64_t w, uint8_t node, uint32_t weight)
{
	uint32_t first = (uint32_t)PAGE_BITS(w, 0, 14);
	unsigned field = first ? PAGE_SECOND_NODE : PAGE_FIRST_NODE;

	weight = (uint32_t)min_u64(weight, COUNTERS_MOST);
	w = (w & ~(PAGE_NODE << field)) | (uint64_t)node << field;
	if (!first)
		return w + weight * PAGE_FIRST;
	w += weight * PAGE_SECOND;
	return weight > first ? page_word_swap(w) : w;
}

void page_counters_expect(const struct page_counters *c, uint64_t page)
{
	const uint64_t *words;

	if (page >= c->pages)
		return;
	words = c->chunks[page / COUNTERS_CHUNK].words;
	if (words)
		__builtin_prefetch(&words[page % COUNTERS_CHUNK], 1);
}

int page_counters_written(struct page_counters *c, uint64_t page,
			  uint32_t weight, uint32_t period, uint32_t rest)
{
	uint64_t *at;
	int err = page >= c->pages ? -ERANGE
				   : page_word_now(c, page, period, rest, &at);

	if (!err)
		*at = page_word_write(*at, weight ? weight : 1);
	return err;
}

bool page_counters_moved(struct page_counters *c, uint64_t page, bool moved,
			 uint32_t period, uint32_t rest)
{
	struct page_chunk *ch;
	struct page_count p;
	uint64_t *w;
	bool before;

	if (page >= c->pages)
		return false;
	ch = &c->chunks[page / COUNTERS_CHUNK];
	if (!ch->words && page_chunk_age(c, ch, period, rest))
		return false;
	w = &ch->words[page % COUNTERS_CHUNK];
	p = page_unpack(*w);
	before = p.succeeded;
	p.succeeded |= moved;
	p.moves = page_most(p.moves, 1, POLICY_MOVES_MAX);
	p.moved = page_most(p.moved, 1, MOVED_MOST);
	*w = page_pack(&p);
	return before;
}

uint32_t page_counters_moves(const struct page_counters *c, uint64_t page,
			     uint32_t rest)
{
	const struct page_chunk *ch;
	uint32_t moves, rests;

	if (page >= c->pages)
		return 0;
	ch = &c->chunks[page / COUNTERS_CHUNK];
	if (!ch->words)
		return 0;
	moves = page_unpack(ch->words[page % COUNTERS_CHUNK]).moves;
	rests = rest - ch->rest; /* that the chunk has not grown older by yet */
	return moves > rests ? moves - rests : 0;
}
