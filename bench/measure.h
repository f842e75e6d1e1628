/* SPDX-License-Identifier: BSD-2-Clause */
/* What benchmarks in C share: they end with a word when anything fails. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <errno.h>
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

/* The members every result file begins with. */
static inline FILE *json_open(const char *path, const char *bench,
			      const char *commit, unsigned seed,
			      unsigned rounds)
{
	FILE *f = fopen(path, "w");
	struct utsname u;

	if (!f)
		fail(path);
	uname(&u);
	fprintf(f,
		"{\"bench\": \"%s\", \"version\": 1, \"commit\": \"%s\",\n"
		" \"host\": \"%s\", \"kernel\": \"%s\", \"cpus\": %ld, "
		"\"lab\": %s, \"seed\": %u,\n \"rounds\": %u",
		bench, commit, u.nodename, u.release,
		sysconf(_SC_NPROCESSORS_ONLN),
		getenv("DISCO_LAB") ? "true" : "false", seed, rounds);
	return f;
}

#endif
