/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * What a guest and its worker share: the PCI device by which a guest gives
 * hints about its memory. Programs of the guest, its kernel module and the
 * worker include this header; it needs <linux/types.h> alone.
 *
 * The device has one BAR of memory, BAR 0, of HINTS_BAR_BYTES:
 *
 *	offset			contents		who writes
 *	0			registers, 32 bits each	both; each access exits
 *	HINTS_INFO_AT		struct hints_info	host; guest writes have
 *							no effect
 *	HINTS_DISTANCE_AT	one byte for each pair	host
 *				of nodes
 *	HINTS_TAIL_AT		struct hints_tail	guest
 *	HINTS_ENTRIES_AT	HINTS_ENTRIES of	guest
 *				struct hints_entry
 *
 * The BAR's memory belongs to the worker, so the device makes no DMA and the
 * guest passes no address of a ring: a program of the guest that may map
 * /sys/bus/pci/devices/.../resource0 can use the device, without a driver.
 *
 * The memory appears a moment after decoding of the BAR was turned on; until
 * then it reads as 0. Wait for hints_info.magic.
 *
 * A hint is advice. One that is wrong, or of memory that is not the guest's,
 * costs the guest itself, and nobody else. All numbers are little-endian.
 *
 * THE RING
 *  1. The guest stores entry n in slot n % HINTS_ENTRIES, then stores n + 1 to
 *     tail (release). n counts from 0 after a reset and wraps at 2^32.
 *  2. The host loads tail (acquire), takes entries, and stores the number of the
 *     first entry that it has not taken to hints_info.head (release).
 *  3. The guest may use the slot of entry n again when head is beyond n. What a
 *     hint asks for at once (FREE, ZERO) has been done by then.
 *  4. The guest writes HINTS_REG_DOORBELL after it has stored tail, and need not
 *     do so for each entry. The host may take its time: a guest that gives more
 *     hints than its share waits, see HINTS_INFO_SLOWED.
 *  5. A tail that is more than HINTS_ENTRIES beyond head breaks the ring: the
 *     host takes nothing more until HINTS_REG_RESET is written.
 *
 * A ring has one producer. Programs without the module exclude each other by
 * flock(2) on resource0.
 */
#ifndef DISCO_HINTS_ABI_H
#define DISCO_HINTS_ABI_H

#include <linux/types.h>

/*
 * Numbers that the PCI-SIG has given to nobody. A driver compares the magic
 * number as well.
 */
#define HINTS_PCI_VENDOR 0xd15c
#define HINTS_PCI_DEVICE 0x0001

#define HINTS_MAGIC   0x544e4844u /* "DHNT" */
#define HINTS_VERSION 1u	  /* other layouts have other numbers */

#define HINTS_PAGE_BYTES  4096u
#define HINTS_BAR_BYTES	  0x20000u
#define HINTS_INFO_AT	  0x1000u
#define HINTS_DISTANCE_AT 0x2000u
#define HINTS_INFO_BYTES  0x2000u /* both of these pages */
#define HINTS_TAIL_AT	  0x10000u
#define HINTS_ENTRIES_AT  0x18000u
#define HINTS_RING_BYTES  0x10000u /* from HINTS_TAIL_AT on */
#define HINTS_ENTRIES	  1024u	   /* a power of two */

/* Registers. Those that are read have the same value in each read. */
#define HINTS_REG_MAGIC	   0x00u /* R: HINTS_MAGIC */
#define HINTS_REG_VERSION  0x04u /* R: HINTS_VERSION */
#define HINTS_REG_KINDS	   0x08u /* R: bit k: kind k is of use here */
#define HINTS_REG_ENTRIES  0x0cu /* R: HINTS_ENTRIES */
#define HINTS_REG_DOORBELL 0x10u /* W: there are new entries */
#define HINTS_REG_RESET	   0x14u /* W: head and tail are 0 now */

