/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/guests/fake_worker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <liburing.h>

#include "disco/huge.h"
#include "disco/worker_spec.h"
#include "monitor/ipc/figures.h"
#include "monitor/ipc/worker_messages.h"
#include "numa/region.h"

void (*fake_worker_other)(const struct worker_spec *spec, struct figures *f);

static struct worker_spec spec;
static bool keep;
static uint32_t paused;
static struct figures *figures; /* NULL: it counts nothing */

static const struct worker_usage usage = { .cpu_ns = 2000,
					   .first_run_cpu_ns = 1000,
					   .ram_pages = 200,
					   .ram_pages_local = 199,
					   .ram_age_ns = 3000000000,
					   .private_bytes = 4096,
					   .exits = 7,
					   .nr_views = 2,
					   .sent = { 5, 4, 3, 2, 1 },
					   .copies_limit = 9,
					   .copies = { { 8, 7, 6, 5 },
						       { 1, 2, 3, 4 } },
					   .copied_pages = 10,
					   .collapsed = 11,
					   .device_waits = 12 };

static void say(const struct worker_event *ev)
{
	/* Control may be gone already: what it had sent comes next. */
	(void)!worker_event_send(WORKER_FD_CONTROL, ev);
}

_Noreturn static void stop(enum worker_stop why, const char *text)
{
	struct worker_event ev = { .kind = WORKER_STOPPED,
				   .stopped = { .stop = why, .usage = usage } };

	(void)snprintf(ev.stopped.text, sizeof(ev.stopped.text), "%s", text);
	say(&ev);
	_exit(0);
}

void fake_worker_fail(const char *text)
{
	stop(STOP_FAILED, text);
}

static void put(const char *text, size_t n)
{
	struct pollfd p = { .fd = WORKER_FD_CONSOLE, .events = POLLOUT };

	while (n) {
		ssize_t done = write(WORKER_FD_CONSOLE, text, n);

		if (done < 0 && errno == EAGAIN)
			(void)poll(&p, 1, -1);
		else if (done < 0)
			_exit(98);
		else
			text += done, n -= (size_t)done;
	}
}

static bool is(const char *name, const char *what)
{
	size_t n = strlen(what);

	return strncmp(name, what, n) == 0 && (!name[n] || name[n] == '.');
}

/* --- what was inherited --- */

