/* SPDX-License-Identifier: BSD-2-Clause */
/* What benchmarks in C share: they end with a word when anything fails. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "disco/clock.h"

#define MAX_ROUNDS 101

static inline _Noreturn void fail(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* @err: a negative errno, or -1 and errno. */
static inline void must(int err, const char *what)
{
	if (err < 0) {
		errno = err == -1 ? errno : -err;
		fail(what);
	}
}

static inline int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts @ns: [0] is the least. */
static inline double median(double *ns, unsigned nr)
{
	qsort(ns, nr, sizeof(*ns), by_value);
	return ns[nr / 2];
}

/* Each of @nr once, in an order drawn by random(). */
static inline void draw_order(size_t *order, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		size_t k = (size_t)random() % (i + 1);

		order[i] = order[k];
		order[k] = i;
	}
}

/* What every benchmark that measures in rounds takes. */
struct bench_options {
	unsigned rounds, seed;
	const char *commit, *out; /* out: NULL: no result file */
};

/*
 * The same for getopt_long(), each by its first letter. clang-format takes
 * several initializers in a macro for a block.
 */
/* clang-format off */
#define BENCH_OPTIONS \
	{ "rounds", 1, NULL, 'r' }, { "seed", 1, NULL, 's' }, \
	{ "commit", 1, NULL, 'c' }, { "out", 1, NULL, 'o' }
/* clang-format on */

/* Takes @opt and optarg. Return: false: it is none of BENCH_OPTIONS. */
static inline bool bench_option(struct bench_options *o, int opt)
{
	switch (opt) {
	case 'r':
		o->rounds = (unsigned)strtoul(optarg, NULL, 10);
		return true;
	case 's':
		o->seed = (unsigned)strtoul(optarg, NULL, 10);
		return true;
	case 'c':
		o->commit = optarg;
		return true;
	case 'o':
		o->out = optarg;
		return true;
	default:
		return false;
	}
}

static inline bool bench_rounds_valid(const struct bench_options *o)
{
	return o->rounds > 0 && o->rounds <= MAX_ROUNDS;
}

/* The members that every result file begins with, of @bench, in @o->out. */
static inline FILE *json_open(const struct bench_options *o, const char *bench)
{
	FILE *f = fopen(o->out, "w");
	struct utsname u;

	if (!f)
		fail(o->out);
	uname(&u);
	fprintf(f,
		"{\"bench\": \"%s\", \"version\": 1, \"commit\": \"%s\",\n"
		" \"host\": \"%s\", \"kernel\": \"%s\", \"cpus\": %ld, "
		"\"lab\": %s, \"seed\": %u,\n \"rounds\": %u",
		bench, o->commit, u.nodename, u.release,
		sysconf(_SC_NPROCESSORS_ONLN),
		getenv("DISCO_LAB") ? "true" : "false", o->seed, o->rounds);
	return f;
}

#endif
