/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/huge/collapser.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/sandbox/sandbox.h"

#define COLLAPSER_STACK KIB(64)

/* --- the collapser --- */

static void *collapser_main(void *arg)
{
	struct collapser *c = arg;
	/* It asks where pages are, as the surveyor does. */
	int err = sandbox_enter(SANDBOX_SURVEY);
	eventfd_t times;

	if (err) {
		vm_stop(c->vm, STOP_FAILED, "system call filter refused: %s",
			strerror(-err));
		return NULL;
	}
	/* Until the process ends. */
	for (;;) {
		uint64_t begun;

		if (read(c->go, &times, sizeof(times)) < 0)
			continue;
		begun = clock_now_ns();
		c->how = ram_huge_collapse(&c->vm->ram, c->pagemap, c->run);
		c->took_ns = clock_now_ns() - begun;
		/* Cannot fail: the counter is 0 before. */
		(void)eventfd_write(c->done.fd, 1);
	}
	return NULL;
}

/* --- the I/O thread --- */

static void collapser_arm(struct collapser *c, uint64_t ms)
{
	const struct itimerspec t = {
		.it_value = { .tv_sec = (time_t)(ms / 1000),
			      .tv_nsec = (long)(ms % 1000) * 1000000 },
	};

	/* Cannot fail: it is a timer, and the times are sound. */
	(void)timerfd_settime(c->timer.fd, 0, &t, NULL);
}

static void collapser_timer_ready(struct io_watch *w, uint32_t events)
{
	struct collapser *c = container_of(w, struct collapser, timer);
	uint64_t times;

	(void)events;
	if (read(w->fd, &times, sizeof(times)) < 0 || c->busy)
		return;
	pmap_hide_again(c->vm->pmap);
	c->busy = !c->held &&
		  pmap_next_candidate(c->vm->pmap, clock_now_ns(), &c->run);
	if (c->busy)
		(void)eventfd_write(c->go, 1);
	else
		collapser_arm(c, COLLAPSER_IDLE_MS);
}

static void collapser_done_ready(struct io_watch *w, uint32_t events)
{
	struct collapser *c = container_of(w, struct collapser, done);
	eventfd_t times;
	uint64_t ms;

	(void)events;
	if (eventfd_read(w->fd, &times) < 0)
		return;
	c->busy = false;
	pmap_collapsed(c->vm->pmap, c->run, c->how, clock_now_ns());
	ms = c->took_ns * COLLAPSER_DUTY / 1000000;
	collapser_arm(
		c, min_u64(max_u64(ms, COLLAPSER_LEAST_MS), COLLAPSER_MOST_MS));
}

void collapser_hold(struct collapser *c, enum collapser_hold why, bool held)
{
	struct pollfd p = { .fd = c->done.fd, .events = POLLIN };

	c->held = held ? c->held | why : c->held & ~(unsigned)why;
	/* What is done is taken in the loop: it changes mappings. */
	while (held && c->busy && poll(&p, 1, -1) < 0)
		;
}

int collapser_create(struct collapser *c, struct vm *vm)
{
	int err;

	c->vm = vm;
	if (!vm->huge)
		return 0;
	c->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (c->pagemap < 0)
		return -errno;
	c->go = eventfd(0, EFD_CLOEXEC);
	if (c->go < 0)
		return -errno;
	c->done.ready = collapser_done_ready;
	c->done.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->done.fd < 0)
		return -errno;
	c->timer.ready = collapser_timer_ready;
	c->timer.fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (c->timer.fd < 0)
		return -errno;
	err = io_loop_watch(&vm->loop, &c->done, EPOLLIN);
	if (err)
		return err;
	collapser_arm(c, COLLAPSER_IDLE_MS);
	return io_loop_watch(&vm->loop, &c->timer, EPOLLIN);
}

int collapser_start(struct collapser *c)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	if (!c->vm->huge)
		return 0;
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, COLLAPSER_STACK);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = -pthread_create(&thread, &attr, collapser_main, c);
	(void)pthread_attr_destroy(&attr);
	return err;
}
