/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor's client of the QEMU guest agent in a VM ("ga"; the agents of
 * agents.h are processes of the host).
 *
 * There is one client per VM, created by the first command for it. Commands
 * queue, and one is with the agent at a time: old agents do not return ids.
 * Before the first command, and after each failure, the client synchronises: it
 * sends guest-sync-delimited with a number that was not used before, and
 * discards all bytes up to the reply with that number. So what a late, wrong or
 * earlier agent wrote answers no command of ours.
 *
 * An agent is as hostile as its guest. What it can cost:
 *  - one that never answers: GA_SYNC_NS or the time of a command, after which
 *    every command that waits in the queue fails, not only the first;
 *  - one that writes without end: GA_TURN_BYTES per turn of the loop, and at most
 *    GA_NOISE_MAX until the commands fail. Between commands nothing is read, and
 *    the guest's writes wait;
 *  - one that writes nonsense: the command fails, and so does the next one,
 *    unless the synchronisation succeeds.
 *
 * Context of all functions: the monitor's thread.
 */
#ifndef DISCO_MONITOR_GA_H
#define DISCO_MONITOR_GA_H

#include "monitor/control/exec/ga_line.h"
#include "monitor/control/guests/guests.h"

#define GA_SYNC_NS     20000000000ull /* for an answer to a synchronisation */
#define GA_COMMAND_NS  60000000000ull /* to a command */
#define GA_NOISE_MAX   MIB(4)
#define GA_TURN_BYTES  65536u
#define GA_MAX_WAITING 64u /* commands of one VM */

struct ga;
struct ga_command;

/* How a command ended. Valid during the call alone. */
struct ga_result {
	struct diag diag; /* .status ST_OK: there is a reply */
	const char *line; /* the reply as it came, terminated; else NULL */
	json_t *reply;	  /* the same, see ga_reply_parse(); else NULL */
};

/**
 * ga_submit() - queue a command for the agent of a VM
 * @request: see ga_request_check(); not kept
 * @ns:      for the answer, from when the agent gets the command; 0:
 *           GA_COMMAND_NS
 * @done:    called once, never by ga_submit() itself, unless the command was
 *           forgotten; NULL: the result does not matter
 * @out:     for ga_forget(), until @done is called; NULL: not wanted
 * @d:       out on error: ST_NO_VM it has ended or is paused; ST_NO_AGENT no
 *           agent has its port open; ST_HOST
 *
 * Return: 0; -ESRCH, -EAGAIN, -ENOTCONN for these; -EBUSY GA_MAX_WAITING
 * commands wait; -ENOMEM; -errno of socketpair() and of vm_watch_send().
 */
MUST_CHECK int ga_submit(struct guest *g, const json_t *request, uint64_t ns,
			 void (*done)(void *arg, const struct ga_result *r),
			 void *arg, struct ga_command **out, struct diag *d);

/* @done of the command is not called any more. */
void ga_forget(struct ga_command *c);

/* Has a program in the guest the agent's port open? */
MUST_CHECK bool ga_is_there(const struct guest *g);

/**
 * guest_agent_shutdown() - ask the agent to power the guest off
 * @ns:   how long to wait for a refusal, see ga_submit()
 * @done: called once. An agent answers guest-shutdown only to refuse it, with
 *        an error reply. Otherwise the result is a failure in any case: ST_NO_VM
 *        when the guest has ended, ST_NO_AGENT when the agent has gone first or
 *        @ns is over
 *
 * Return: 0; errors of ga_submit(), for example -ENOTCONN without an agent: the
 * caller presses the power button then.
 */
MUST_CHECK int
guest_agent_shutdown(struct guest *g, uint64_t ns,
		     void (*done)(void *arg, const struct ga_result *r),
		     void *arg, struct ga_command **out, struct diag *d);

/*
 * The worker of a VM is dead: its commands fail, its connection is closed. May be
 * called again. The memory of the client goes with the guest.
 */
void ga_guest_ended(struct guest *g);

/* Before the registry is left: ga_guest_ended() for every VM. */
void ga_leave(struct monitor *m);

#endif
