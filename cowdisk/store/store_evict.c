/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The clock. Its hand passes over the held blocks, a word at a time, from store
 * to store: neither the size of an image nor its absent blocks cost a step.
 *
 * Cost of a look at a word: if blocks are evicted or lose their marks, the
 * requests that filled or marked them have paid for the look. If all blocks are
 * leased, nobody has. Such looks are taken from a purse, into which each
 * request that finds no room puts LOOKS_PAID. When the purse is empty the
 * request is refused, and the next request continues at the hand's position. So
 * in a storm of requests against leased blocks each request costs a few looks,
 * and blocks whose leases are dropped are found within one round of the hand,
 * or at once if they are many.
 */
#include <errno.h>
#include <fcntl.h>

#include "cowdisk/store/store_internal.h"
#include "numa/atomic_ops.h"

/* Rounds of the list: to the first store, clearing marks, and once more. */
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

static void store_evict_hold(struct store *s, uint64_t block)
{
	bit_tree_set(&s->held, block);
	s->pool->stats.present_blocks++;
}

/*
 * No worker uses these blocks through this agent, since their bits were never
 * set. But an earlier agent may have died while they were present, and a worker
 * that leased them then still has their bytes, because reading them again
 * changed none.
 */
void store_discard(struct store *s, uint64_t first, uint32_t nr)
{
	for (uint64_t b = first; b < first + nr; b++)
		if (!evict_block(s, b) || store_punch(s, b, 1) < 0)
			store_evict_hold(s, b);
}

/* Punch blocks that were made absent; those that cannot be are left over. */
static void punch_run(struct store *s, uint64_t first, uint64_t nr)
{
	struct pool_stats *st = &s->pool->stats;

	if (nr == 0)
		return;
	if (store_punch(s, first, nr) < 0) {
		for (uint64_t b = first; b < first + nr; b++)
			store_evict_hold(s, b);
		return;
	}
	st->evicted_blocks += nr;
}

/* Leases of all readers in a word. A hint: presence_evict() checks again. */
static uint64_t leased_word(const struct store *s, uint64_t word)
{
	uint64_t w = 0;

	for (unsigned i = 0; i < s->nr_readers; i++)
		w |= shared_load(&s->leases[i][word], memory_order_relaxed);
	return w;
}

enum chosen { STAYS, LOSES_MARK, GOES };

static enum chosen store_evict_choose(struct store *s, uint64_t block,
				      uint64_t leased)
{
	if (bits_test(s->referenced, block)) {
		bits_clear(s->referenced, block);
		return LOSES_MARK;
	}
	if ((leased >> (block % 64) & 1) || !evict_block(s, block)) {
		s->pool->stats.leased_blocks++;
		return STAYS;
	}
	bit_tree_clear(&s->held, block);
	s->pool->stats.present_blocks--;
	if (bit_tree_test(&s->replicas, block)) {
		bit_tree_clear(&s->replicas, block);
		s->pool->stats.replica_blocks--;
	}
	return GOES;
}

/*
 * Evict the blocks of @of that may go, from @block to the end of its word,
 * until
 * @need have gone. Consecutive blocks are punched by one call. @gained: set if
 * a block goes, or loses its mark.
 * Return: the next block to look at.
 */
static uint64_t evict_word(struct store *s, const struct bit_tree *of,
			   uint64_t block, uint64_t need, bool *gained)
{
	uint64_t end = min_u64(align_down(block, 64) + 64, s->nr_blocks);
	uint64_t leased = leased_word(s, block / 64);
	uint64_t run = block; /* [run, block) is absent, and to be punched */

	for (; block < end && need; block++) {
		enum chosen c = STAYS;

		if (bit_tree_test(of, block))
			c = store_evict_choose(s, block, leased);
		*gained |= c != STAYS;
		if (c == GOES) {
			need--;
			continue;
		}
		punch_run(s, run, block - run);
		run = block + 1;
	}
	punch_run(s, run, block - run);
	return block;
}

