/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs a command in a guest, with its standard streams.
 *
 * The QEMU guest agent's guest-exec takes all input before it starts a command,
 * returns output only when the command has ended, and cuts it at 16 MiB; its
 * guest-file-read loses bytes of a FIFO, because it reports an error if a read
 * that is not complete would block. So the agent only starts the command, by a
 * shell that connects it with ports of the virtio console, and reports its exit
 * status. The bytes pass through the ports: as they come, of any length, without
 * a file in the guest, and held up only by whoever does not read.
 *
 * Context: main thread of a command.
 */
#ifndef DISCO_MONITOR_GUEST_RUN_H
#define DISCO_MONITOR_GUEST_RUN_H

#include "disco/guest_ports.h"
#include "monitor/control/cli/agent_link.h"

struct guest_run {
	char *const *words; /* the command; not owned */
	unsigned nr_words;  /* at least 1 */
	int in;		    /* its input; -1: none */
	/*
	 * The command has written @n bytes, at least 1, to GUEST_OUT or
	 * GUEST_ERR. Return: 0; -errno, which ends the run.
	 */
	int (*got)(void *arg, enum guest_stream from, const void *bytes,
		   size_t n);
	/* @n bytes more of the input were sent. May be NULL. */
	void (*sent)(void *arg, size_t n);
	void *arg;
};

/**
 * guest_run() - run a command and wait for its end and that of its output
 * @l:      not used for streams before
 * @status: out: exit status, 0 .. 255; or minus the number of the signal that
 *          killed it
 * @d:      out on error: ST_NO_AGENT, also if the guest has no shell that could
 *          start it; ST_HOST reading the input failed; ST_NO_MONITOR
 *
 * Output that processes in the background write later than GUEST_RUN_QUIET_NS
 * after the command's end, or after a silence of that length, is lost.
 * Return: 0; errors of agent_link_ask(); -errno of the input, and of got().
 */
MUST_CHECK int guest_run(struct agent_link *l, const struct guest_run *r,
			 int *status, struct diag *d);

#define GUEST_RUN_QUIET_NS 1000000000u

/* Is there nothing to read at @fd, now and for ever, as far as is known? */
MUST_CHECK bool guest_run_is_empty(int fd);

#endif
