/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decider's end of copies_link.h: what an engine has decided about the pages
 * of a guest with copies is asked of their owner, and what the owner says goes
 * to the engine.
 *
 *	the engine's action			the owner's answer
 *	POLICY_REPLICATE  -> COPIES_REPLICATE	-> placement_done(), and why not
 *	POLICY_MOVE	  -> COPIES_MOVE	-> the same, with the time it took
 *	(none)					-> placement_copies_changed()
 *
 * A worker may be hostile: it can say what it likes of its own guest's pages, and
 * nothing of others. Of what it says at most COPIES_ASK_NOTES notes are read per
 * turn. One that answers nothing is asked at most COPIES_ASKED times.
 *
 * The engine's calls go through a tap, so that a recording has them.
 *
 * No clock, no thread, and no system call but wake-ups of the owner.
 */
#ifndef DISCO_MEMORY_COPIES_ASK_H
#define DISCO_MEMORY_COPIES_ASK_H

#include "memory/replica/copies_link.h"
#include "memory/trace/trace_tap.h"

#define COPIES_ASKED	 2048u /* that may wait for an answer */
#define COPIES_ASK_NOTES 4096u /* per turn */

/* Whose decisions they are. Not owned; of the call. */
struct copies_ask_engine {
	const struct trace_tap *tap;
	struct placement *engine;
	uint64_t pages;	      /* of the VM */
	const int32_t *nodes; /* the operating system's numbers, by index */
	/* Whether the owner's clock is the engine's: it is not in a lab. */
	bool timed;
	/* A page has moved. */
	void (*moved)(void *arg, uint64_t page);
	void *arg;
};

/* All-zero: no link. */
struct copies_ask {
	struct copies_link link;
	struct placement_action asked[COPIES_ASKED];
	unsigned nr;
};

/**
 * copies_ask_open() - a link, in place of an earlier one
 * @fds: COPIES_LINK_FDS; owned by it, success or not
 *
 * Its engine tracks copies from now on. Return: 0; -ENOMEM; errors of
 * copies_link_open(): there is no link.
 */
MUST_CHECK int copies_ask_open(struct copies_ask *a,
			       const struct copies_ask_engine *e,
			       const int *fds);

/* No link any more; what was asked has failed. */
void copies_ask_close(struct copies_ask *a, const struct copies_ask_engine *e);

/* The engine is another one: nothing was asked for it. Return: 0; -ENOMEM. */
MUST_CHECK int copies_ask_begin(struct copies_ask *a,
				const struct copies_ask_engine *e);

/* How many actions can be asked for now. */
unsigned copies_ask_room(const struct copies_ask *a);

/* Carry actions out. Those that there is no room for have failed. */
void copies_ask_for(struct copies_ask *a, const struct copies_ask_engine *e,
		    const struct placement_action *actions, unsigned nr);

/* Take what the owner has said. */
void copies_ask_turn(struct copies_ask *a, const struct copies_ask_engine *e);

#endif
