/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The home of a shared segment: which of its pages have replicas on which nodes,
 * and who may write. One thread of one process, the agent of the segment's
 * home node, owns it; it alone makes replicas and removes them.
 *
 * ORDER OF REPLICATION, page by page (a state of enum home_state per step)
 *   1. protect   PROTECTING: each holder takes the right to write away from
 *                its guest, and answers.
 *   2. prove     QUIET: for a trial time nobody has asked to write.
 *   3. copy      the home copies the page into the memory of each node that
 *                wants it. Nobody can write the page since step 1.
 *   4. publish   SHARED: the copy is complete before the message that names it
 *                is sent (release and acquire of the channel).
 *   5. map       holders on that node show the copy, read-only.
 * ORDER OF COLLAPSE
 *   1. a write   a guest's write is stopped by its own holder, which asks.
 *   2. revoke    COLLAPSING: each holder that may show a copy shows the
 *                segment again, still without the right to write, and answers.
 *                One that does not answer within the bound is killed, and its
 *                end is its answer.
 *   3. free      after the last answer the copies' memory is given back.
 *   4. allow     PLAIN: those who asked may write. Others ask when they write.
 *
 * GUARANTEES
 *   1. While any holder shows a copy of a page, no holder can write the page,
 *      and the copy equals the page.
 *   2. So a read returns the last value written, as if there were no copies.
 *   3. A copy's memory is given back only when no holder shows it.
 *   4. A writer waits for at most one bound, and then for the end of the
 *      processes of those that have not answered within it.
 *   5. Only a page that was protected everywhere for the trial, unwritten, is
 *      copied; one that collapsed is not protected again before its back-off
 *      has passed, which doubles each time.
 *   6. A node has at most its limit of copies. The one that has been there
 *      longest without use is removed for another.
 *   7. A holder that joins can write nothing before it was allowed to, so it
 *      needs no part in 1 until then. After the death of a home the next one
 *      resets all holders, and allows nothing before all have answered.
 *
 * A HOSTILE HOLDER (a guest that has taken its worker over) can lie about its
 * own guest's view of the segment, and can write the segment at any time, since
 * that is what sharing is. It cannot write a copy. Floods of its messages end
 * its own link: it is reported as late.
 *
 * Pure: no system call, clock or thread; all effects go through struct home_ops.
 * tests/unit/replica/test_replica_model.c runs it and holder.c through all
 * interleavings of small systems.
 *
 * Sources: Li and Hudak (1989), dynamic read replication by one manager; Disco
 * (SOSP'97) 4.2 and 5; Verghese (ASPLOS'96).
 */
#ifndef DISCO_MEMORY_REPLICA_HOME_H
#define DISCO_MEMORY_REPLICA_HOME_H

#include "memory/replica/replica_proto.h"

#define HOME_MAX_HOLDERS 64u
#define HOME_MAX_NODES	 64u
#define HOME_MAX_PAGES	 (1ull << 28)
#define HOME_BACKOFF_MAX 10u /* doublings */
#define HOME_STEPS	 64u /* pages per call: copied, or passed by the hand */
#define HOME_RUNS	 256u /* of plain pages that a new holder is told */
#define HOME_RUN_PAGES	 (1u << 18) /* where these are looked for */
#define HOME_CROWDED_NS	 1000000ull /* until a crowd is looked at again */
#define HOME_NONE	 UINT32_MAX

enum home_state {
	HOME_PLAIN,
	HOME_PROTECTING,
	HOME_QUIET,
	HOME_SHARED,
	HOME_COLLAPSING,
	HOME_NR_STATES
};

struct home_page {
	uint64_t pending; /* holders whose answer is waited for */
	uint64_t held;	  /* holders that may show a copy */
	uint64_t writers; /* holders that have asked to write */
	uint64_t wanted;  /* nodes that are to get a copy */
	uint64_t copied;  /* nodes that have one */
	/* In its state since; PLAIN: not to be protected before. */
	uint64_t time_ns;
	uint32_t turn;
	uint32_t next, prev; /* in the list of its state; not if PLAIN */
	uint8_t state;	     /* enum home_state */
	uint8_t backoff;     /* doublings so far */
	uint8_t used;	     /* since the hand of the clock passed last */
	uint8_t outcome;     /* COLLAPSING: enum home_outcome at its end */
};

/* What becomes of a page, in home_ops.settled(). */
enum home_outcome {
	HOME_COPIED,  /* it has copies now, on some of the nodes wanted */
	HOME_WRITTEN, /* it has none: it was written, or a device had it */
	HOME_FULL,    /* it has none: there is no room, or nobody shows it */
	HOME_ENDED, /* it has none: its place was needed, or it was asked for */
	HOME_NR_OUTCOMES
};

