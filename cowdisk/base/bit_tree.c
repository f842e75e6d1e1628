/* SPDX-License-Identifier: BSD-2-Clause */
#include "cowdisk/base/bit_tree.h"

#include <errno.h>
#include <stdlib.h>

int bit_tree_create(struct bit_tree *t, uint64_t nr)
{
	uint64_t bits = nr;

	*t = (struct bit_tree){ .nr = nr };
	do {
		uint64_t *words = calloc(bits_words(bits), sizeof(*words));

		if (!words) {
			bit_tree_destroy(t);
			return -ENOMEM;
		}
		t->level[t->depth++] = words;
		bits = bits_words(bits);
	} while (bits > 1);
	return 0;
}

void bit_tree_destroy(struct bit_tree *t)
{
	for (unsigned l = 0; l < t->depth; l++)
		free(t->level[l]);
	*t = (struct bit_tree){ .nr = 0 };
}

void bit_tree_set(struct bit_tree *t, uint64_t i)
{
	for (unsigned l = 0; l < t->depth; l++, i /= 64)
		bits_set(t->level[l], i);
}

void bit_tree_clear(struct bit_tree *t, uint64_t i)
{
	for (unsigned l = 0; l < t->depth; l++, i /= 64) {
		bits_clear(t->level[l], i);
		if (t->level[l][i / 64])
			return;
	}
}

uint64_t bit_tree_next(const struct bit_tree *t, uint64_t from)
{
	uint64_t bits = t->nr; /* of the level */

	for (unsigned l = 0; l < t->depth && from < bits; l++) {
		uint64_t word = t->level[l][from / 64] >> (from % 64);

		if (word) {
			from += (unsigned)__builtin_ctzll(word);
			while (l-- > 0)
				from = from * 64 + (unsigned)__builtin_ctzll(
							   t->level[l][from]);
			return from;
		}
		from = from / 64 + 1;
		bits = bits_words(bits);
	}
	return t->nr;
}
