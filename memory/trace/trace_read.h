/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads a trace (trace.h), from whomever it comes: each number is checked before
 * it is used, and what is wrong is named with its place. A file that was cut is
 * no error: what is before the cut is read.
 *
 * Context of all functions: one thread per reader.
 */
#ifndef DISCO_MEMORY_TRACE_READ_H
#define DISCO_MEMORY_TRACE_READ_H

#include "disco/diag.h"
#include "memory/trace/trace.h"

struct trace_reader;

/* Some accesses, and the events among and after them, both in order. */
struct trace_chunk {
	const struct access_record *records; /* times do not go back */
	const struct trace_event *events;
	uint64_t first;		/* of the file: number of records[0] */
	uint32_t nr, nr_events; /* not both 0 */
};

/**
 * trace_open() - read the head of a trace
 * @out:  released with trace_close()
 * @fd:   a regular file, read by pread(); owned by the reader after success
 * @name: of the file, for messages; outlives the reader
 * @d:    out on error (ST_TRACE), with the place and the reason
 *
 * Return: 0; -EBADMSG; -ENOMEM; -errno of pread().
 */
MUST_CHECK int trace_open(struct trace_reader **out, int fd, const char *name,
			  struct diag *d);

/* NULL is accepted. */
void trace_close(struct trace_reader *r);

/* Of the head, checked. */
const struct trace_info *trace_info(const struct trace_reader *r);

/**
 * trace_next() - read the next chunk
 * @out: valid until the next call; each event's .at is first .. first + nr
 *
 * Return: 1; 0 at the end, or where the file was cut; -EBADMSG; -errno of
 * pread().
 */
MUST_CHECK int trace_next(struct trace_reader *r, struct trace_chunk *out,
			  struct diag *d);

/*
 * What was read so far; .lost and .compute_ns are known after trace_next()
 * returned 0 only.
 */
const struct trace_totals *trace_totals(const struct trace_reader *r);

/* Whether the file was cut; known as above. */
bool trace_is_cut(const struct trace_reader *r);

/* Begin anew with the first chunk. */
void trace_rewind(struct trace_reader *r);

/* Bytes of the file, and those that were read: for progress. */
uint64_t trace_file_bytes(const struct trace_reader *r);
uint64_t trace_bytes_read(const struct trace_reader *r);

#endif
