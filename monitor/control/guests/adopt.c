/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/guests/adopt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/control/base/process.h"
#include "monitor/control/guests/guests.h"
#include "monitor/ipc/worker_messages.h"

#define LOST "ended while no monitor was running; how is not known"

/* Our ends go to @w, the worker's to @theirs. */
static int make_ends(struct worker *w, int theirs[2])
{
	int console[2], log[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		       console) < 0)
		return -errno;
	if (pipe2(log, O_CLOEXEC) < 0) {
		int err = -errno;

		(void)close(console[0]);
		(void)close(console[1]);
		return err;
	}
	(void)fcntl(log[0], F_SETFL, O_NONBLOCK);
	w->console = console[0];
	w->log = log[0];
	theirs[0] = console[1];
	theirs[1] = log[1];
	return 0;
}

static int send_adopt(int sock, const int fds[2])
{
	const struct worker_request r = { .kind = WORKER_REQ_ADOPT,
					  .adopt.protocol = WORKER_PROTOCOL };

	return worker_request_send(sock, &r, fds, 0);
}

static int adopt_hand_over(struct monitor *m, const struct vm_record *r,
			   struct worker *w)
{
	int theirs[2] = { -1, -1 }, err = make_ends(w, theirs);

	if (err)
		return err;
	w->control = state_vm_connect(&m->state, r->name);
	err = w->control < 0 ? w->control : send_adopt(w->control, theirs);
	(void)close(theirs[0]);
	(void)close(theirs[1]);
	return err;
}

/* Return: 0, the process of the record runs; -ESRCH. */
static int find_process(const struct vm_record *r, struct worker *w)
{
	struct pollfd p = { .events = POLLIN };

	w->pidfd = pidfd_open(r->pid, 0);
	if (w->pidfd < 0)
		return -ESRCH;
	/* The pidfd is of whoever has the number now: is it still him? */
	p.fd = w->pidfd;
	if (process_start(r->pid) != r->pid_start || poll(&p, 1, 0) != 0)
		return -ESRCH;
	w->pid = r->pid;
	w->start_ns = r->start_ns;
	return 0;
}

/*
 * The process runs and was not taken over. One that listens no more serves
 * nobody; what else went wrong is ours, and the next monitor may do better.
 */
static void give_up(struct monitor *m, const struct vm_record *r,
		    struct worker *w, int err)
{
	char why[128];
	bool dead = err == -ECONNREFUSED || err == -ENOENT || err == -EPIPE;

	(void)snprintf(why, sizeof(why), "cannot be taken over: %s",
		       strerror(-err));
	if (!dead)
		w->pid = 0; /* only our descriptors are closed */
	worker_destroy(w);
	if (dead) {
		guest_add_lost(m, r, why);
	} else {
		sink_line(&m->watcher.err, "disco: %s: %s", r->name, why);
	}
}

/*
 * Its worker would not understand us, nor we what it sends. It waits for a
 * monitor of its own build; its record stays for that one.
 */
static void adopt_refuse(struct monitor *m, const struct vm_record *r,
			 struct worker *w)
{
	w->pid = 0; /* it goes on: only our descriptors are closed */
	worker_destroy(w);
	sink_line(&m->watcher.err,
		  "disco: %s: cannot be taken over: its worker (process %d) is "
		  "of another version of disco (protocol %u, here %u); its "
		  "guest goes on",
		  r->name, (int)r->pid, r->protocol, WORKER_PROTOCOL);
}

static void adopt_finish(struct monitor *m, struct guest *g)
{
	int err = nets_adopt(m->nets, &g->record, g->vm.worker.pidfd,
			     g->ports.of);
	int shm_err = segments_adopt(m->segments, &g->record,
				     g->vm.worker.pidfd, &g->uses);
	char *config = NULL;

	if (state_vm_load_config(&m->state, g->record.name, &config) == 0)
		guest_set_config(g, config);
	/* The last monitor may have ended between a move and its record. */
	guest_pin_vcpus(g);
	(void)vm_watch_request(&g->vm, WORKER_REQ_STATS);
	guest_unsample(g);
	if (err)
		sink_line(&m->watcher.err,
			  "disco: %s: VMs that start from now on do not reach "
			  "it by its networks: %s",
			  g->record.name, strerror(-err));
	if (shm_err)
		sink_line(&m->watcher.err,
			  "disco: %s: VMs that start from now on do not share "
			  "its segments: %s",
			  g->record.name, strerror(-shm_err));
}

static void adopt_one(void *arg, const char *name)
{
	struct monitor *m = arg;
	struct worker w = WORKER_NONE;
	struct guest *g = NULL;
	struct vm_record r;
	int err = state_vm_load(&m->state, name, &r);

	if (err) {
		sink_line(&m->watcher.err,
			  "disco: %s: its record is of no use and was removed: "
			  "%s",
			  name, strerror(-err));
		state_vm_remove(&m->state, name);
		return;
	}
	if (find_process(&r, &w)) {
		w.pid = 0;
		worker_destroy(&w);
		guest_add_lost(m, &r, LOST);
		return;
	}
	if (r.protocol != WORKER_PROTOCOL) {
		adopt_refuse(m, &r, &w);
		return;
	}
	err = adopt_hand_over(m, &r, &w);
	if (err)
		give_up(m, &r, &w, err);
	else if (guest_add(m, &r, &w, true, &g) == 0)
		adopt_finish(m, g);
}

void adopt_all(struct monitor *m)
{
	int err = state_vm_each(&m->state, adopt_one, m);

	if (err)
		sink_line(&m->watcher.err, "disco: %s/vms: %s", m->state.path,
			  strerror(-err));
	/* Together: a port that is not found by now has ended. */
	for (struct guest *g = m->guests; g; g = g->next)
		if (!g->ended)
			nets_attach(g->ports.of, &g->vm);
	for (struct guest *g = m->guests; g; g = g->next)
		if (!g->ended)
			segments_attach(&g->uses, &g->vm, g->record.node,
					g->record.policy);
	nets_update(m->nets);
	segments_update(m->segments);
}
