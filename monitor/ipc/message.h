/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages over a SOCK_SEQPACKET socket, by a table that has the length and the
 * descriptors of each kind. The files of the protocols (worker_messages.h,
 * agent_messages.h) add the checks of the fields.
 *
 * The sender may be hostile. A message is copied once, and the copy is checked
 * before it is used. If the descriptors differ from those of the kind in number
 * or type, they are closed, and the message is reported to have none.
 *
 * Context: any thread; one thread at a time per socket.
 */
#ifndef DISCO_MONITOR_MESSAGE_H
#define DISCO_MONITOR_MESSAGE_H

#include "disco/message.h"
#include "monitor/ipc/fds.h"

/* Type of a descriptor, as far as fstat(2) reports it. */
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
	/*
	 * Not 0: the message ends with an array, and this is its greatest
	 * length; .bytes is without the array.
	 */
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

/* Return: the entry of @kind, owned by @t; NULL for an unknown kind. */
const struct message_kind *message_find(const struct message_table *t,
					uint32_t kind);

/* Number of descriptors of a kind: 0 .. FDS_MAX. */
unsigned message_nr_fds(const struct message_kind *k);

/**
 * message_check() - check length and kind of a message against the table
 * @bytes: as received, owned by the caller
 * @len:   number of bytes received; larger than the buffer if it was cut
 *
 * Return: 0; -EBADMSG it is shorter than the head, or its length is not that of
 * its kind; -EPROTO unknown kind.
 */
MUST_CHECK int message_check(const struct message_table *t, const void *bytes,
			     size_t len);

/**
 * message_send() - send one message
 * @bytes: @len bytes that begin with struct message_head; @len as for its kind
 * @fds:   descriptors of the kind, which stay the caller's, as the receiver
 *         gets duplicates; NULL: the kind has none
 * @flags: MSG_DONTWAIT; 0: block if @sock does
 *
 * Return: 0; -EINVAL kind, length or @fds do not match the table; errors of
 * fds_send().
 */
MUST_CHECK int message_send(const struct message_table *t, int sock,
			    const void *bytes, size_t len, const int *fds,
			    int flags);

/**
 * message_receive() - receive one message, without blocking
 * @bytes: out, @size bytes: the message, then zeroes; also with -EBADF
 * @len:   out, its length in bytes; untouched on errors other than -EBADF
 * @fds:   out, FDS_MAX entries: the descriptors of the kind, close-on-exec
 *         and owned by the caller, then -1; all -1 on error
 *
 * Return: 0; -EAGAIN there is no message; -EPIPE the sender has closed its end;
 * -EBADMSG, -EPROTO as message_check(); -EBADF the descriptors are not those of
 * the kind, or were lost because this process may open no more; -errno of
 * recvmsg().
 */
MUST_CHECK int message_receive(const struct message_table *t, int sock,
			       void *bytes, size_t size, size_t *len,
			       int fds[FDS_MAX]);

#endif
