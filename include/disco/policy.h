/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A policy decides where a page of guest memory belongs.
 *
 * A policy is pure: it has no clock, no memory but the state that it is given,
 * and makes no system call. What it decides depends on its arguments and its
 * state alone. So the same object decides on a running machine, in tests, and
 * over a recorded run, and decides the same.
 *
 * A policy is a constant struct policy. The built-in ones are in
 * memory/placement. A plug-in is a shared object that exports one called
 * disco_policy and needs nothing from others: examples/policy_nearest.c, and
 * memory/placement/plugin.h.
 *
 * Who calls: one thread, the decider of the VM (the agent of its home node). All
 * times are in ns of one clock that does not go back; nodes are indexes, 0 to
 * nr_nodes - 1, not the operating system's numbers.
 */
#ifndef DISCO_POLICY_H
#define DISCO_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_ABI	  2u /* 1: without pay() and refund() */
#define POLICY_MAX_NODES  64u
#define POLICY_MAX_PARAMS 12u
#define POLICY_NAME_MAX	  31u
#define POLICY_STATE_MAX  (64u << 10) /* bytes */
#define POLICY_TOP	  2u	      /* nodes whose counts a page has */
#define POLICY_NO_NODE	  255u

/* A number that a user may set, as NAME,key=value. */
struct policy_param {
	const char *key;
	const char *help; /* one line, with the unit */
	uint64_t standard, least, most;
};

/* One node, as it was a moment ago. */
struct policy_node {
	uint64_t free_pages;	/* that a move may take; UINT64_MAX: unknown */
	uint32_t busy_permille; /* of what its memory can deliver; 0: unknown */
	uint32_t has_memory;	/* 0: nothing can be moved there */
};

/* The machine, as it was a moment ago. The engine's; valid during the call. */
struct policy_machine {
	uint32_t nr_nodes;
	uint32_t zero;
	const struct policy_node *nodes; /* [nr_nodes] */
	/* [nr_nodes * nr_nodes]: by who accesses, then by home. */
	const uint32_t *latency_ns;
	/* As above, by from, then to: measured cost of moving one page. */
	const uint32_t *move_ns;
};

/* What is known of the VM as a whole, counted over the last period. */
struct policy_sums {
	uint64_t local, remote;	       /* misses, by weight */
	uint64_t reads, writes;	       /* those of them whose kind is known */
	uint64_t at[POLICY_MAX_NODES]; /* misses by home of the page */
};

enum policy_kind { POLICY_READ, POLICY_WRITE, POLICY_UNKNOWN };

#define POLICY_PAGE_UNWRITTEN 1u /* proven: it is mapped read-only */
#define POLICY_PAGE_PINNED    2u /* cannot move */
#define POLICY_PAGE_SHARED    4u /* of a cache or segment: can be replicated */
#define POLICY_PAGE_COUNTED   8u /* the access is a sum of real ones: no sample */
/* Said by the guest, which may be wrong: */
#define POLICY_PAGE_READ_MOSTLY 16u
#define POLICY_PAGE_PRIVATE	32u /* used by one vCPU */
#define POLICY_PAGE_REWRITE	64u /* about to be written */
#define POLICY_PAGE_COLD	128u

/*
 * A page with an access that was just counted. Counts are misses, by weight, of
 * the time that struct policy says (period); at most POLICY_TOP nodes are
 * remembered, most misses first: by the way they are kept, any node with more
 * than a third of a page's misses is among them.
 */
struct policy_page {
	uint64_t page; /* number, within the VM */
	uint8_t home;
	uint8_t node;	  /* that accessed it now */
	uint8_t previous; /* that accessed it before; POLICY_NO_NODE */
	uint8_t kind;	  /* enum policy_kind */
	uint8_t moves;	  /* tried of late: one less for each POLICY_REST_NS */
	uint8_t moved;	  /* within this period; at most 3 are counted */
	uint8_t flags;
	uint8_t zero;
	uint8_t nodes[POLICY_TOP]; /* POLICY_NO_NODE: none */
	uint8_t zero2[2];
	uint32_t counts[POLICY_TOP];
	uint32_t writes; /* misses that were writes, by any node */
};

#define POLICY_REST_NS	 10000000000ull /* 10 s */
#define POLICY_MOVES_MAX 15u

enum policy_action {
	POLICY_STAY,
	POLICY_MOVE,	  /* to .to */
	POLICY_REPLICATE, /* a copy on .to, too */
};

