/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A study: some traces, each played with some policies, on all CPUs at once.
 * `disco sim` prints what comes out, `disco report` draws it.
 *
 * Context of all functions: one thread; study_run() has threads of its own.
 */
#ifndef DISCO_MONITOR_STUDY_H
#define DISCO_MONITOR_STUDY_H

#include <jansson.h>

#include "disco/diag.h"
#include "memory/placement/plugin.h"
#include "memory/sim/sim.h"
#include "memory/trace/trace_read.h"
#include "monitor/control/config/command.h"
#include "numa/topology.h"

#define STUDY_MAX_RUNS	 4096u /* policies, per trace */
#define STUDY_MAX_TRACES 256u
#define STUDY_RECORDED	 "recorded" /* in place of a policy: as it was */

struct study_options {
	const char *topology; /* a file, or hwloc's synthetic text; NULL */
	bool replicas, optimum;
	uint64_t proof_ns, turn_ns;
	uint32_t turn_pages, collapse_ns;
	uint32_t move_ns; /* 0: as the trace says */
	uint32_t jobs;	  /* threads; 0: one per CPU */
};

/* A trace with a policy. */
struct study_run {
	char policy[VM_POLICY_MAX];
	struct policy_choice choice; /* no policy: as recorded */
	struct sim_result result;
	uint64_t cpu_ns; /* that the simulation took */
};

struct study_trace {
	const char *path; /* not owned */
	struct trace_info *info;
	struct trace_totals totals; /* once it has run */
	bool cut;
	uint64_t file_bytes;
	struct sim_machine *machine;
	struct study_run *runs; /* [nr_runs of the study] */
	uint64_t optimum_ns;
	bool optimum_has_replicas;
};

struct study {
	struct study_options o;
	struct policy_plugin plugin;
	struct policy_choice *choices; /* [nr_runs] */
	char (*policies)[VM_POLICY_MAX];
	uint32_t nr_runs;
	struct study_trace *traces;
	uint32_t nr_traces;
};

/* What options are when nobody says otherwise. */
#define STUDY_OPTIONS                                                          \
	((struct study_options){ .replicas = true,                             \
				 .optimum = true,                              \
				 .proof_ns = 200000000,                        \
				 .turn_pages = 128,                            \
				 .collapse_ns = 5000 })

/* --- the options of `disco sim` and `disco report` --- */

enum {
	STUDY_POLICY,
	STUDY_PLUGIN,
	STUDY_TOPOLOGY,
	STUDY_REPLICAS,
	STUDY_PROOF,
	STUDY_TURN,
	STUDY_COLLAPSE,
	STUDY_MOVE,
	STUDY_JOBS,
	STUDY_NR_OPTIONS,
};

extern const struct option_entry study_option_table[];

/**
 * study_topology() - a machine that --topology describes
 * @text: a file of hwloc's XML, or hwloc's synthetic text
 * @t:    out; released with topology_destroy()
 *
 * Return: 0; errors of topology_create().
 */
MUST_CHECK int study_topology(const char *text, struct topology *t,
			      struct diag *d);

/**
 * study_create() - read the options, and open the traces
 * @a:	      options of the table, which is the first one; words are traces
 * @standard: the policies, if none is given; NULL at the end
 * @out:      release with study_destroy(), also after an error
 *
 * Return: 0; -EINVAL (ST_USAGE); errors of trace_open(), topology_create() and
 * policy_plugin_load().
 */
MUST_CHECK int study_create(const struct command_args *a,
			    const char *const *standard, struct study *out,
			    struct diag *d);

/* All-zero is accepted. */
void study_destroy(struct study *s);

/**
 * study_add_policies() - one policy, or a sweep of its parameters
 * @text: as policy_parse() reads it, where a value may also be A..B, A..B+STEP
 *        or A..B*FACTOR; or STUDY_RECORDED
 *
 * Return: 0; -EINVAL (ST_USAGE); -ENOMEM.
 */
MUST_CHECK int study_add_policies(struct study *s, const char *text,
				  struct diag *d);

/* Simulate all of it. Shows progress. Return: 0; errors of trace_next(). */
MUST_CHECK int study_run(struct study *s, struct diag *d);

/* --- results --- */

/* What the CPUs computed, their stalls, and moves. */
uint64_t study_time_ns(const struct study_trace *t, const struct study_run *r);

/* The same of the optimum, and with all misses local and no move. */
uint64_t study_best_ns(const struct study_trace *t);
uint64_t study_uma_ns(const struct study_trace *t);

/* Share of local misses, 0 to 1; 0 without misses. */
double study_local(const struct study_run *r);

/* Time of a run / that of the optimum, less 1; 0: unknown. */
double study_regret(const struct study *s, const struct study_trace *t,
		    const struct study_run *r);

/* Geometric mean over all traces of time / time of the optimum, less 1. */
double study_mean_regret(const struct study *s, uint32_t run);

/* disco sim, report, trace. */
extern const struct command sim_command, report_command, trace_command;

#endif
