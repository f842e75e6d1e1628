/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * FLASH counters as the emulated machine sees them: finding the window of
 * include/abi/flash.h, telling its model which memory and which CPU is of which
 * node, turning it on and off, reading counts, and a clock that follows them. Cache misses are turned into
 * the time that they would take on a machine with given latencies.
 *
 * There is a window only in a lab that was started with lab/run --flash. The
 * window of a lab that has ended (--flash=keep=FILE) can be read.
 */
#ifndef DISCO_NUMA_FLASH_H
#define DISCO_NUMA_FLASH_H

#include "abi/flash.h"
#include "disco/base.h"
#include "disco/diag.h"

/* An open window. All-zero is a closed one. */
struct flash {
	void *base;
	uint64_t bytes;
	bool writable;
	/* Copies of the head's values, checked. */
	uint32_t nr_cpus, nr_nodes, cores, trigger;
	uint64_t nr_pages;
};

/* Counts of one CPU or several, or their difference between two times. */
struct flash_counts {
	uint64_t instructions, accesses, tlb_misses, upgrades, unknown;
	uint64_t misses[FLASH_MAX_NODES][FLASH_NR_RW]; /* by home */
};

/* What things cost on the modelled machine. */
struct flash_cost {
	double cpi; /* cycles per instruction that misses nowhere */
	double mhz;
	double local_ns, remote_ns; /* of a miss */
	/*
	 * A remote miss takes local_ns times distance / 10 instead: what the
	 * ACPI SLIT says that the distance means.
	 */
	bool by_distance;
};

/*
 * The latencies are those of Disco's experiments (SOSP'97); one instruction per
 * cycle of 5 ns is a choice of this tree.
 */
#define FLASH_COST_DEFAULT                                                     \
	((struct flash_cost){                                                  \
		.cpi = 1, .mhz = 200, .local_ns = 300, .remote_ns = 900 })

struct flash_time {
	uint64_t local, remote; /* misses */
	double compute_ns, local_ns, remote_ns;
};

/**
 * flash_open() - open the window
 * @f:    out; closed on error; release with flash_close()
 * @path: a file with a window, to be read; NULL: this machine's
 * @d:    out on error
 *
 * Context: any thread. Reads /sys. Return: 0; -ENOENT no device of this machine
 * is a window; -EPROTO it is none, or of another version; -EACCES, -ENOMEM and
 * others of open() and mmap().
 */
MUST_CHECK int flash_open(struct flash *f, const char *path, struct diag *d);

/*
 * The window of this machine for reading, for flash_attach() of another process.
 * Return: a descriptor, owned by the caller; -ENOENT; -errno of open().
 */
MUST_CHECK int flash_open_fd(void);

/* As flash_open(), of a descriptor, which is not owned; to be read. */
MUST_CHECK int flash_attach(struct flash *f, int fd);

/* Unmap. A closed one is accepted. */
void flash_close(struct flash *f);

/**
 * flash_map_nodes() - tell the model what is on which node
 * @f: open and writable
 *
 * Reads /proc/zoneinfo (frames of each node), /proc/cpuinfo (numbers of CPUs)
 * and /sys (CPUs of each node, their distances). Call it before flash_on(), and again when CPUs or memory came.
 *
 * Context: one process at a time. Return: 0; -ENODEV nothing was found; -E2BIG
 * more ranges than a window has.
 */
MUST_CHECK int flash_map_nodes(struct flash *f, struct diag *d);

/*
 * Count, or count no longer: each CPU notices with its next access of memory.
 * Context: one process at a time; @f is writable.
 */
void flash_on(struct flash *f, bool on);

/**
 * flash_reset() - set all counts to zero, those of pages too
 *
 * Drops the marks as well. Hot pages of before stay in the queues. The
 * modelled caches keep their contents.
 *
 * Context: as flash_on(); waits until a CPU has cleared the pages, which the
 * caller's own does at once. Return: 0; -ETIMEDOUT nobody did: QEMU runs no
 * plugin.
 */
MUST_CHECK int flash_reset(struct flash *f);

/**
 * flash_mark() - keep all counts of this moment under a name
 * @name: at most FLASH_MARK_NAME - 1 bytes
 *
 * Context: as flash_on(). Return: its number; -ENOSPC; -ENAMETOOLONG.
 */
