/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traces that were never recorded: runs of made-up programs, for tests of
 * policies and of what reads traces. The same text gives the same bytes, on every
 * machine.
 *
 * Each CPU runs one process. A process misses in pages of its own, in text that
 * all read, and in data that all share; of a region its first pages are the most
 * used (page = pages x u^3 of an even u). What the kinds are like is in the table
 * of synth.c; engineering, raytrace, splash, database and pmake are named after
 * the workloads of Verghese et al. (ASPLOS'96), whose sharing they have: private
 * data of processes that change their node; a scene that all read; partitions
 * that one node has initialised; a pool that all write; processes that end soon.
 */
#ifndef DISCO_MEMORY_IMPORT_SYNTH_H
#define DISCO_MEMORY_IMPORT_SYNTH_H

#include "disco/diag.h"
#include "memory/trace/trace_write.h"

struct synth_kind;

struct synth {
	const struct synth_kind *kind;
	uint32_t nodes, cpus; /* cpus: of all nodes, a multiple of nodes */
	uint64_t ms;	      /* how long the run takes */
	uint64_t seed;
};

/* Name and help of a kind; false past the last one. */
bool synth_kind_at(unsigned i, const char **name, const char **help);

/**
 * synth_parse() - what a user asks for
 * @text: "KIND[,nodes=N][,cpus=N][,ms=N][,seed=N]"
 *
 * Return: 0; -EINVAL with @d (ST_USAGE).
 */
MUST_CHECK int synth_parse(const char *text, struct synth *out, struct diag *d);

/* The machine and the VM. @out need not be zero. */
void synth_info(const struct synth *s, struct trace_info *out);

/* How many accesses there will be. */
uint64_t synth_accesses(const struct synth *s);

/**
 * synth_make() - all accesses and marks, in order
 * @add, @mark: called with @arg; a result that is not 0 ends it
 *
 * Return: 0; the result of @add or @mark; -ENOMEM.
 */
MUST_CHECK int synth_make(const struct synth *s,
			  int (*add)(void *arg, const struct access_record *r),
			  int (*mark)(void *arg, uint64_t time_ns,
				      const char *text),
			  void *arg);

/* What the CPUs computed: for trace_writer_end(). */
uint64_t synth_compute_ns(const struct synth *s);

/* All of it into a trace. Return: 0; -ENOMEM; errors of trace_writer_*(). */
MUST_CHECK int synth_write(const struct synth *s, int fd);

#endif