enum home_holder_state { HOLDER_NONE, HOLDER_RESETTING, HOLDER_LIVE };

struct home_holder {
	uint8_t state; /* enum home_holder_state */
	uint8_t node;
	uint8_t late; /* was reported */
	uint8_t zero;
	uint32_t turn;	   /* of its reset */
	uint64_t since_ns; /* when it was to be reset */
};

struct home_list {
	uint32_t first, last; /* HOME_NONE: empty */
};

struct home_ops {
	/* Return: false: there is no room; the holder is late then. */
	bool (*send)(void *arg, unsigned holder, const struct replica_msg *m);
	/* Copy a page to a node. Return: 0; -errno: there is no copy. */
	int (*copy)(void *arg, uint32_t page, unsigned node);
	/* Nobody uses the copy any more: give its memory back. */
	void (*drop)(void *arg, uint32_t page, unsigned node);
	/* Kill a holder, and call home_remove() when it is dead, but later. */
	void (*late)(void *arg, unsigned holder);
	/*
	 * A trial has ended, or copies have. The page's state is that of
	 * afterwards; changes nothing of the home. May be NULL.
	 */
	void (*settled)(void *arg, uint32_t page, enum home_outcome outcome);
};

struct home_config {
	uint32_t nr_pages;
	uint64_t trial_ns;   /* see guarantee 5 */
	uint64_t bound_ns;   /* for a holder's answer */
	uint64_t backoff_ns; /* the first one */
	uint64_t limit;	     /* copies per node */
};

/* Totals, and counts of now. */
struct home_stats {
	uint64_t protected_pages; /* that are PROTECTING or QUIET */
	uint64_t shared_pages;	  /* that have copies, or whose copies end */
	uint64_t copies[HOME_MAX_NODES];
	uint64_t replicated, collapsed, reclaimed; /* in total */
	uint64_t disproved; /* written, or refused, before they were copied */
	uint64_t writes;    /* messages that ask for a write */
	uint64_t late;	    /* holders that were killed */
};

struct home {
	struct home_config config;
	const struct home_ops *ops;
	void *arg;
	struct home_page *pages; /* nr_pages, zeroes; not owned */
	struct home_holder holders[HOME_MAX_HOLDERS];
	struct home_list lists[HOME_NR_STATES];
	bool recovering; /* guarantee 7: until all that there are were reset */
	bool complete;	 /* all holders of an earlier home were added */
	/*
	 * By its owner: holders have much to do still, so nothing is published
	 * now; else a revocation would wait behind it.
	 */
	bool crowded;
	uint64_t now_ns;
	struct home_stats stats;
};

/**
 * home_init() - begin, with all pages plain
 * @pages: c->nr_pages zeroes, not owned; the caller may map them sparsely
 *
 * Nothing is allowed before home_complete() and all holders' answers.
 */
void home_init(struct home *h, const struct home_config *c,
	       const struct home_ops *ops, void *arg, struct home_page *pages);

/**
 * home_add() - a holder has joined, or has a new link
 * @holder: 0 .. HOME_MAX_HOLDERS - 1, free or the one that is relinked
 * @node:   whose copies it can show, 0 .. HOME_MAX_NODES - 1
 *
 * Its guest can write nothing yet.
 */
void home_add(struct home *h, unsigned holder, unsigned node, uint64_t now_ns);

/* A holder is dead: its process exists no more, nor do its mappings. */
void home_remove(struct home *h, unsigned holder);

/* All holders that an earlier home may have had were added. */
void home_complete(struct home *h);

/**
 * home_receive() - handle a message of a holder
 * @m: a copy, not checked yet
 *
 * Return: 0; -EPROTO it makes no sense: end the link, as if the holder was late.
 */
MUST_CHECK int home_receive(struct home *h, unsigned holder,
			    const struct replica_msg *m, uint64_t now_ns);

/**
 * home_replicate() - a page is to be copied to nodes
 * @nodes: one bit each; not the page's own
 *
 * Return: 0, it is under way or done; -EAGAIN its back-off has not passed, it
 * collapses, or holders are being reset; -EINVAL no such page.
 */
MUST_CHECK int home_replicate(struct home *h, uint32_t page, uint64_t nodes,
			      uint64_t now_ns);

/* Remove all copies of a page, as if it was written. Out of range: nothing. */
void home_collapse(struct home *h, uint32_t page, uint64_t now_ns);

/* Copies of the page are in use. Out of range: nothing. */
void home_touch(struct home *h, uint32_t page);

/*
 * Copy what has proven itself, and look for late holders. Return: when it has
 * something to do again; UINT64_MAX: not before a message.
 */
uint64_t home_turn(struct home *h, uint64_t now_ns);

/* Return: true if no page has copies, is to get any, or loses some. */
bool home_is_plain(const struct home *h);

#endif