MUST_CHECK int flash_mark(struct flash *f, const char *name);

/* Number of a mark; -ENOENT. Of two of one name the later one. */
MUST_CHECK int flash_find_mark(const struct flash *f, const char *name);

/* Copy a mark's name. Return: false past the last one. */
MUST_CHECK bool flash_mark_name(const struct flash *f, unsigned mark,
				char name[FLASH_MARK_NAME]);

#define FLASH_NOW (-1) /* instead of a mark */

/**
 * flash_read_cpu() - counts of one CPU
 * @mark: from flash_mark() or flash_find_mark(); FLASH_NOW
 * @out:  zeroes if the CPU has counted nothing since the last reset, or is none
 *
 * Context: any thread. Values are as of slightly different instants.
 */
void flash_read_cpu(const struct flash *f, unsigned cpu, int mark,
		    struct flash_counts *out);

/* @a += @b */
void flash_add(struct flash_counts *a, const struct flash_counts *b);
/* @a -= @b, not below 0 */
void flash_subtract(struct flash_counts *a, const struct flash_counts *b);

/*
 * Node of a CPU, and of a frame; the number of a CPU in this machine's kernel,
 * whereas all functions of this file take QEMU's. -1: unknown. Cost: of a frame,
 * a step per zone of memory.
 */
int flash_number_of_cpu(const struct flash *f, unsigned cpu);
int flash_node_of_cpu(const struct flash *f, unsigned cpu);
int flash_node_of_frame(const struct flash *f, uint64_t frame);

/* Misses of CPUs of @node in a page; 0 for what is out of range. */
uint32_t flash_page(const struct flash *f, uint64_t frame, unsigned node,
		    enum flash_rw rw);

/**
 * flash_model_time() - time of one CPU
 * @node: the CPU's
 * @out:  added to, so that CPUs can be summed up: CPU time, not elapsed time
 *
 * Source: Disco (SOSP'97) 5; lab/flash.c says what is modelled.
 */
void flash_model_time(const struct flash *f, const struct flash_counts *c,
		      unsigned node, const struct flash_cost *cost,
		      struct flash_time *out);

/*
 * The time of the modelled machine, as one reader has followed it. All-zero is
 * its beginning.
 */
struct flash_clock {
	uint64_t now_ns;
	uint64_t looked_ns; /* CLOCK_MONOTONIC; 0: never */
	uint64_t busy_ns[FLASH_MAX_CPUS];
};

/*
 * While nothing is counted, the modelled machine is taken to be as many times
 * as fast as the emulation.
 */
#define FLASH_SLOWDOWN 20u

/**
 * flash_clock_read() - what time it is on the modelled machine
 * @c: the reader's; a step further than at the last call
 *
 * The emulation is slower than the machine that it models, by a factor that
 * differs from minute to minute. So the clock follows the counts: it goes on by
 * what the CPU that has done most since the last call took for it, instructions
 * and misses, by FLASH_COST_DEFAULT and the distances of the nodes. It stands
 * while no CPU does anything.
 *
 * Context: any thread, @c private to it. Return: ns; does not go back.
 */
uint64_t flash_clock_read(const struct flash *f, struct flash_clock *c);

/*
 * What a CPU, by its number in this machine's kernel, has taken for its work since
 * the last reset, by the same costs. Return: ns; 0: it is not known.
 */
uint64_t flash_work_ns(const struct flash *f, unsigned number);

/* Where a reader of the hot pages is, per node. All-zero: at the oldest ones. */
struct flash_cursor {
	uint64_t next[FLASH_MAX_NODES];
	uint64_t lost; /* entries that were overwritten before they were read */
};

/* A hot page, copied, and checked to be in range. */
struct flash_page_hot {
	uint64_t frame, instructions;
	uint32_t reads, writes; /* of the page by that node, modulo 2^32 */
	uint32_t cpu;
	bool write; /* the last of its misses was one */
};

/**
 * flash_take_hot() - take the next hot page of a node
 * @node: whose CPUs have missed
 *
 * Context: any thread, @at private to it. Return: whether there was one.
 */
MUST_CHECK bool flash_take_hot(const struct flash *f, struct flash_cursor *at,
			       unsigned node, struct flash_page_hot *out);

/* Leave out all that there are now. */
void flash_skip_hots(const struct flash *f, struct flash_cursor *at);

#endif