/* What a hint says of its pages, or of the guest. */
enum hints_kind {
	HINTS_NONE = 0,
	/* Read often, written seldom: a copy on each node is of use. */
	HINTS_READ_MOSTLY = 1,
	/* Used by one vCPU, .vcpu, alone. */
	HINTS_PRIVATE = 2,
	/* Is about to be written: a copy would be wasted. */
	HINTS_REWRITE = 3,
	/* Will not be used for long: may be reclaimed or merged. */
	HINTS_COLD = 4,
	/*
	 * The guest does not need the contents: the memory goes back to the
	 * machine, and reads as anything until it is written.
	 */
	HINTS_FREE = 5,
	/* The pages are to be zeroes now. They are when head is beyond it. */
	HINTS_ZERO = 6,
	/* Are not to be moved to another node; may be moved again. */
	HINTS_PIN = 7,
	HINTS_PIN_OFF = 8,
	/* Without pages: .arg names a phase of the guest's work. */
	HINTS_PHASE_BEGIN = 9,
	HINTS_PHASE_END = 10,
	/* Other guests are likely to have the same bytes. */
	HINTS_MERGE = 11,
	/* What earlier hints said of these pages is over. */
	HINTS_FORGET = 12,
	HINTS_NR_KINDS
};

#define HINTS_ANY_VCPU	0xffffu
#define HINTS_MAX_PAGES (1u << 20) /* of one entry: 4 GiB */

struct hints_entry {
	__u64 page;  /* guest physical address / HINTS_PAGE_BYTES */
	__u32 pages; /* 1 .. HINTS_MAX_PAGES; 0: a hint without pages */
	__u16 kind;  /* enum hints_kind */
	__u16 vcpu;  /* HINTS_PRIVATE; else HINTS_ANY_VCPU */
	__u64 arg;   /* of phases */
	__u64 zero;
};

struct hints_tail {
	__u32 tail;
	__u32 zero[31];
};

#define HINTS_INFO_REPLICAS 1u /* pages of this guest may have replicas */
#define HINTS_INFO_KEEPS    2u /* memory is reserved: FREE returns nothing */
#define HINTS_INFO_SLOWED   4u /* too many hints of late: the host waits */
#define HINTS_INFO_BROKEN   8u /* rule 5 */

#define HINTS_MAX_VCPUS 512u
#define HINTS_MAX_NODES 64u
#define HINTS_NO_NODE	0xffu

/*
 * What the host tells. head and flags change at any time. The rest changes when
 * the guest is moved: sequence is odd while it does, and a reader that finds the
 * same even number before and after has read one state.
 */
struct hints_info {
	__u32 magic, version;
	__u32 head;
	__u32 flags; /* HINTS_INFO_*, ORed */
	__u32 sequence;
	__u32 nr_vcpus;
	__u32 nr_nodes; /* of the machine; 0: not known */
	__u32 zero;
	__u64 taken;   /* entries */
	__u64 refused; /* of them: of no use, or of no memory of the guest */
	__u64 freed;   /* pages that went back to the machine */
	__u64 zero2[9];
	__u8 vcpu_node[HINTS_MAX_VCPUS]; /* home; HINTS_NO_NODE: not known */
};

/*
 * The distance between nodes i and j (ACPI SLIT: 10 is local) is the byte at
 * HINTS_DISTANCE_AT + i * HINTS_MAX_NODES + j; 0: there is no such node.
 */

_Static_assert(sizeof(struct hints_entry) == 32, "shared layout");
_Static_assert(sizeof(struct hints_tail) == 128, "shared layout");
_Static_assert(sizeof(struct hints_info) == 640, "shared layout");
_Static_assert(HINTS_ENTRIES_AT + HINTS_ENTRIES * sizeof(struct hints_entry) ==
		       HINTS_TAIL_AT + HINTS_RING_BYTES,
	       "the ring ends where its memory does");
_Static_assert(HINTS_TAIL_AT + HINTS_RING_BYTES == HINTS_BAR_BYTES,
	       "and the BAR");
_Static_assert(HINTS_DISTANCE_AT + HINTS_MAX_NODES * HINTS_MAX_NODES ==
		       HINTS_INFO_AT + HINTS_INFO_BYTES,
	       "two pages");

#endif
