/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/run/supervise.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/console/keyboard.h"
#include "monitor/control/run/stop_requests.h"
#include "monitor/control/workers/shutdown.h"

/* A run. One thread; lives inside supervise(). */
struct supervisor {
	struct watcher watcher;
	struct vm_watch *vms;
	struct net_ports *ports; /* the same; NULL: none */
	struct nets *nets;
	struct vm_console *consoles; /* nr, in the order of vms */
	unsigned nr, nr_left;
	struct stop_requests stops;
	struct sink out;
	struct console_hub hub;
	struct keyboard keyboard;
	struct loop_watch signals;
	/*
	 * Armed by the operator's request to leave. When it has expired and no
	 * VM is left, standard output is not waited for.
	 */
	struct loop_timer leave_timer;
	bool leave;
	bool lost; /* standard output failed, and this was said */
};

static void supervise_on_leave(struct loop_timer *t)
{
	container_of(t, struct supervisor, leave_timer)->leave = true;
}

static void stop_one(struct vm_watch *vm, enum stop_step step)
{
	switch (step) {
	case STOP_STEP_ASK:
		shutdown_begin(vm, SHUTDOWN_LIMIT_S);
		break;
	case STOP_STEP_END:
		vm_watch_ask_stop(vm);
		break;
	case STOP_STEP_KILL:
		if (vm->worker.pid)
			vm_watch_kill(vm);
		break;
	case STOP_STEP_NONE:
		break;
	}
}

/* How long standard output is waited for when no VM is left. */
static void supervise_leave_in(struct supervisor *s, uint64_t ns)
{
	loop_timer_set(&s->watcher.loop, &s->leave_timer, clock_now_ns() + ns);
}

/* @typed: by a key of the terminal; else by a signal. */
static void stop_all(struct supervisor *s, bool typed)
{
	enum stop_step step =
		stop_requests_add(&s->stops, typed, clock_now_ns());

	if (step == STOP_STEP_NONE)
		return;
	for (unsigned i = 0; i < s->nr; i++)
		stop_one(&s->vms[i], step);
	if (step == STOP_STEP_ASK && s->nr_left) {
		console_hub_break_line(&s->hub);
		sink_kick(&s->out);
		sink_line(&s->watcher.err,
			  "disco: power button pressed; waiting for %s to shut "
			  "down; %s killed after %u s, or on the next request",
			  s->nr == 1 ? s->vms[0].name : "the guests",
			  s->nr == 1 ? "it is" : "they are", SHUTDOWN_LIMIT_S);
		return;
	}
	supervise_leave_in(
		s, step == STOP_STEP_END && s->nr_left ? 2 * STOP_GRACE_NS : 0);
}

static void signal_all(struct supervisor *s, int sig)
{
	for (unsigned i = 0; i < s->nr; i++)
		worker_signal(&s->vms[i].worker, sig);
}

/* The workers are not in the terminal's process group: stop them as well. */
static void supervise_suspend(struct supervisor *s)
{
	keyboard_suspend(&s->keyboard);
	signal_all(s, SIGSTOP);
	(void)kill(getpid(), SIGSTOP);
	signal_all(s, SIGCONT);
	keyboard_resume(&s->keyboard);
}

