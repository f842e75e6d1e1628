/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/base/loop.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "disco/clock.h"

#define BATCH 64

int loop_create(struct loop *l)
{
	memset(l, 0, sizeof(*l));
	l->now_ns = clock_now_ns;
	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	return l->epfd < 0 ? -errno : 0;
}

void loop_destroy(struct loop *l)
{
	if (!l || l->epfd <= 0)
		return;
	(void)close(l->epfd);
	l->epfd = -1;
}

static int add_file(struct loop *l, struct loop_watch *w)
{
	for (unsigned i = 0; i < LOOP_MAX_FILES; i++) {
		if (!l->files[i]) {
			l->files[i] = w;
			w->always = true;
			return 0;
		}
	}
	return -ENOSPC;
}

static void drop_file(struct loop *l, struct loop_watch *w)
{
	for (unsigned i = 0; i < LOOP_MAX_FILES; i++) {
		if (l->files[i] == w)
			l->files[i] = NULL;
	}
	w->always = false;
}

static int loop_add(struct loop *l, struct loop_watch *w,
		    struct epoll_event *ev)
{
	if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, w->fd, ev) == 0)
		return 0;
	return errno == EPERM ? add_file(l, w) : -errno;
}

void loop_want(struct loop *l, struct loop_watch *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };
	int err = 0;

	if (events == w->want)
		return;
	if (w->always && events == 0)
		drop_file(l, w);
	else if (w->always)
		err = 0;
	else if (w->want == 0)
		err = loop_add(l, w, &ev);
	else if (epoll_ctl(l->epfd, events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL,
			   w->fd, &ev) < 0)
		err = -errno;
	w->want = err ? 0 : events;
	if (err && !l->err)
		l->err = err;
}

static bool any_file(const struct loop *l)
{
	for (unsigned i = 0; i < LOOP_MAX_FILES; i++) {
		if (l->files[i])
			return true;
	}
	return false;
}

static void turn_files(struct loop *l)
{
	for (unsigned i = 0; i < LOOP_MAX_FILES; i++) {
		struct loop_watch *w = l->files[i];

		if (w)
			w->ready(w, w->want);
	}
}

/* At most @timeout_ms (-1: for ever), and not beyond the first deadline. */
static int loop_sleep_ms(const struct loop *l, int timeout_ms)
{
	const struct loop_timer *t = l->timers.first;
	int ms;

	if (any_file(l))
		return 0;
	if (!t || !timeout_ms)
		return timeout_ms;
	ms = loop_ms_until(t->at_ns, l->now_ns());
	return timeout_ms < 0 || ms < timeout_ms ? ms : timeout_ms;
}

int loop_turn(struct loop *l, int timeout_ms)
{
	struct epoll_event ev[BATCH];
	int n;

	if (l->err)
		return l->err;
	n = epoll_wait(l->epfd, ev, BATCH, loop_sleep_ms(l, timeout_ms));
	if (n < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; i < n; i++) {
		struct loop_watch *w = ev[i].data.ptr;

		/* An earlier handler of this batch may have dropped it. */
		if (w->want)
			w->ready(w, ev[i].events);
	}
	turn_files(l);
	if (l->timers.first)
		timer_heap_run(&l->timers, l->now_ns());
	return l->err;
}

int loop_want_signals(struct loop *l, struct loop_watch *w, const int *sigs,
		      unsigned nr)
{
	sigset_t set;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&set);
	for (unsigned i = 0; i < nr; i++)
		(void)sigaddset(&set, sigs[i]);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	w->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (w->fd < 0)
		return -errno;
	loop_want(l, w, EPOLLIN);
	return 0;
}
