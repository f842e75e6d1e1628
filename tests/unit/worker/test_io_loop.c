/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/worker/vm/io_loop.h"
#include "tests/unit/support.h"

struct source {
	struct io_watch w;
	struct io_loop *loop;
	unsigned calls, stop_after;
	uint32_t events;
};

static void ready(struct io_watch *w, uint32_t events)
{
	struct source *s = container_of(w, struct source, w);

	s->events = events;
	if (++s->calls >= s->stop_after)
		s->loop->stop = true;
}

static struct source make(struct io_loop *l, int fd, unsigned stop_after)
{
	return (struct source){ .w = { .fd = fd, .ready = ready },
				.loop = l,
				.stop_after = stop_after };
}

static void runs_until_stopped(void **state)
{
	struct figures_io f = { .events = 0 };
	struct io_loop l;
	struct source s;
	int fd = eventfd(1, EFD_NONBLOCK);

	(void)state;
	assert_int_equal(io_loop_init(&l), 0);
	l.figures = &f;
	s = make(&l, fd, 3);
	assert_int_equal(io_loop_watch(&l, &s.w, EPOLLIN), 0);
	assert_int_equal(io_loop_run(&l), 0);
	assert_int_equal(s.calls, 3);
	assert_int_equal(s.events, EPOLLIN);
	assert_int_equal(f.wakeups, 3);
	assert_int_equal(f.events, 3);
	io_loop_destroy(&l);
	io_loop_destroy(&l); /* twice is fine */
	(void)close(fd);
}

static void events_are_changed_not_added(void **state)
{
	struct io_loop l;
	struct source s;
	int fd = eventfd(1, EFD_NONBLOCK);

	(void)state;
	assert_int_equal(io_loop_init(&l), 0);
	s = make(&l, fd, 1);
	assert_int_equal(io_loop_watch(&l, &s.w, EPOLLIN), 0);
	assert_int_equal(io_loop_watch(&l, &s.w, EPOLLOUT), 0);
	assert_int_equal(io_loop_run(&l), 0);
	assert_int_equal(s.events, EPOLLOUT);
	io_loop_destroy(&l);
	(void)close(fd);
}

/* A hang-up comes even to those who asked for nothing: off has to be off. */
static void off_is_off_after_a_hang_up(void **state)
{
	struct io_loop l;
	struct source gone, timer;
	struct epoll_event e;
	int sv[2], fd = eventfd(1, EFD_NONBLOCK);

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	assert_int_equal(io_loop_init(&l), 0);
	gone = make(&l, sv[0], 1);
	timer = make(&l, fd, 1);
	assert_int_equal(io_loop_watch(&l, &gone.w, EPOLLIN), 0);
	(void)close(sv[1]);
	assert_int_equal(io_loop_watch(&l, &gone.w, 0), 0);
	assert_int_equal(io_loop_watch(&l, &gone.w, 0), 0); /* off already */
	assert_int_equal(epoll_wait(l.epoll_fd, &e, 1, 0), 0);
	assert_int_equal(io_loop_watch(&l, &timer.w, EPOLLIN), 0);
	assert_int_equal(io_loop_watch(&l, &gone.w, EPOLLIN), 0); /* and on */
	assert_int_equal(io_loop_run(&l), 0);
	assert_int_equal(gone.calls + timer.calls, 1);
	io_loop_destroy(&l);
	(void)close(sv[0]);
	(void)close(fd);
}

static void bad_descriptor(void **state)
{
	struct io_loop l;
	struct source s;

	(void)state;
	assert_int_equal(io_loop_init(&l), 0);
	s = make(&l, 9999, 1);
	assert_int_equal(io_loop_watch(&l, &s.w, EPOLLIN), -EBADF);
	io_loop_destroy(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_until_stopped),
		cmocka_unit_test(events_are_changed_not_added),
		cmocka_unit_test(off_is_off_after_a_hang_up),
		cmocka_unit_test(bad_descriptor),
	};

	return cmocka_run_group_tests_name("io_loop", tests, NULL, NULL);
}
