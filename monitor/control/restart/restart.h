/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts VMs of the monitor again: by their policy (--restart) when they have
 * ended, or because the operator says so (`disco restart`).
 *
 * A guest that is started again stays in the registry as "restarting" until the
 * new guest takes its place, which has its name, its configuration and its count
 * of starts. Its files in the state directory stay as well: a monitor that finds
 * them, and no process, goes on with it.
 *
 * Context of all functions: the monitor's thread.
 */
#ifndef DISCO_MONITOR_RESTART_H
#define DISCO_MONITOR_RESTART_H

#include "monitor/control/guests/guests.h"

/* g->ended is set: start it again, if it is to be. For struct guests_ops. */
void restart_guest_ended(struct monitor *m, struct guest *g);
void restart_guest_lost(struct monitor *m, struct guest *g);

/**
 * restart_begin() - stop a VM, and start it with the same configuration
 * @limit_s: as of guest_stop()
 * @d:       out on error: the reason (ST_NO_VM)
 *
 * One that has ended is just started. What comes of it shows in the registry: a
 * guest of that name with another id; or the old one, ended and not restarting,
 * with a message and the status of the start.
 *
 * Return: 0; -ENODATA its configuration is not known.
 */
MUST_CHECK int restart_begin(struct guest *g, unsigned limit_s, struct diag *d);

/**
 * restart_cancel() - do not start a guest again
 *
 * Whoever stops or kills a guest calls it first. Return: 0; -EBUSY it has ended,
 * and the start is under way: the new guest can be stopped soon.
 */
MUST_CHECK int restart_cancel(struct guest *g);

/* "no", "on-failure", "always" */
const char *restart_policy_word(enum restart_policy policy);

#endif
