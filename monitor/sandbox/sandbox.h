/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a worker gives up before a guest runs. First the whole process loses the
 * file system (Landlock, if the kernel has it). Then each thread loses every
 * system call that its class does not need (seccomp; any other call kills the
 * process). gen_filters.c computes the filters at build time.
 *
 * A worker is started without capabilities (privileges.h), and in mount,
 * network and IPC namespaces of its own where the control process could make
 * them (monitor/control/workers/spawn_child.c).
 */
#ifndef DISCO_MONITOR_SANDBOX_H
#define DISCO_MONITOR_SANDBOX_H

#include "disco/base.h"

enum sandbox_class {
	SANDBOX_IO,    /* main thread: events, devices, disks */
	SANDBOX_VCPU,  /* runs a guest CPU and its register accesses */
	SANDBOX_PAGER, /* serves faults of regions (cowdisk/dax/pager.h) */
	SANDBOX_AGENT, /* disco-agent: its only thread */
};

/**
 * sandbox_drop() - give up the file system and new privileges; whole process
 *
 * Context: before threads are created. Return: 0; -errno: the caller must not
 * run a guest.
 */
MUST_CHECK int sandbox_drop(void);

/**
 * sandbox_enter() - put the calling thread under the filter of its class
 *
 * Return: 0; -errno. Source: seccomp(2).
 */
MUST_CHECK int sandbox_enter(enum sandbox_class class);

#endif
