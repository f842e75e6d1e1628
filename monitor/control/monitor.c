/* SPDX-License-Identifier: BSD-2-Clause */
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
#include "monitor/control/guests/adopt.h"
#include "monitor/control/api/api.h"
#include "monitor/control/cli/cli.h"
#include "monitor/control/launch/launch.h"
#include "monitor/control/guests/move.h"
#include "monitor/control/notify.h"
#include "monitor/control/run/run.h"
#include "monitor/control/guests/starter.h"
#include "numa/topology.h"

#define LOOK_MS 1000 /* the longest sleep while something has a deadline */

enum { MONITOR_BALANCE, MONITOR_STALL, MONITOR_CACHE, MONITOR_MERGE };

const struct cli_command cli_monitor = {
	.name = "monitor",
	.words = "",
	.help = "Run virtual machines in the background, for 'disco run -d' "
		"and the API.\nThey go on when it ends; the next one takes "
		"over.",
	.options = { [MONITOR_BALANCE] = { "balance", "SECONDS|off",
					   "How often to look whether a VM "
					   "should change node (2)" },
		     [MONITOR_STALL] = { "stall-ms", "MS",
					 "How long a batch of a move may hold "
					 "a VM up (20)" },
		     [MONITOR_CACHE] = { "cache", "SIZE|PERCENT|off",
					 "Buffer cache of a node (25% of its "
					 "memory)" },
		     [MONITOR_MERGE] = { "merge", "SECONDS|off",
					 "How often to look for equal pages of "
					 "VMs with memory=...,merge (30)" } },
};

/* --- guests --- */

const char *guest_state(const struct guest *g)
{
	if (g->ended)
		return "ended";
	if (g->vm.end.asked)
		return "stopping";
	if (g->vm.paused)
		return "paused";
	return g->vm.started || g->adopted ? "running" : "starting";
}

struct guest *monitor_find(const struct monitor *m, const char *name)
{
	for (struct guest *g = m->guests; g; g = g->next)
		if (strcmp(g->record.name, name) == 0)
			return g;
	return NULL;
}

/* Out of the list; handlers of this turn may still have its pointer. */
static void guest_bury(struct monitor *m, struct guest *g)
{
	struct guest **at = &m->guests;

	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	if (g->ended)
		m->nr_ended--;
	else
		m->nr_running--;
	tap_close(&g->tap);
	g->next = m->dead;
	m->dead = g;
}

static void forget_oldest(struct monitor *m)
{
	struct guest *g = m->guests;

	while (g && !g->ended)
		g = g->next;
	if (g)
		guest_bury(m, g);
}

/* Workers that still run are left alone: only our descriptors go. */
static void guest_free(struct guest *g)
{
	vm_watch_stop(&g->vm);
	tap_sweep(&g->tap);
	figures_close(&g->figures);
	g->vm.worker.pid = 0;
	worker_destroy(&g->vm.worker);
	free(g);
}

static void free_dead(struct monitor *m)
{
	while (m->dead) {
		struct guest *g = m->dead;

		m->dead = g->next;
		guest_free(g);
	}
	for (struct guest *g = m->guests; g; g = g->next)
		tap_sweep(&g->tap);
}

static struct guest *guest_create(struct monitor *m, const struct vm_record *r)
{
	struct guest *old = monitor_find(m, r->name);
	struct guest *g = calloc(1, sizeof(*g)), **at = &m->guests;

	if (!g)
		return NULL;
	if (old && old->ended)
		guest_bury(m, old);
	g->record = *r;
	g->id = ++m->last_id;
	g->vm.name = g->record.name;
	g->vm.node = r->node;
	g->vm.worker = WORKER_NONE;
	while (*at && (*at)->record.start_ns <= r->start_ns)
		at = &(*at)->next;
	g->next = *at;
	*at = g;
	return g;
}

/* Without them it is a guest like any other. */
static void open_figures(struct guest *g)
{
	int err = figures_open(&g->figures, g->record.pid, g->record.nr_vcpus);
	char why[128];

	if (!err || err == -ENOENT || err == -ESRCH)
		return; /* gone: that is told elsewhere */
	(void)snprintf(why, sizeof(why), "its exits are not counted: %s",
		       strerror(-err));
	vm_watch_tell(&g->vm, why);
}

