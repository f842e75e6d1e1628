/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sends and receives the messages of disco/agent_proto.h: each direction has
 * one function that sends and one that receives.
 *
 * Context: any thread; one thread at a time per socket.
 */
#ifndef DISCO_MONITOR_AGENT_MESSAGES_H
#define DISCO_MONITOR_AGENT_MESSAGES_H

#include "disco/agent_proto.h"
#include "monitor/ipc/message.h"

/* Length and descriptors of each kind. Answers have no descriptors. */
extern const struct message_table agent_request_table;
extern const struct message_table agent_answer_table;

/*
 * Length of a request in bytes; AGENT_PULL ends after its last range. 0: unknown
 * kind.
 */
size_t agent_request_bytes(const struct agent_request *r);

/**
 * agent_request_send() - send a request from control to an agent
 * @r:     its first agent_request_bytes() bytes are sent
 * @fds:   descriptors of the kind, in the order of agent_proto.h; they stay the
 *         caller's, as the agent gets duplicates; NULL: the kind has none
 * @flags: MSG_DONTWAIT; 0: block if @sock does
 *
 * Return: 0; -EINVAL unknown kind, or @fds does not match it; -EAGAIN the agent
 * does not read; -EPIPE the agent has closed its end; -errno of sendmsg().
 */
MUST_CHECK int agent_request_send(int sock, const struct agent_request *r,
				  const int *fds, int flags);

/**
 * agent_request_check() - check a request before it is handled
 * @len: number of bytes received
 *
 * Return: 0; -EBADMSG wrong length; -EINVAL unknown kind, or a field is out of
 * range.
 */
MUST_CHECK int agent_request_check(const struct agent_request *r, size_t len);

/**
 * agent_request_receive() - receive a request in an agent, without blocking
 * @r:   out, a checked copy; also with -EBADF
 * @fds: out, FDS_MAX entries: as of message_receive()
 *
 * Return: 0; -EAGAIN, -EPIPE, -EBADF, -errno as message_receive(); -EBADMSG,
 * -EINVAL as agent_request_check(), and the descriptors were closed.
 */
MUST_CHECK int agent_request_receive(int sock, struct agent_request *r,
				     int fds[FDS_MAX]);

/**
 * agent_answer_send() - send an answer from an agent to control
 *
 * Does not block: answers fit the socket's buffer, so if sending fails, control
 * is gone.
 *
 * Return: 0; -EINVAL unknown kind; -EAGAIN, -EPIPE control is gone; -errno of
 * sendmsg().
 */
MUST_CHECK int agent_answer_send(int sock, const struct agent_answer *a);

/**
 * agent_answer_check() - check an answer before it is used
 * @bytes: as received, never NULL
 * @len:   number of bytes received; larger than the buffer if it was cut
 * @out:   a copy; what the kind does not have is 0; untouched on error
 *
 * Return: 0; -EBADMSG wrong length; -EPROTO unknown kind, or an error that is
 * no errno.
 */
MUST_CHECK int agent_answer_check(const void *bytes, size_t len,
				  struct agent_answer *out);

/**
 * agent_answer_receive() - receive an answer in control, without blocking
 * @out: as of agent_answer_check()
 *
 * Return: 0; -EAGAIN, -EPIPE, -EBADF, -errno as message_receive(); -EBADMSG,
 * -EPROTO as agent_answer_check().
 */
MUST_CHECK int agent_answer_receive(int sock, struct agent_answer *out);

#endif
