/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One process's view of a shared segment whose pages can be protected and
 * replaced by replicas: the operations that holder.h needs, by userfaultfd
 * (write-protection of shared memory, Linux 5.19) and mremap(2).
 *
 * The view is one mapping of the segment, shared. A replica is a private mapping
 * of the replicas' memory (a memfd of the segment's size, opened for reading)
 * over that page. Both are registered with one userfaultfd.
 *
 * ATOMIC REPLACEMENT. A page is never unregistered or unprotected on its way
 * from one mapping to the other: the new one is made elsewhere, registered,
 * filled in, protected, and then moved over the old one by mremap(2), which
 * holds the address space's lock. KVM's page tables follow by its notifier.
 * That needs UFFD_FEATURE_EVENT_REMAP, or the moved mapping would not be
 * registered any more; so mremap(2) waits until the event was read, which is why
 * another thread has to be in segment_map_wait().
 *
 * WRITES OF DEVICES. A page that the kernel has pinned for a device's write does
 * not fault. So who starts such a write marks its pages before
 * (segment_map_busy()), and protection then fails: protect, fence, look at the
 * marks here; mark, fence (in the fault or the pin) there. Either the mark is
 * seen, or the write faults.
 *
 * Threads: one calls segment_map_wait(), one all of the operations, one (that
 * of devices) segment_map_busy() and segment_map_idle().
 */
#ifndef DISCO_MEMORY_SEGMENT_MAP_H
#define DISCO_MEMORY_SEGMENT_MAP_H

#include <stdatomic.h>

#include "disco/limits.h"
#include "memory/replica/holder.h"

/* Runs of replicas, each of which costs two mappings: see vm.max_map_count. */
#define SEGMENT_MAP_RUNS 4096u
#define SEGMENT_MAP_BUSY 512u /* words of marks that are known one by one */
/* Larger ones would need too many page tables for their marks of protection. */
#define SEGMENT_MAP_MAX_BYTES VM_MAX_COPIED

struct segment_map {
	uint8_t *base;	   /* [I] */
	uint64_t bytes;	   /* [I] */
	bool owned;	   /* [I] the mapping ends with this */
	bool huge;	   /* [I] huge pages are asked for */
	int segment_fd;	   /* [I] not owned */
	int uffd;	   /* [I] owned; -1: not guarded */
	int replica_fd;	   /* owned; for reading; -1: none */
	uint32_t nr_runs;  /* of replicas: never more than .max_runs */
	uint32_t max_runs; /* [I] SEGMENT_MAP_RUNS, or what the owner sets */
	uint64_t *shown;   /* [I] of the holder: its thread only */
	uint64_t *waiting;
	/* [A: devices' thread / operations, seq_cst] one bit per page */
	_Atomic(uint64_t) *busy;
	_Atomic(uint32_t) any_busy; /* the same */
	/*
	 * Devices' thread: which words of .busy are not 0. There are more of them
	 * than the list has room for: all between two.
	 */
	uint64_t nr_busy;
	uint64_t busy_words[SEGMENT_MAP_BUSY];
	uint64_t busy_first, busy_end;
};

/**
 * segment_map_probe() - can this process guard a segment?
 *
 * Return: 0; -ENOTSUP the kernel cannot, or only for faults of user mode; -errno
 * of userfaultfd(2).
 */
MUST_CHECK int segment_map_probe(void);

/**
 * segment_map_create() - map a segment
 * @fd:      not owned, outlives the map
 * @guarded: protect all of it, by userfaultfd
 * @out:     filled; release with segment_map_destroy(), also on error
 *
 * Context: while files can be opened. Return: 0; -errno of mmap(); errors of
 * segment_map_probe(); -EFBIG larger than SEGMENT_MAP_MAX_BYTES.
 */
MUST_CHECK int segment_map_create(struct segment_map *out, int fd,
				  uint64_t bytes, bool guarded);

/**
 * segment_map_open() - guard a mapping whose pages may be written at first
 * @base: the caller's mapping of all of @fd, shared, which outlives the map;
 *        NULL: one is made
 * @huge: ask for huge pages
 *
 * Otherwise as segment_map_create().
 */
MUST_CHECK int segment_map_open(struct segment_map *out, int fd, uint64_t bytes,
				uint8_t *base, bool huge);

/* Half-built and all-zero ones are accepted. */
void segment_map_destroy(struct segment_map *m);

/* The holder's operations; their @arg is the map. All but send. */
int segment_map_protect(struct segment_map *m, uint32_t first, uint32_t nr);
int segment_map_show(struct segment_map *m, uint32_t page);
/*
 * A page in the middle of a run leaves two. Where there is no room for one more,
 * the shorter end of the run is hidden as well.
 */
int segment_map_hide(struct segment_map *m, uint32_t page,
		     struct holder_range *hidden);
void segment_map_allow(struct segment_map *m, uint32_t first, uint32_t nr);

/* Where replicas are shown from; owned by the map. None may be shown now. */
void segment_map_set_replicas(struct segment_map *m, int fd);

/**
 * segment_map_wait() - wait until a thread writes to a protected page
 * @page: out
 *
 * Context: a thread of its own; blocks. Return: 0; -errno of read(2).
 */
MUST_CHECK int segment_map_wait(struct segment_map *m, uint64_t *page);

/*
 * A device is going to write to a range, until segment_map_idle(). Context:
 * lock-free; does not wait.
 */
void segment_map_busy(struct segment_map *m, uint64_t offset, uint64_t len);
/* No device writes anything. */
void segment_map_idle(struct segment_map *m);

/*
 * The guest is about to end, and must not reach the segment any more: what it
 * writes from now on is its own, and who waits for a page goes on.
 */
void segment_map_cut(struct segment_map *m);

#endif
