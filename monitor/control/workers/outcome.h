/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Judges how a worker ended. Pure functions, so that every kind of death can be
 * a test case.
 */
#ifndef DISCO_MONITOR_OUTCOME_H
#define DISCO_MONITOR_OUTCOME_H

#include <sys/types.h>

#include "disco/base.h"
#include "disco/exit_status.h"
#include "disco/worker_proto.h"

/* How a worker ended. */
struct vm_end {
	uint32_t stop; /* enum worker_stop of WORKER_STOPPED; 0: none came */
	bool asked;    /* the worker was requested to end the guest */
	bool cut;      /* by an operator who did not want to wait */
	/*
	 * The guest had this many seconds to shut down, and was ended then; 0:
	 * it was not late.
	 */
	unsigned late_s;
	bool hostile; /* killed by control: it sent an invalid message */
	bool stuck;   /* killed by control: it hung after closing its socket */
	bool oom;     /* the kernel has killed a process for memory then */
	bool unseen;  /* not a child, and its end is not known: no code */
	int code;     /* siginfo si_code: CLD_EXITED, CLD_KILLED, CLD_DUMPED */
	int value;    /* siginfo si_status: exit status or signal */
};

/* The exit status of `disco run` for it. @e may have any values. */
enum exit_status outcome_status(const struct vm_end *e);

/**
 * outcome_line() - make the line that reports it to the operator
 * @text:   the worker's last message, cleaned; "" for none
 * @others: other VMs still run
 * @out:    "" if there is nothing to report (powered off, stopped on request);
 *          else one line without the VM's name and without newline
 */
void outcome_line(const struct vm_end *e, const char *text, bool others,
		  char *out, size_t size);

/* "guest-panic" for ST_GUEST_PANIC, "ok" for ST_OK, "unknown" for others. */
const char *status_word(enum exit_status status);

/* The meaning in EXIT_STATUS_TABLE; "unknown" for other values. */
const char *status_meaning(enum exit_status status);

#endif
