/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/ipc/message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

const struct message_kind *message_find(const struct message_table *t,
					uint32_t kind)
{
	if (kind >= t->nr_kinds || !t->kinds[kind].bytes)
		return NULL;
	return &t->kinds[kind];
}

unsigned message_nr_fds(const struct message_kind *k)
{
	unsigned n = 0;

	while (n < FDS_MAX && k->fds[n] != MESSAGE_NO_FD)
		n++;
	return n;
}

static bool message_length_fits(const struct message_kind *k, size_t len)
{
	return k->most_bytes ? len >= k->bytes && len <= k->most_bytes
			     : len == k->bytes;
}

int message_check(const struct message_table *t, const void *bytes, size_t len)
{
	const struct message_kind *k;
	struct message_head head;

	if (len < sizeof(head))
		return -EBADMSG;
	memcpy(&head, bytes, sizeof(head));
	k = message_find(t, head.kind);
	if (!k)
		return -EPROTO;
	return message_length_fits(k, len) ? 0 : -EBADMSG;
}

int message_send(const struct message_table *t, int sock, const void *bytes,
		 size_t len, const int *fds, int flags)
{
	struct message_head head;
	unsigned nr;

	if (message_check(t, bytes, len))
		return -EINVAL;
	memcpy(&head, bytes, sizeof(head));
	nr = message_nr_fds(message_find(t, head.kind));
	if ((nr != 0) != (fds != NULL))
		return -EINVAL;
	return fds_send(sock, bytes, len, fds, nr, flags);
}

static bool message_fd_is(int fd, enum message_fd type)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return false;
	switch (type) {
	case MESSAGE_MEMORY:
		return S_ISREG(st.st_mode);
	case MESSAGE_FILE:
		return S_ISREG(st.st_mode) || S_ISBLK(st.st_mode);
	case MESSAGE_SOCKET:
		return S_ISSOCK(st.st_mode);
	case MESSAGE_PIPE:
		return S_ISFIFO(st.st_mode);
	case MESSAGE_PIDFD:
		return true;
	case MESSAGE_NO_FD:
		break;
	}
	return false;
}

/* @fds: what came, then -1. */
static bool message_fds_fit(const struct message_kind *k,
			    const int fds[FDS_MAX])
{
	unsigned nr = message_nr_fds(k);

	for (unsigned i = 0; i < nr; i++)
		if (!message_fd_is(fds[i], k->fds[i]))
			return false;
	return nr == FDS_MAX || fds[nr] < 0;
}

int message_receive(const struct message_table *t, int sock, void *bytes,
		    size_t size, size_t *len, int fds[FDS_MAX])
{
	struct message_head head;
	ssize_t n;
	int err;

	memset(bytes, 0, size);
	n = fds_receive(sock, bytes, size, fds, FDS_MAX);
	if (n < 0 && errno == EINTR)
		return -EAGAIN;
	if (n <= 0)
		return n ? -errno : -EPIPE;
	err = (size_t)n > size ? -EBADMSG : message_check(t, bytes, (size_t)n);
	if (!err) {
		memcpy(&head, bytes, sizeof(head));
		*len = (size_t)n;
		if (message_fds_fit(message_find(t, head.kind), fds))
			return 0;
		err = -EBADF;
	}
	fds_close(fds, FDS_MAX);
	for (unsigned i = 0; i < FDS_MAX; i++)
		fds[i] = -1;
	return err;
}
