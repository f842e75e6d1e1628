/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending and receiving the messages of disco/worker_proto.h: one function that
 * sends and one that receives per direction.
 *
 * Threads: any; a socket is used by one at a time.
 */
#ifndef DISCO_MONITOR_WORKER_MESSAGES_H
#define DISCO_MONITOR_WORKER_MESSAGES_H

#include "disco/worker_proto.h"
#include "monitor/ipc/message.h"

/* Which descriptors a request has, and how long it is. Events have none. */
extern const struct message_table worker_request_table;
extern const struct message_table worker_event_table;

/**
 * worker_request_send() - control to a worker
 * @fds: those of the kind, in the order of worker_proto.h; the worker gets
 *       copies. NULL: the kind has none
 *
 * Return: 0; -EINVAL there is no such kind, or @fds is not as it should be;
 * -EAGAIN the worker does not read; -EPIPE it is gone; -errno of sendmsg().
 */
MUST_CHECK int worker_request_send(int sock, const struct worker_request *r,
				   const int *fds, int flags);

/**
 * worker_request_check() - look at a request before it is acted upon
 * @len: bytes received
 *
 * Of guest memory and layers it does not know what the VM has: whoever acts on
 * the request checks that.
 *
 * Return: 0; -EBADMSG wrong length; -EPROTO unknown kind; -EINVAL a field is
 * out of range.
 */
MUST_CHECK int worker_request_check(const struct worker_request *r, size_t len);

/**
 * worker_request_receive() - in a worker, without waiting
 * @r:   out, a checked copy; with -EINVAL and -EBADF .kind and .id are valid,
 *       so that the request can be answered
 * @fds: out, FDS_MAX entries: as message_receive()
 *
 * Return: 0; -EAGAIN, -EPIPE, -EBADMSG, -EPROTO, -EBADF as message_receive();
 * -EINVAL a field is out of range, and the descriptors were closed.
 */
MUST_CHECK int worker_request_receive(int sock, struct worker_request *r,
				      int fds[FDS_MAX]);

/**
 * worker_event_send() - a worker to control; waits when @sock does
 * Return: 0; -EINVAL there is no such kind; -EPIPE control is gone; -errno of
 * sendmsg().
 */
MUST_CHECK int worker_event_send(int sock, const struct worker_event *e);

/**
 * worker_event_check() - take a worker's message apart
 * @bytes: as received, never NULL
 * @len:   bytes received; more than was asked for when it was cut
 * @out:   a copy that can be used and printed: kind, reason and errors in
 *         range, flags 0 or 1, text one line of printable bytes; what its kind
 *         does not have is 0; untouched on error
 *
 * A page count that contradicts itself (more local than touched) is no count:
 * both become 0.
 *
 * Return: 0; -EBADMSG wrong length; -EPROTO unknown kind or stop reason, or an
 * error that is no errno.
 */
MUST_CHECK int worker_event_check(const void *bytes, size_t len,
				  struct worker_event *out);

/**
 * worker_event_receive() - in control, without waiting
 * @out: as worker_event_check()
 *
 * Return: 0; -EAGAIN, -EPIPE, -EBADF as message_receive(); -EBADMSG, -EPROTO as
 * worker_event_check(). All but the first two are a hostile worker's.
 */
MUST_CHECK int worker_event_receive(int sock, struct worker_event *out);

#endif
