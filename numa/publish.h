/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Publish: a table of 64-bit words that one process writes and any number of
 * others read, in the writer's region. It starts as zeroes.
 *
 *	one word		publish_set(), publish_get()
 *	words that belong	publish_begin(), publish_set()...,
 *publish_end(); together		publish_copy()
 *
 * ORDERING
 *  1. publish_get(): all the writer did before it set the word happens before
 *     what the reader does next (release, acquire).
 *  2. publish_copy() that returns 0 has words as they were at one moment
 *     between two changes, none newer and none older than another.
 *
 * PROGRESS
 *  1. The writer and publish_get() are wait-free; no reader slows the writer.
 *  2. publish_copy() is bounded: PUBLISH_TRIES times the words asked for. A
 *     writer that was stopped in a change, or never ends one, costs -EAGAIN.
 *
 * The writer is hostile to its readers: it can make publish_copy() fail or
 * return nonsense; what is returned is a copy, to be checked, then used.
 */
#ifndef DISCO_NUMA_PUBLISH_H
#define DISCO_NUMA_PUBLISH_H

#include <stdatomic.h>

#include "disco/base.h"

#define PUBLISH_TRIES 8

struct publish_table {
	/* [A: writer/readers, see publish.c] odd while words change */
	_Alignas(128) _Atomic(uint64_t) version;
	/* [A: writer/readers, release] */
	_Alignas(128) _Atomic(uint64_t) words[];
};

_Static_assert(offsetof(struct publish_table, version) == 0, "shared layout");
_Static_assert(offsetof(struct publish_table, words) == 128, "shared layout");

/* Sets one word. Context: the writer; between begin and end or alone. */
void publish_set(struct publish_table *t, size_t index, uint64_t value);

/* One word. Context: any reader; @index is within the region it mapped. */
uint64_t publish_get(const struct publish_table *t, size_t index);

/* Words that change together are set between these. Context: the writer. */
void publish_begin(struct publish_table *t);
void publish_end(struct publish_table *t);

/**
 * publish_copy() - words of one moment
 * @first, @nr: range of words, within the region that was mapped
 * @words:      out, @nr words; undefined on error
 *
 * Context: any reader. Return: 0; -EAGAIN they changed all the time.
 */
MUST_CHECK int publish_copy(const struct publish_table *t, size_t first,
			    size_t nr, uint64_t *words);

#endif
