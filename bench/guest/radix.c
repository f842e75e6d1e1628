/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * radix - the write-shared workload of bench-locality: a parallel radix sort, as
 * SPLASH-2's. Each process counts the digits of its part of the keys; then all of
 * them put their keys where they belong, all over the other half of the memory,
 * so that each page is written by all. Compiled in the guest by tcc.
 *
 *	radix make FILE KEYS PROCESSES SEED
 *	radix run FILE FIRST NR TIMES	processes FIRST .. FIRST + NR - 1 of all,
 *					in this guest; the others run elsewhere.
 *					To sort again what is sorted is as much
 *					work: the first digit scatters it.
 *
 * Then the result is checked: it is in order, and has the keys that there were.
 * Prints sums of them.
 */
#include "bench/guest/shared.h"

#define MAGIC	   0x7869646172ul
#define DIGIT_BITS 10u
#define DIGITS	   (1u << DIGIT_BITS)
#define PASSES	   3u
#define MOST	   64u /* processes */

/* The first page of the file. */
struct head {
	unsigned long magic, keys, processes, seed;
	unsigned long sum, mixed; /* of all keys */
	/* Processes that have begun; meetings; sums of what came out. */
	volatile unsigned long begun, met, sum_after, mixed_after;
};

struct sort {
	struct head *head;
	unsigned *counts;  /* [processes][DIGITS] */
	unsigned *keys[2]; /* from, to */
	unsigned first, passes;
};

static size_t bytes_of(unsigned long keys, unsigned long processes)
{
	return SHARED_PAGE + processes * DIGITS * sizeof(unsigned) +
	       2 * keys * sizeof(unsigned);
}

/* Return: whether the file is one of ours. */
static int map_sort(struct sort *s, const char *path)
{
	size_t bytes;

	memset(s, 0, sizeof(*s));
	s->head = shared_map(path, 1, &bytes);
	if (!s->head || s->head->magic != MAGIC || s->head->processes > MOST ||
	    bytes < bytes_of(s->head->keys, s->head->processes))
		return 0;
	s->counts = (unsigned *)((char *)s->head + SHARED_PAGE);
	s->keys[0] = s->counts + s->head->processes * DIGITS;
	s->keys[1] = s->keys[0] + s->head->keys;
	return 1;
}

static int make(const char *path, unsigned long keys, unsigned long processes,
		unsigned long seed)
{
	struct head *h;
	unsigned *key;
	size_t bytes;

	if (!processes || processes > MOST || keys < processes ||
	    shared_make(path, bytes_of(keys, processes)))
		return 0;
	h = shared_map(path, 1, &bytes);
	if (!h)
		return 0;
	h->keys = keys;
	h->processes = processes;
	h->seed = seed;
	key = (unsigned *)((char *)h + SHARED_PAGE) + processes * DIGITS;
	for (unsigned long i = 0; i < keys; i++) {
		key[i] = (unsigned)(shared_mix(seed * keys + i) >>
				    (64 - DIGIT_BITS * PASSES));
		h->sum += key[i];
		h->mixed += shared_mix(key[i]);
	}
	h->magic = MAGIC;
	return !munmap(h, bytes);
}

static unsigned digit_of(unsigned key, unsigned pass)
{
	return key >> pass % PASSES * DIGIT_BITS & (DIGITS - 1);
}

/* The first key of a process; that of one behind the last: all keys. */
static unsigned long part(const struct sort *s, unsigned process)
{
	return s->head->keys * process / s->head->processes;
}

/* Where the process's keys of each digit begin. */
static void rank(const struct sort *s, unsigned process, unsigned *at)
{
	unsigned nr = (unsigned)s->head->processes, sum = 0;

	for (unsigned d = 0; d < DIGITS; d++)
		for (unsigned p = 0; p < nr; p++) {
			if (p == process)
				at[d] = sum;
			sum += s->counts[p * DIGITS + d];
		}
}

/* Return: 0; -1: others are late. */
static int sort_pass(const struct sort *s, unsigned process, unsigned pass)
{
	const unsigned *from = s->keys[pass % 2];
	unsigned *to = s->keys[(pass + 1) % 2], at[DIGITS] = { 0 };
	unsigned long end = part(s, process + 1);
	unsigned nr = (unsigned)s->head->processes;

	for (unsigned long i = part(s, process); i < end; i++)
		at[digit_of(from[i], pass)]++;
	memcpy(s->counts + process * DIGITS, at, sizeof(at));
	if (shared_meet(&s->head->met, nr, 2 * pass + 1))
		return -1;
	rank(s, process, at);
	for (unsigned long i = part(s, process); i < end; i++)
		to[at[digit_of(from[i], pass)]++] = from[i];
	return shared_meet(&s->head->met, nr, 2 * pass + 2);
}

/* Return: whether its part is in order; its sums are added to those of all. */
static int check(const struct sort *s, unsigned process)
{
	const unsigned *key = s->keys[s->passes % 2];
	unsigned long sum = 0, mixed = 0, end = part(s, process + 1);

	for (unsigned long i = part(s, process); i < end; i++) {
		if (i && key[i - 1] > key[i])
			return 0;
		sum += key[i];
		mixed += shared_mix(key[i]);
	}
	shared_add(&s->head->sum_after, sum);
	shared_add(&s->head->mixed_after, mixed);
	return 1;
}

static int process_main(void *arg, unsigned i)
{
	const struct sort *s = arg;
	unsigned process = s->first + i, in_order;

	for (unsigned pass = 0; pass < s->passes; pass++)
		if (sort_pass(s, process, pass)) {
			printf("radix: process %u waits in vain\n", process);
			fflush(stdout);
			return 1;
		}
	in_order = (unsigned)check(s, process);
	if (!in_order)
		printf("radix: part %u is not in order\n", process);
	fflush(stdout);
	return shared_meet(&s->head->met, (unsigned)s->head->processes,
			   2 * s->passes + 1) ||
	       !in_order;
}

static int run(const char *path, unsigned first, unsigned nr, unsigned times)
{
	struct sort s;

	if (!map_sort(&s, path) || !nr || nr > s.head->processes ||
	    first > s.head->processes - nr) {
		printf("radix: %s has no keys for these processes\n", path);
		return 0;
	}
	if (shared_add(&s.head->begun, nr) + nr > s.head->processes) {
		printf("radix: %s was sorted already\n", path);
		return 0;
	}
	s.first = first;
	s.passes = times * PASSES;
	if (!shared_fork(nr, process_main, &s))
		return 0;
	if (s.head->sum != s.head->sum_after ||
	    s.head->mixed != s.head->mixed_after) {
		printf("radix: other keys came out\n");
		return 0;
	}
	printf("radix %lu keys, sums %lx %lx\n", s.head->keys, s.head->sum,
	       s.head->mixed);
	return 1;
}

int main(int argc, char *argv[])
{
	if (argc == 6 && strcmp(argv[1], "make") == 0)
		return !make(argv[2], strtoul(argv[3], NULL, 0),
			     strtoul(argv[4], NULL, 0),
			     strtoul(argv[5], NULL, 0));
	if (argc == 6 && strcmp(argv[1], "run") == 0)
		return !run(argv[2], (unsigned)atoi(argv[3]),
			    (unsigned)atoi(argv[4]), (unsigned)atoi(argv[5]));
	fprintf(stderr, "usage: radix make FILE KEYS PROCESSES SEED\n"
			"       radix run FILE FIRST NR TIMES\n");
	return 2;
}
