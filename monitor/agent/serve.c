/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/agent/serve.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/agent/homes.h"
#include "monitor/agent/links.h"
#include "monitor/agent/placing/placing.h"
#include "monitor/agent/placing/pull.h"
#include "monitor/ipc/agent_messages.h"

#define PROGRESS_NS 200000000ull
#define EVENTS	    32

struct agent_server {
	int sock, epoll_fd;
	struct links *links;
	struct placing *placing;
	struct homes *homes;
	struct agent_request request; /* the one that is served */
	struct agent_request between; /* one that comes meanwhile */
	bool pulling;
	bool busy;	  /* links may have more: do not wait */
	uint64_t told_ns; /* when progress was, last */
	int error;	  /* that ends it */
};

static void agent_serve_send(void *arg, const struct agent_answer *ans)
{
	struct agent_server *a = arg;

	if (!a->error)
		a->error = agent_answer_send(a->sock, ans);
}

static int agent_serve_turn(struct agent_server *a);

/* Between two batches: nobody waits for the end of a pull. */
static int agent_serve_progress(void *arg, const struct agent_pulled *pulled)
{
	struct agent_server *a = arg;
	struct agent_answer ans = { .kind = AGENT_PROGRESS,
				    .id = a->request.id,
				    .progress.pulled = *pulled };
	int ret = agent_serve_turn(a);
	uint64_t now;

	if (ret <= 0)
		a->error = ret ? ret : -EPIPE; /* of more than the pull */
	if (a->error)
		return a->error;
	now = clock_now_ns();
	if (now - a->told_ns < PROGRESS_NS)
		return 0;
	a->told_ns = now;
	return agent_answer_send(a->sock, &ans);
}

/* @fds: those of its kind, or all -1: they did not come. */
static int agent_serve_work(struct agent_server *a,
			    const struct agent_request *r, const int *fds)
{
	struct agent_answer ans = { .kind = AGENT_DONE, .id = r->id };
	int err = -EBADF;

	if (r->kind == AGENT_COPY && fds[0] >= 0)
		err = copy_sparse(fds[0], fds[1]);
	if (r->kind == AGENT_PULL && fds[0] >= 0) {
		a->pulling = true;
		a->told_ns = clock_now_ns();
		err = pull(&r->pull, fds[0], NULL, &ans.done.pulled,
			   agent_serve_progress, a);
		a->pulling = false;
	}
	fds_close(fds, FDS_MAX);
	ans.done.error = (uint32_t)-err;
	return agent_answer_send(a->sock, &ans);
}

/* Return: 1 served; 0 nobody is there; -EAGAIN no request; -errno. */
static int serve_one(struct agent_server *a)
{
	struct agent_request *r = a->pulling ? &a->between : &a->request;
	int fds[FDS_MAX];
	int err = agent_request_receive(a->sock, r, fds);

	if (err == -EPIPE)
		return 0;
	/* -EBADF: it is answered as what cannot be done. */
	if (err && err != -EBADF)
		return err;
	if (r->kind >= AGENT_SEGMENT) {
		homes_obey(a->homes, r, fds);
		err = 0;
	} else if (r->kind >= AGENT_MACHINE) {
		placing_obey(a->placing, r, fds);
		err = 0;
	} else if (r->kind >= AGENT_STORE) {
		err = links_obey(a->links, r, fds);
	} else if (!a->pulling) {
		err = agent_serve_work(a, r, fds);
	} else {
		/* Control sends no other one before this is answered. */
		fds_close(fds, FDS_MAX);
		err = -EINVAL;
	}
	return err ? err : 1;
}

/* All that is there. Return: 1; 0 nobody is there; -errno. */
static int serve_control(struct agent_server *a)
{
	int ret;

	while ((ret = serve_one(a)) > 0)
		;
	return ret == -EAGAIN ? 1 : ret;
}

/* Until one of them has something to do; -1: there is nothing. */
static int agent_serve_wait_ms(const struct agent_server *a)
{
	int one = placing_wait_ms(a->placing), two = homes_wait_ms(a->homes);

	if (one < 0 || two < 0)
		return one < 0 ? two : one;
	return one < two ? one : two;
}

/*
 * Wait, but not while there is something to do; then do some of it. Control
 * comes last of what is ready: it may end what other events are about.
 * Return: 1; 0 nobody is there; -errno.
 */
static int agent_serve_turn(struct agent_server *a)
{
	struct epoll_event e[EVENTS];
	bool control = false;
	bool hurry = a->busy || a->pulling;
	int ret = 1, n = epoll_wait(a->epoll_fd, e, EVENTS,
				    hurry ? 0 : agent_serve_wait_ms(a));

	if (n < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; i < n; i++) {
		if (e[i].data.ptr == a)
			control = true;
		else if (!homes_wake(a->homes, e[i].data.ptr, e[i].events))
			links_wake(a->links, e[i].data.ptr, e[i].events);
	}
	if (control || links_in_doubt(a->links))
		ret = serve_control(a);
	a->busy = links_turn(a->links);
	a->busy |= homes_turn(a->homes);
	/* A pull of its own would come into the one that is under way. */
	if (!a->pulling)
		placing_turn(a->placing);
	return a->error ? a->error : ret;
}

int agent_create(int sock, struct agent_server **out)
{
	struct agent_server *a = calloc(1, sizeof(*a));
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = a };
	int err;

	if (!a)
		return -ENOMEM;
	a->sock = sock;
	a->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (a->epoll_fd < 0 ||
	    epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, sock, &e) < 0) {
		err = -errno;
		goto undo;
	}
	err = placing_create(&a->placing);
	if (!err)
		err = links_create(a->epoll_fd, agent_serve_send, a, &a->links);
	if (!err)
		err = homes_create(placing_machine(a->placing), a->epoll_fd,
				   agent_serve_send, a, &a->homes);
	if (err)
		goto undo;
	placing_set_others(a->placing, &homes_accesses, a->homes);
	*out = a;
	return 0;
undo:
	agent_destroy(a);
	return err;
}

void agent_set_plugin(struct agent_server *a, const struct policy *policy)
{
	placing_set_plugin(a->placing, policy);
}

void agent_destroy(struct agent_server *a)
{
	if (!a)
		return;
	homes_destroy(a->homes);
	links_destroy(a->links);
	placing_destroy(a->placing);
	if (a->epoll_fd >= 0)
		(void)close(a->epoll_fd);
	free(a);
}

int agent_serve(struct agent_server *a)
{
	int ret;

	while ((ret = agent_serve_turn(a)) > 0)
		;
	/* It went while it was told, or without reading all. */
	return ret == -EPIPE || ret == -ECONNRESET ? 0 : ret;
}