/* Why, in the log. The text of each is policy_reason_text()'s. */
enum policy_reason {
	POLICY_NOTHING, /* not hot, or at home already: is not logged */
	POLICY_ONE_NODE,
	POLICY_READ_SHARED,
	POLICY_WRITE_SHARED,
	POLICY_SPREAD,	   /* interleaved: several nodes, or a busy home */
	POLICY_TOO_OFTEN,  /* moved already, of late */
	POLICY_NOT_AGREED, /* one look alone */
	POLICY_NO_GAIN,	   /* it would cost more than it saves */
	POLICY_NO_BUDGET,  /* moves between these nodes take too much time */
	POLICY_NODE_FULL,
	POLICY_NODE_BUSY,
	POLICY_OTHER,  /* a plug-in's own */
	POLICY_HINTED, /* the engine's: the guest has said so */
	/*
	 * The engine's: copies of the page ended by a write, or it could get
	 * none, of late; it has copies, so it does not move.
	 */
	POLICY_RESTS,
	POLICY_HAS_COPIES,
	POLICY_NR_REASONS,
};

struct policy_decision {
	uint8_t action; /* enum policy_action */
	uint8_t reason; /* enum policy_reason */
	uint8_t to;
	uint8_t zero[5];
	uint64_t gain_ns, cost_ns; /* predicted; 0: the policy predicts none */
};

/* How counts grow old, at each period. */
enum policy_age { POLICY_RESET, POLICY_HALVE };

/* What a policy gets with each call. */
struct policy_now {
	uint64_t time_ns;
	uint64_t period_ns;	/* as the policy has asked for it */
	uint64_t elapsed_ns;	/* of this period, so far */
	const uint64_t *params; /* as in the table, in its order */
	const struct policy_machine *machine;
};

struct policy {
	uint32_t abi;	      /* POLICY_ABI; of another one it is refused */
	uint32_t state_bytes; /* at most POLICY_STATE_MAX, may be 0 */
	const char *name;     /* [a-z0-9-]: at most POLICY_NAME_MAX */
	const char *help;     /* one line */
	const struct policy_param *params;
	uint32_t nr_params; /* at most POLICY_MAX_PARAMS */
	/*
	 * Which of them is the length of a period, in ms; nr_params or more:
	 * periods are of 100 ms.
	 */
	uint32_t period_param;
	uint32_t age; /* enum policy_age */
	uint32_t zero;
	/*
	 * place() - node of a page that nobody has touched yet
	 * @node: that touches it. Return: a node.
	 */
	uint8_t (*place)(void *state, const struct policy_now *now,
			 uint64_t page, uint8_t node);
	/*
	 * page() - what becomes of a page that was just accessed
	 * @out: all-zero: POLICY_STAY
	 */
	void (*page)(void *state, const struct policy_now *now,
		     const struct policy_page *p, struct policy_decision *out);
	/* period() - a period has ended. May be NULL. */
	void (*period)(void *state, const struct policy_now *now,
		       const struct policy_sums *sums);
	/*
	 * Ranges of pages that the guest has hinted at are moved or copied by the
	 * engine, in runs, once page() has decided on all their pages at once. A
	 * policy that bounds how much is moved has these two, so that runs are
	 * within its bound.
	 *
	 * pay() - a run is about to go from node @from to @to, another one
	 * @pages: how many are ready to; at least 1
	 *
	 * Return: how many of them may go now: they are tried, and not paid for
	 * again. More than @pages is taken for @pages; 0: the engine asks again,
	 * 1 ms later at the soonest. NULL: the engine bounds runs itself, by a
	 * budget for each pair of nodes (a quarter of the time, 200 ms at once).
	 */
	uint64_t (*pay)(void *state, const struct policy_now *now, uint8_t from,
			uint8_t to, uint64_t pages);
	/*
	 * refund() - what page() has just decided to move or copy from @from to
	 * @to stood for such a range, and is no page: its pages are asked about by
	 * pay(). Called with the time of that page(), before any other function
	 * of the policy. May be NULL.
	 */
	void (*refund)(void *state, const struct policy_now *now, uint8_t from,
		       uint8_t to);
};

/* Ordinary arithmetic of policies; here, so that plug-ins have it as well. */

static inline uint32_t policy_latency(const struct policy_machine *m,
				      uint8_t from, uint8_t home)
{
	return m->latency_ns[from * m->nr_nodes + home];
}

static inline uint32_t policy_move_cost(const struct policy_machine *m,
					uint8_t from, uint8_t to)
{
	return m->move_ns[from * m->nr_nodes + to];
}

/* Misses of @node in the page, as far as they are remembered. */
static inline uint32_t policy_count_of(const struct policy_page *p,
				       uint8_t node)
{
	for (unsigned i = 0; i < POLICY_TOP; i++)
		if (p->nodes[i] == node)
			return p->counts[i];
	return 0;
}

#endif