/* @to - @from; 0 if that is negative. */
static uint64_t store_evict_left(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

static uint64_t store_evict_used(const struct pool *p)
{
	return p->stats.present_blocks + p->stats.filling_blocks;
}

static uint64_t used_of(const struct pool *p, enum clock_of of)
{
	return of == CLOCK_REPLICAS ? p->stats.replica_blocks
				    : store_evict_used(p);
}

static void next_store(struct pool *p, struct clock_hand *h, unsigned *rounds)
{
	h->store = LIST_NEXT(h->store, link);
	h->block = 0;
	if (!h->store) {
		h->store = LIST_FIRST(&p->stores);
		(*rounds)++;
	}
}

/* Bounds of a hand's way: it ends when one of them is reached. */
struct way {
	enum clock_of of;
	uint64_t most;	 /* of its blocks that are used */
	uint32_t looks;	 /* left */
	uint32_t wasted; /* looks that gain nothing, left */
	unsigned rounds; /* ROUNDS_MAX: times round the list */
};

/* The next goal: at most EVICT_BLOCKS below @now. */
static uint64_t down_to(uint64_t now, uint64_t most)
{
	return max_u64(most, store_evict_left(EVICT_BLOCKS, now));
}

static void store_evict_pages(struct pool *p, struct way *w)
{
	struct clock_hand *h = &p->hands[w->of];

	while (h->store && used_of(p, w->of) > w->most && w->looks > 0 &&
	       w->wasted > 0 && w->rounds < ROUNDS_MAX) {
		struct store *s = h->store;
		const struct bit_tree *t =
			w->of == CLOCK_REPLICAS ? &s->replicas : &s->held;
		uint64_t block = bit_tree_next(t, h->block);
		bool gained = false;

		if (block == s->nr_blocks)
			next_store(p, h, &w->rounds);
		else
			h->block = evict_word(s, t, block,
					      used_of(p, w->of) - w->most,
					      &gained);
		p->stats.looks++;
		w->looks--;
		w->wasted -= !gained;
	}
}

static void evict_for(struct pool *p, enum clock_of of, uint64_t most)
{
	uint32_t *purse = &p->hands[of].purse;
	struct way w = { .of = of,
			 .most = down_to(used_of(p, of), most),
			 .looks = EVICT_LOOKS,
			 .wasted = *purse + LOOKS_PAID };

	store_evict_pages(p, &w);
	*purse = (uint32_t)min_u64(w.wasted, EVICT_LOOKS);
}

uint32_t pool_make_room(struct pool *p, uint32_t want)
{
	if (!p->limited || p->limit == 0)
		return 0;
	want = (uint32_t)min_u64(want, p->limit);
	if (p->shrinking && store_evict_used(p) > p->limit)
		return 0; /* pool_turn() goes on */
	if (store_evict_used(p) + want > p->limit)
		evict_for(p, CLOCK_ALL, p->limit - want);
	return (uint32_t)min_u64(
		want, store_evict_left(store_evict_used(p), p->limit));
}

uint32_t pool_make_replica_room(struct pool *p, uint32_t want)
{
	const uint64_t *replicas = &p->stats.replica_blocks;
	uint64_t most = p->limit / REPLICA_PART, over;

	if (!p->limited || (p->shrinking && store_evict_used(p) > p->limit))
		return 0;
	want = (uint32_t)min_u64(want, most);
	/* Too many of them, or too much of all. */
	over = max_u64(store_evict_left(most, *replicas + want),
		       store_evict_left(p->limit, store_evict_used(p) + want));
	if (over)
		evict_for(p, CLOCK_REPLICAS, store_evict_left(over, *replicas));
	return (uint32_t)min_u64(
		min_u64(want, store_evict_left(*replicas, most)),
		store_evict_left(store_evict_used(p), p->limit));
}

bool pool_turn(struct pool *p)
{
	struct way w = { .of = CLOCK_ALL,
			 .most = down_to(store_evict_used(p), p->limit),
			 .looks = SHRINK_LOOKS,
			 .wasted = SHRINK_LOOKS,
			 .rounds = p->shrink_rounds };

	if (!p->shrinking)
		return false;
	store_evict_pages(p, &w);
	p->shrink_rounds = w.rounds;
	p->shrinking = p->hands[CLOCK_ALL].store &&
		       store_evict_used(p) > p->limit && w.rounds < ROUNDS_MAX;
	return p->shrinking;
}
