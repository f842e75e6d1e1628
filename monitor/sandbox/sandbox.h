/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a worker gives up before a guest runs: the file system (Landlock, where
 * the kernel has it); then, a thread at a time, every system call its class
 * does not need (seccomp; the rest kills the process). The filters are
 * computed at build time from gen_filters.c.
 *
 * It was started without capabilities (privileges.h), and in mount, network
 * and IPC namespaces of its own where the control process could make them
 * (monitor/control/workers/spawn_child.c).
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
 * sandbox_drop() - the file system and new privileges; whole process
 * Context: before threads are made. Return: 0; -errno: do not run a guest.
 */
MUST_CHECK int sandbox_drop(void);

/**
 * sandbox_enter() - put the calling thread under its class's filter
 * Return: 0; -errno. Source: seccomp(2).
 */
MUST_CHECK int sandbox_enter(enum sandbox_class class);

#endif
