/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Notices a guest that will not go on: one whose vCPUs are all halted with
 * interrupts off, and one whose kernel has panicked without telling the panic
 * device (its driver is a module in many kernels).
 *
 * What can be known of a vCPU is whether it is halted, and whether interrupts
 * are on. Only KVM_RUN's own thread may ask KVM, so it has to be interrupted: a
 * sample. Samples are taken of a guest whose vCPUs used no CPU time since the
 * last turn, and while a panic is suspected; a guest that works is not
 * disturbed.
 *
 *	seen			judgement
 *	all vCPUs halted, IF 0	halted: nothing can wake it
 *	panic line, then	panicked: Linux stops its other CPUs (halted,
 *	  STAND_CONFIRM turns	  IF 0), and spins on the one that panicked, so
 *	  of no output, no idle	  no vCPU is ever idle
 *	  vCPU, and at most one
 *	  that runs
 *	panic line, then an	nothing: a guest that waits for interrupts goes
 *	  idle vCPU		  on; a program wrote the line
 *	panic device		panicked, at once
 *
 * A guest that has panicked ends (STOP_PANIC), when it was found by its console
 * STAND_GRACE turns later; with worker_spec.keep_panicked it stays.
 */
#ifndef DISCO_MONITOR_STANDSTILL_H
#define DISCO_MONITOR_STANDSTILL_H

#include "monitor/dev/platform/dev_host.h"
#include "monitor/dev/platform/panic_line.h"
#include "monitor/ipc/figures.h"

#define STAND_CONFIRM 4u  /* turns while a panic is suspected */
#define STAND_GRACE   10u /* more of them until the guest ends */
#define STAND_FAST_MS 500u
#define STAND_SLOW_MS 2000u

/* What a sample of a vCPU has seen. */
enum vcpu_stand {
	VCPU_STAND_RUNS = 0, /* or it has not answered */
	VCPU_STAND_IDLE,     /* halted, interrupts on */
	VCPU_STAND_HALTED,   /* halted, interrupts off */
	VCPU_STAND_ABSENT,   /* not started by the guest yet */
	VCPU_NR_STANDS
};

/* --- the judgement: no clock, no threads --- */

struct stand {
	bool keep;	/* [I] worker_spec.keep_panicked */
	bool suspected; /* a panic line was seen */
	unsigned quiet; /* turns in a row that fit a panic */
	enum figures_stand now;
};

enum stand_act {
	STAND_NOTHING = 0,
	STAND_REPORT_HALTED,
	STAND_REPORT_PANICKED,
	STAND_END, /* the guest ends now */
};

/* A panic line was seen. */
void stand_suspect(struct stand *s);

/* The panic device was told, and the guest stays. */
MUST_CHECK enum stand_act stand_told(struct stand *s);

/**
 * stand_turn() - judge a sample of all vCPUs
 * @seen:   number of vCPUs by what was seen of them
 * @output: the guest wrote to its console since the last turn
 */
MUST_CHECK enum stand_act
stand_turn(struct stand *s, const unsigned seen[VCPU_NR_STANDS], bool output);

/* --- a guest's --- */

struct vm;

/* [A: asked: I/O thread; seen, answered: vCPU thread; release/acquire] */
struct vcpu_sample {
	_Atomic uint32_t asked, answered;
	_Atomic uint32_t seen; /* enum vcpu_stand */
	uint64_t cpu_ns;       /* I/O thread: at the last turn */
};

struct standstill {
	struct vm *vm;	       /* [I] */
	struct stand stand;    /* I/O thread */
	struct io_watch timer; /* I/O thread */
	struct io_watch told;  /* eventfd: the panic device was told */
	char text[PANIC_TEXT_BYTES];
	uint64_t output;  /* console bytes at the last turn */
	bool sampled;	  /* samples were asked for in the last turn */
	unsigned settled; /* turns of rest since the sample; 0: none */
	bool fast;
	/* Bytes of output so far. Context: I/O thread. */
	uint64_t (*written)(void *arg);
	void *arg;
};

/**
 * standstill_create() - watch a guest
 * @written: how much it has written to its console; called with @arg
 *
 * Context: before vm_start(). Return: 0; -errno.
 */
MUST_CHECK int standstill_create(struct standstill *s, struct vm *vm,
				 uint64_t (*written)(void *arg), void *arg);

/* A panic line was seen. @text: its reason. Context: I/O thread. */
void standstill_suspect(struct standstill *s, const char *text);

/* The panic device was told, and the guest stays. Context: any thread. */
void standstill_told(struct standstill *s);

#endif
