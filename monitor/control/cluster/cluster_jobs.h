/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands in several VMs at the same time. Each runs in a child of its own, as
 * `disco exec` in one VM does (cli/guest_run.h), and sends what it reads to the
 * parent, which cuts it into lines, counts the time, and gathers the ends. A VM
 * that hangs, or whose agent answers nonsense, thus costs its own job alone.
 *
 * Context of all functions: main thread of a command.
 */
#ifndef DISCO_MONITOR_CLUSTER_JOBS_H
#define DISCO_MONITOR_CLUSTER_JOBS_H

#include "disco/diag.h"
#include "disco/guest_ports.h"

#define CLUSTER_LAST_MAX 160u /* bytes of cluster_job.last, with NUL */

struct cluster_job {
	/* Not owned, and not changed. */
	const char *vm;
	char *const *words; /* the command */
	unsigned nr_words;
	double wait_s;	 /* for a guest agent that is not there yet */
	uint64_t end_ns; /* over by then (CLOCK_MONOTONIC); 0: no limit */
	bool repeat;	 /* until it exits with 0; needs @end_ns */
	/* Out. */
	bool ran;	  /* else @diag says why not */
	int status;	  /* exit status; or minus the signal that killed it */
	struct diag diag; /* status ST_OK: none */
	char last[CLUSTER_LAST_MAX]; /* last line that it wrote; printable */
};

struct cluster_jobs_ops {
	/*
	 * In a child: run @job once. What the command writes goes to
	 * cluster_job_wrote(). Return: 0 with job->status set; -errno with
	 * job->diag filled. NULL: by the VM's guest agent.
	 */
	int (*run)(struct cluster_job *job, void *to);
	/*
	 * A line, with its newline unless the output ended without one, or was
	 * longer than CLUSTER_LINE_MAX. NULL: none is wanted.
	 */
	void (*line)(void *arg, const struct cluster_job *job,
		     enum guest_stream from, const char *line, size_t n);
	/* A job is over. NULL: ignored. */
	void (*over)(void *arg, const struct cluster_job *job);
	/* Called now and then. Return: false: kill all that run. May be NULL. */
	bool (*tick)(void *arg);
};

#define CLUSTER_LINE_MAX 16384u

/* Does it run, and exit with 0? */
static inline bool cluster_job_succeeded(const struct cluster_job *job)
{
	return job->ran && job->status == 0;
}

/**
 * cluster_jobs_run() - run jobs, all at the same time, until all are over
 * @jobs: @nr of them
 * @arg:  for the functions of @ops that run in this process
 * @d:    out on error: ST_HOST no process or descriptor
 *
 * A job that fails is no error. Those that tick() has ended have no status: their
 * diag says so.
 *
 * Return: 0; -ENOMEM; -errno of socketpair() or fork(), and no child is left.
 */
MUST_CHECK int cluster_jobs_run(struct cluster_job *jobs, unsigned nr,
				const struct cluster_jobs_ops *ops, void *arg,
				struct diag *d);

/* Of a run(): the command has written @n bytes. Return: 0; -errno. */
int cluster_job_wrote(void *to, enum guest_stream from, const void *bytes,
		      size_t n);

/*
 * Format how a job ended: "0", "3", "signal 9"; a failure's text. Return: @buf.
 */
#define CLUSTER_END_MAX 520u
const char *cluster_job_end(const struct cluster_job *job,
			    char buf[CLUSTER_END_MAX]);

/* Return: the exit status that stands for the job's end; 0: it succeeded. */
int cluster_job_exit(const struct cluster_job *job);

#endif
