/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disco-vm: one virtual machine, sandboxed. Started by the control process
 * with the descriptors of disco/worker_spec.h; says how it went on
 * WORKER_FD_CONTROL and exits. Never started by hand.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/ipc/fds.h"
#include "monitor/sandbox/sandbox.h"
#include "monitor/worker/adopt.h"
#include "monitor/worker/machine.h"
#include "monitor/worker/rehome.h"
#include "monitor/worker/spec.h"
#include "monitor/worker/stats.h"
#include "monitor/worker/text.h"
#include "monitor/worker/vm/boot_setup.h"
#include "monitor/worker/vm/cpu_time.h"
#include "monitor/worker/vm/vcpu.h"

#define REQUEST_FDS	4    /* with any request, at most */
#define CONSOLE_LAST_MS 1000 /* a reader that is slower loses the tail */

static struct worker_spec spec;
static struct machine machine;
static struct io_watch control_watch;
static struct adopt adopt;

static void send_event(const struct worker_event *e)
{
	/* Control gone: nobody to tell; control_ready() sees it as well. */
	while (send(WORKER_FD_CONTROL, e, sizeof(*e), MSG_NOSIGNAL) < 0 &&
	       errno == EINTR)
		;
}

/* @e: with its kind, and what is of that kind alone. */
static void worker_send_answer(struct worker_event *e, int err)
{
	e->error = (uint64_t)-err;
	stats_fill(&machine.vm, e, false);
	send_event(e);
}

static void send_stats(enum worker_event_kind kind, bool deep)
{
	struct worker_event e = { .kind = kind };

	stats_fill(&machine.vm, &e, deep);
	send_event(&e);
}

static void merge_done(void *arg, uint64_t pages, int err)
{
	struct worker_event e = { .kind = WORKER_MERGED, .pages = pages };

	(void)arg;
	worker_send_answer(&e, err);
}

/* A new control process, at WORKER_FD_CONTROL. */
static void worker_adopted(struct adopt *a)
{
	(void)a;
	console_attach(&machine.console);
	if (io_loop_watch(&machine.vm.loop, &control_watch, EPOLLIN))
		vm_stop(&machine.vm, STOP_FAILED, "event loop: %s",
			strerror(errno));
}

/* Nobody is at the other end of the control socket any more. */
static void control_lost(void)
{
	int err = -ENOTCONN;

	merge_cancel(&machine.merge); /* said to nobody */
	if (adopt.keep) {
		err = io_loop_watch(&machine.vm.loop, &control_watch, 0);
		console_detach(&machine.console);
		if (!err)
			err = adopt_wait(&adopt);
	}
	if (err)
		vm_stop(&machine.vm, STOP_ASKED, "control process is gone");
}

/* @fds: of the program and of the boot image; -1: did not come. */
static void rehome_now(nodeid_t node, const int fds[2])
{
	struct worker_event e = { .kind = WORKER_REHOMED };
	int err = -EPROTO;

	if (fds[0] == WORKER_FD_CODE && fds[1] >= 0)
		err = rehome(&machine, node, fds[1], &e.stall_ns);
	if (fds[1] >= 0)
		(void)close(fds[1]);
	worker_send_answer(&e, err);
}

static void bind_now(nodeid_t node)
{
	struct worker_event e = { .kind = WORKER_BOUND };

	worker_send_answer(&e, rehome_bind(&machine.vm, node));
}

static void worker_obey(const struct worker_request *r,
			const int fds[REQUEST_FDS])
{
	switch ((enum worker_request_kind)r->kind) {
	case WORKER_REQ_STATS:
		send_stats(WORKER_STATS, true);
		break;
	case WORKER_REQ_STOP:
		vm_stop(&machine.vm, STOP_ASKED, "stopped by the operator");
		break;
	case WORKER_REQ_PAUSE:
		vm_park(&machine.vm, PARK_PAUSE);
		send_stats(WORKER_PAUSED, false);
		break;
	case WORKER_REQ_RESUME:
		vm_unpark(&machine.vm, PARK_PAUSE);
		send_stats(WORKER_PAUSED, false);
		break;
	case WORKER_REQ_KEEP:
		adopt.keep = spec.adoptable != 0;
		if (adopt.keep)
			console_keep(&machine.console);
		break;
	case WORKER_REQ_BIND:
		bind_now(r->node);
		break;
	case WORKER_REQ_REHOME:
		rehome_now(r->node, fds);
		break;
	case WORKER_REQ_ADOPT:
		break; /* the first on its connection, and never here */
	case WORKER_REQ_SUM:
	case WORKER_REQ_GIVE:
	case WORKER_REQ_SHARE:
		if (machine.buffers.cache)
			merge_obey(&machine.merge, r, fds);
		break;
	case WORKER_REQ_CACHE:
	case WORKER_REQ_CACHE_END:
	case WORKER_REQ_LINK:
	case WORKER_REQ_UNLINK:
		if (!machine.buffers.cache)
			break;
		buffers_obey(&machine.buffers, r, fds);
		paging_look(&machine.paging);
		break;
	}
}

