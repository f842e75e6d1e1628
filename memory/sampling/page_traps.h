/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traps in guest RAM: a page is unmapped from the view (it stays in the RAM
 * memfd, so nothing is lost), and its next access is reported: when, and by which
 * thread. That is userfaultfd's minor mode on shared memory (Linux 5.14).
 *
 *	thread		does
 *	I/O		sets traps, and takes those away that nobody ran into
 *	faults		waits for faults, takes the trap away, lets go on
 *
 * GUARANTEES
 *  1. Only a page that the pmap has as RAM is trapped, and the I/O thread alone
 *     changes what is mapped. So no private copy of the guest's is ever
 *     unmapped, which would be lost; pagemap is asked as well.
 *  2. Who runs into a trap waits for the faults thread alone, and that thread
 *     waits for nobody: it takes one lock that is held for some instructions,
 *     and touches no guest memory.
 *  3. A trap ends with its first fault, or after PAGE_TRAPS_LIFE_NS, or when the
 *     sampler is turned off; its page is mapped again then. The traps of a
 *     process that ends end with it.
 *  4. A page that becomes something else while it is trapped (an overlay, a hole)
 *     is not trapped any more. Who waits for it goes on.
 *  5. There are at most PAGE_TRAPS_MAX traps, each of which costs at most two
 *     mappings. A turn does at most PAGE_TRAPS_TURN steps, and sets a
 *     PAGE_TRAPS_TRIES-th of that. One at which nothing is due, while no trap is
 *     set, does none.
 *  6. What goes by page tables overlooks a page while it is trapped: a survey of
 *     memory (memory/ram_survey.h), or a move of that page, which then fails.
 *
 * LEFT OUT. Pages that are no RAM in the pmap (shown from a cache or an image,
 * merged, or a copy of such a page that the guest has written); that are not
 * mapped; that are being moved to another node.
 *
 * SECOND LOOKS. A page whose trap was run into is trapped once more,
 * PAGE_TRAPS_AGAIN_NS later, as policies ask for two accesses that agree. All such
 * pages are, so that a page's chance does not depend on what else it does.
 */
#ifndef DISCO_MEMORY_PAGE_TRAPS_H
#define DISCO_MEMORY_PAGE_TRAPS_H

#include "memory/guest_ram.h"
#include "memory/sampling/sampler.h"

#define PAGE_TRAPS_MAX	    1024u
#define PAGE_TRAPS_LIFE_NS  500000000ull
#define PAGE_TRAPS_AGAIN_NS 20000000ull
#define PAGE_TRAPS_TRIES    8u /* pages that are tried per page that is due */
#define PAGE_TRAPS_TURN	    (PAGE_TRAPS_MAX + 1024u)

struct page_traps;
struct pmap;

/* Totals. */
struct page_traps_counts {
	uint64_t set;	  /* traps, second looks included */
	uint64_t skipped; /* pages that were tried and left out */
	uint64_t faults;  /* traps that somebody ran into */
	uint64_t expired; /* traps that nobody ran into */
	uint64_t failed;  /* traps that the kernel refused */
	uint64_t steps;	  /* slots that turns have gone over */
};

struct page_trap_fault {
	uint64_t page;	     /* of the view */
	uint64_t latency_ns; /* since the trap was set */
	uint32_t thread;     /* number of the thread, as the kernel says */
	bool write;
	bool again; /* a second look */
};

/**
 * page_traps_create() - open what is needed
 * @view, @pm: outlive it
 * @out: release with page_traps_destroy()
 *
 * Context: while files can be opened. Return: 0; -ENOMEM; -EPERM faults of KVM
 * are not reported to this user; -EOPNOTSUPP the kernel cannot do this; -errno of
 * userfaultfd(2) and of open().
 */
MUST_CHECK int page_traps_create(struct page_traps **out,
				 const struct ram_view *view, struct pmap *pm);

/* No thread waits for a fault. NULL is accepted. */
void page_traps_destroy(struct page_traps *t);

/* Whether there could be traps in a worker. Return: as page_traps_create(). */
MUST_CHECK int page_traps_probe(void);

/*
 * Whether this is the first PID namespace: the numbers of the kernel's threads,
 * one of which takes most faults of a guest, are known there alone.
 */
MUST_CHECK bool page_traps_first_pids(void);

/**
 * page_traps_turn() - set the traps that are due, take old ones away
 *
 * With a sampler that is off, all go. Context: the I/O thread.
 */
void page_traps_turn(struct page_traps *t, struct sampler *s, uint64_t now_ns);

/**
 * page_traps_wait() - wait for a fault, and let who waits go on
 * @out: if it is 1
 *
 * Context: the faults thread, which does nothing else for long. Return: 1; 0: a
 * fault at no trap, which was let go on as well; -errno of poll() and read().
 */
MUST_CHECK int page_traps_wait(struct page_traps *t,
			       struct page_trap_fault *out);

/* Readable while a fault waits for page_traps_wait(). Owned by @t. */
int page_traps_fd(const struct page_traps *t);

/* Context: any thread. */
void page_traps_get_counts(struct page_traps *t, struct page_traps_counts *out);

#endif
