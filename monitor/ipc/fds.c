/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/ipc/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "numa/region.h"

union control {
	char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	struct cmsghdr align;
};

void fds_close(const int *fds, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
}

int fds_send(int sock, const void *bytes, size_t len, const int *fds,
	     unsigned nr, int flags)
{
	union control control = { .bytes = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)bytes, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nr > FDS_MAX)
		return -EINVAL;
	if (nr) {
		struct cmsghdr *c;

		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(nr * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nr * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nr * sizeof(int));
	}
	while (sendmsg(sock, &m, flags | MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

ssize_t fds_receive(int sock, void *bytes, size_t len, int *fds, unsigned nr)
{
	union control control;
	struct iovec iov = { bytes, len };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    /* Not its padding, where one more would fit. */
			    .msg_controllen = CMSG_LEN(FDS_MAX * sizeof(int)) };
	ssize_t n =
		recvmsg(sock, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC);
	struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&m);
	unsigned came = 0;
	int got[FDS_MAX];

	for (unsigned i = 0; i < nr; i++)
		fds[i] = -1;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		size_t size = min_u64(c->cmsg_len - CMSG_LEN(0), sizeof(got));

		came = (unsigned)(size / sizeof(int));
		memcpy(got, CMSG_DATA(c), came * sizeof(int));
	}
	for (unsigned i = 0; i < came; i++) {
		if (i < nr && !(m.msg_flags & MSG_CTRUNC))
			fds[i] = got[i];
		else
			(void)close(got[i]);
	}
	return n;
}

int fds_write(int fd, const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int fds_seal(int fd)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE |
			  F_SEAL_SEAL;

	return fcntl(fd, F_ADD_SEALS, seals) < 0 ? -errno : 0;
}

int fds_seal_to_read(int *fd)
{
	int ro, err = fds_seal(*fd);

	if (!err)
		err = region_reader_fd(*fd, &ro);
	if (err)
		return err;
	(void)close(*fd);
	*fd = ro;
	return 0;
}