/*
 * A program that comes has to take the number WORKER_FD_CODE, which is the
 * lowest free one when it comes: see allow_moves() of gen_filters.c.
 */
static ssize_t worker_receive(int fd, struct worker_request *r,
			      int fds[REQUEST_FDS])
{
	ssize_t n = recv(fd, r, sizeof(*r), MSG_DONTWAIT | MSG_PEEK);

	if (n == (ssize_t)sizeof(*r) && r->kind == WORKER_REQ_REHOME)
		(void)close(WORKER_FD_CODE);
	return n <= 0 ? n : fds_receive(fd, r, sizeof(*r), fds, REQUEST_FDS);
}

static void control_ready(struct io_watch *w, uint32_t events)
{
	int fds[REQUEST_FDS] = { -1, -1, -1, -1 };
	struct worker_request r;
	ssize_t n = worker_receive(w->fd, &r, fds);

	(void)events;
	/* Reset: it died with our words unread. Its own come next, then 0. */
	if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNRESET))
		return;
	if (n == 0 || n < (ssize_t)sizeof(r)) {
		control_lost();
		return;
	}
	worker_obey(&r, fds);
}

/* --- start --- */

static const char *failed_part = "start"; /* what cannot be done next */

static int load_spec(void)
{
	return spec_load(WORKER_FD_SPEC, &spec);
}

static int make_machine(void)
{
	return machine_create(&machine, &spec, &failed_part);
}

static int prepare_boot(void)
{
	return boot_setup(&machine.vm);
}

static int watch_control(void)
{
	control_watch = (struct io_watch){ .fd = WORKER_FD_CONTROL,
					   .ready = control_ready };
	adopt_init(&adopt, &machine.vm.loop, WORKER_FD_LISTENER,
		   worker_adopted);
	return io_loop_watch(&machine.vm.loop, &control_watch, EPOLLIN);
}

static int prepare_merge(void)
{
	if (!machine.buffers.cache)
		return 0;
	return merge_create(&machine.merge, &machine.vm, &machine.disks,
			    machine.buffers.pagemap, merge_done, NULL);
}

/* Everything that can fail before a guest runs; the process ends if it does. */
static int worker_prepare(void)
{
	static const struct {
		int (*run)(void);
		const char *part;
	} steps[] = {
		{ load_spec, "specification" },	   { make_machine, "machine" },
		{ prepare_boot, "boot protocol" }, { watch_control, "start" },
		{ vcpu_install_kick, "start" },	   { stats_init, "start" },
		{ rehome_init, "start" },	   { prepare_merge, "start" },
		{ sandbox_drop, "sandbox" },
	};

	cpu_time_init();
	text_init();
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		int err;

		failed_part = steps[i].part;
		err = steps[i].run();
		if (err)
			return err;
	}
	return 0;
}

/* --- run --- */

static int worker_serve(void)
{
	int err = paging_start(&machine.paging);

	if (err)
		return err;
	err = vm_start(&machine.vm);
	if (err)
		return err;
	err = sandbox_enter(SANDBOX_IO);
	if (err)
		return err;
	return io_loop_run(&machine.vm.loop);
}

/* Run until somebody calls vm_stop(). */
static void worker_run(void)
{
	int err;

	send_stats(WORKER_STARTED, false);
	err = worker_serve();
	if (err)
		vm_stop(&machine.vm, STOP_FAILED, "event loop: %s",
			strerror(-err));
	vm_join(&machine.vm);
	err = disks_settle(&machine.disks);
	if (err)
		(void)fprintf(stderr,
			      "disk: what the guest had not flushed "
			      "may be lost: %s\n",
			      strerror(-err));
	console_flush(&machine.console, CONSOLE_LAST_MS);
}

static void worker_report(void)
{
	struct worker_event e = { .kind = WORKER_STOPPED };

	/* Acquire in vm_stopping(): pairs with the release in vm_stop(). */
	(void)vm_stopping(&machine.vm);
	e.stop = atomic_load(&machine.vm.stop_why);
	memcpy(e.text, machine.vm.stop_text, sizeof(e.text));
	stats_fill(&machine.vm, &e, true);
	send_event(&e);
}

int main(void)
{
	int err;

	(void)signal(SIGPIPE, SIG_IGN);
	/* The image came from a memfd, and would be named after it. */
	(void)prctl(PR_SET_NAME, "disco-vm", 0, 0, 0);
	err = worker_prepare();
	if (err) {
		struct worker_event e = { .kind = WORKER_STOPPED,
					  .stop = STOP_FAILED };

		(void)snprintf(e.text, sizeof(e.text), "%s: %s", failed_part,
			       strerror(-err));
		send_event(&e);
		return EXIT_FAILURE;
	}
	worker_run();
	worker_report();
	/* Not exit(): nothing to flush, and vCPU threads are joined. */
	_exit(EXIT_SUCCESS);
}
