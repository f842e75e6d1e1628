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

#include "memory/replica/copies_link.h"
#include "memory/replica/ram_copies.h"
#include "monitor/ipc/worker_messages.h"
#include "monitor/sandbox/sandbox.h"
#include "monitor/worker/adopt.h"
#include "monitor/worker/huge/collapser.h"
#include "monitor/worker/machine.h"
#include "monitor/worker/rehome.h"
#include "monitor/worker/sampling/sampling.h"
#include "monitor/worker/sampling/writes.h"
#include "monitor/worker/spec.h"
#include "monitor/worker/stats.h"
#include "monitor/worker/text.h"
#include "monitor/worker/vm/boot_setup.h"
#include "monitor/worker/vm/cpu_time.h"
#include "monitor/worker/vm/vcpu.h"

#define CONSOLE_LAST_MS 1000 /* a reader that is slower loses the tail */

static struct worker_spec spec;
static struct machine machine;
static struct io_watch control_watch;
static struct adopt adopt;
static struct stats stats;
static struct sampling sampling;
static struct writes writes;
static struct collapser collapser;

static void worker_send(const struct worker_event *e)
{
	/* Control gone: nobody to send to; control_ready() sees it as well. */
	(void)!worker_event_send(WORKER_FD_CONTROL, e);
}

static uint32_t worker_is_paused(void)
{
	return (vm_parked(&machine.vm) & PARK_PAUSE) != 0;
}

static void worker_send_stats(void *arg, uint64_t id)
{
	struct worker_event e = { .kind = WORKER_STATS, .id = id };

	(void)arg;
	e.stats.paused = worker_is_paused();
	stats_fill(&stats, &e.stats.usage);
	worker_send(&e);
}

static void worker_send_paused(uint64_t id)
{
	const struct worker_event e = { .kind = WORKER_PAUSED,
					.id = id,
					.paused.paused = worker_is_paused() };

	worker_send(&e);
}

