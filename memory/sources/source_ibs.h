/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accesses from AMD's instruction-based sampling (IBS op), as perf has put them
 * into a ring per CPU. NOT RUN ON HARDWARE: the decoder is tested with rings
 * that were made by hand. Nothing opens the events yet.
 *
 * An event is opened on the host per CPU, with pid -1, so that guests are seen;
 * sample_type has to be IBS_SAMPLE_TYPE. Of a sample these are used: CPU, time,
 * and of its raw registers the physical address, if the CPU says that it is
 * valid. perf's own PHYS_ADDR is a walk of the page tables of whoever runs, which
 * is the wrong address space for a guest.
 *
 * A sample counts if the load or store missed the second-level cache.
 */
#ifndef DISCO_MEMORY_PLACEMENT_SOURCE_IBS_H
#define DISCO_MEMORY_PLACEMENT_SOURCE_IBS_H

#include <linux/perf_event.h>

#include "memory/placement/access.h"
#include "memory/sources/source_flash.h"

#define IBS_SAMPLE_TYPE                                                        \
	(PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CPU | PERF_SAMPLE_RAW)
#define IBS_MAX_CPUS 1024u

/* A ring of perf: its first page and its data, which the kernel writes. */
struct ibs_ring {
	struct perf_event_mmap_page *head; /* mapped writable, for data_tail */
	const uint8_t *data;
	uint64_t bytes; /* of data; a power of two */
};

struct ibs_source_config {
	const struct ibs_ring *rings; /* copied; what they point to is not */
	unsigned nr_rings;
	uint32_t weight;	/* of a sample: accesses between two of them */
	const uint8_t *node_of; /* index of each CPU's node; copied */
	unsigned nr_cpus;	/* at most IBS_MAX_CPUS */
	/* Index of a frame's node; ACCESS_NO_NODE: none. */
	uint8_t (*home_of)(void *arg, uint64_t frame);
	access_find_fn *find;
	void *arg;
};

/* Release it with access_destroy(). Return: 0; -EINVAL; -ENOMEM. */
MUST_CHECK int ibs_source_create(struct access_source **out,
				 const struct ibs_source_config *c);

/* What a sample says. */
struct ibs_sample {
	uint64_t time_ns, frame;
	uint32_t cpu;
	uint8_t kind; /* enum policy_kind */
};

/**
 * ibs_decode() - decode the body of a PERF_RECORD_SAMPLE
 * @body: @len bytes after the header
 *
 * Context: any thread. Return: 0; -ENODATA it is no access that counts; -EBADMSG
 * it is cut, or not of IBS_SAMPLE_TYPE.
 * Source: perf_event_open(2); Linux arch/x86/include/asm/amd-ibs.h and
 * arch/x86/events/amd/ibs.c; AMD PPR, IBS_OP_DATA3 (MSRC001_1037).
 */
MUST_CHECK int ibs_decode(const uint8_t *body, size_t len,
			  struct ibs_sample *out);

#endif
