/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages from a starter's child to the monitor (starter.c) over a
 * SOCK_SEQPACKET socket: one START_VM per VM that runs, or one START_FAILED,
 * which ends the start. There are no answers. Both ends are the same program,
 * but the child has read files of a client's choice, so the monitor checks each
 * message.
 */
#ifndef DISCO_MONITOR_START_MESSAGE_H
#define DISCO_MONITOR_START_MESSAGE_H

#include "disco/boot_layout.h"
#include "disco/diag.h"
#include "monitor/boot/boot_key.h"
#include "monitor/control/base/state_dir.h"
#include "monitor/ipc/message.h"

enum start_kind {
	/* .vm: a worker runs. Descriptors: enum start_fd. */
	START_VM = 1,
	START_FAILED = 2, /* .failed: the reason. No descriptors. */
};

/* Descriptors of START_VM, in this order: the ends that control keeps. */
enum start_fd {
	START_FD_PIDFD,
	START_FD_CONTROL, /* SOCK_SEQPACKET */
	START_FD_CONSOLE, /* SOCK_STREAM */
	START_FD_LOG,	  /* pipe, for reading */
	START_FD_BOOT,	  /* memory: the boot image */
	START_NR_FDS
};

_Static_assert(START_NR_FDS <= FDS_MAX, "they fit into one message");

struct start_vm {
	struct vm_record record;
	struct boot_key boot_key;
	struct boot_layout boot;
};

struct start_message {
	uint32_t kind; /* enum start_kind */
	uint32_t zero;
	uint64_t id; /* 0 */
	union {
		struct start_vm vm;
		struct diag failed; /* .status is not ST_OK */
	};
};

/**
 * start_message_send() - send a message from the child to the monitor
 * @fds: START_NR_FDS descriptors with START_VM, else NULL; they stay the
 *       caller's, as the monitor gets duplicates
 *
 * Blocks while the monitor is busy. Return: 0; -EINVAL unknown kind, or @fds
 * does not match it; -EPIPE the monitor is gone; -errno of sendmsg().
 */
MUST_CHECK int start_message_send(int sock, const struct start_message *msg,
				  const int *fds);

/* Return: true if the kind's fields are in range and its texts terminated. */
bool start_message_sane(const struct start_message *msg);

/**
 * start_message_receive() - receive a message in the monitor, without blocking
 * @msg: out, a checked copy
 * @fds: out, FDS_MAX entries: descriptors of the kind, owned by the caller, then
 *       -1
 *
 * Return: 0; -EINVAL start_message_sane() is false; errors of
 * message_receive(). On error all descriptors were closed.
 */
MUST_CHECK int start_message_receive(int sock, struct start_message *msg,
				     int fds[FDS_MAX]);

#endif
