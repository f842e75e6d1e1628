/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client's end of a session with the guest agent of a VM
 * (monitor/control/exec/ga_session.h). What the agent answers passes through the
 * monitor, which has checked its form and length; its contents are the guest's.
 *
 * Context of all functions: main thread of a command; those that wait do so as
 * long as the monitor does.
 */
#ifndef DISCO_MONITOR_AGENT_LINK_H
#define DISCO_MONITOR_AGENT_LINK_H

#include <jansson.h>

#include "disco/diag.h"
#include "disco/guest_ports.h"
#include "monitor/control/exec/ga_line.h"

struct agent_link {
	const char *vm; /* not owned */
	int fd;		/* -1: none */
	struct ga_line in;
};

#define AGENT_LINK_NONE ((struct agent_link){ .fd = -1 })

/**
 * agent_link_open() - connect to the agent of a VM
 * @l:    release with agent_link_close(), also after an error
 * @vm:   as the user typed it; outlives @l
 * @wait: seconds to wait for an agent that is not there yet; 0: no check whether
 *        it is there
 * @d:    out on error: ST_NO_VM; ST_NO_MONITOR; ST_NO_AGENT
 *
 * Return: 0; -ENOENT no VM can have that name; errors of http_upgrade() and of
 * agent_link_ask().
 */
MUST_CHECK int agent_link_open(struct agent_link *l, const char *vm,
			       double wait, struct diag *d);

/* Wait for an agent: what agent_link_open() does with @wait. */
MUST_CHECK int agent_link_wait(struct agent_link *l, double wait,
			       struct diag *d);

/* NULL and AGENT_LINK_NONE are accepted. */
void agent_link_close(struct agent_link *l);

/**
 * agent_link_send() - send a command, whose answer agent_link_receive() gets
 * @request: consumed; NULL: out of memory
 *
 * Return: 0; -ENOMEM; -EPIPE the monitor is gone (ST_NO_MONITOR).
 */
MUST_CHECK int agent_link_send(struct agent_link *l, json_t *request,
			       struct diag *d);

/**
 * agent_link_receive() - wait for the answer
 * @value: out: what "return" has; released by json_decref()
 * @d:     out on error: as the monitor says; ST_NO_AGENT the agent refuses the
 *         command
 *
 * Return: 0; -EREMOTEIO; -EPIPE the monitor is gone, or the guest has ended;
 * -EPROTO.
 */
MUST_CHECK int agent_link_receive(struct agent_link *l, json_t **value,
				  struct diag *d);

/* Both. */
MUST_CHECK int agent_link_ask(struct agent_link *l, json_t *request,
			      json_t **value, struct diag *d);

/**
 * agent_link_streams() - get a set of streams, once per link
 * @with_in: with one for input; else @fds[GUEST_IN] is -1 and its port is 0
 * @ports:   out: numbers of the ports in the guest
 * @fds:     out: owned by the caller
 *
 * Waits until one is free. Return: 0; errors of agent_link_ask().
 */
MUST_CHECK int agent_link_streams(struct agent_link *l, bool with_in,
				  unsigned ports[GUEST_STREAMS],
				  int fds[GUEST_STREAMS], struct diag *d);

#endif