int monitor_add(struct monitor *m, const struct vm_record *r,
		const struct worker *w, bool adopted, struct guest **out)
{
	struct guest *g = guest_create(m, r);

	if (!g) {
		struct worker mine = *w;

		worker_destroy(&mine);
		return -ENOMEM;
	}
	g->adopted = adopted;
	g->vm.worker = *w;
	m->nr_running++;
	tap_open(&g->tap, &m->watcher.loop, w->console);
	vm_watch_start(&m->watcher, &g->vm);
	open_figures(g);
	caches_guest_add(m, g);
	*out = g;
	return 0;
}

void monitor_add_lost(struct monitor *m, const struct vm_record *r,
		      const char *why)
{
	struct guest *g = guest_create(m, r);

	sink_line(&m->watcher.err, "disco: %s: %s", r->name, why);
	if (!g)
		return;
	g->adopted = true;
	g->ended = true;
	m->nr_ended++;
	g->tap.ended = true;
	g->tap.loop = &m->watcher.loop;
	g->vm.figures.status = ST_WORKER_FAIL;
	(void)snprintf(g->message, sizeof(g->message), "%s", why);
}

static void on_ended(struct watcher *w, struct vm_watch *vm)
{
	struct monitor *m = container_of(w, struct monitor, watcher);
	struct guest *g = container_of(vm, struct guest, vm);

	tap_end(&g->tap);
	g->ended = true;
	figures_close(&g->figures);
	move_guest_ended(m, g);
	layers_leave(m, g);
	caches_guest_remove(m, g);
	m->nr_running--;
	m->nr_ended++;
	state_vm_remove(&m->state, g->record.name);
	outcome_line(&vm->end, vm->text, m->nr_running > 0, g->message,
		     sizeof(g->message));
	vm_watch_tell(vm, g->message[0] ? g->message
					: status_meaning(vm->figures.status));
	if (m->nr_ended > MONITOR_MAX_ENDED)
		forget_oldest(m);
}

static void on_heard(struct watcher *w, struct vm_watch *vm,
		     const struct worker_event *ev)
{
	struct guest *g = container_of(vm, struct guest, vm);

	if (ev->kind == WORKER_STATS)
		g->stats_ns = clock_now_ns();
	move_heard(container_of(w, struct monitor, watcher), g, ev);
	layers_heard(container_of(w, struct monitor, watcher), g, ev);
}

static void on_agent(struct agents *all, struct agent *agent,
		     const struct agent_answer *a)
{
	struct monitor *m = container_of(all, struct monitor, agents);

	if (a && a->kind >= AGENT_LINK_LOST) {
		caches_agent_said(m, agent, a);
		return;
	}
	move_agent_heard(all, agent, a);
	if (!a)
		caches_agent_died(m, agent);
}

static void on_agent_started(struct agents *all, struct agent *agent)
{
	caches_agent_started(container_of(all, struct monitor, agents), agent);
}

static const struct agents_ops agents_ops = { on_agent, on_agent_started };

/* --- the loop --- */

static void monitor_watch_logs(void *monitor)
{
	struct monitor *m = monitor;

	for (struct guest *g = m->guests; g; g = g->next)
		if (!g->ended)
			vm_watch_log(&g->vm);
}

