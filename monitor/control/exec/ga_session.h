/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client of the API that talks to the guest agent of a VM, over a connection
 * that was upgraded to API_AGENT. Lines of JSON both ways; the client waits for
 * the answer to one request before it sends the next:
 *
 *	{"execute": NAME, "arguments": {...}}	a command of the guest agent
 *	{"execute": "disco-streams", "arguments": {"stdin": BOOL}}
 *
 * The answer is the agent's, or {"failed": TEXT, "status": exit status} when
 * there is none; the session goes on after a failure. The answer to disco-streams
 * is {"return": {"ports": [IN, OUT, ERR]}}, the numbers of ports of the guest's
 * virtio console, with descriptors (SCM_RIGHTS) of the other ends of OUT, ERR and,
 * with "stdin", of IN before them; else IN is 0. It waits until a set of streams
 * is free. Their bytes pass between the client and the worker alone.
 *
 * A set belongs to its session, which can get one. When the client goes before
 * the agent has reported the exit of what the session's last guest-exec started,
 * that process is killed: nobody would read what it writes. The set is free again
 * when the guest has closed the streams.
 *
 * Context of all functions: the monitor's thread.
 */
#ifndef DISCO_MONITOR_GA_SESSION_H
#define DISCO_MONITOR_GA_SESSION_H

#include "monitor/control/guests/guests.h"

#define API_AGENT "disco-agent" /* the protocol upgraded to */

struct ga_session;

/**
 * ga_session_open() - serve a client
 * @fd:    stream socket; used until @left() is called, not closed
 * @extra: @n bytes that were read from it already; at most GA_REQUEST_MAX
 * @left:  called once, from the loop or ga_sessions_leave(), when the client has
 *         hung up or has broken the rules, or when the guest has ended; not NULL
 *
 * Return: 0; -ENOMEM.
 */
MUST_CHECK int ga_session_open(struct guest *g, int fd, const void *extra,
			       size_t n, void (*left)(void *arg), void *arg);

/* Return: how many clients the guest's agent has now, in sessions. */
unsigned ga_sessions_count(const struct guest *g);

/* The guest has ended: its sessions do so. */
void ga_sessions_guest_ended(struct guest *g);

/* After a turn of the loop, and after ga_sessions_leave(): free ended ones. */
void ga_sessions_sweep(struct monitor *m);

/* All sessions end at once, before their guests leave the registry. */
void ga_sessions_leave(struct monitor *m);

#endif