static void supervise_on_signal(struct loop_watch *w, uint32_t events)
{
	struct supervisor *s = container_of(w, struct supervisor, signals);
	struct signalfd_siginfo si;

	(void)events;
	if (read(w->fd, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return;
	if (si.ssi_signo == SIGTSTP)
		supervise_suspend(s);
	else if (si.ssi_signo == SIGCONT)
		keyboard_resume(&s->keyboard);
	else
		stop_all(s, false);
}

static void obey_keys(struct supervisor *s)
{
	if (s->keyboard.help)
		sink_line(&s->watcher.err, "disco: " KEY_HELP_LINE);
	if (s->keyboard.leave)
		stop_all(s, true);
	s->keyboard.help = false;
	s->keyboard.leave = false;
}

/* stderr takes bytes again. */
static void supervise_watch_logs(void *supervisor)
{
	struct supervisor *s = supervisor;

	for (unsigned i = 0; i < s->nr; i++)
		vm_watch_log(&s->vms[i]);
}

static void vm_ended(struct watcher *w, struct vm_watch *vm)
{
	struct supervisor *s = container_of(w, struct supervisor, watcher);
	char line[512];

	console_gone(&s->consoles[vm - s->vms]);
	if (s->ports)
		nets_release(s->ports[vm - s->vms].of);
	s->nr_left--;
	if (!s->nr_left && s->stops.nr && !s->leave_timer.at_ns)
		supervise_leave_in(s, 2 * STOP_GRACE_NS);
	outcome_line(&vm->end, vm->text, s->nr_left > 0, line, sizeof(line));
	if (!line[0])
		return;
	console_hub_break_line(&s->hub);
	sink_kick(&s->out);
	vm_watch_tell(vm, line);
}

/* --- the loop --- */

static int supervise_open_signals(struct supervisor *s)
{
	static const int ours[] = { SIGINT,  SIGTERM, SIGHUP,
				    SIGQUIT, SIGTSTP, SIGCONT };

	s->signals.ready = supervise_on_signal;
	return loop_want_signals(&s->watcher.loop, &s->signals, ours,
				 ARRAY_SIZE(ours));
}

static int supervisor_create(struct supervisor *s,
			     const struct supervise_options *opts)
{
	int err = loop_create(&s->watcher.loop);

	if (err < 0)
		return err;
	sink_create(&s->out, &s->watcher.loop, STDOUT_FILENO);
	sink_create(&s->watcher.err, &s->watcher.loop, STDERR_FILENO);
	s->watcher.err.drained = supervise_watch_logs;
	s->watcher.err.arg = s;
	s->watcher.ended = vm_ended;
	s->leave_timer.expired = supervise_on_leave;
	err = console_hub_create(&s->hub, &s->watcher.loop, &s->out,
				 s->nr > 1 ? CONSOLE_LINES : CONSOLE_BYTES,
				 opts->mark);
	s->hub.tidy = opts->end_line || isatty(STDOUT_FILENO);
	if (!err)
		err = supervise_open_signals(s);
	if (err < 0)
		return err;
	for (unsigned i = 0; i < s->nr; i++) {
		struct vm_watch *vm = &s->vms[i];

		console_open(&s->consoles[i], &s->hub, vm->name,
			     vm->worker.console, vm->worker.start_ns);
		vm_watch_start(&s->watcher, vm);
	}
	for (unsigned i = 0; s->ports && i < s->nr; i++)
		nets_attach(s->ports[i].of, &s->vms[i]);
	if (s->nets)
		nets_update(s->nets);
	if (s->nr == 1 && !opts->no_input)
		keyboard_create(&s->keyboard, &s->watcher.loop, STDIN_FILENO,
				&s->consoles[0]);
	if (s->keyboard.kind == KEYBOARD_TERMINAL)
		sink_line(&s->watcher.err, "disco: " KEY_HELP_LINE);
	return 0;
}

static void supervisor_destroy(struct supervisor *s)
{
	keyboard_destroy(&s->keyboard);
	nets_detach_all(s->nets);
	for (unsigned i = 0; i < s->nr; i++) {
		vm_watch_stop(&s->vms[i]);
		s->vms[i].figures.mark_ns = s->consoles[i].mark_ns;
		console_close(&s->consoles[i]);
	}
	if (s->out.loop)
		sink_kick(&s->out); /* the end of a line, at most */
	console_hub_destroy(&s->hub);
	sink_destroy(&s->out);
	sink_destroy(&s->watcher.err);
	if (s->signals.fd > 0)
		(void)close(s->signals.fd);
	loop_destroy(&s->watcher.loop);
}

static bool all_shown(const struct supervisor *s)
{
	for (unsigned i = 0; i < s->nr; i++) {
		if (!s->consoles[i].done)
			return false;
	}
	return sink_empty(&s->out) && sink_empty(&s->watcher.err);
}

static bool all_done(const struct supervisor *s)
{
	if (s->nr_left)
		return false;
	return all_shown(s) || s->leave;
}

/* The guests go on: their work is worth more than what they print. */
static void supervise_look_at_output(struct supervisor *s)
{
	if (s->lost || !s->out.broken || s->out.err == EPIPE)
		return;
	s->lost = true;
	sink_line(&s->watcher.err,
		  "disco: standard output: %s: what the guests print is lost "
		  "from here on",
		  strerror(s->out.err));
}

static int supervise_run_loop(struct supervisor *s)
{
	int err = 0;

	while (!err && !all_done(s)) {
		keyboard_update(&s->keyboard);
		err = loop_turn(&s->watcher.loop, -1);
		obey_keys(s);
		supervise_look_at_output(s);
	}
	return err;
}

int supervise(struct vm_watch *vms, unsigned nr,
	      const struct supervise_options *opts, struct diag *d)
{
	struct supervisor *s = calloc(1, sizeof(*s));
	int err;

	if (s)
		s->consoles = calloc(nr, sizeof(*s->consoles));
	if (!s || !s->consoles) {
		free(s);
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	}
	s->vms = vms;
	s->nr = nr;
	s->nets = opts->nets;
	s->ports = opts->ports;
	s->nr_left = nr;
	s->signals.fd = -1;
	err = supervisor_create(s, opts);
	if (!err)
		err = supervise_run_loop(s);
	for (unsigned i = 0; i < nr && err; i++)
		worker_signal(&vms[i].worker, SIGKILL);
	supervisor_destroy(s);
	if (opts->lost)
		*opts->lost = s->lost;
	free(s->consoles);
	free(s);
	for (unsigned i = 0; i < nr && err; i++)
		worker_destroy(&vms[i].worker);
	if (err < 0)
		return diag_fail(d, ST_HOST, -err,
				 "cannot watch the guests: %s", strerror(-err));
	return 0;
}
