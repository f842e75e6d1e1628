/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/agent/serve.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/agent/pull.h"
#include "monitor/ipc/fds.h"

/* Nobody reads: so nobody is there, as an answer is small. */
static int answer(void *arg, const struct agent_answer *a)
{
	const int *sock = arg;

	return fds_send(*sock, a, sizeof(*a), NULL, 0, MSG_DONTWAIT);
}

static int obey(int sock, const struct agent_request *r, const int fds[2])
{
	struct agent_answer a = { .kind = AGENT_DONE };
	int err = -EBADF;

	if (r->kind == AGENT_COPY && fds[0] >= 0 && fds[1] >= 0)
		err = copy_sparse(fds[0], fds[1]);
	if (r->kind == AGENT_PULL && fds[0] >= 0)
		err = pull(r, fds[0], &a, answer, &sock);
	a.kind = AGENT_DONE;
	a.error = (uint32_t)-err;
	return answer(&sock, &a);
}

/* Return: 1 served; 0 nobody is there; -errno. */
static int serve_one(int sock)
{
	static struct agent_request r;
	struct pollfd p = { .fd = sock, .events = POLLIN };
	int fds[2] = { -1, -1 }, err;
	ssize_t n;

	if (poll(&p, 1, -1) < 0)
		return errno == EINTR ? 1 : -errno;
	n = fds_receive(sock, &r, sizeof(r), fds, 2);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 1 : -errno;
	if (n == 0)
		return 0;
	err = agent_request_check(&r, (size_t)n);
	if (!err)
		err = obey(sock, &r, fds);
	for (unsigned i = 0; i < 2; i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
	return err ? err : 1;
}

int agent_serve(int sock)
{
	int ret;

	while ((ret = serve_one(sock)) > 0)
		;
	return ret;
}
