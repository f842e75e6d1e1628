/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wiring of the monitor: which part is created when, and which part does
 * what when a worker or an agent sends something or dies.
 */
#include "monitor/control/monitor.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/api/api.h"
#include "monitor/control/cli/cli.h"
#include "monitor/control/exec/ga.h"
#include "monitor/control/exec/ga_session.h"
#include "monitor/control/guests/adopt.h"
#include "monitor/control/guests/balancer.h"
#include "monitor/control/guests/cache_limit.h"
#include "monitor/control/guests/caches.h"
#include "monitor/control/guests/guests.h"
#include "monitor/control/guests/layers.h"
#include "monitor/control/guests/move.h"
#include "monitor/control/guests/starter.h"
#include "monitor/control/launch/launch.h"
#include "monitor/control/notify.h"
#include "monitor/control/restart/restart.h"
#include "monitor/control/run/run.h"
#include "monitor/control/workers/shutdown.h"
#include "monitor/control/launch/descriptors.h"

struct monitor_settings {
	uint64_t balance_ns; /* see balancer_create() */
	uint64_t stall_ns;   /* of moves that do not say, 1 .. _NS_MAX */
	struct cache_limit cache;
	uint64_t merge_ns;  /* between looks for equal pages; 0: none */
	const char *plugin; /* a file with a policy; NULL: none */
	const char *source; /* see placer_choose_source(); NULL: the best */
};

/* The process. */
struct monitor_process {
	struct monitor m;
	struct api *api;
	struct notify notify;
	struct loop_watch signals;
	bool leave;
	bool reap; /* a child has died: perhaps one that nobody waits for */
};

enum {
	MONITOR_BALANCE,
	MONITOR_STALL,
	MONITOR_CACHE,
	MONITOR_MERGE,
	MONITOR_PLUGIN,
	MONITOR_SOURCE,
};

static const struct option_entry monitor_options[] = {
	[MONITOR_BALANCE] = { .name = "balance",
			      .arg = "SECONDS|off",
			      .help = "time between two checks whether a VM "
				      "should change node (default 2)" },
	[MONITOR_STALL] = { .name = "stall-ms",
			    .arg = "MS",
			    .help = "how long a batch of a move may hold a VM "
				    "up (default 20)" },
	[MONITOR_CACHE] = { .name = "cache",
			    .arg = "SIZE|PERCENT|off",
			    .help = "buffer cache of a node (default 25% of "
				    "its memory)" },
	[MONITOR_MERGE] = { .name = "merge",
			    .arg = "SECONDS|off",
			    .help = "time between two scans for equal pages of "
				    "VMs with memory=...,merge (default 30)" },
	[MONITOR_PLUGIN] = { .name = "policy-plugin",
			     .arg = "FILE",
			     .help = "one more policy, for 'disco policy'" },
	[MONITOR_SOURCE] = { .name = "access-source",
			     .arg = "NAME",
			     .help = "how it is found out which CPU accesses "
				     "which page: auto, flash, off, or one of "
				     "faults, abits, damon, page_idle, dirty"
				     "[,rate=PAGES][,cpu=PERMILLE] (default "
				     "auto)" },
	{ .name = NULL },
};

/* --- guests and agents --- */

static void monitor_guest_added(struct monitor *m, struct guest *g)
{
	caches_guest_add(m, g);
	layers_guest_add(m, g);
	guest_place(g);
}

static void monitor_guest_ended(struct monitor *m, struct guest *g)
{
	move_guest_ended(m, g);
	placer_stop(m->placer, g->id);
	layers_guest_remove(m, g);
	caches_guest_remove(m, g);
	balancer_guest_remove(g);
	ga_guest_ended(g); /* clients of the API are answered first */
	ga_sessions_guest_ended(g);
	nets_release(g->ports.of);
	segments_release(&g->uses);
	restart_guest_ended(m, g);
}

static void monitor_guest_lost(struct monitor *m, struct guest *g)
{
	nets_remember(m->nets, &g->record);
	restart_guest_lost(m, g);
}

static void monitor_guest_heard(struct monitor *m, struct guest *g,
				const struct worker_event *ev)
{
	move_heard(m, g, ev);
	layers_heard(m, g, ev);
}

/* One that does not shut its guest down is followed by the power button. */
static bool monitor_ask_agent(struct guest *g)
{
	struct diag d;

	return !guest_agent_shutdown(g, SHUTDOWN_AGAIN_NS, NULL, NULL, NULL,
				     &d);
}

