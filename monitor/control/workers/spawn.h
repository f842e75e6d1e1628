/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts one worker, with what it needs and nothing else.
 *
 * The child joins its node before it executes anything, so that all memory that
 * the worker ever allocates is local. It has its own process group, because ^C
 * on the terminal is for the control process alone, and private mount, network
 * and IPC namespaces where that is permitted. All descriptors that it inherits
 * have the numbers of disco/worker_spec.h; its standard output and error are a
 * pipe to control.
 */
#ifndef DISCO_MONITOR_SPAWN_H
#define DISCO_MONITOR_SPAWN_H

#include <signal.h>
#include <sys/types.h>

#include "disco/limits.h"
#include "disco/diag.h"
#include "disco/worker_spec.h"

/* Descriptors of which the worker gets duplicates; none is owned. */
struct spawn_files {
	int code; /* the program: a memfd of worker_code.h */
	int kvm;
	int boot;
	int listener; /* -1: none */
	unsigned nr_disk_fds;
	int disks[WORKER_MAX_DISK_FDS]; /* in the order of the spec's disks */
	unsigned nr_net_fds;
	int nets[WORKER_MAX_NET_FDS]; /* in the order of the spec's nets */
	unsigned nr_shm_fds;
	int shms[WORKER_MAX_SHM_FDS]; /* the same */
};

/* Control's side of a running worker. An empty one is WORKER_NONE, not 0. */
struct worker {
	pid_t pid;	   /* 0: none, or reaped */
	int pidfd;	   /* readable when the worker is dead */
	int control;	   /* SOCK_SEQPACKET, non-blocking */
	int console;	   /* SOCK_STREAM, non-blocking at both ends */
	int log;	   /* pipe, non-blocking: the worker's own messages */
	uint64_t start_ns; /* CLOCK_MONOTONIC just before fork() */
};

#define WORKER_NONE                                                            \
	((struct worker){                                                      \
		.pidfd = -1, .control = -1, .console = -1, .log = -1 })

/**
 * worker_spawn() - start a worker
 * @spec:  complete; copied into a sealed memfd
 * @files: not owned
 * @out:   filled on success; release with worker_destroy()
 * @d:     out on error: ST_HOST; ST_MEMORY if a strict binding is refused
 *
 * Guest RAM is made here, a memfd of spec->ram_bytes that can neither shrink
 * nor grow; only the worker keeps it. With spec->reserved all of it is taken
 * from the node first (ST_MEMORY if it does not fit), which may take long. If the host refuses a binding that is not
 * strict, the guest starts without it, and the worker's report shows where its
 * memory is. Signal dispositions are default in the worker, and no signal is
 * blocked.
 *
 * Context: control process, no other threads; waits for exec (milliseconds).
 * Return:  0; -errno of the step that failed, in the child or here.
 */
MUST_CHECK int worker_spawn(const struct worker_spec *spec,
			    const struct spawn_files *files, struct worker *out,
			    struct diag *d);

/* Send a signal; a worker that is dead is accepted. */
void worker_signal(const struct worker *w, int sig);

/**
 * worker_reap() - get how the worker ended
 * @info: out, si_code CLD_* and si_status; untouched unless 0 is returned
 *
 * Context: does not block. Return: 0; -EAGAIN it still runs; -ECHILD it is not
 * a child of this process: when its pidfd is readable, it is dead, and
 * exit_info_get() may know how it ended.
 */
MUST_CHECK int worker_reap(struct worker *w, siginfo_t *info);

/*
 * Kills and reaps it if it still runs, and waits until its disks are free, 0.5 s
 * at most. NULL and WORKER_NONE are accepted.
 */
void worker_destroy(struct worker *w);

#endif
