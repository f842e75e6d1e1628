/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accesses from a recorded run, and their recording. The file:
 *
 *	offset	what
 *	0	struct trace_head
 *	64	struct access_record, over and over
 *
 * in the byte order of x86-64. A file that ends within a record was cut, as the
 * recorder was killed: the records before that are good.
 */
#ifndef DISCO_MEMORY_PLACEMENT_SOURCE_TRACE_H
#define DISCO_MEMORY_PLACEMENT_SOURCE_TRACE_H

#include <stdio.h>

#include "memory/placement/access.h"

#define TRACE_MAGIC   0x3143525444474944ull /* "DIGDTRC1" */
#define TRACE_VERSION 1u

struct trace_head {
	uint64_t magic;
	uint32_t version;
	uint32_t record_bytes;
	uint64_t pages; /* of the VM */
	uint32_t nr_nodes;
	uint32_t zero[9];
};

_Static_assert(sizeof(struct trace_head) == 64, "layout");

/* Write the head of a trace. Return: 0; -EIO. */
MUST_CHECK int trace_begin(FILE *f, uint64_t pages, uint32_t nr_nodes);

/* Return: 0; -EIO. */
MUST_CHECK int trace_add(FILE *f, const struct access_record *r);

/**
 * trace_source_create() - read a recorded run
 * @fd:   a regular file; owned by the source after success
 * @head: out, checked; untouched on error
 *
 * Records of nodes, pages, kinds or classes that there cannot be are left out
 * and counted as strange; a record that was cut is counted as lost.
 *
 * Release it with access_destroy(). Return: 0; -EBADMSG no trace of this version;
 * -ENOMEM; -errno of pread().
 */
MUST_CHECK int trace_source_create(struct access_source **out, int fd,
				   struct trace_head *head);

#endif
