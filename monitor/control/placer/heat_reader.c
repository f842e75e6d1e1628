/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/placer/heat_reader.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/ipc/fds.h"

#define HEAT_END_MS 3000
#define HEAT_TURN   64u /* answers per turn of the loop */

struct heat_reader {
	struct loop *loop;
	struct heat_reader_config c;
	struct loop_watch sock;
	pid_t pid;
	int pidfd; /* -1: this kernel gives none */
};

static void heat_take(struct heat_reader *h, struct heat_answer *a)
{
	a->text[sizeof(a->text) - 1] = '\0';
	if (*a->text)
		h->c.failed(h->c.arg, a->text);
	else if (a->heat.nr <= AGENT_HEAT_REGIONS)
		h->c.heat(h->c.arg, &a->heat);
}

static void heat_reader_ready(struct loop_watch *w, uint32_t events)
{
	struct heat_reader *h = container_of(w, struct heat_reader, sock);

	(void)events;
	for (unsigned i = 0; i < HEAT_TURN; i++) {
		struct heat_answer a;
		ssize_t n = recv(w->fd, &a, sizeof(a), MSG_DONTWAIT);

		if (n == (ssize_t)sizeof(a)) {
			heat_take(h, &a);
			continue;
		}
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		/* It has said why, or was killed. */
		h->c.failed(h->c.arg, "accessed bits are not read any more");
		loop_want(h->loop, w, 0);
		return;
	}
}

/* In the child. */
_Noreturn static void heat_reader_be(int sock,
				     const struct heat_reader_config *c)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t none;

	(void)prctl(PR_SET_NAME, "disco-damon");
	/* What ends the monitor ends it by the socket, after its clean-up. */
	(void)sigaction(SIGINT, &ignore, NULL);
	(void)sigaction(SIGHUP, &ignore, NULL);
	(void)sigaction(SIGTERM, &ignore, NULL);
	(void)sigaction(SIGQUIT, &ignore, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (sock != STDERR_FILENO + 1 && dup2(sock, STDERR_FILENO + 1) < 0)
		_exit(EXIT_FAILURE);
	(void)close_range(STDERR_FILENO + 2, ~0u, 0);
	heat_child_run(STDERR_FILENO + 1, c);
	_exit(EXIT_SUCCESS);
}

int heat_reader_create(struct heat_reader **out, struct loop *loop,
		       const struct heat_reader_config *c)
{
	struct heat_reader *h = calloc(1, sizeof(*h));
	int socks[2], err;

	if (!h)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks) < 0) {
		err = -errno;
		free(h);
		return err;
	}
	h->loop = loop;
	h->c = *c;
	h->pid = fork();
	if (h->pid == 0)
		heat_reader_be(socks[1], &h->c);
	err = h->pid < 0 ? -errno : 0;
	(void)close(socks[1]);
	if (err) {
		(void)close(socks[0]);
		free(h);
		return err;
	}
	h->pidfd = (int)syscall(SYS_pidfd_open, h->pid, 0);
	h->sock.fd = socks[0];
	h->sock.ready = heat_reader_ready;
	loop_want(loop, &h->sock, EPOLLIN);
	*out = h;
	return 0;
}

void heat_reader_destroy(struct heat_reader *h)
{
	struct pollfd p;

	if (!h)
		return;
	loop_want(h->loop, &h->sock, 0);
	fds_drop(&h->sock.fd);
	p = (struct pollfd){ h->pidfd, POLLIN, 0 };
	/* The next monitor could not have DAMON while this one's reader does. */
	if (h->pidfd >= 0)
		(void)poll(&p, 1, HEAT_END_MS);
	(void)waitpid(h->pid, NULL, WNOHANG);
	fds_drop(&h->pidfd);
	free(h);
}

void heat_reader_order(struct heat_reader *h, uint64_t vm, pid_t pid,
		       uint64_t ram_bytes)
{
	struct heat_order o = { .vm = vm,
				.ram_bytes = ram_bytes,
				.pid = (int32_t)pid };

	if (send(h->sock.fd, &o, sizeof(o), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	    errno == EAGAIN)
		h->c.failed(h->c.arg, "the reader of accessed bits hangs");
}
