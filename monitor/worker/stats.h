/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a worker reports about itself, from the kernel's own accounting.
 *
 * CPU time and exits are read when they are wanted. Where memory is takes longer
 * to find out, and longer for more memory. The I/O thread serves the guest's
 * devices, so it never does that: a thread of its own, the *surveyor*, does. It
 * surveys guest memory (memory/ram_survey.h), the program text and the private
 * memory, and keeps the result of its last survey with the time at which that
 * began. Whoever asks gets that result and its age.
 *
 *	survey			looks at	when
 *	bounded			the budget	FIRST_NS after the start, then after
 *						waits that double up to REST_NS, and
 *						when somebody asks: for a result
 *						that is older than STATS_ASKED_NS
 *	exact			all pages	when somebody asks for it
 *
 * Between two surveys the surveyor waits for STATS_DUTY times (asked for:
 * STATS_DUTY_ASKED times) as long as the first one took, so it uses at most
 * 0.5 % (5 %) of a CPU whatever the size of the memory.
 *
 * The end of a guest surveys nothing: its figures are those of the last survey.
 * Only a guest that ends before its first survey, after some ms, gets a bounded
 * one then.
 *
 * Context of all functions: the I/O thread.
 */
#ifndef DISCO_MONITOR_STATS_H
#define DISCO_MONITOR_STATS_H

#include <pthread.h>

#include "memory/ram_survey.h"
#include "monitor/worker/vm/vm.h"

#define STATS_FIRST_NS	 50000000ull	/* from the start to the first survey */
#define STATS_REST_NS	 60000000000ull /* longest wait when nobody asks */
#define STATS_ASKED_NS	 1000000000ull	/* shortest wait when somebody asks */
#define STATS_FRESH_NS	 10000000000ull /* an older result waits for a new one */
#define STATS_DUTY	 200u
#define STATS_DUTY_ASKED 20u

/* The result of a survey. */
struct stats_survey {
	uint64_t begun_ns, ended_ns; /* 0: there was none */
	struct ram_survey ram;	     /* zeroes: the kernel refused */
	uint64_t text_pages, text_pages_local;
	uint64_t private_bytes;
};

/* Requests that wait for a survey; one answer serves all of them. */
struct stats_wait {
	uint64_t id; /* of the last one */
	uint64_t
		since_ns; /* a survey that began earlier does not do; 0: none */
};

struct stats {
	struct vm *vm;	   /* [I] */
	int maps, pagemap; /* [I] of this process; private_count() */
	/* [I] Called for requests that had to wait. */
	void (*answer)(void *arg, uint64_t id);
	void *arg;	      /* [I] */
	struct io_watch done; /* eventfd: a survey has ended */

	pthread_mutex_t lock; /* held for some instructions */
	pthread_cond_t wake;  /* the surveyor has to do something */
	pthread_cond_t first; /* there is a first survey */
	/* [L:lock] */
	nodeid_t node;	   /* whose pages are local */
	uint64_t valid_ns; /* surveys that began earlier are of another node */
	struct stats_wait plain, exact;
	bool wanted; /* a bounded survey */
	bool ending;
	bool running; /* there is a surveyor */
	struct stats_survey last;
};

/**
 * stats_create() - open the needed files while files can be opened
 * @vm:     with its memory and its loop; outlives the object
 * @answer: called by the loop when a request that had to wait can be answered
 *          by stats_fill(); @id: of the last such request
 *
 * Return: 0; -errno of open(), eventfd(), epoll_ctl(). There is no destroy
 * function: the worker ends by exiting.
 */
MUST_CHECK int stats_create(struct stats *s, struct vm *vm,
			    void (*answer)(void *arg, uint64_t id), void *arg);

/* Start the surveyor, after sandbox_drop(). Return: 0; -errno. */
MUST_CHECK int stats_start(struct stats *s);

/**
 * stats_ask() - somebody wants figures
 * @id:    of the request
 * @exact: all of memory is to be looked at, from now on
 *
 * Never blocks. Return: true: stats_fill() has what is wanted; false: the
 * answer follows, see stats_create().
 */
MUST_CHECK bool stats_ask(struct stats *s, uint64_t id, bool exact);

/* Nobody waits for answers any more. */
void stats_forget(struct stats *s);

/* The guest has another node now: vm->node. Figures of the old one are over. */
void stats_moved(struct stats *s);

/* Fill in @u from what is known. Never blocks. */
void stats_fill(struct stats *s, struct worker_usage *u);

/*
 * The guest has ended: no more surveys, and stats_fill() has the last figures.
 * Blocks for some ms if there was no survey yet.
 */
void stats_end(struct stats *s);

#endif
