/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Recordings of other tools, as traces.
 *
 *	perf		text of `perf script -F tid,cpu,time,event,addr` over memory
 *			samples: loads, stores, and others as of unknown kind
 *	damo		DAMON's records: `damo record`'s file, JSON or compressed
 *			JSON. What is accessed, but not by whom: no node
 *	lackey		valgrind --tool=lackey --trace-mem=yes: each access of one
 *			thread
 *	ramulator	CPU traces: "BUBBLES READ [WRITE]"; a file per core
 *	csv		what `disco trace export` writes
 *
 * Addresses become pages that are numbered in the order of their addresses,
 * without gaps. CSV has pages already. Where a tool has no clock, each
 * instruction or access takes step_ns. Where it has accesses instead of misses,
 * a direct-mapped cache of cache_bytes per CPU lets through what it does not
 * hold. All files of one import are merged by time.
 *
 * Files are hostile: what cannot be is refused with its line.
 *
 * Context of all functions: one thread.
 */
#ifndef DISCO_MEMORY_IMPORT_IMPORT_H
#define DISCO_MEMORY_IMPORT_IMPORT_H

#include <stdio.h>

#include "disco/diag.h"
#include "memory/trace/trace.h"

#define IMPORT_MAX_CPUS	   1024u
#define IMPORT_MAX_RECORDS (1ull << 26) /* in memory: 2 GiB */
#define IMPORT_LINE_MAX	   4096u

struct import_run;
struct import_kind;

struct import_config {
	const struct import_kind *kind;
	uint64_t step_ns;     /* 1 or more */
	uint64_t cache_bytes; /* 0: none */
};

/* NULL: no such one. */
const struct import_kind *import_find(const char *name);

/* What cache_bytes should be, unless a user says otherwise. */
uint64_t import_standard_cache(const struct import_kind *k);

/* @out: released with import_destroy(). Return: 0; -ENOMEM. */
MUST_CHECK int import_create(struct import_run **out,
			     const struct import_config *c);

/* NULL is accepted. */
void import_destroy(struct import_run *im);

/**
 * import_file() - read one file
 * @f:    read to its end; not owned
 * @name: for messages
 * @d:    out on error (ST_TRACE), with the line
 *
 * Return: 0; -EBADMSG; -E2BIG more accesses than fit; -ENOMEM; -errno of reading.
 */
MUST_CHECK int import_file(struct import_run *im, FILE *f, const char *name,
			   struct diag *d);

/* 1 + the highest CPU of what was read so far; 0: there was none. */
uint32_t import_nr_cpus(const struct import_run *im);

/*
 * 1 + the highest node of what was read so far, where the kind has nodes (csv);
 * 0: none has.
 */
uint32_t import_nr_nodes(const struct import_run *im);

/**
 * import_write() - write the trace
 * @info:	 the machine: nodes, distances, latencies. VMs, origin and, where
 *		 it is empty, text are set
 * @node_of_cpu: [import_nr_cpus()], below @info->nr_nodes
 *
 * Return: 0; -EBADMSG (ST_TRACE) there is nothing, or more VMs, nodes or pages
 * than a trace can have; -ENOMEM; -errno of write().
 */
MUST_CHECK int import_write(struct import_run *im, int fd,
			    struct trace_info *info, const uint8_t *node_of_cpu,
			    struct diag *d);

#endif