static const struct guests_ops guests_ops = {
	.added = monitor_guest_added,
	.ended = monitor_guest_ended,
	.lost = monitor_guest_lost,
	.heard = monitor_guest_heard,
	.ask_agent = monitor_ask_agent,
};

static void monitor_agent_heard(void *monitor, struct agent *agent,
				const struct agent_answer *a)
{
	struct monitor *m = monitor;

	if (a && a->kind == AGENT_VIEW_LATE) {
		segments_agent_said(m->segments, agent, a);
		return;
	}
	if (a && a->kind != AGENT_PROGRESS && a->kind != AGENT_DONE) {
		caches_agent_said(m, agent, a);
		return;
	}
	move_agent_heard(m, agent, a);
	if (!a) {
		segments_agent_died(m->segments, agent);
		caches_agent_died(m, agent);
	}
}

static void monitor_agent_started(void *monitor, struct agent *agent)
{
	struct monitor *m = monitor;

	caches_agent_started(m, agent);
	placer_agent_started(m->placer, agent);
	segments_agent_started(m->segments, agent);
}

static const struct agents_ops agents_ops = {
	.heard = monitor_agent_heard,
	.started = monitor_agent_started,
};

/* --- the loop --- */

static void monitor_on_signal(struct loop_watch *w, uint32_t events)
{
	struct monitor_process *p =
		container_of(w, struct monitor_process, signals);
	struct signalfd_siginfo si;

	(void)events;
	if (read(w->fd, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return;
	if (si.ssi_signo == SIGCHLD)
		p->reap = true;
	else
		p->leave = true;
}

static int monitor_open_signals(struct monitor_process *p)
{
	static const int ours[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD };

	p->signals.ready = monitor_on_signal;
	return loop_want_signals(&p->m.watcher.loop, &p->signals, ours,
				 ARRAY_SIZE(ours));
}

/* Parts before the agents, which ask for them as soon as they start. */
static int monitor_create_parts(struct monitor *m,
				const struct monitor_settings *s,
				struct diag *d)
{
	int err = caches_create(m, &s->cache);

	m->stall_ns = s->stall_ns;
	m->merges = s->merge_ns != 0;
	if (!err)
		err = layers_create(m, s->merge_ns);
	if (!err)
		err = placer_create(&m->watcher.loop, &m->agents, &m->topology,
				    &m->watcher.err, &m->placer);
	if (!err)
		err = nets_create(&m->nets);
	if (!err && s->source)
		err = placer_choose_source(m->placer, s->source, d);
	if (!err)
		err = segments_create(&m->segments);
	if (!err)
		segments_guard(m->segments, &m->agents, &m->topology,
			       &m->watcher.err);
	if (!err && s->plugin)
		err = placer_load_plugin(m->placer, s->plugin, d);
	if (err)
		return err;
	agents_create(&m->agents, &m->watcher.loop, &m->watcher.err,
		      &m->topology, placer_plugin_fd(m->placer), &agents_ops,
		      m);
	return balancer_create(m, s->balance_ns);
}

/* Return: 0; -errno of the step that failed. Takes over guests that run. */
static int monitor_create(struct monitor_process *p,
			  const struct monitor_settings *s, struct diag *d)
{
	int err;

	memset(p, 0, sizeof(*p));
	p->signals.fd = -1;
	err = guests_create(&p->m, &guests_ops, d);
	if (err)
		return err;
	err = monitor_open_signals(p);
	/* A starter's workers become our children when it has ended. */
	if (!err && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		err = -errno;
	if (!err)
		err = monitor_create_parts(&p->m, s, d);
	if (err)
		return diag_fail(d, ST_HOST, -err, "monitor: %s",
				 strerror(-err));
	adopt_all(&p->m);
	return api_create(&p->m, &p->api, d);
}

static bool monitor_knows(const struct monitor *m, pid_t pid)
{
	return guests_know(m, pid) || starter_knows(m, pid) ||
	       agents_know(&m->agents, pid);
}

/*
 * A start that was killed leaves us workers that nobody has heard of. One
 * that is known is reaped by its handler, and hides others until then.
 */
static void monitor_reap_strangers(struct monitor_process *p)
{
	siginfo_t si = { .si_pid = 0 };

	while (p->reap) {
		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		    si.si_pid == 0)
			p->reap = false;
		else if (monitor_knows(&p->m, si.si_pid) ||
			 waitpid(si.si_pid, NULL, WNOHANG) <= 0)
			return;
		si.si_pid = 0;
	}
}

/* Return: 0; -errno of the loop. */
static int monitor_turn(struct monitor_process *p)
{
	int err = loop_turn(&p->m.watcher.loop, -1);

	monitor_reap_strangers(p);
	api_turn(p->api);
	guests_sweep(&p->m);
	ga_sessions_sweep(&p->m);
	return err;
}

/* Workers keep what they know; the next monitor finds their ports. */
static void monitor_leave_nets(struct monitor *m)
{
	nets_detach_all(m->nets);
	for (struct guest *g = m->guests; g; g = g->next)
		nets_release(g->ports.of);
	for (struct guest *g = m->guests; g; g = g->next)
		segments_release(&g->uses);
	nets_destroy(m->nets);
	m->nets = NULL;
	segments_destroy(m->segments);
	m->segments = NULL;
}

/* Guests go on. All-zero and half-built are fine. */
static void monitor_destroy(struct monitor_process *p)
{
	struct monitor *m = &p->m;

	starter_destroy_all(m);
	layers_destroy(m);
	caches_destroy(m);
	move_destroy(m); /* what waits for it is told */
	balancer_destroy(m);
	placer_destroy(m->placer);
	m->placer = NULL;
	agents_destroy(&m->agents);
	ga_leave(m);
	ga_sessions_leave(m);
	ga_sessions_sweep(m);
	monitor_leave_nets(m);
	guests_leave(m); /* the API may end when nobody is at a console */
	api_destroy(p->api);
	guests_destroy(m);
	if (p->signals.fd >= 0)
		(void)close(p->signals.fd);
}

static int monitor_run(struct monitor_process *p)
{
	const struct monitor *m = &p->m;
	struct sink *out = &p->m.watcher.err;
	int err = 0;

	sink_line(out, "disco: monitor of %s is ready, %u VM%s", m->state.path,
		  m->nr_running, m->nr_running == 1 ? "" : "s");
	notify_ready(&p->notify, &p->m.watcher.loop);
	while (!err && !p->leave)
		err = monitor_turn(p);
	notify_leaving(&p->notify);
	if (m->nr_running)
		sink_line(out, "disco: %u VM%s; the next monitor takes over",
			  m->nr_running,
			  m->nr_running == 1 ? " goes on" : "s go on");
	return err;
}

static int parse_settings(const struct command_args *a,
			  struct monitor_settings *s, struct diag *d)
{
	const double most = (double)MOVE_STALL_NS_MAX / 1e6;
	double ms = (double)s->stall_ns / 1e6;
	int err = 0;

	if (a->given[MONITOR_BALANCE])
		err = cli_period(a->value[MONITOR_BALANCE], &s->balance_ns, d);
	if (!err && a->given[MONITOR_MERGE])
		err = cli_period(a->value[MONITOR_MERGE], &s->merge_ns, d);
	if (!err && a->given[MONITOR_CACHE])
		err = cache_limit_parse(a->value[MONITOR_CACHE], &s->cache, d);
	if (!err && a->given[MONITOR_STALL])
		err = cli_number(a->value[MONITOR_STALL], 1, &ms, d);
	if (!err && ms > most)
		err = diag_fail(d, ST_USAGE, EINVAL,
				"--stall-ms=%s: at most %.0f",
				a->value[MONITOR_STALL], most);
	s->stall_ns = (uint64_t)(ms * 1e6);
	return err;
}

static int monitor_main(const struct command_args *a, struct diag *d)
{
	struct monitor_process *p;
	struct monitor_settings settings = {
		BALANCER_PERIOD_NS,	      MOVE_STALL_NS,
		{ .percent = CACHE_PERCENT }, LAYERS_MERGE_NS,
		a->value[MONITOR_PLUGIN],     a->value[MONITOR_SOURCE]
	};
	int err = parse_settings(a, &settings, d);

	if (err)
		return err;
	p = calloc(1, sizeof(*p));
	if (!p)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	descriptors_allow();
	err = descriptors_for_monitor(d);
	if (!err)
		err = monitor_create(p, &settings, d);
	/* Paths of requests are absolute; do not keep a file system busy. */
	if (!err && chdir("/") == 0)
		err = monitor_run(p);
	monitor_destroy(p);
	free(p);
	if (err < 0)
		return diag_fail(d, ST_HOST, -err, "monitor: %s",
				 strerror(-err));
	return ST_OK;
}

const struct command monitor_command = {
	.name = "monitor",
	.brief = "run VMs in the background",
	.help = "Run virtual machines in the background, for 'disco run -d' "
		"and the API. They go on when the monitor ends, and the next "
		"monitor takes them over.",
	.options = { monitor_options },
	.run = monitor_main,
};
