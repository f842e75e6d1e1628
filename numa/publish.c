/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A sequence counter over atomic words (Boehm, "Can seqlocks get along with
 * programming language memory models?", MSPC 2012). The pairs:
 *
 *	B  publish_begin(): odd version; words (each is a release)
 *	   publish_copy():  words; fence (acquire); version again
 *	   A reader that saw a word of this change sees the odd version after.
 *	E  publish_end():   words; even version (release)
 *	   publish_copy():  version (acquire); words
 *	   A reader that saw this version sees all words of the change.
 */
#include "numa/publish.h"

#include <errno.h>

#include "numa/atomic_ops.h"

void publish_set(struct publish_table *t, size_t index, uint64_t value)
{
	shared_store(&t->words[index], value, memory_order_release); /* B */
}

uint64_t publish_get(const struct publish_table *t, size_t index)
{
	return shared_load(&t->words[index], memory_order_acquire);
}

void publish_begin(struct publish_table *t)
{
	uint64_t version = shared_load(&t->version, memory_order_relaxed);

	shared_store(&t->version, version + 1, memory_order_relaxed);
}

void publish_end(struct publish_table *t)
{
	uint64_t version = shared_load(&t->version, memory_order_relaxed);

	shared_store(&t->version, version + 1, memory_order_release);
}

int publish_copy(const struct publish_table *t, size_t first, size_t nr,
		 uint64_t *words)
{
	for (int i = 0; i < PUBLISH_TRIES; i++) {
		uint64_t version =
			shared_load(&t->version, memory_order_acquire); /* E */

		if (version & 1)
			continue;
		for (size_t w = 0; w < nr; w++)
			words[w] = shared_load(&t->words[first + w],
					       memory_order_relaxed);
		shared_fence(memory_order_acquire); /* B */
		if (shared_load(&t->version, memory_order_relaxed) == version)
			return 0;
	}
	return -EAGAIN;
}
