/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exit statuses of `disco`. They are part of the interface: documented in
 * disco(1) and never renumbered. With several VMs, `disco run` exits with the
 * status of the first VM, in configuration order, whose status is not 0.
 */
#ifndef DISCO_EXIT_STATUS_H
#define DISCO_EXIT_STATUS_H

/* X(name, value, one-line meaning) */
#define EXIT_STATUS_TABLE(X)                                                   \
	X(ST_OK, 0, "success; every guest powered off")                        \
	X(ST_INTERNAL, 1, "internal error of the monitor")                     \
	X(ST_USAGE, 2, "bad command line: unknown option, bad value")          \
	X(ST_JSON, 3, "configuration file is not valid JSON")                  \
	X(ST_CONFIG, 4, "configuration is well formed but cannot be used")     \
	X(ST_FILE, 5, "kernel or initrd missing or unreadable")                \
	X(ST_KERNEL_CUT, 6, "kernel image is truncated or corrupt")            \
	X(ST_KERNEL_KIND, 7, "kernel is neither bzImage nor PVH ELF")          \
	X(ST_DISK, 8, "disk missing, unreadable, locked or not a disk")        \
	X(ST_MEMORY, 9, "guest memory does not fit where it has to be")        \
	X(ST_KVM, 10, "no KVM that can run stock guests")                      \
	X(ST_HOST, 11, "host refused a resource (descriptors, memory)")        \
	X(ST_COW_FILE, 12, "copy-on-write file truncated, damaged or foreign") \
	X(ST_COW_BASE, 13, "copy-on-write file belongs to another base")       \
	X(ST_NO_SPACE, 14, "no space for a disk image")                        \
	X(ST_TOOL, 15, "a program this needs is missing or failed (qemu-img)") \
	X(ST_NO_MONITOR, 16, "no monitor is running, or it does not answer")   \
	X(ST_NO_VM, 17, "no VM of that name, or not one this can be done to")  \
	X(ST_NO_AGENT, 18, "no guest agent answers in the VM, or it refuses")  \
	X(ST_BOOT, 19, "no boot entry on a disk that can be used")             \
	X(ST_GUEST_RESET, 20, "guest asked for a reset")                       \
	X(ST_GUEST_PANIC, 21, "guest kernel panicked")                         \
	X(ST_GUEST_CRASH, 22, "guest CPU stopped: triple fault, KVM error")    \
	X(ST_STOPPED, 23, "ended by the operator without having shut down")    \
	X(ST_CLUSTER, 24,                                                      \
	  "a start command or health check of a cluster failed")               \
	X(ST_TRACE, 25, "a trace is damaged, or is none")                      \
	X(ST_WORKER_SECCOMP, 30, "worker killed by its system call filter")    \
	X(ST_WORKER_SIGNAL, 31, "worker killed by a signal")                   \
	X(ST_WORKER_FAIL, 32, "worker failed; its last line says why")

enum exit_status {
#define EXIT_STATUS_ENUM(name, value, text) name = (value),
	EXIT_STATUS_TABLE(EXIT_STATUS_ENUM)
#undef EXIT_STATUS_ENUM
};

#endif
