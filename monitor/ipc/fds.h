/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors: messages that carry them (SCM_RIGHTS) over a SOCK_SEQPACKET
 * socket between control, agents and workers; and sealing of memfds.
 */
#ifndef DISCO_MONITOR_FDS_H
#define DISCO_MONITOR_FDS_H

#include <sys/types.h>
#include <unistd.h>

#include "disco/base.h"

#define FDS_MAX 5u /* descriptors per message */

/**
 * fds_send() - send one message
 * @bytes: @len bytes
 * @fds:   @nr descriptors, at most FDS_MAX; the receiver gets duplicates
 * @flags: MSG_DONTWAIT; 0: block if @sock does
 *
 * Return: 0; -EAGAIN the receiver does not read; -EPIPE the receiver has closed
 * its end; -EINVAL too many descriptors; -errno of sendmsg().
 */
MUST_CHECK int fds_send(int sock, const void *bytes, size_t len, const int *fds,
			unsigned nr, int flags);

/**
 * fds_receive() - receive one message, without blocking
 * @bytes: out, at most @len bytes
 * @fds:   out, @nr entries: the descriptors that arrived, close-on-exec and
 *         owned by the caller; the other entries are -1
 *
 * Descriptors beyond @nr are closed. If some were lost on the way (more than
 * FDS_MAX were sent, or this process may open no more), all are closed, and the
 * message has none.
 *
 * Return: length of the whole message, even if it did not fit in @len; 0 the
 * sender has closed its end; -1 with errno.
 */
MUST_CHECK ssize_t fds_receive(int sock, void *bytes, size_t len, int *fds,
			       unsigned nr);

/* Close those of @nr descriptors that are not -1. */
void fds_close(const int *fds, unsigned nr);

/* Close *@fd unless it is -1, and set it to -1. */
static inline void fds_drop(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/**
 * fds_write() - write all of it
 *
 * Context: any thread; as long as @fd blocks.
 * Return:  0; -errno of write(), -EIO it wrote nothing: a part may be written.
 */
MUST_CHECK int fds_write(int fd, const void *bytes, size_t len);

/**
 * fds_seal() - seal a memfd, so that neither its size nor its bytes change
 *
 * Return: 0; -EBUSY a process has it mapped for writing; -errno of fcntl().
 */
MUST_CHECK int fds_seal(int fd);

/**
 * fds_seal_to_read() - fds_seal(), then replace @fd by a read-only descriptor
 * @fd: in, out; unchanged on error
 *
 * Return: 0; errors of fds_seal() and of region_reader_fd().
 */
MUST_CHECK int fds_seal_to_read(int *fd);

#endif
