/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * FLASH counters: the window that a QEMU of the lab (lab/flash.c, a plugin)
 * shares with the machine that it emulates. What the Stanford FLASH machine had
 * in hardware is modelled: a second-level cache and a TLB per CPU, and a count
 * of cache misses per page, accessing node, and kind.
 *
 * The window is a file that QEMU maps. The lab sees it as the memory of a PCI
 * device (ivshmem-plain, FLASH_PCI_VENDOR and FLASH_PCI_DEVICE, BAR 2).
 *
 * Each part has one writer:
 *
 *	offset			part			writer
 *	0			struct flash_head	plugin
 *	FLASH_CONTROL_OFFSET	struct flash_control	lab
 *	FLASH_CPUS_OFFSET	struct flash_cpu [64]	plugin: that CPU
 *	FLASH_MARKS_OFFSET	struct flash_mark [16]	lab
 *	FLASH_QUEUES_OFFSET	struct flash_queue [16]	plugin
 *	FLASH_PAGES_OFFSET	uint32_t [pages][nodes][2]	plugin
 *
 * Order: the plugin writes the head before the machine has a CPU, magic last.
 * The lab writes the map (struct flash_control) before it sets "on" [release].
 *
 * A miss is a load or store of data that the modelled cache does not hold, or
 * may not write. Pages are counted at the node of the CPU that accesses them.
 * Not counted: instructions as data, what devices do, and the second line of
 * an access that crosses a line.
 *
 * Each side treats what the other one writes as hostile: copy, check, use.
 */
#ifndef DISCO_ABI_FLASH_H
#define DISCO_ABI_FLASH_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define FLASH_MAGIC	 0x314853414c464744ull /* "DGFLASH1" */
#define FLASH_VERSION	 1u
#define FLASH_PCI_VENDOR 0x1af4u
#define FLASH_PCI_DEVICE 0x1110u

#define FLASH_MAX_CPUS	 64u /* by QEMU's numbers, 0 .. 63 */
#define FLASH_MAX_NODES	 16u
#define FLASH_MAX_RANGES 64u
#define FLASH_MAX_MARKS	 16u
#define FLASH_MARK_NAME	 32u /* bytes, NUL included */
#define FLASH_QUEUE_HOTS 4096u
#define FLASH_PAGE_SHIFT 12u

#define FLASH_CONTROL_OFFSET 0x1000ull
#define FLASH_CPUS_OFFSET    0x4000ull
#define FLASH_MARKS_OFFSET   0x10000ull
#define FLASH_QUEUES_OFFSET  0x100000ull
#define FLASH_PAGES_OFFSET   0x800000ull

enum flash_rw { FLASH_READ, FLASH_WRITE, FLASH_NR_RW };

/* What is modelled. [I] once magic is there. */
struct flash_head {
	_Atomic(uint64_t) magic;
	uint32_t version;
	uint32_t nr_cpus;  /* that can be; 1 .. FLASH_MAX_CPUS */
	uint32_t nr_nodes; /* columns of the pages: 1 .. FLASH_MAX_NODES */
	uint32_t page_shift;
	uint64_t bytes;	      /* of the window */
	uint64_t nr_pages;    /* rows: physical addresses from 0 on */
	uint64_t cache_bytes; /* per CPU; a power of two */
	uint32_t cache_ways;
	uint32_t line_bytes; /* a power of two */
	uint32_t tlb_entries;
	uint32_t trigger;  /* misses per entry in a queue; 0: no queue */
	uint32_t coherent; /* 1: a write invalidates other CPUs' copies */
	/*
	 * QEMU numbers the CPUs that there can be, cores of a socket in a row:
	 * the APIC's number, but for the unused numbers of a socket.
	 */
	uint32_t cores; /* per socket; 1 .. FLASH_MAX_CPUS */
};

/* Frames of memory of one node, [first, end). */
struct flash_range {
	uint64_t first, end;
	uint32_t node;
	uint32_t zero;
};

/*
 * Written by the lab. A CPU whose node is none (>= nr_nodes) is not counted,
 * nor is memory that no range has.
 */
struct flash_control {
	_Atomic(uint32_t) on; /* 1: count */
	/*
	 * Counts of another generation than this one are zero. A new number
	 * resets all of them; the first CPU that accesses memory then clears
	 * the pages, and says so in struct flash_cpu.
	 */
	_Atomic(uint32_t) generation;
	_Atomic(uint32_t) map_version; /* grows when the map has changed */
	uint32_t nr_ranges;
	uint32_t nr_marks; /* used entries of the marks */
	uint32_t zero;
	uint8_t node_of_cpu[FLASH_MAX_CPUS];
	uint8_t number_of_cpu[FLASH_MAX_CPUS]; /* that the lab's kernel uses */
	uint8_t distance[FLASH_MAX_NODES][FLASH_MAX_NODES]; /* ACPI SLIT's */
	struct flash_range ranges[FLASH_MAX_RANGES];
};

