/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes a trace (trace.h). Context of all functions: one thread per writer. */
#ifndef DISCO_MEMORY_TRACE_WRITE_H
#define DISCO_MEMORY_TRACE_WRITE_H

#include "memory/trace/trace.h"

struct trace_writer;

/**
 * trace_writer_create() - begin a trace
 * @out:  released with trace_writer_destroy()
 * @fd:   written from where it is; not owned
 * @info: of the run; copied
 *
 * Return: 0; -EINVAL @info cannot be; -ENOMEM; -errno of write().
 */
MUST_CHECK int trace_writer_create(struct trace_writer **out, int fd,
				   const struct trace_info *info);

/*
 * Add an access. One that is earlier than the one before gets its time. Return:
 * 0; -EINVAL there is no such VM, page or node; -errno of write().
 */
MUST_CHECK int trace_writer_add(struct trace_writer *w,
				const struct access_record *r);

/*
 * Add an event, after the accesses so far; its .at is set. Return: 0; -EINVAL;
 * -errno of write().
 */
MUST_CHECK int trace_writer_event(struct trace_writer *w,
				  const struct trace_event *e);

/* Add a mark; a longer @text is cut. Return: as trace_writer_event(). */
MUST_CHECK int trace_writer_mark(struct trace_writer *w, uint64_t time_ns,
				 const char *text);

/* TRACE_POLICY, in as many events as its text needs. */
MUST_CHECK int trace_writer_policy(struct trace_writer *w, uint64_t time_ns,
				   uint32_t vm, const char *text);

/**
 * trace_writer_end() - write what is left, and the end
 * @lost: accesses that are missing
 * @compute_ns: see trace.h
 *
 * Return: 0; -errno of write().
 */
MUST_CHECK int trace_writer_end(struct trace_writer *w, uint64_t lost,
				uint64_t compute_ns);

/* What was added so far. */
uint64_t trace_writer_accesses(const struct trace_writer *w);
uint64_t trace_writer_bytes(const struct trace_writer *w);

/* Without trace_writer_end() the file is cut. NULL is accepted. */
void trace_writer_destroy(struct trace_writer *w);

#endif
