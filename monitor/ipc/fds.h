/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors: messages with them (SCM_RIGHTS) over a SOCK_SEQPACKET socket,
 * for control, agents and workers; and memfds that change no more.
 */
#ifndef DISCO_MONITOR_FDS_H
#define DISCO_MONITOR_FDS_H

#include <sys/types.h>
#include <unistd.h>

#include "disco/base.h"

#define FDS_MAX 5u /* descriptors a message */

/**
 * fds_send() - one message
 * @fds:   @nr descriptors, at most FDS_MAX; the other side gets copies
 * @flags: MSG_DONTWAIT, or 0 to wait when @sock does
 *
 * Return: 0; -EAGAIN the other side does not read; -EPIPE it is gone;
 * -EINVAL too many descriptors; -errno of sendmsg().
 */
MUST_CHECK int fds_send(int sock, const void *bytes, size_t len, const int *fds,
			unsigned nr, int flags);

/**
 * fds_receive() - one message, without waiting
 * @bytes: out, @len at most
 * @fds:   out, @nr entries: what came, close-on-exec and owned by the
 *         caller, then -1
 *
 * Descriptors beyond @nr are closed. When some were lost on the way, as they
 * were more than FDS_MAX or we may open no more, all are: the message then
 * comes with none.
 *
 * Return: length of the whole message, also when it was cut; 0 nobody is at
 * the other end; -1 with errno.
 */
MUST_CHECK ssize_t fds_receive(int sock, void *bytes, size_t len, int *fds,
			       unsigned nr);

/* Close those of @nr that are not -1. */
void fds_close(const int *fds, unsigned nr);

/* Close it if it is not -1, which it is then. */
static inline void fds_drop(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/**
 * fds_seal() - a memfd of which neither size nor bytes change any more
 *
 * Return: 0; -EBUSY somebody has it mapped for writing; -errno of fcntl().
 */
MUST_CHECK int fds_seal(int fd);

/**
 * fds_seal_to_read() - the same, and @fd is one for reading alone then
 * @fd: in, out; it stays what it was on error
 *
 * Return: 0; fds_seal()'s, region_reader_fd()'s.
 */
MUST_CHECK int fds_seal_to_read(int *fd);

#endif
