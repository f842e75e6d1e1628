/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set of numbers 0 .. nr-1 that finds its next member in a few steps, however
 * far away it is. Level 0 has one bit per number, the level above it has one
 * bit per word that is not empty, and so on until one word is left.
 *
 * Context: one thread.
 */
#ifndef DISCO_COWDISK_BIT_TREE_H
#define DISCO_COWDISK_BIT_TREE_H

#include "disco/base.h"

#define BIT_TREE_LEVELS 5u
#define BIT_TREE_MAX	(1ull << 30) /* 64 to the power of 5 */

struct bit_tree {
	uint64_t nr;
	unsigned depth;
	uint64_t *level[BIT_TREE_LEVELS]; /* 0: one bit per number */
};

/* Number of words of a bitmap of @nr bits. */
static inline size_t bits_words(uint64_t nr)
{
	return (size_t)((nr + 63) / 64);
}

static inline bool bits_test(const uint64_t *map, uint64_t i)
{
	return map[i / 64] >> (i % 64) & 1;
}

static inline void bits_set(uint64_t *map, uint64_t i)
{
	map[i / 64] |= 1ull << (i % 64);
}

static inline void bits_clear(uint64_t *map, uint64_t i)
{
	map[i / 64] &= ~(1ull << (i % 64));
}

/**
 * bit_tree_create() - create an empty set
 * @nr: 1 .. BIT_TREE_MAX
 *
 * Memory: slightly more than one bit per number, touched when used.
 * Return: 0; -ENOMEM.
 */
MUST_CHECK int bit_tree_create(struct bit_tree *t, uint64_t nr);

/* All-zero and half-built are accepted. */
void bit_tree_destroy(struct bit_tree *t);

void bit_tree_set(struct bit_tree *t, uint64_t i);
void bit_tree_clear(struct bit_tree *t, uint64_t i);

/* The lowest member that is @from or more; t->nr: there is none. */
uint64_t bit_tree_next(const struct bit_tree *t, uint64_t from);

static inline bool bit_tree_test(const struct bit_tree *t, uint64_t i)
{
	return bits_test(t->level[0], i);
}

#endif
