/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counts the operator's requests to end a run. What a request does depends on
 * how many came before it: the first asks the guests to shut down, the second
 * ends them, any further one kills their workers.
 *
 * One decision of an operator may arrive as several signals, milliseconds apart:
 * timeout(1) sends SIGTERM to its child and then to its process group; a service
 * manager with SendSIGHUP=yes, as logind's sessions have it, sends SIGTERM and
 * then SIGHUP; of a terminal that closes, the kernel sends SIGHUP, and a shell
 * does so again. So signals of any kind within STOP_SAME_NS of the last request
 * belong to it. Nobody loses by it: who wants a guest killed at once can wait a
 * second, use SIGKILL, or `disco kill`. A typed key comes once for each decision,
 * so each is a request.
 *
 * Context: one thread.
 */
#ifndef DISCO_MONITOR_STOP_REQUESTS_H
#define DISCO_MONITOR_STOP_REQUESTS_H

#include "disco/base.h"

#define STOP_SAME_NS 1000000000ull

enum stop_step {
	STOP_STEP_NONE = 0, /* a repetition */
	STOP_STEP_ASK,
	STOP_STEP_END,
	STOP_STEP_KILL,
};

/* All-zero: nothing was requested. */
struct stop_requests {
	unsigned nr;
	uint64_t last_ns; /* when the last one that counted came */
};

/**
 * stop_requests_add() - a signal or a key has come
 * @typed:  it is a key of the terminal
 * @now_ns: CLOCK_MONOTONIC
 *
 * Return: what to do about it.
 */
enum stop_step stop_requests_add(struct stop_requests *r, bool typed,
				 uint64_t now_ns);

#endif
