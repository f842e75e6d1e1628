/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A monitor with one guest, whose worker and guest agent are the test: it
 * receives what the monitor sends to the worker, has the worker's ends of the
 * ports' sockets, and writes what an agent would, or would never.
 */
#ifndef TESTS_UNIT_EXEC_FAKE_AGENT_H
#define TESTS_UNIT_EXEC_FAKE_AGENT_H

#include "disco/guest_ports.h"
#include "monitor/control/exec/ga.h"

struct fake_agent {
	struct monitor m;
	struct guest *g;
	struct figures figures;
	int worker;		   /* its end of the control socket */
	int ports[GUEST_NR_PORTS]; /* sockets that came; -1 */
	char in[65536];		   /* of the agent's port, terminated */
	size_t len;
};

/* The agent's port is open. A failure ends the program. */
void fake_agent_create(struct fake_agent *f);
void fake_agent_destroy(struct fake_agent *f);

/* Which ports the guest has open: bits. */
void fake_agent_open(struct fake_agent *f, uint64_t ports);

/* Turns of the monitor's loop until nothing is ready, and the worker's part. */
void fake_agent_run(struct fake_agent *f);

/* For one turn, the clock of the monitor's timers is @ns ahead. */
void fake_agent_sleep(struct fake_agent *f, uint64_t ns);

/* The next line that the monitor sent to the agent; NULL: none. */
char *fake_agent_line(struct fake_agent *f);

/* Write to the monitor, as far as it reads. Return: number of bytes. */
size_t fake_agent_write(struct fake_agent *f, const void *bytes, size_t n);
void fake_agent_say(struct fake_agent *f, const char *text);

/* Answer the synchronisation that the monitor has sent. */
void fake_agent_sync(struct fake_agent *f);

#endif
