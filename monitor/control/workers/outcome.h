/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a worker ended, judged: pure functions, so that every kind of death can be
 * a test case.
 */
#ifndef DISCO_MONITOR_OUTCOME_H
#define DISCO_MONITOR_OUTCOME_H

#include <sys/types.h>

#include "disco/base.h"
#include "disco/exit_status.h"
#include "disco/worker_proto.h"

/* How a worker came to its end. */
struct vm_end {
	uint32_t stop; /* enum worker_stop from WORKER_STOPPED; 0: never said */
	bool asked;    /* the operator wanted it to stop */
	bool cut;      /* the operator had it killed */
	bool hostile;  /* we killed it: a message made no sense */
	bool stuck;    /* we killed it: it hung after it closed its socket */
	bool unseen;   /* not our child: code and value are not known */
	int code;      /* siginfo si_code: CLD_EXITED, CLD_KILLED, CLD_DUMPED */
	int value;     /* siginfo si_status: exit status or signal */
};

/* What `disco run` makes of it. Any value in @e is fine. */
enum exit_status outcome_status(const struct vm_end *e);

/**
 * outcome_line() - what to tell the operator
 * @text:   the worker's last words, cleaned; "" for none
 * @others: other VMs still run
 * @out:    "" when there is nothing to tell (powered off, stopped as asked);
 *          else one line without the VM's name and without newline
 */
void outcome_line(const struct vm_end *e, const char *text, bool others,
		  char *out, size_t size);

/* "guest-panic" for ST_GUEST_PANIC; "ok" for ST_OK; "unknown". */
const char *status_word(enum exit_status status);

/* The meaning in EXIT_STATUS_TABLE; "unknown". */
const char *status_meaning(enum exit_status status);

#endif
