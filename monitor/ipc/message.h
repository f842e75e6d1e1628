/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages over a SOCK_SEQPACKET socket, by a table of their kinds: how long
 * one is and which descriptors travel with it. What a protocol's own file adds
 * (worker_messages.h, agent_messages.h) is the check of its fields.
 *
 * The sender may be hostile. A message is copied once, and the copy is checked
 * before anybody uses it. Descriptors that are not those of the kind, in number
 * or in type, are closed, and the message is reported to have none.
 */
#ifndef DISCO_MONITOR_MESSAGE_H
#define DISCO_MONITOR_MESSAGE_H

#include "disco/message.h"
#include "monitor/ipc/fds.h"

/* What a descriptor is, as far as fstat(2) can tell. */
enum message_fd {
	MESSAGE_NO_FD = 0, /* ends the list of a kind */
	MESSAGE_MEMORY,	   /* a memfd, or another regular file */
	MESSAGE_FILE,	   /* a regular file or a block device */
	MESSAGE_SOCKET,
	MESSAGE_PIPE,
	MESSAGE_PIDFD, /* any: its type depends on the version of Linux */
};

/* A kind of message; all-zero: there is no such kind. */
struct message_kind {
	size_t bytes; /* with the head */
	/* Not 0: the message ends with an array, and this is its greatest
	 * length; .bytes is without the array. */
	size_t most_bytes;
	enum message_fd fds[FDS_MAX];
};

/* The kinds of one direction, by their numbers. */
struct message_table {
	const struct message_kind *kinds;
	uint32_t nr_kinds; /* numbers are below it */
};

#define MESSAGE_TABLE(list)                                                    \
	{                                                                      \
		.kinds = (list), .nr_kinds = ARRAY_SIZE(list)                  \
	}

/* NULL: there is no such kind. */
const struct message_kind *message_find(const struct message_table *t,
					uint32_t kind);

/* How many descriptors a kind has: 0 .. FDS_MAX. */
unsigned message_nr_fds(const struct message_kind *k);

/**
 * message_check() - whether size and kind are of the table
 * @bytes: as received; @len of them, more when it was cut
 *
 * Return: 0; -EBADMSG it has no head, or another length than its kind;
 * -EPROTO unknown kind.
 */
MUST_CHECK int message_check(const struct message_table *t, const void *bytes,
			     size_t len);

/**
 * message_send() - one message
 * @bytes: struct message_head first; @len of them, as its kind has it
 * @fds:   those of the kind; the other side gets copies. NULL: it has none
 * @flags: MSG_DONTWAIT, or 0 to wait when @sock does
 *
 * Return: 0; -EINVAL kind, length or @fds are not of the table; as fds_send().
 */
MUST_CHECK int message_send(const struct message_table *t, int sock,
			    const void *bytes, size_t len, const int *fds,
			    int flags);

/**
 * message_receive() - one message, without waiting
 * @bytes: out, @size of them: the message, then zeroes; also with -EBADF
 * @len:   out, its length; untouched on error but -EBADF
 * @fds:   out, FDS_MAX entries: the descriptors of the kind, close-on-exec
 *         and owned by the caller, then -1; all -1 on error
 *
 * Return: 0; -EAGAIN none is there; -EPIPE nobody is at the other end;
 * -EBADMSG, -EPROTO as message_check(); -EBADF the descriptors are not those of
 * its kind, or got lost as this process may open no more; else -errno of
 * recvmsg().
 */
MUST_CHECK int message_receive(const struct message_table *t, int sock,
			       void *bytes, size_t size, size_t *len,
			       int fds[FDS_MAX]);

#endif
