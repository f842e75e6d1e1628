/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/replica/marks.h"

#include "numa/atomic_ops.h"

void marks_set(marks_word *own, uint64_t page)
{
	marks_word *word = &own[page / 64];
	uint64_t w = shared_load(word, memory_order_relaxed);

	shared_store(word, w | 1ull << (page % 64), memory_order_release);
	shared_fence(memory_order_seq_cst);
}

bool marks_look(const marks_word *other, uint64_t page)
{
	const marks_word *word = &other[page / 64];

	return shared_load(word, memory_order_acquire) >> (page % 64) & 1;
}
