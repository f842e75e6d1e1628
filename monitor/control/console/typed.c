/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/console/typed.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

size_t typed_room(const struct typed *t)
{
	return TYPED_MAX - (t->tail - t->head);
}

size_t typed_add(struct typed *t, const void *bytes, size_t n)
{
	n = min_u64(n, typed_room(t));
	memmove(t->bytes, t->bytes + t->head, t->tail - t->head);
	t->tail -= t->head;
	t->head = 0;
	memcpy(t->bytes + t->tail, bytes, n);
	t->tail += n;
	return n;
}

void typed_give(struct typed *t, int fd)
{
	while (t->head < t->tail) {
		ssize_t n = send(fd, t->bytes + t->head, t->tail - t->head,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			break; /* the guest's end is closed */
		t->head += (size_t)n;
	}
	t->head = 0;
	t->tail = 0;
}

bool typed_waits(const struct typed *t)
{
	return t->head < t->tail;
}