static void monitor_on_signal(struct loop_watch *w, uint32_t events)
{
	struct monitor *m = container_of(w, struct monitor, signals);
	struct signalfd_siginfo si;

	(void)events;
	if (read(w->fd, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return;
	if (si.ssi_signo == SIGCHLD)
		m->reap = true;
	else
		m->leave = true;
}

static int monitor_open_signals(struct monitor *m)
{
	static const int ours[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD };
	sigset_t set;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&set);
	for (unsigned i = 0; i < ARRAY_SIZE(ours); i++)
		(void)sigaddset(&set, ours[i]);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	m->signals.ready = monitor_on_signal;
	m->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (m->signals.fd < 0)
		return -errno;
	loop_want(&m->watcher.loop, &m->signals, EPOLLIN);
	return 0;
}

/* The worker program on each node, once for all guests of this monitor. */
static int copy_code(struct monitor *m, struct diag *d)
{
	const struct topology *t = &m->topology;
	int fd, err = worker_code_create(&m->code, WORKER_PROGRAM, d);

	if (!err)
		err = topology_create(&m->topology, d);
	if (!err && !t->this_machine)
		err = worker_code_get(&m->code, NODE_AUTO, &fd, d);
	for (unsigned i = 0; !err && t->this_machine && i < t->nr_nodes; i++)
		err = worker_code_get(&m->code, t->nodes[i].id, &fd, d);
	return err;
}

int monitor_create(struct monitor *m, const struct monitor_settings *s,
		   struct diag *d)
{
	int err;

	memset(m, 0, sizeof(*m));
	m->settings = *s;
	m->state = STATE_DIR_NONE;
	m->signals.fd = -1;
	m->code.file = -1;
	err = state_dir_open(&m->state, true, d);
	if (!err)
		err = state_dir_lock(&m->state, d);
	if (!err)
		err = copy_code(m, d);
	if (err)
		return err;
	err = loop_create(&m->watcher.loop);
	if (!err)
		err = monitor_open_signals(m);
	/* A starter's workers become our children when it has ended. */
	if (!err && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		err = -errno;
	if (err)
		return diag_fail(d, ST_HOST, -err, "monitor: %s",
				 strerror(-err));
	sink_create(&m->watcher.err, &m->watcher.loop, STDERR_FILENO);
	m->watcher.err.drained = monitor_watch_logs;
	m->watcher.err.arg = m;
	/* Lines are lost rather than the API stopped by who reads them. */
	m->watcher.err.patience_ms = 0;
	m->watcher.ended = on_ended;
	m->watcher.heard = on_heard;
	m->caches.limit = s->cache;
	agents_create(&m->agents, &m->watcher.loop, &m->watcher.err,
		      &m->topology, &agents_ops);
	balancer_create(m, s->balance_ns);
	adopt_all(m);
	return api_create(m, &m->api, d);
}

static int monitor_timeout_ms(const struct monitor *m, uint64_t now)
{
	int ms = api_timeout_ms(m->api, now);

	ms = loop_ms_sooner(ms, notify_timeout_ms(m, now));
	ms = loop_ms_sooner(ms, move_timeout_ms(m, now));
	ms = loop_ms_sooner(ms, balancer_timeout_ms(m, now));
	ms = loop_ms_sooner(ms, layers_timeout_ms(m, now));
	ms = loop_ms_sooner(ms, agents_timeout_ms(&m->agents, now));
	if (m->starters)
		ms = loop_ms_sooner(ms, LOOK_MS);
	for (const struct guest *g = m->guests; g; g = g->next) {
		uint64_t at = g->vm.kill_at_ns;

		if (!g->ended && at)
			ms = loop_ms_sooner(
				ms, at <= now ? 100 : loop_ms_until(at, now));
	}
	return ms;
}

static bool is_known(const struct monitor *m, pid_t pid)
{
	for (const struct guest *g = m->guests; g; g = g->next)
		if (g->vm.worker.pid == pid)
			return true;
	return starter_knows(m, pid) || agents_know(&m->agents, pid);
}

/*
 * A start that was killed leaves us workers that nobody has heard of. One
 * that is known is reaped by its handler, and hides others until then.
 */
static void reap_strangers(struct monitor *m)
{
	siginfo_t si = { .si_pid = 0 };

	while (m->reap) {
		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		    si.si_pid == 0)
			m->reap = false;
		else if (is_known(m, si.si_pid) ||
			 waitpid(si.si_pid, NULL, WNOHANG) <= 0)
			return;
		si.si_pid = 0;
	}
}

int monitor_turn(struct monitor *m)
{
	uint64_t now = clock_now_ns();
	int err = loop_turn(&m->watcher.loop, monitor_timeout_ms(m, now));

	now = clock_now_ns();
	for (struct guest *g = m->guests; g; g = g->next)
		if (!g->ended)
			vm_watch_kill_late(&g->vm, now);
	starter_tick(m, now);
	move_tick(m, now);
	agents_tick(&m->agents, now);
	balancer_tick(m, now);
	layers_tick(m, now);
	reap_strangers(m);
	api_turn(m->api, now);
	notify_tick(m, now);
	free_dead(m);
	return err;
}

void monitor_destroy(struct monitor *m)
{
	if (!m)
		return;
	starter_destroy_all(m);
	layers_destroy(m);
	caches_destroy(m);
	move_destroy(m);
	while (m->guests)
		guest_bury(m, m->guests);
	boot_copies_sweep(&m->boots, NULL, NULL);
	api_destroy(m->api);
	if (m->watcher.err.loop)
		(void)sink_flush(&m->watcher.err, 1000);
	free_dead(m);
	sink_destroy(&m->watcher.err);
	if (m->signals.fd >= 0)
		(void)close(m->signals.fd);
	worker_code_destroy(&m->code);
	topology_destroy(&m->topology);
	loop_destroy(&m->watcher.loop);
	state_dir_close(&m->state);
}

static int monitor_run(struct monitor *m)
{
	int err = 0;

	sink_line(&m->watcher.err, "disco: monitor of %s is ready, %u VM%s",
		  m->state.path, m->nr_running, m->nr_running == 1 ? "" : "s");
	notify_ready(m);
	while (!err && !m->leave)
		err = monitor_turn(m);
	notify_leaving(m);
	if (m->nr_running)
		sink_line(&m->watcher.err,
			  "disco: %u VM%s; the next monitor takes over",
			  m->nr_running,
			  m->nr_running == 1 ? " goes on" : "s go on");
	return err;
}

static int parse_settings(const struct cli_args *a, struct monitor_settings *s,
			  struct diag *d)
{
	const double most = (double)MOVE_STALL_NS_MAX / 1e6;
	double ms = (double)s->stall_ns / 1e6;
	int err = 0;

	if (a->given[MONITOR_BALANCE])
		err = cli_period(a->value[MONITOR_BALANCE], &s->balance_ns, d);
	if (!err && a->given[MONITOR_MERGE])
		err = cli_period(a->value[MONITOR_MERGE], &s->merge_ns, d);
	if (!err && a->given[MONITOR_CACHE])
		err = caches_parse(a->value[MONITOR_CACHE], &s->cache, d);
	if (!err && a->given[MONITOR_STALL])
		err = cli_number(a->value[MONITOR_STALL], 1, &ms, d);
	if (!err && ms > most)
		err = diag_fail(d, ST_USAGE, EINVAL,
				"--stall-ms=%s: at most %.0f",
				a->value[MONITOR_STALL], most);
	s->stall_ns = (uint64_t)(ms * 1e6);
	return err;
}

int monitor_main(int argc, char **argv, struct diag *d)
{
	struct monitor *m;
	struct cli_args args;
	struct monitor_settings settings = { BALANCER_PERIOD_NS,
					     MOVE_STALL_NS,
					     { .percent = CACHE_PERCENT },
					     LAYERS_MERGE_NS };
	int err = cli_parse(&cli_monitor, argc, argv, &args, d);

	if (err)
		return err < 0 ? err : ST_OK;
	err = parse_settings(&args, &settings, d);
	if (err)
		return err;
	err = run_hold_standard_fds(d);
	if (err)
		return err;
	m = calloc(1, sizeof(*m));
	if (!m)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	launch_allow_descriptors();
	err = monitor_create(m, &settings, d);
	/* Paths of requests are absolute; do not keep a file system busy. */
	if (!err && chdir("/") == 0)
		err = monitor_run(m);
	monitor_destroy(m);
	free(m);
	if (err < 0)
		return diag_fail(d, ST_HOST, -err, "monitor: %s",
				 strerror(-err));
	return ST_OK;
}
