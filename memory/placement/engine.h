/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The placement engine of one VM: accesses go in, are counted per page, a policy
 * decides, and moves come out. Who owns an engine carries them out and says what
 * they took; that is what the next decision reckons with.
 *
 * The engine has no clock and no thread, and makes no system call: the times of
 * records are its time. So a recorded run gives the same decisions again.
 *
 *	accesses -> counters -> policy -> actions -> (owner moves pages)
 *		       ^	  ^		       |
 *		       +----------+--- placement_done() +
 */
#ifndef DISCO_MEMORY_PLACEMENT_ENGINE_H
#define DISCO_MEMORY_PLACEMENT_ENGINE_H

#include "disco/placement.h"
#include "memory/placement/access.h"
#include "memory/placement/policies.h"

#define PLACEMENT_PENDING 4096u /* actions that wait for their owner */

struct placement;

struct placement_config {
	uint64_t pages; /* of the VM */
	struct policy_choice choice;
	uint32_t nr_nodes;
	/* [nr_nodes * nr_nodes]: by who accesses, then by home; copied */
	const uint32_t *latency_ns;
	uint32_t move_ns; /* of a page, until moves have been measured */
	/* Of PLACEMENT_BYTES, zero; not owned. NULL: of the engine's own. */
	struct placement_figures *figures;
	/*
	 * Its owner replicates pages, after having made sure that nobody writes
	 * them: such actions are given. Else they are counted and left.
	 */
	bool replicas;
	/*
	 * Its owner carries out runs: an action may be of several neighbours,
	 * and all that are of hinted ranges and taken at once have at most so
	 * many pages, 1 or more. 0: each action is one page.
	 */
	uint32_t run_pages;
};

/* Pages to move or to replicate: neighbours. */
struct placement_action {
	uint64_t page;	/* the first one */
	uint64_t entry; /* in the log: one for all of them */
	uint32_t pages; /* 1, or a run of a hinted range */
	uint8_t from, to;
	uint8_t action; /* POLICY_MOVE; POLICY_REPLICATE where asked for */
	uint8_t zero;
};

/**
 * placement_create() - an engine
 * @out: released with placement_destroy()
 *
 * Context: any thread. Return: 0; -EINVAL a value of @c is out of range;
 * -ENOMEM.
 */
MUST_CHECK int placement_create(struct placement **out,
				const struct placement_config *c);

/* NULL is accepted. */
void placement_destroy(struct placement *e);

/*
 * Another policy from now on; counts begin anew, and what was decided and not
 * taken yet is dropped. Return: 0; -ENOMEM.
 */
MUST_CHECK int placement_set_policy(struct placement *e,
				    const struct policy_choice *choice);

/* How a node is now: free pages, load, memory. Out of range: ignored. */
void placement_set_node(struct placement *e, unsigned node,
			const struct policy_node *n);

/* A record of the page will come soon: fetch what that takes. Any number. */
void placement_expect(const struct placement *e, uint64_t page);

/**
 * placement_record() - one access
 *
 * A record of a page or node that there is not is counted as strange. One whose
 * node is unknown (ACCESS_NO_NODE) is counted (unknown_node), and decides nothing:
 * it may name a page, and no node to move it to. If it is a write, the page's
 * writes are counted, so that a policy that makes copies does not make them of
 * this page. A record of class ACCESS_HINT is advice about pages (hinted.h).
 *
 * Context: the owner's thread; microseconds. Return: whether there are actions to
 * take.
 */
bool placement_record(struct placement *e, const struct access_record *r);

/**
 * placement_take() - take actions to carry out
 * @out: @max entries; sorted by destination, then by page
 *
 * Each page of them is to be answered once: by placement_done() or
 * placement_needless() for the action, or for parts of it, which are actions
 * with other .page and .pages. Context: the owner's thread. Return: how many.
 */
unsigned placement_take(struct placement *e, struct placement_action *out,
			unsigned max);

/*
 * How many pages wait to be taken: those of hinted ranges as well, as far as
 * there is time for their moves now.
 */
unsigned placement_pending(struct placement *e);

/**
 * placement_done() - what became of an action
 * @moved:    whether its pages, or copies of them, are on their new node
 * @spent_ns: time that all of them took; of a batch, their share; 0: was not
 *	      measured
 */
void placement_done(struct placement *e, const struct placement_action *a,
		    bool moved, uint64_t spent_ns);

/*
 * Pages of a run that needed no move, as they have no memory, or are on their new
 * node already: the engine does not know where pages of a run are.
 */
void placement_needless(struct placement *e, const struct placement_action *a);

/**
 * Why an action was not carried out, for the log alone: after placement_done(),
 * @why is PLACEMENT_WRITTEN or a later one.
 */
void placement_explain(struct placement *e, const struct placement_action *a,
		       enum placement_outcome why);

/**
 * placement_track_copies() - its owner replicates pages, and says when copies end
 *
 * From now on actions to replicate are given (placement_config.replicas); a page
 * that has copies is not moved, as accesses to copies are not counted; and one
 * whose copies end by a write rests. Another policy changes nothing about that.
 * Once or several times. Return: 0; -ENOMEM: nothing has changed.
 */
MUST_CHECK int placement_track_copies(struct placement *e);

/**
 * placement_copies_changed() - its owner's word on a page, besides
 * placement_done()
 * @there:   it has copies now
 * @written: it has none any more, since it was written
 *
 * Out of range, or not after placement_track_copies(): ignored. Context: the
 * owner's thread.
 */
void placement_copies_changed(struct placement *e, uint64_t page, bool there,
			      bool written);

/* No page has copies, as far as is known: its owner has lost count. */
void placement_forget_copies(struct placement *e);

/* Where a new page of the VM should be. Return: a node's index. */
uint8_t placement_place(struct placement *e, uint64_t time_ns, uint64_t page,
			uint8_t node);

/* The engine's, or those that it was given. */
const struct placement_figures *placement_figures(const struct placement *e);

/* Count what its owner has measured of itself and of its source. */
void placement_count_owner(struct placement *e, uint64_t cpu_ns, uint64_t lost,
			   uint64_t strange);

#endif
