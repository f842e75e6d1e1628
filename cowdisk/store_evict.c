/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The clock. Its hand goes over the blocks that are held, a word at a time,
 * from store to store: neither the size of an image nor what is not there
 * costs a step.
 */
#include <errno.h>
#include <fcntl.h>

#include "cowdisk/store_internal.h"
#include "numa/atomic_ops.h"

/* Times round the list: to the first store, clearing marks, and once more. */
#define ROUNDS_MAX 3u

int store_punch(struct store *s, uint64_t first, uint64_t nr)
{
	while (fallocate(s->memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (off_t)(first * PAGE_BYTES),
			 (off_t)(nr * PAGE_BYTES)) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static bool evict_block(struct store *s, uint64_t block)
{
	return presence_evict(s->presence, s->leases, s->nr_readers, block);
}

static void hold(struct store *s, uint64_t block)
{
	bit_tree_set(&s->held, block);
	s->pool->stats.present_blocks++;
}

/*
 * Nobody uses these: a bit that was never set lets nobody in. But a former
 * agent may have died over it, and what a worker leased from that one has its
 * bytes still, as reading it again changed none.
 */
void store_discard(struct store *s, uint64_t first, uint32_t nr)
{
	for (uint64_t b = first; b < first + nr; b++)
		if (!evict_block(s, b) || store_punch(s, b, 1) < 0)
			hold(s, b);
}

/* What was made absent becomes holes; where it cannot, it is left over. */
static void punch_run(struct store *s, uint64_t first, uint64_t nr)
{
	struct pool_stats *st = &s->pool->stats;

	if (nr == 0)
		return;
	if (store_punch(s, first, nr) < 0) {
		for (uint64_t b = first; b < first + nr; b++)
			hold(s, b);
		return;
	}
	st->evicted_blocks += nr;
}

/* A hint: presence_evict() looks again. */
static uint64_t leased_word(const struct store *s, uint64_t word)
{
	uint64_t w = 0;

	for (unsigned i = 0; i < s->nr_readers; i++)
		w |= shared_load(&s->leases[i][word], memory_order_relaxed);
	return w;
}

/* May it go? Marks it as passed. */
static bool choose(struct store *s, uint64_t block, uint64_t leased)
{
	if (bits_test(s->referenced, block)) {
		bits_clear(s->referenced, block);
		return false;
	}
	if ((leased >> (block % 64) & 1) || !evict_block(s, block)) {
		s->pool->stats.leased_blocks++;
		return false;
	}
	bit_tree_clear(&s->held, block);
	s->pool->stats.present_blocks--;
	if (bit_tree_test(&s->replicas, block)) {
		bit_tree_clear(&s->replicas, block);
		s->pool->stats.replica_blocks--;
	}
	return true;
}

/*
 * Those in @of, from @block on in its word, until @need are gone.
 * Return: the next block to look at.
 */
static uint64_t evict_word(struct store *s, const struct bit_tree *of,
			   uint64_t block, uint64_t need)
{
	uint64_t end = min_u64(align_down(block, 64) + 64, s->nr_blocks);
	uint64_t leased = leased_word(s, block / 64);
	uint64_t run = block; /* [run, block) is absent, and to be punched */

	for (; block < end && need; block++) {
		if (bit_tree_test(of, block) && choose(s, block, leased)) {
			need--;
			continue;
		}
		punch_run(s, run, block - run);
		run = block + 1;
	}
	punch_run(s, run, block - run);
	return block;
}

/* From @from up to @to; 0: none. */
static uint64_t left(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

static uint64_t used(const struct pool *p)
{
	return p->stats.present_blocks + p->stats.filling_blocks;
}

static uint64_t used_of(const struct pool *p, enum clock_of of)
{
	return of == CLOCK_REPLICAS ? p->stats.replica_blocks : used(p);
}

static void next_store(struct pool *p, struct clock_hand *h, unsigned *rounds)
{
	h->store = h->store->next;
	h->block = 0;
	if (!h->store) {
		h->store = p->stores;
		(*rounds)++;
	}
}

/* Until no more than @most of these are used, or @words were looked at. */
static void evict(struct pool *p, enum clock_of of, uint64_t most,
		  uint64_t words)
{
	struct clock_hand *h = &p->hands[of];
	unsigned rounds = 0;

	while (h->store && used_of(p, of) > most && words > 0 &&
	       rounds < ROUNDS_MAX) {
		struct store *s = h->store;
		const struct bit_tree *t = of == CLOCK_REPLICAS ? &s->replicas
								: &s->held;
		uint64_t block = bit_tree_next(t, h->block);

		if (block == s->nr_blocks)
			next_store(p, h, &rounds);
		else
			h->block =
				evict_word(s, t, block, used_of(p, of) - most);
		words--;
	}
}

uint32_t pool_make_room(struct pool *p, uint32_t want)
{
	if (!p->limited || p->limit == 0)
		return 0;
	want = (uint32_t)min_u64(want, p->limit);
	if (used(p) + want > p->limit)
		evict(p, CLOCK_ALL, p->limit - want, EVICT_WORDS);
	return (uint32_t)min_u64(want, left(used(p), p->limit));
}

uint32_t pool_make_replica_room(struct pool *p, uint32_t want)
{
	const uint64_t *replicas = &p->stats.replica_blocks;
	uint64_t most = p->limit / REPLICA_PART, over;

	if (!p->limited)
		return 0;
	want = (uint32_t)min_u64(want, most);
	/* Too many of them, or too much of all. */
	over = max_u64(left(most, *replicas + want),
		       left(p->limit, used(p) + want));
	if (over)
		evict(p, CLOCK_REPLICAS, left(over, *replicas), EVICT_WORDS);
	return (uint32_t)min_u64(min_u64(want, left(*replicas, most)),
				 left(used(p), p->limit));
}

void pool_shrink(struct pool *p)
{
	evict(p, CLOCK_ALL, p->limit, UINT64_MAX);
}
