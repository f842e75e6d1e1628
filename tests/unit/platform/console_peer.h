/* SPDX-License-Identifier: BSD-2-Clause */
/* A console on a fake host, whose socket's other end the test has. */
#ifndef TESTS_UNIT_PLATFORM_CONSOLE_PEER_H
#define TESTS_UNIT_PLATFORM_CONSOLE_PEER_H

#include <sys/socket.h>
#include <unistd.h>

#include "monitor/dev/platform/console.h"
#include "tests/unit/virtio/fake_host.h"

/* Return: the other end, which the caller closes. */
static inline int console_peer_create(struct fake_host *h, uint64_t ram_bytes,
				      struct console *con)
{
	int sv[2];

	fake_host_create(h, ram_bytes);
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
	must(console_init(con, &h->host, sv[0]) == 0);
	return sv[1];
}

/* @peer: the other end; -1: it is closed. */
static inline void console_peer_destroy(struct fake_host *h,
					struct console *con, int peer)
{
	int fd = con->sock.fd;

	console_destroy(con);
	(void)close(fd);
	if (peer >= 0)
		(void)close(peer);
	fake_host_destroy(h);
}

#endif