/* Counts of one CPU. [A: that CPU's thread of QEMU / lab, relaxed] */
struct flash_cpu {
	_Alignas(128) _Atomic(uint32_t) generation;
	_Atomic(uint32_t) map_version; /* in use; 0: none yet */
	_Atomic(uint64_t) instructions;
	_Atomic(uint64_t) accesses;
	_Atomic(uint64_t) tlb_misses;
	_Atomic(uint64_t) upgrades; /* of the write misses: line was there */
	_Atomic(uint64_t) unknown;  /* misses in memory that no range has */
	_Atomic(uint64_t) misses[FLASH_MAX_NODES][FLASH_NR_RW]; /* by home */
};

/* A copy of all counts at one time. */
struct flash_mark {
	char name[FLASH_MARK_NAME]; /* NUL-terminated */
	uint64_t time_ns;	    /* CLOCK_MONOTONIC of the lab */
	uint32_t generation;
	uint32_t zero;
	struct flash_cpu cpus[FLASH_MAX_CPUS];
};

/*
 * A page that a node's CPUs have missed in trigger times more. Counts are those
 * of the page and node, modulo 2^32. [A: plugin / lab, relaxed but for stamp]
 */
struct flash_hot {
	_Atomic(uint64_t) stamp; /* i + 1 of the i-th one; 0: being written */
	_Atomic(uint64_t) frame;
	_Atomic(uint64_t) instructions; /* of that CPU, so far: a clock */
	_Atomic(uint32_t) reads, writes;
	_Atomic(uint32_t) cpu;	/* of the last miss */
	_Atomic(uint32_t) kind; /* of the last miss: enum flash_rw */
	uint64_t zero[3];
};

/*
 * Hot pages by the node that accesses them, a ring each: entry i is at i %
 * FLASH_QUEUE_HOTS. The plugin overwrites the oldest ones. There may be any
 * number of readers: each keeps its own place. One that finds the same stamp
 * before and after it has read an entry has read a whole one.
 */
struct flash_queue {
	_Alignas(128) _Atomic(uint64_t) head; /* grows; release, acquire */
	_Alignas(128) struct flash_hot hots[FLASH_QUEUE_HOTS];
};

_Static_assert(sizeof(struct flash_head) == 72, "layout");
_Static_assert(offsetof(struct flash_head, bytes) == 24, "layout");
_Static_assert(offsetof(struct flash_head, trigger) == 60, "layout");
_Static_assert(sizeof(struct flash_head) <= FLASH_CONTROL_OFFSET, "fits");
_Static_assert(sizeof(struct flash_range) == 24, "layout");
_Static_assert(offsetof(struct flash_control, node_of_cpu) == 24, "layout");
_Static_assert(sizeof(struct flash_control) == 1944, "layout");
_Static_assert(FLASH_CONTROL_OFFSET + sizeof(struct flash_control) <=
		       FLASH_CPUS_OFFSET,
	       "fits");
_Static_assert(offsetof(struct flash_cpu, misses) == 48, "layout");
_Static_assert(sizeof(struct flash_cpu) == 384, "layout");
_Static_assert(FLASH_CPUS_OFFSET + FLASH_MAX_CPUS * sizeof(struct flash_cpu) <=
		       FLASH_MARKS_OFFSET,
	       "fits");
_Static_assert(sizeof(struct flash_mark) ==
		       128 + FLASH_MAX_CPUS * sizeof(struct flash_cpu),
	       "layout");
_Static_assert(FLASH_MARKS_OFFSET +
			       FLASH_MAX_MARKS * sizeof(struct flash_mark) <=
		       FLASH_QUEUES_OFFSET,
	       "fits");
_Static_assert(sizeof(struct flash_hot) == 64, "layout");
_Static_assert(offsetof(struct flash_queue, hots) == 128, "layout");
_Static_assert(sizeof(struct flash_queue) == 262272, "layout");
_Static_assert(FLASH_QUEUES_OFFSET +
			       FLASH_MAX_NODES * sizeof(struct flash_queue) <=
		       FLASH_PAGES_OFFSET,
	       "fits");

/* Offset of the count of a page: @nr_nodes and the rest in range. */
static inline uint64_t flash_page_offset(uint32_t nr_nodes, uint64_t frame,
					 uint32_t node, enum flash_rw rw)
{
	return FLASH_PAGES_OFFSET + ((frame * nr_nodes + node) * FLASH_NR_RW +
				     rw) * sizeof(uint32_t);
}

#endif