static void worker_send_merged(void *arg, uint64_t id, uint64_t pages, int err)
{
	const struct worker_event e = { .kind = WORKER_MERGED,
					.id = id,
					.merged = { .error = (uint32_t)-err,
						    .pages = pages } };

	(void)arg;
	worker_send(&e);
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

static void worker_sample(const struct worker_req_sample *r)
{
	sampling_set(&sampling, r);
	writes_set(&writes, r);
	collapser_hold(&collapser, COLLAPSER_SAMPLED,
		       sampling.traps && r->rate);
}

/*
 * A move that was under way is over: nobody goes on with it. Memory that is
 * touched from now on is where the VM is, and huge pages are made again.
 */
static void worker_forget_move(void)
{
	struct vm *vm = &machine.vm;
	int err;

	if (!(collapser.held & COLLAPSER_MOVES))
		return;
	collapser_hold(&collapser, COLLAPSER_MOVES, false);
	err = rehome_bind(vm,
			  spec.wide.nr_nodes ? WORKER_NODES_SPREAD : vm->node);
	if (err)
		(void)fprintf(stderr,
			      "a move was not ended: memory stays bound to "
			      "another node: %s\n",
			      strerror(-err));
}

/* Nobody is at the other end of the control socket any more. */
static void control_lost(void)
{
	int err = -ENOTCONN;

	merge_cancel(&machine.merge); /* said to nobody */
	stats_forget(&stats);
	/* Nobody uses them; the next control process asks for them again. */
	worker_sample(&(struct worker_req_sample){ .share = 1 });
	worker_forget_move();
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
static int rehome_now(nodeid_t node, const int fds[2], uint64_t *stall_ns)
{
	int err = -EPROTO;

	if (fds[0] == WORKER_FD_CODE)
		err = rehome(&machine, node, fds[1], stall_ns);
	else
		fds_close(fds, 1); /* a number that cannot be executed from */
	fds_close(fds + 1, 1);
	return err;
}

/* @err: why the request was refused; 0: carry it out. */
static void worker_move(const struct worker_request *r, const int *fds, int err)
{
	struct worker_event e = { .id = r->id };

	if (r->kind == WORKER_REQ_BIND) {
		e.kind = WORKER_BOUND;
		if (!err)
			err = rehome_bind(&machine.vm, r->bind.node);
		collapser_hold(&collapser, COLLAPSER_MOVES,
			       r->bind.node >= 0 &&
				       r->bind.node != machine.vm.node);
		e.bound.error = (uint32_t)-err;
	} else {
		e.kind = WORKER_REHOMED;
		if (!err)
			err = rehome_now(r->rehome.node, fds,
					 &e.rehomed.stall_ns);
		/* There, whether or not the program's text is. */
		if (machine.vm.node == r->rehome.node)
			collapser_hold(&collapser, COLLAPSER_MOVES, false);
		stats_moved(&stats);
		e.rehomed.error = (uint32_t)-err;
	}
	worker_send(&e);
}

static void worker_pause(const struct worker_request *r)
{
	if (r->kind == WORKER_REQ_PAUSE)
		vm_park(&machine.vm, PARK_PAUSE);
	else
		vm_unpark(&machine.vm, PARK_PAUSE);
	worker_send_paused(r->id);
}

static void worker_keep(void)
{
	adopt.keep = spec.adoptable != 0;
	if (adopt.keep)
		console_keep(&machine.console);
}

/* What is about the buffer cache, or needs it. */
static void worker_share(const struct worker_request *r, const int *fds)
{
	switch ((enum worker_request_kind)r->kind) {
	case WORKER_REQ_SUM:
	case WORKER_REQ_GIVE:
	case WORKER_REQ_SHARE:
		merge_obey(&machine.merge, r, fds);
		break;
	default:
		buffers_obey(&machine.buffers, r, fds);
		paging_look(&machine.paging);
	}
}

static void worker_obey(const struct worker_request *r, const int fds[FDS_MAX])
{
	switch ((enum worker_request_kind)r->kind) {
	case WORKER_REQ_STATS:
	case WORKER_REQ_EXACT:
		if (stats_ask(&stats, r->id, r->kind == WORKER_REQ_EXACT))
			worker_send_stats(NULL, r->id);
		break;
	case WORKER_REQ_STOP:
		vm_stop(&machine.vm, STOP_ASKED, "stopped by the operator");
		break;
	case WORKER_REQ_BUTTON:
		power_button_press(&machine.vm.host);
		break;
	case WORKER_REQ_PAUSE:
	case WORKER_REQ_RESUME:
		worker_pause(r);
		break;
	case WORKER_REQ_KEEP:
		worker_keep();
		break;
	case WORKER_REQ_BIND:
	case WORKER_REQ_REHOME:
		worker_move(r, fds, 0);
		break;
	case WORKER_REQ_NET_PUBLISH: /* no worker's */
		break;
	case WORKER_REQ_ADOPT: /* the first on its connection, and never here */
		fds_close(fds, FDS_MAX);
		break;
	case WORKER_REQ_PORT:
		console_ports_attach(&machine.hvc.ports, r->port.port, fds[0]);
		break;
	case WORKER_REQ_NET_PORT:
	case WORKER_REQ_NET_PORT_END:
	case WORKER_REQ_NET_DUMP:
		wnets_obey(&machine.nets, r, fds);
		break;
	case WORKER_REQ_SHM_LINK:
		shms_link(&machine.shms, &r->shm_link, fds);
		break;
	case WORKER_REQ_SAMPLE:
		worker_sample(&r->sample);
		break;
	case WORKER_REQ_COPIES:
		if (machine.vm.copies)
			ram_copies_link(machine.vm.copies, fds);
		else
			fds_close(fds, COPIES_LINK_FDS);
		break;
	case WORKER_REQ_SUM:
	case WORKER_REQ_GIVE:
	case WORKER_REQ_SHARE:
	case WORKER_REQ_CACHE:
	case WORKER_REQ_CACHE_END:
	case WORKER_REQ_LINK:
	case WORKER_REQ_UNLINK:
		if (machine.buffers.cache)
			worker_share(r, fds);
		else
			fds_close(fds, FDS_MAX);
		break;
	}
}

/* Control waits for an answer, or shows our standard error. */
static void worker_refuse(const struct worker_request *r, int err)
{
	switch ((enum worker_request_kind)r->kind) {
	case WORKER_REQ_BIND:
	case WORKER_REQ_REHOME:
		worker_move(r, NULL, err);
		break;
	case WORKER_REQ_SUM:
	case WORKER_REQ_GIVE:
	case WORKER_REQ_SHARE:
		worker_send_merged(NULL, r->id, 0, err);
		break;
	default:
		(void)fprintf(stderr, "a request of kind %u was refused: %s\n",
			      r->kind, strerror(-err));
	}
}

/*
 * A program that comes has to take the number WORKER_FD_CODE, which is the
 * lowest free one when it comes: see allow_moves() of gen_filters.c.
 */
static int worker_receive(int fd, struct worker_request *r, int fds[FDS_MAX])
{
	struct message_head h;
	ssize_t n = recv(fd, &h, sizeof(h), MSG_DONTWAIT | MSG_PEEK);

	if (n == (ssize_t)sizeof(h) && h.kind == WORKER_REQ_REHOME)
		(void)close(WORKER_FD_CODE);
	return worker_request_receive(fd, r, fds);
}

static void control_ready(struct io_watch *w, uint32_t events)
{
	struct worker_request r;
	int fds[FDS_MAX];

	(void)events;
	switch (worker_receive(w->fd, &r, fds)) {
	case 0:
		worker_obey(&r, fds);
		break;
	case -EAGAIN:
		break;
	case -ECONNRESET:
		/*
		 * Control died with events unread. Its requests come next, then
		 * its end.
		 */
		break;
	case -EBADF:
		worker_refuse(&r, -EBADF);
		break;
	case -EINVAL:
		worker_refuse(&r, -EINVAL);
		break;
	default:
		control_lost();
	}
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

static int prepare_stats(void)
{
	return stats_create(&stats, &machine.vm, worker_send_stats, NULL);
}

static int prepare_merge(void)
{
	if (!machine.buffers.cache)
		return 0;
	return merge_create(&machine.merge, &machine.vm, &machine.disks,
			    machine.buffers.pagemap, worker_send_merged, NULL);
}

static int prepare_sampling(void)
{
	int err = sampling_create(&sampling, &machine.vm);

	return err ? err : writes_create(&writes, &machine.vm);
}

static int prepare_collapser(void)
{
	return collapser_create(&collapser, &machine.vm);
}

/* Everything that can fail before a guest runs; the process ends if it does. */
static int worker_prepare(void)
{
	static const struct {
		int (*run)(void);
		const char *part;
	} steps[] = {
		{ load_spec, "specification" },
		{ make_machine, "machine" },
		{ prepare_boot, "boot protocol" },
		{ watch_control, "start" },
		{ vcpu_install_kick, "start" },
		{ prepare_stats, "start" },
		{ rehome_init, "start" },
		{ prepare_merge, "start" },
		{ prepare_sampling, "start" },
		{ prepare_collapser, "start" },
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
	err = shms_start(&machine.shms);
	if (err)
		return err;
	err = stats_start(&stats);
	if (err)
		return err;
	err = sampling_start(&sampling);
	if (err)
		return err;
	err = collapser_start(&collapser);
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

	worker_send(&(struct worker_event){ .kind = WORKER_STARTED });
	err = worker_serve();
	if (err)
		vm_stop(&machine.vm, STOP_FAILED, "event loop: %s",
			strerror(-err));
	shms_cut(&machine.shms);
	if (machine.vm.copies)
		ram_copies_cut(machine.vm.copies);
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

	stats_end(&stats);
	/* Acquire in vm_stopping(): pairs with the release in vm_stop(). */
	(void)vm_stopping(&machine.vm);
	e.stopped.stop = atomic_load(&machine.vm.stop_why);
	memcpy(e.stopped.text, machine.vm.stop_text, sizeof(e.stopped.text));
	stats_fill(&stats, &e.stopped.usage);
	worker_send(&e);
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
					  .stopped.stop = STOP_FAILED };

		(void)snprintf(e.stopped.text, sizeof(e.stopped.text), "%s: %s",
			       failed_part, strerror(-err));
		worker_send(&e);
		return EXIT_FAILURE;
	}
	worker_run();
	worker_report();
	/* Not exit(): nothing to flush, and vCPU threads are joined. */
	_exit(EXIT_SUCCESS);
}