#define EXPECT(cond)                                                           \
	do {                                                                   \
		if (!(cond))                                                   \
			stop(STOP_FAILED, #cond);                              \
	} while (0)

static void check_stray(void)
{
	DIR *dir = opendir("/proc/self/fd");
	char text[64];

	for (struct dirent *e; dir && (e = readdir(dir));) {
		int fd = atoi(e->d_name);

		if (fd < (int)(WORKER_FD_DISK0 + spec.nr_disks) ||
		    fd == dirfd(dir))
			continue;
		(void)snprintf(text, sizeof(text), "stray descriptor %d", fd);
		stop(STOP_FAILED, text);
	}
	(void)closedir(dir);
}

static void check_memory(void)
{
	struct region r;
	struct stat st;
	int size_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

	EXPECT(fcntl(WORKER_FD_SPEC, F_GET_SEALS) ==
	       (size_seals | F_SEAL_WRITE));
	/* A file of a tmpfs has no seals (ram_file.h). */
	EXPECT(spec.huge != HUGE_OFF ||
	       fcntl(WORKER_FD_RAM, F_GET_SEALS) == size_seals);
	EXPECT(region_take(&r, WORKER_FD_FIGURES, FIGURES_BYTES) == 0);
	EXPECT(fstat(WORKER_FD_RAM, &st) == 0);
	EXPECT((uint64_t)st.st_size == spec.ram_bytes);
}

static void check_sockets(void)
{
	int type = 0;
	socklen_t len = sizeof(type);

	EXPECT(getsockopt(WORKER_FD_CONTROL, SOL_SOCKET, SO_TYPE, &type,
			  &len) == 0);
	EXPECT(type == SOCK_SEQPACKET);
	EXPECT(getsockopt(WORKER_FD_CONSOLE, SOL_SOCKET, SO_TYPE, &type,
			  &len) == 0);
	EXPECT(type == SOCK_STREAM);
	EXPECT(fcntl(WORKER_FD_CONSOLE, F_GETFL) & O_NONBLOCK);
}

static void check_signals(void)
{
	struct sigaction sa;
	sigset_t set;

	EXPECT(sigaction(SIGPIPE, NULL, &sa) == 0);
	EXPECT(sa.sa_handler == SIG_DFL);
	EXPECT(sigprocmask(SIG_BLOCK, NULL, &set) == 0);
	EXPECT(!sigismember(&set, SIGTERM) && !sigismember(&set, SIGUSR1));
	EXPECT(getpgrp() == getpid());
}

static void check_inherited(const char *name)
{
	struct stat in, null, log;

	EXPECT(spec.magic == WORKER_SPEC_MAGIC);
	EXPECT(spec.size == sizeof(spec));
	EXPECT(strcmp(spec.name, name) == 0);
	EXPECT(fstat(0, &in) == 0 && stat("/dev/null", &null) == 0);
	EXPECT(in.st_rdev == null.st_rdev);
	EXPECT(fstat(1, &log) == 0 && S_ISFIFO(log.st_mode));
	EXPECT(fstat(2, &log) == 0 && S_ISFIFO(log.st_mode));
	for (int fd = 0; fd < (int)(WORKER_FD_DISK0 + spec.nr_disks); fd++)
		EXPECT(fcntl(fd, F_GETFD) == 0);
	EXPECT(getenv("HOME") == NULL && getenv("PATH") == NULL);
	check_memory();
	check_sockets();
	check_signals();
	check_stray();
	stop(STOP_POWEROFF, "");
}

static void check_reserved(void)
{
	struct stat st;

	EXPECT(spec.reserved);
	EXPECT(fstat(WORKER_FD_RAM, &st) == 0);
	EXPECT((uint64_t)st.st_blocks * 512 == spec.ram_bytes);
	stop(STOP_POWEROFF, "");
}

/* --- behaviours --- */

/* Wait for the next control process; descriptors go to their places. */
static void await_adoption(void)
{
	struct pollfd p = { .fd = WORKER_FD_LISTENER, .events = POLLIN };
	struct worker_request req;
	int fds[FDS_MAX];

	(void)poll(&p, 1, -1);
	p.fd = accept(WORKER_FD_LISTENER, NULL, NULL);
	(void)poll(&p, 1, -1);
	if (worker_request_receive(p.fd, &req, fds) ||
	    req.kind != WORKER_REQ_ADOPT ||
	    req.adopt.protocol != WORKER_PROTOCOL)
		_exit(96);
	(void)dup2(p.fd, WORKER_FD_CONTROL);
	(void)dup2(fds[0], WORKER_FD_CONSOLE);
	(void)dup2(fds[1], 2);
	(void)close(p.fd);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* A step of a move, which is for agents: they want memory to be there. */
static void moved(const struct worker_request *req)
{
	bool bind = req->kind == WORKER_REQ_BIND;
	struct worker_event ev = { .kind = bind ? WORKER_BOUND : WORKER_REHOMED,
				   .id = req->id };
	uint8_t *p;

	if (!bind)
		ev.rehomed.stall_ns = 5000000;
	if (is(spec.name, "mixed")) {
		struct worker_event old = ev;

		old.id--;
		old.bound.error = EIO; /* the same place of both kinds */
		say(&old);
	}
	if (is(spec.name, "unbound") && bind)
		ev.bound.error = EPERM;
	if (is(spec.name, "stale") && !bind)
		ev.rehomed.error = ESTALE;
	if (is(spec.name, "liar"))
		ev.bound.error = 1u << 30;
	p = mmap(NULL, spec.ram_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		 WORKER_FD_RAM, 0);
	for (unsigned i = 0; p != MAP_FAILED && i < 100; i++)
		p[(size_t)i * 4096] = 1;
	say(&ev);
}

void fake_worker_stats(uint64_t id, bool exact)
{
	struct worker_event ev = { .kind = WORKER_STATS,
				   .id = id,
				   .stats = { .usage = usage,
					      .paused = paused } };

	ev.stats.usage.ram_exact = exact;
	say(&ev);
}

static void answer_paused(uint64_t id)
{
	const struct worker_event ev = { .kind = WORKER_PAUSED,
					 .id = id,
					 .paused.paused = paused };

	say(&ev);
}

void fake_worker_obey(const struct worker_request *req)
{
	if (req->kind == WORKER_REQ_STOP)
		stop(STOP_ASKED, "stopped by the operator");
	if (req->kind == WORKER_REQ_BUTTON && !is(spec.name, "stay"))
		stop(STOP_POWEROFF, "");
	if (req->kind == WORKER_REQ_KEEP)
		keep = true;
	if (req->kind == WORKER_REQ_BIND || req->kind == WORKER_REQ_REHOME)
		moved(req);
	if (req->kind == WORKER_REQ_STATS || req->kind == WORKER_REQ_EXACT)
		fake_worker_stats(req->id, req->kind == WORKER_REQ_EXACT);
	if (req->kind == WORKER_REQ_PAUSE || req->kind == WORKER_REQ_RESUME) {
		paused = req->kind == WORKER_REQ_PAUSE;
		answer_paused(req->id);
	}
}

static void serve_one(void)
{
	struct pollfd p = { .fd = WORKER_FD_CONTROL, .events = POLLIN };
	struct worker_request req;
	int fds[FDS_MAX], err;

	/* Reset: control died with our words unread. Its own come next. */
	do {
		(void)poll(&p, 1, -1);
		err = worker_request_receive(WORKER_FD_CONTROL, &req, fds);
	} while (err == -EAGAIN || err == -ECONNRESET);
	if (figures)
		figures_count(&figures->vcpus[0].exits[FIGURES_MMIO], 1);
	if (!err) {
		fds_close(fds, FDS_MAX);
		fake_worker_obey(&req);
		return;
	}
	if (!keep)
		_exit(0); /* control is gone */
	await_adoption();
}

static void take_figures(void)
{
	static struct region r;

	if (region_take(&r, WORKER_FD_FIGURES, FIGURES_BYTES))
		_exit(95);
	figures = r.base;
	/* The only thread there is stands for vCPU 0. */
	atomic_store(&figures->vcpus[0].thread, (uint64_t)getpid());
	atomic_store(&figures->magic, FIGURES_MAGIC);
}

static void wait_for_stop(void)
{
	take_figures();
	for (;;)
		serve_one();
}

/* A guest that computes, to those who look at its CPU time. */
static void spin(void)
{
	struct pollfd p = { .fd = WORKER_FD_CONTROL, .events = POLLIN };

	for (;;)
		if (poll(&p, 1, 0) > 0)
			serve_one();
}

/* All ones first: sums of them must not overflow. */
static void write_garbage(void)
{
	struct pollfd p = { .fd = WORKER_FD_CONTROL, .events = POLLIN };
	uint8_t *bytes;

	take_figures();
	bytes = (uint8_t *)figures;
	memset(bytes + sizeof(figures->magic), 0xff,
	       FIGURES_BYTES - sizeof(figures->magic));
	for (unsigned i = 0;; i++) {
		if (poll(&p, 1, 0) > 0)
			serve_one();
		if (i < 1000)
			continue;
		for (size_t k = 0; k < FIGURES_BYTES; k += 256)
			if (getrandom(bytes + k, 256, 0) != 256)
				_exit(94);
		if (i % 16)
			atomic_store(&figures->magic, FIGURES_MAGIC);
	}
}

/* @end: power off when a line says so. */
static void echo(bool end)
{
	struct pollfd p[2] = { { .fd = WORKER_FD_CONSOLE, .events = POLLIN },
			       { .fd = WORKER_FD_CONTROL, .events = POLLIN } };
	char buf[512], last[4] = "";

	while (poll(p, 2, -1) > 0) {
		ssize_t n = read(WORKER_FD_CONSOLE, buf, sizeof(buf));

		if (n > 0)
			put(buf, (size_t)n);
		for (ssize_t i = 0; i < n; i++) {
			memmove(last, last + 1, 3);
			last[3] = buf[i];
			if (end && memcmp(last, "end\n", 4) == 0)
				stop(STOP_POWEROFF, "");
		}
		if (p[1].revents)
			serve_one();
	}
}

static void flood(void)
{
	static char line[1025];

	memset(line, 'x', sizeof(line));
	line[1023] = '\n';
	for (unsigned i = 0; i < 1024; i++)
		put(line, 1024);
	stop(STOP_POWEROFF, "");
}

static void send_nonsense(bool whole)
{
	struct worker_event ev = { .kind = 99 };

	(void)!send(WORKER_FD_CONTROL, &ev, whole ? sizeof(ev) : 5, 0);
	(void)pause();
}

static void talk(void)
{
	static const char text[] = "hello\r\n\x1b[1mMARK\x1b[m here\npartial";

	put(text, sizeof(text) - 1);
	stop(STOP_POWEROFF, "");
}

static void complain(void)
{
	static const char text[] = "first \x1b[2Jline\nsecond line\nno end";

	(void)!write(2, text, sizeof(text) - 1);
	stop(STOP_POWEROFF, "");
}

static void stop_for_a_reason(const char *name)
{
	if (is(name, "panic"))
		stop(STOP_PANIC, "Fatal exception\n\x1b[31m");
	if (is(name, "reset"))
		stop(STOP_RESET, "");
	if (is(name, "crash"))
		stop(STOP_CRASH, "triple fault");
	if (is(name, "failed"))
		stop(STOP_FAILED, "no luck");
}

/*
 * Nothing but the disks: control must see this worker's end. The process that
 * keeps them ends by itself where the test has failed.
 */
static void keep_disks(void)
{
	const char *path = getenv("DISCO_TEST_HOLD");

	if (!path || fork() != 0)
		return;
	(void)close_range(0, WORKER_FD_DISK0 - 1, 0);
	for (unsigned i = 0; i < 60000 && access(path, F_OK) == 0; i++)
		(void)usleep(1000);
	_exit(0);
}

/* A disk that is registered is closed by the kernel when it likes. */
static void open_ring(void)
{
	static struct io_uring ring;
	const int disk = WORKER_FD_DISK0;

	if (io_uring_queue_init(8, &ring, 0) ||
	    io_uring_register_files(&ring, &disk, 1))
		fake_worker_fail("no ring");
}

static void misbehave(const char *name)
{
	if (is(name, "sig9"))
		(void)raise(SIGKILL);
	if (is(name, "sys"))
		(void)raise(SIGSYS);
	if (is(name, "short"))
		send_nonsense(false);
	if (is(name, "forged"))
		send_nonsense(true);
	if (is(name, "unasked")) {
		fake_worker_stats(1, false);
		(void)pause();
	}
	while (is(name, "deaf"))
		(void)pause();
	_exit(3);
}

void fake_worker_hook(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (argc < 1 || strcmp(argv[0], "disco-vm") != 0)
		return;
	/* Sanitizers and cmocka catch it: a worker does not. */
	(void)signal(SIGSYS, SIG_DFL);
	if (pread(WORKER_FD_SPEC, &spec, sizeof(spec), 0) != sizeof(spec))
		_exit(97);
	if (is(name, "check"))
		check_inherited(name);
	if (is(name, "full"))
		check_reserved();
	say(&(struct worker_event){ .kind = WORKER_STARTED });
	stop_for_a_reason(name);
	if (is(name, "talk"))
		talk();
	if (is(name, "echo") || is(name, "copy"))
		echo(is(name, "copy"));
	if (is(name, "flood"))
		flood();
	if (is(name, "lock"))
		keep_disks();
	if (is(name, "ring"))
		open_ring();
	if (is(name, "obey") || is(name, "unbound") || is(name, "stale") ||
	    is(name, "liar") || is(name, "mixed") || is(name, "lock") ||
	    is(name, "ring") || is(name, "stay"))
		wait_for_stop();
	if (is(name, "busy"))
		spin();
	if (is(name, "garbage"))
		write_garbage();
	if (is(name, "log"))
		complain();
	if (fake_worker_other) {
		take_figures();
		fake_worker_other(&spec, figures);
	}
	misbehave(name);
}
