/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending and receiving the messages of disco/agent_proto.h: one function that
 * sends and one that receives per direction.
 *
 * Threads: any; a socket is used by one at a time.
 */
#ifndef DISCO_MONITOR_AGENT_MESSAGES_H
#define DISCO_MONITOR_AGENT_MESSAGES_H

#include "disco/agent_proto.h"
#include "monitor/ipc/message.h"

/* Which descriptors a request has, and how long it is. Answers have none. */
extern const struct message_table agent_request_table;
extern const struct message_table agent_answer_table;

/* Bytes of a request: of AGENT_PULL up to its last range. 0: unknown kind. */
size_t agent_request_bytes(const struct agent_request *r);

/**
 * agent_request_send() - control to an agent
 * @r:   agent_request_bytes() of it are read
 * @fds: those of the kind, in the order of agent_proto.h; the agent gets
 *       copies. NULL: the kind has none
 *
 * Return: 0; -EINVAL there is no such kind, or @fds is not as it should be;
 * -EAGAIN the agent does not read; -EPIPE it is gone; -errno of sendmsg().
 */
MUST_CHECK int agent_request_send(int sock, const struct agent_request *r,
				  const int *fds, int flags);

/**
 * agent_request_check() - look at a request before it is acted upon
 * @len: bytes received
 *
 * Return: 0; -EBADMSG wrong length; -EINVAL unknown kind, or a field is out of
 * range.
 */
MUST_CHECK int agent_request_check(const struct agent_request *r, size_t len);

/**
 * agent_request_receive() - in an agent, without waiting
 * @r:   out, a checked copy; also with -EBADF
 * @fds: out, FDS_MAX entries: as message_receive()
 *
 * Return: 0; -EAGAIN, -EPIPE, -EBADF as message_receive(); -EBADMSG, -EINVAL
 * as agent_request_check(), and the descriptors were closed.
 */
MUST_CHECK int agent_request_receive(int sock, struct agent_request *r,
				     int fds[FDS_MAX]);

/**
 * agent_answer_send() - an agent to control
 *
 * Does not wait: answers fit the socket's buffer, so one that cannot be sent is
 * one that nobody receives.
 * Return: 0; -EINVAL there is no such kind; -EAGAIN, -EPIPE control is gone;
 * -errno of sendmsg().
 */
MUST_CHECK int agent_answer_send(int sock, const struct agent_answer *a);

/**
 * agent_answer_check() - look at an answer before it is used
 * @bytes: as received; @len of them, more when it was cut
 * @out:   a copy; what its kind does not have is 0; untouched on error
 *
 * Return: 0; -EBADMSG wrong length; -EPROTO unknown kind, or an error that is
 * no errno.
 */
MUST_CHECK int agent_answer_check(const void *bytes, size_t len,
				  struct agent_answer *out);

/**
 * agent_answer_receive() - in control, without waiting
 * @out: as agent_answer_check()
 *
 * Return: 0; -EAGAIN, -EPIPE, -EBADF as message_receive(); -EBADMSG, -EPROTO as
 * agent_answer_check().
 */
MUST_CHECK int agent_answer_receive(int sock, struct agent_answer *out);

#endif
