/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control's side of a worker's figures (monitor/ipc/figures.h). They are mapped
 * read-only, copied word by word, once, and bounded so that they can be added
 * up and printed. No word is used as an index, a length or an address, so a
 * worker that writes nonsense only has wrong figures.
 */
#ifndef DISCO_MONITOR_CONTROL_FIGURES_H
#define DISCO_MONITOR_CONTROL_FIGURES_H

#include <sys/types.h>

#include "monitor/ipc/figures.h"
#include "numa/region.h"

/*
 * The largest count that is reported: it is exact as a double, and the sum of
 * 512 of them fits an int64.
 */
#define FIGURES_MAX (1ull << 53)

struct figures_copy {
	uint64_t exits[VM_MAX_VCPUS][FIGURES_NR_EXITS];
	uint64_t io_wakeups, io_events, freed_pages, ports;
	uint64_t cache[FIGURES_NR_CACHE]; /* enum figures_cache_word */
	uint64_t nets[VM_MAX_NETS][FIGURES_NET_CLAIMS];
	uint64_t claims[VM_MAX_NETS][VNET_CLAIM_WORDS]; /* addresses: not cut */
	uint64_t hints[FIGURES_NR_HINTS];     /* enum figures_hints_word */
	uint64_t samples[FIGURES_NR_SAMPLES]; /* enum figures_samples_word */
	uint64_t huge[FIGURES_NR_HUGE];	      /* enum figures_huge_word */
};

/* All-zero is a view that was not opened. Context: one thread. */
struct figures_view {
	struct region_view region; /* empty: not open */
	unsigned nr_vcpus;
	bool known;		  /* @last is valid */
	struct figures_copy last; /* as they were read last */
};

/**
 * figures_open() - map the region of a running worker
 * @f:        all-zero, open (then nothing is done), or closed
 * @pid:      process id of the worker, known to be right
 * @nr_vcpus: number of its vCPUs; those beyond VM_MAX_VCPUS are not read
 *
 * It goes through /proc, so it is the same for an adopted worker.
 *
 * Return: 0; -EPROTO there is no region of this size and with these seals (a
 * worker of another build); -EBADF; -ESRCH, -ENOENT the worker has ended;
 * -errno of open().
 */
MUST_CHECK int figures_open(struct figures_view *f, pid_t pid,
			    unsigned nr_vcpus);

/* Copy the current figures to @f->last. Does nothing if @f is not open. */
void figures_look(struct figures_view *f);

/*
 * Whether the guest can go on: one word, read now. FIGURES_RUNS if it is not
 * known.
 */
enum figures_stand figures_stand_now(const struct figures_view *f);

/**
 * figures_pair() - what a VM's port counts for one other port
 * @net: which of its networks; @i: row, below VNET_PAIRS
 * @who, @counts: out, by enum vnet_pair_word; not valid on false
 *
 * Return: true; false: the row is nobody's now, or the region is not mapped.
 */
MUST_CHECK bool figures_pair(const struct figures_view *f, unsigned net,
			     unsigned i, uint64_t *who,
			     uint64_t counts[VNET_PAIR_WORDS]);

/*
 * Ports of the virtio console that the guest has open, bit n is port n: one
 * word, read now; as read last while the region is not mapped. 0 if it is not
 * known.
 */
uint64_t figures_ports_now(const struct figures_view *f);

/*
 * Number of the thread of vCPU @i, read now; 0: not known. A hostile worker may
 * name any number: the caller finds out whether it is a thread of the worker.
 */
pid_t figures_vcpu_thread(const struct figures_view *f, unsigned i);

/* figures_look(), and unmap; @f->last stays. */
void figures_close(struct figures_view *f);

/**
 * figures_leave() - unmap, so that the region's pages can be pulled to a node
 * @node: node from which pages that do not exist yet come from now on
 *
 * move_pages(2) does not move a page that two processes map (MPOL_MF_MOVE_ALL
 * would, but requires a capability), so control has to unmap the region first.
 * figures_open() maps it again.
 */
void figures_leave(struct figures_view *f, nodeid_t node);

/* The name of a reason, such as "io". */
const char *figures_exit_name(enum figures_exit why);

#endif
