/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a worker gives up before a guest runs. First the whole process loses the
 * file system (Landlock, if the kernel has it and a container's filter lets us).
 * Then each thread loses every system call that its class does not need (seccomp;
 * any other call kills the process). gen_filters.c computes the filters at build
 * time.
 *
 * A worker is started without capabilities (privileges.h), and in mount,
 * network and IPC namespaces of its own where the control process could make
 * them (monitor/control/workers/spawn_child.c).
 */
#ifndef DISCO_MONITOR_SANDBOX_H
#define DISCO_MONITOR_SANDBOX_H

#include "disco/base.h"

enum sandbox_class {
	SANDBOX_IO,	 /* main thread: events, devices, disks */
	SANDBOX_VCPU,	 /* runs a guest CPU and its register accesses */
	SANDBOX_GHOST,	 /* stands in for a vCPU (monitor/worker/views) */
	SANDBOX_PAGER,	 /* serves faults of regions (cowdisk/dax/pager.h) */
	SANDBOX_SURVEY,	 /* looks where memory is (monitor/worker/stats.h) */
	SANDBOX_AGENT,	 /* disco-agent: its only thread */
	SANDBOX_SEGMENT, /* replicas of shared segments (worker/shm/shms.h) */
	SANDBOX_COPIES,	 /* copies of guest RAM (worker/views/view_ram.h) */
	SANDBOX_UPLINK,	 /* disco-uplink: its only thread */
	SANDBOX_TRUNK,	 /* the same, of a tap device alone */
	SANDBOX_FAULTS,	 /* sampled faults (worker/sampling/sampling.h) */
	SANDBOX_READER,	 /* takes hostile data apart (confined.h) */
};

/**
 * sandbox_deny_files() - take the file system away from this process (Landlock)
 *
 * `disco doctor` tries it in a child, and a worker calls it as a part of
 * sandbox_drop(). Context: PR_SET_NO_NEW_PRIVS is set; before threads are
 * created. Return: 0; -errno: the process still has its files.
 */
MUST_CHECK int sandbox_deny_files(void);

/*
 * Does a worker go on without it? @err: of sandbox_deny_files(): Landlock is not
 * built in or switched off, or a container's filter forbids it.
 */
bool sandbox_files_optional(int err);

/**
 * sandbox_drop() - give up the file system and new privileges; whole process
 *
 * It also limits the number of malloc()'s arenas, as glibc would open a file to
 * find a limit. Context: before threads are created. Return: 0; -errno: the
 * caller must not run a guest.
 */
MUST_CHECK int sandbox_drop(void);

/**
 * sandbox_enter() - put the calling thread under the filter of its class
 *
 * Return: 0; -errno. Source: seccomp(2).
 */
MUST_CHECK int sandbox_enter(enum sandbox_class class);

#endif
