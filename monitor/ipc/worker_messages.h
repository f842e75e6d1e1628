/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sends and receives the messages of disco/worker_proto.h: each direction has
 * one function that sends and one that receives.
 *
 * Context: any thread; one thread at a time per socket.
 */
#ifndef DISCO_MONITOR_WORKER_MESSAGES_H
#define DISCO_MONITOR_WORKER_MESSAGES_H

#include "disco/worker_proto.h"
#include "monitor/ipc/message.h"

/* Length and descriptors of each kind. Events have no descriptors. */
extern const struct message_table worker_request_table;
extern const struct message_table worker_event_table;

/**
 * worker_request_send() - send a request from control to a worker
 * @fds:   descriptors of the kind, in the order of worker_proto.h; they stay
 *         the caller's, as the worker gets duplicates; NULL: the kind has none
 * @flags: MSG_DONTWAIT; 0: block if @sock does
 *
 * Return: 0; -EINVAL unknown kind, or @fds does not match it; -EAGAIN the
 * worker does not read; -EPIPE the worker has closed its end; -errno of
 * sendmsg().
 */
MUST_CHECK int worker_request_send(int sock, const struct worker_request *r,
				   const int *fds, int flags);

/**
 * worker_request_check() - check a request before it is handled
 * @len: number of bytes received
 *
 * Values that depend on the VM (size of guest memory, known layers) are checked
 * by the code that handles the request.
 *
 * Return: 0; -EBADMSG wrong length; -EPROTO unknown kind; -EINVAL a field is
 * out of range.
 */
MUST_CHECK int worker_request_check(const struct worker_request *r, size_t len);

/**
 * worker_request_receive() - receive a request in a worker, without blocking
 * @r:   out, a checked copy; with -EINVAL and -EBADF its kind and id are valid,
 *       so that the request can be answered
 * @fds: out, FDS_MAX entries: as of message_receive()
 *
 * Return: 0; -EINVAL a field is out of range, and the descriptors were closed;
 * errors of message_receive().
 */
MUST_CHECK int worker_request_receive(int sock, struct worker_request *r,
				      int fds[FDS_MAX]);

/**
 * worker_event_send() - send an event from a worker to control
 *
 * Blocks if @sock does. Return: 0; -EINVAL unknown kind; -EPIPE control has
 * closed its end; -errno of sendmsg().
 */
MUST_CHECK int worker_event_send(int sock, const struct worker_event *e);

/**
 * worker_event_check() - check a worker's message
 * @bytes: as received, never NULL
 * @len:   number of bytes received; larger than the buffer if it was cut
 * @out:   a copy that is safe to use and to print: kind, reason and errors are
 *         in range, flags are 0 or 1, text is one line of printable bytes, and
 *         what the kind does not have is 0; untouched on error
 *
 * A page count that contradicts itself (more local than touched) is ignored:
 * both numbers become 0.
 *
 * Return: 0; -EBADMSG wrong length; -EPROTO unknown kind or stop reason, or an
 * error that is no errno.
 */
MUST_CHECK int worker_event_check(const void *bytes, size_t len,
				  struct worker_event *out);

/**
 * worker_event_receive() - receive an event in control, without blocking
 * @out: as of worker_event_check()
 *
 * Return: 0; -EAGAIN, -EPIPE, -EBADF, -errno as message_receive(); -EBADMSG,
 * -EPROTO as worker_event_check(). Only a hostile worker causes -EBADF, -EBADMSG
 * and -EPROTO.
 */
MUST_CHECK int worker_event_receive(int sock, struct worker_event *out);

#endif
