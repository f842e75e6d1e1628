/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All interleavings of two or three threads that share memory by
 * numa/atomic_ops.h, under a memory model weaker than x86's.
 *
 * MEMORY. Each word has the list of all values ever stored to it. A thread
 * has a *view*: how far into each list it must have seen. A load may return
 * any value not older than the view, so an old one too. A release store
 * carries the thread's view, an acquire load that returns it takes it over;
 * relaxed ones do so by way of fences only. Sequentially consistent fences
 * pass one view around. This is C11 (as RC11 has it) without the reordering
 * of a load after a later store; every word has one writer, so a new value
 * always goes to the end of its list. All that x86-TSO and store buffers that
 * drain out of order can do is among it.
 *
 * Copies of messages are not atomic: one that is not ordered after the last
 * conflicting one by views is a data race, and that is a violation whatever
 * it read. This also finds a load that could pass a later store.
 *
 * SEARCH. A thread is a function of what its operations returned, so its
 * state is the list of these results: a step is taken by running it again
 * from the start with the results so far. States seen before are not entered
 * again (64-bit fingerprints). Stores need no choice of when: done at once
 * they only add to what others may read, for a load may still return the old
 * value. So is a writer's load of its own word. All other loads, fences and
 * system calls are tried in every order.
 */
#ifndef TESTS_MODEL_H
#define TESTS_MODEL_H

#include <stddef.h>
#include <stdint.h>

#define MODEL_THREADS 3

struct model_result {
	uint64_t nr_states;
	uint64_t nr_steps;
	double nr_schedules;   /* ways from the start to an end */
	unsigned longest;      /* operations of one thread */
	const char *violation; /* NULL: none; the search ended there */
};

struct model_program {
	/*
	 * Run to their end on every call; keep nothing outside their frames.
	 * NULL: there is none.
	 */
	void (*threads[MODEL_THREADS])(void);
	/* What holds when all have ended. */
	void (*at_end)(void);
};

void model_explore(const struct model_program *p, struct model_result *out);

/* For the threads and at_end: ends this schedule with a violation. */
void model_assert(int holds, const char *what);
/*
 * For the threads: what this one does from here on depends on these words and
 * on what it reads. States that differ in how they were reached are then one.
 */
void model_summary(const uint64_t *words, size_t nr);
/* For the threads: blocks until a byte is in the socket, as poll(). */
void model_wait(int fd);
/* Blocks until a value of *p that this thread has not seen is stored. */
void model_await_change(const void *p);
/* For at_end: wake-ups sent; what a word holds. */
unsigned model_nr_wakes(void);
uint64_t model_last(const void *p);

#endif
