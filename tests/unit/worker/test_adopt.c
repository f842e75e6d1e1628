/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker that waits for its next control process, and who may come instead.
 * Each case is a child process: descriptors go to fixed numbers.
 */
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disco/worker_spec.h"
#include "monitor/ipc/worker_messages.h"
#include "monitor/worker/adopt.h"
#include "tests/unit/support.h"

static struct io_loop loop;
static struct adopt adopt;
static struct sockaddr_un addr = { .sun_family = AF_UNIX };
static unsigned adopted_times;
static uint32_t protocol = WORKER_PROTOCOL;

static void check(bool ok, int code)
{
	if (!ok)
		_exit(code);
}

static void adopted(struct adopt *a)
{
	(void)a;
	adopted_times++;
}

/* One pass over what is ready now. */
static void turn(void)
{
	struct pollfd p = { .fd = loop.epoll_fd, .events = POLLIN };

	for (unsigned i = 0; i < 10 && poll(&p, 1, 0) > 0; i++) {
		struct io_watch *w = adopt.pending.fd >= 0 ? &adopt.pending
							   : &adopt.listener;
		struct pollfd l = { .fd = adopt.listener.fd, .events = POLLIN };

		if (!adopted_times && poll(&l, 1, 0) > 0)
			w = &adopt.listener;
		w->ready(w, 0);
	}
}

static void begin(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);

	/* An abstract name of its own choice. */
	check(bind(fd, (struct sockaddr *)&addr, sizeof(sa_family_t)) == 0, 10);
	socklen_t len = sizeof(addr);
	check(getsockname(fd, (struct sockaddr *)&addr, &len) == 0, 11);
	check(listen(fd, 4) == 0, 12);
	check(dup2(fd, WORKER_FD_LISTENER) == WORKER_FD_LISTENER, 13);
	check(io_loop_init(&loop) == 0, 14);
	adopt_init(&adopt, &loop, WORKER_FD_LISTENER, adopted);
	check(adopt_wait(&adopt) == 0, 15);
}

static int connect_to(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	socklen_t len = (socklen_t)(sizeof(sa_family_t) + 6);

	check(connect(fd, (struct sockaddr *)&addr, len) == 0, 16);
	return fd;
}

static void say(int fd, uint32_t kind, const int *fds, unsigned nr)
{
	struct worker_request r = { .kind = kind };
	const struct message_kind *k =
		message_find(&worker_request_table, kind);

	if (kind == WORKER_REQ_ADOPT)
		r.adopt.protocol = protocol;
	check(fds_send(fd, &r, k->bytes, fds, nr, 0) == 0, 17);
}

static void is_closed(int fd)
{
	char c;

	check(recv(fd, &c, 1, MSG_DONTWAIT) == 0, 18);
}

static void adopts(void)
{
	int console[2], log[2], fd;

	check(socketpair(AF_UNIX, SOCK_STREAM, 0, console) == 0, 20);
	check(pipe(log) == 0, 21);
	fd = connect_to();
	turn(); /* accepted, nothing said yet */
	check(adopted_times == 0, 22);
	say(fd, WORKER_REQ_ADOPT, (int[]){ console[1], log[1] }, 2);
	turn();
	check(adopted_times == 1 && adopt.keep, 23);
	check(send(fd, "x", 1, 0) == 1, 24);
	check(recv(WORKER_FD_CONTROL, console, 1, MSG_DONTWAIT) == 1, 25);
	check(write(2, "log", 3) == 3, 26);
	check(read(log[0], console, 3) == 3, 27);
}

static void plain(void)
{
	adopts();
	/* With one there, nobody else is taken. */
	(void)connect_to();
	turn();
	check(adopted_times == 1 && adopt.pending.fd < 0, 30);
}

static void after_nonsense(void)
{
	int pair[2], fd[6];

	check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, 40);
	fd[0] = connect_to();
	say(fd[0], WORKER_REQ_STOP, NULL, 0);
	turn();
	is_closed(fd[0]);
	fd[1] = connect_to();
	say(fd[1], WORKER_REQ_ADOPT, NULL, 0);
	turn();
	is_closed(fd[1]);
	fd[2] = connect_to();
	say(fd[2], WORKER_REQ_ADOPT, pair, 1);
	turn();
	is_closed(fd[2]);
	fd[3] = connect_to();
	say(fd[3], WORKER_REQ_KEEP, pair, 2);
	turn();
	is_closed(fd[3]);
	fd[4] = connect_to();
	check(send(fd[4], "x", 1, 0) == 1, 41);
	turn();
	is_closed(fd[4]);
	/* A console that is a pipe, and a log that is a socket. */
	fd[5] = connect_to();
	say(fd[5], WORKER_REQ_ADOPT, pair, 2);
	turn();
	is_closed(fd[5]);
	check(adopted_times == 0, 42);
	adopts();
}

/* One of an older build, whose word was 0; one of a newer build. */
static void after_other_protocols(void)
{
	static const uint32_t others[] = { 0, WORKER_PROTOCOL + 1 };
	int pair[2], log[2];

	check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, 50);
	check(pipe(log) == 0, 51);
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		int fd = connect_to();

		protocol = others[i];
		say(fd, WORKER_REQ_ADOPT, (int[]){ pair[1], log[1] }, 2);
		turn();
		is_closed(fd);
		check(adopted_times == 0, 52);
	}
	protocol = WORKER_PROTOCOL;
	adopts();
}

static void after_one_that_is_silent(void)
{
	int silent = connect_to();

	turn();
	adopts();
	is_closed(silent);
}

static void in_child(void (*run)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		for (int fd = 3; fd < 64; fd++)
			(void)close(fd);
		for (int fd = 3; fd <= WORKER_FD_DISK0; fd++)
			(void)open("/dev/null", O_RDWR);
		begin();
		run();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status)
		fail_msg("wait status %#x", status);
}

static void the_next_control_process_is_taken(void **state)
{
	(void)state;
	in_child(plain);
}

static void nonsense_is_dropped(void **state)
{
	(void)state;
	in_child(after_nonsense);
}

static void another_protocol_is_refused(void **state)
{
	(void)state;
	in_child(after_other_protocols);
}

static void a_silent_one_does_not_keep_others_away(void **state)
{
	(void)state;
	in_child(after_one_that_is_silent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_next_control_process_is_taken),
		cmocka_unit_test(nonsense_is_dropped),
		cmocka_unit_test(another_protocol_is_refused),
		cmocka_unit_test(a_silent_one_does_not_keep_others_away),
	};

	return cmocka_run_group_tests_name("adopt", tests, NULL, NULL);
}
