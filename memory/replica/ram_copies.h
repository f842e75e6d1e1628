/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copies of pages of one guest's RAM, one per node, for a guest with views (one
 * KVM VM per node: monitor/worker/views). All of it is in one process, the
 * guest's worker.
 *
 * Each view has a mapping of its own of the RAM memfd, which its KVM VM's memory
 * slots show. One more mapping, the host's, is what devices and the rest of the
 * worker use; it never shows a copy. A page is *plain* (all mappings show the
 * page of the memfd, and may write it) or *shared* (views show the copy of their
 * node or the page itself, and nobody may write it), or on its way.
 *
 * One thread, the owner, makes all changes, one after the other. What may be
 * done next is decided by home.c, each mapping's state is kept by holder.c: the
 * two are those of shared segments (home.h), and the messages between them go
 * through a queue of the owner's instead of channels. Every order of them that
 * is possible here is one that tests/unit/replica/test_replica_model.c tries.
 * The system calls are those of segment_map.c.
 *
 * ORDER OF REPLICATION, one page (all of it by the owner's thread)
 *   1. protect  UFFDIO_WRITEPROTECT of the page in each view's mapping and in
 *               the host's. When it returns, no page table of the process lets
 *               the page be written by that mapping, and KVM's notifier has
 *               removed it from the page tables of that view's VM and flushed
 *               TLBs. Then the marks of devices are looked at (below).
 *   2. trial    for a time nobody tries to write.
 *   3. copy     pwrite(2) from a mapping of the owner's to the memfd of copies of
 *               each view that wants one. Nobody can write the page since 1.
 *   4. map      in each such view: a private mapping of the copy is made
 *               elsewhere, registered, populated and protected, and moved over
 *               the page by mremap(2), in one step for all who look.
 * ORDER OF COLLAPSE
 *   1. fault    a thread (a vCPU in KVM_RUN, the I/O thread) that writes to a
 *               protected page sleeps in the kernel. The waiter's thread of that
 *               mapping reads the event, and passes the page to the owner by a
 *               pipe.
 *   2. hide     the owner puts a protected mapping of the RAM page over each
 *               copy that is shown, by mremap(2). When it returns, the copy is
 *               in no page table and no TLB, as after 1 above.
 *   3. free     the copies' pages are punched out of their memfds.
 *   4. allow    the owner takes the protection from the writer's mapping, and
 *               wakes it (UFFDIO_WRITEPROTECT). Other mappings stay protected
 *               until they are written: they ask then, and wait for one answer.
 *
 * GUARANTEES
 *   1. A read by a vCPU or a device returns the value last written: while a
 *      copy is shown, no page table lets the page be written, and the copy
 *      equals the page.
 *   2. A reader never waits, but for the kernel's own locks. Who reads the RAM
 *      memfd itself (other workers, agents) never sees an old value either.
 *   3. A writer waits for what the owner has begun: at most RAM_COPIES_CROWD
 *      messages to mappings, and its own page's. Where a mapping has as many runs
 *      of copies as it may have, one of these shows up to half a run of pages
 *      from RAM again (segment_map_hide()).
 *   4. A page is copied only after a trial without a write. One that was
 *      written rests before the next trial, twice as long each time.
 *   5. A view has at most ram_copies_spec.limit copies. For another one, the
 *      one that is oldest goes.
 *   6. If a step fails that leaves a mapping wrong, or a thread fails, failed()
 *      is called. vCPUs that write to a protected page wait from then on, until
 *      ram_copies_cut(), so that nobody has read a wrong value. The host's
 *      mapping is cut from RAM at once, or the I/O thread might wait for ever,
 *      and not end the guest: what devices write is lost then, as if they had
 *      stopped.
 *
 * WRITES THAT DO NOT FAULT. Pages that the kernel has pinned for a request, and
 * holes that are punched into the RAM memfd. Before either, the I/O thread calls
 * ram_copies_change(): it marks the pages, so that they are not protected from
 * then on (segment_map.h), and writes to those that may be protected by now,
 * which collapses them. The owner records that a page may be protected before it
 * protects it, and looks at the marks afterwards; the I/O thread marks first,
 * and looks at the record then. So one of the two sees the other (marks.h).
 *
 * WHO DECIDES which pages are copied. As long as there is a link to the engine of
 * the VM's pages (copies_link.h), the engine does, by its counters and its policy:
 * it asks for copies, is told what became of them, and of each write that ends
 * some. Without one, the owner's own scan of page tables does (copies_scan.h).
 *
 * MOVES. The engine may ask for a page to be moved to another node. The owner
 * moves it (copies_move.h), if it is plain: one with copies stays, as nobody
 * counts accesses to these. While a page moves, the owner does nothing else, so
 * writers that wait (guarantee 3) wait for COPIES_MOVE_PAGES pages at most. A
 * page's place changes neither what it says nor who may write it: the kernel
 * keeps userfaultfd's marks on its way.
 *
 * WHAT MUST NOT BE USED with it, as a view would not show it: anything that
 * replaces pages of the host's mapping (overlays of pmap.h: its budget is 0),
 * and traps of another userfaultfd (memory/sampling).
 */
#ifndef DISCO_MEMORY_RAM_COPIES_H
#define DISCO_MEMORY_RAM_COPIES_H

#include "disco/limits.h"
#include "memory/replica/home.h"

#define RAM_COPIES_MAX_VIEWS VM_MAX_VIEWS
#define RAM_COPIES_CROWD     (2 * RAM_COPIES_MAX_VIEWS)

struct ram_copies;

struct ram_copies_spec {
	int ram_fd; /* RAM memfd; not owned */
	uint64_t bytes;
	uint8_t *base; /* the host's mapping of all of it; not owned */
	bool huge;     /* huge pages are asked for, in all mappings */
	unsigned nr_views;
	/* Node of each view's copies; NODE_AUTO: not bound. Copied. */
	nodeid_t nodes[RAM_COPIES_MAX_VIEWS];
	uint64_t limit;	       /* copies per view */
	uint64_t max_mappings; /* that the mappings of views may be split to */
	uint64_t trial_ns;     /* guarantee 4 */
	uint64_t backoff_ns;   /* the first rest */
	/*
	 * Time between two rounds over all pages, in which those that several
	 * views have touched are replicated, up to .limit. 0: no rounds.
	 */
	uint64_t round_ns;
	void (*enter)(void *arg); /* first of all in each thread; may be NULL */
	/* Guarantee 6. Context: a thread of these, at most once each. */
	void (*failed)(void *arg, int err);
	void *arg;
};

/* Index nr_views: the host's mapping. Totals, but for now and shared. */
struct ram_copies_stats {
	uint64_t shared; /* pages now */
	uint64_t asked;	 /* calls of ram_copies_ask() that were handled */
	uint64_t now[RAM_COPIES_MAX_VIEWS];	   /* copies */
	uint64_t made[RAM_COPIES_MAX_VIEWS];	   /* copies */
	uint64_t dropped[RAM_COPIES_MAX_VIEWS];	   /* copies */
	uint64_t writes[RAM_COPIES_MAX_VIEWS + 1]; /* that had to wait */
	uint64_t replicated, collapsed, reclaimed, disproved; /* home_stats */
};

/* Can this process have copies? Return: as segment_map_probe(). */
MUST_CHECK int ram_copies_probe(void);

/**
 * ram_copies_create() - map RAM for each view
 * @out: lives until the process ends, but for errors
 *
 * Context: while files can be opened. Return: 0; -EINVAL @spec is out of range;
 * -EFBIG (segment_map_create()); -ENOMEM; -ENOTSUP; -errno of memfd_create(),
 * mmap(), mbind(), pipe2(), userfaultfd, of opening pagemap.
 */
MUST_CHECK int ram_copies_create(const struct ram_copies_spec *spec,
				 struct ram_copies **out);

/* Where a view's mapping begins: its slots show that. */
uint8_t *ram_copies_base(const struct ram_copies *c, unsigned view);

/* Start the threads. Before vCPUs run. Return: 0; -errno of pthread_create(). */
MUST_CHECK int ram_copies_start(struct ram_copies *c);

/**
 * ram_copies_ask() - have a page copied for views, if nobody writes to it
 * @page:  of RAM, by its offset; out of range: nothing happens
 * @views: one bit each; 0: collapse it
 *
 * Context: any thread. May wait for the owner, but not for the page.
 */
void ram_copies_ask(struct ram_copies *c, uint64_t page, uint64_t views);

/**
 * ram_copies_link() - somebody else decides from now on: see above
 * @fds: COPIES_LINK_FDS, of the owner's end, in place of earlier ones; owned by it
 *
 * What cannot be opened is no link: the scan decides. Context: the I/O thread;
 * as ram_copies_ask().
 */
void ram_copies_link(struct ram_copies *c, const int *fds);

/**
 * ram_copies_change() - the host changes a range in a way that does not fault
 *
 * From its return on until ram_copies_idle() these pages have no copies, and
 * get none. Context: the I/O thread; waits for the owner if there may be copies.
 */
void ram_copies_change(struct ram_copies *c, uint64_t offset, uint64_t bytes);

/* No such change is under way any more. Context: the I/O thread. */
void ram_copies_idle(struct ram_copies *c);

/*
 * The guest is about to end: after a failure, vCPUs that wait go on, and change
 * nothing but what they see themselves. Else nothing is done. Context: the I/O
 * thread.
 */
void ram_copies_cut(struct ram_copies *c);

/* Context: any thread. Figures of one moment need not fit those of another. */
void ram_copies_read_stats(const struct ram_copies *c,
			   struct ram_copies_stats *out);

#endif
