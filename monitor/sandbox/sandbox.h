/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a worker gives up before a guest runs: capabilities, the file system
 * (Landlock, where the kernel has it), new privileges; then, a thread at a
 * time, every system call its class does not need (seccomp; the rest kills
 * the process). The filters are computed at build time from gen_filters.c.
 *
 * The process was started in mount and network namespaces of its own when the
 * control process could make them (monitor/control/spawn.c).
 */
#ifndef DISCO_MONITOR_SANDBOX_H
#define DISCO_MONITOR_SANDBOX_H

#include "disco/base.h"

enum sandbox_class {
	SANDBOX_IO,   /* main thread: events, devices, disks */
	SANDBOX_VCPU, /* runs a guest CPU and its register accesses */
};

/**
 * sandbox_drop() - capabilities, Landlock, no_new_privs; whole process
 * Context: before threads are made. Return: 0; -errno: do not run a guest.
 */
MUST_CHECK int sandbox_drop(void);

/**
 * sandbox_enter() - put the calling thread under its class's filter
 * Return: 0; -errno. Source: seccomp(2).
 */
MUST_CHECK int sandbox_enter(enum sandbox_class class);

#endif
