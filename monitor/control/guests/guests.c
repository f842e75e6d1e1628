/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/guests/guests.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/config/config_json.h"
#include "monitor/control/workers/shutdown.h"
#include "numa/bind.h"

#define SAMPLE_AGAIN_NS 50000000ull /* to a worker that does not read */

const char *guest_state(const struct guest *g)
{
	if (g->ended)
		return g->restarting ? "restarting" : "ended";
	if (g->vm.end.asked || g->vm.shutdown.asked || g->vm.leaving)
		return "stopping";
	if (g->vm.paused)
		return "paused";
	switch (figures_stand_now(&g->figures)) {
	case FIGURES_HALTED:
		return "halted";
	case FIGURES_PANICKED:
		return "panicked";
	case FIGURES_RUNS:
		break;
	}
	return g->vm.started || g->adopted ? "running" : "starting";
}

struct guest *guest_find(const struct monitor *m, const char *name)
{
	for (struct guest *g = m->guests; g; g = g->next)
		if (strcmp(g->record.name, name) == 0)
			return g;
	return NULL;
}

struct guest *guest_find_id(const struct monitor *m, uint64_t id)
{
	struct guest *g = m->guests;

	while (g && g->id != id)
		g = g->next;
	return g;
}

bool guests_know(const struct monitor *m, pid_t pid)
{
	for (const struct guest *g = m->guests; g; g = g->next)
		if (g->vm.worker.pid == pid)
			return true;
	return false;
}

void guests_count_promises(struct monitor *m)
{
	struct topology *t = &m->topology;

	topology_refresh_free(t);
	for (unsigned i = 0; i < t->nr_nodes; i++) {
		struct topology_node *n = &t->nodes[i];

		n->promised_bytes = 0;
		for (const struct guest *g = m->guests; g; g = g->next)
			if (!g->ended && g->record.strict &&
			    g->record.node == n->id)
				n->promised_bytes += g->record.memory_bytes;
	}
}

/* --- nodes --- */

void guest_nodes_changed(struct guest *g)
{
	g->vm.node = g->record.node;
	g->vm.nodes.nr = 0;
	if (state_vm_is_wide(&g->record))
		state_vm_nodes(&g->record, &g->vm.nodes);
	vm_watch_count_local(&g->vm);
}

int guest_pin_vcpu(const struct guest *g, unsigned vcpu, nodeid_t node)
{
	const struct topology_node *n =
		topology_cpus_near(&g->m->topology, node);
	pid_t tid = figures_vcpu_thread(&g->figures, vcpu);
	char path[64];

	if (!n)
		return -ENODEV;
	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d",
		       (int)g->record.pid, (int)tid);
	if (tid <= 0 || access(path, F_OK))
		return -ESRCH;
	return node_run_task_on(tid, n->cpus, n->nr_cpus);
}

void guest_pin_vcpus(const struct guest *g)
{
	if (!state_vm_is_wide(&g->record) || !g->m->topology.this_machine)
		return;
	for (unsigned i = 0; i < g->record.nr_vcpus; i++)
		(void)!guest_pin_vcpu(g, i, g->record.vcpu_nodes[i]);
}

/* --- coming and going --- */

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
	loop_timer_cancel(&m->watcher.loop, &g->restart.timer);
	loop_timer_cancel(&m->watcher.loop, &g->sample.timer);
	tap_close(&g->tap);
	g->next = m->dead;
	m->dead = g;
}

static void guests_forget_oldest(struct monitor *m)
{
	struct guest *g = m->guests;

	while (g && (!g->ended || g->restarting))
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
	free(g->config);
	free(g->ga);
	free(g);
}

void guests_sweep(struct monitor *m)
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
	struct guest *old = guest_find(m, r->name);
	struct guest *g = calloc(1, sizeof(*g)), **at = &m->guests;

	if (!g)
		return NULL;
	g->m = m;
	g->record = *r;
	if (old && old->restart.starting) {
		g->record.restarts = old->record.restarts + 1;
		g->restart.delay_ns = old->restart.delay_ns;
	}
	if (old && old->ended)
		guest_bury(m, old);
	g->id = ++m->last_id;
	g->vm.name = g->record.name;
	guest_nodes_changed(g);
	g->vm.worker = WORKER_NONE;
	while (*at && (*at)->record.start_ns <= r->start_ns)
		at = &(*at)->next;
	g->next = *at;
	*at = g;
	return g;
}

/* Without them it is a guest like any other. */
static void guest_open_figures(struct guest *g)
{
	int err = figures_open(&g->figures, g->record.pid, g->record.nr_vcpus);
	char why[128];

	if (!err || err == -ENOENT || err == -ESRCH)
		return; /* gone: that is told elsewhere */
	(void)snprintf(why, sizeof(why), "its exits are not counted: %s",
		       strerror(-err));
	vm_watch_tell(&g->vm, why);
}

int guest_add(struct monitor *m, const struct vm_record *r,
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
	guest_open_figures(g);
	m->ops->added(m, g);
	*out = g;
	return 0;
}

void guest_add_lost(struct monitor *m, const struct vm_record *r,
		    const char *why)
{
	struct guest *g = guest_create(m, r);
	char *config = NULL;

	sink_line(&m->watcher.err, "disco: %s: %s", r->name, why);
	if (!g || state_vm_load_config(&m->state, r->name, &config))
		config = NULL;
	if (!g) {
		state_vm_remove(&m->state, r->name);
		return;
	}
	guest_set_config(g, config);
	g->adopted = true;
	g->ended = true;
	m->nr_ended++;
	g->tap.ended = true;
	g->tap.loop = &m->watcher.loop;
	g->vm.figures.status = ST_WORKER_FAIL;
	(void)snprintf(g->message, sizeof(g->message), "%s", why);
	m->ops->lost(m, g);
	if (!g->restarting)
		state_vm_remove(&m->state, r->name);
}

void guest_set_config(struct guest *g, char *text)
{
	struct run_config cfg = { .nr_vms = 0 };
	struct diag d;

	free(g->config);
	g->config = text;
	if (!text || config_json_load_buffer(text, strlen(text), g->record.name,
					     &cfg, &d))
		return;
	g->restart.policy = (enum restart_policy)cfg.vms[0].restart;
	run_config_destroy(&cfg);
}

void guest_stop(struct guest *g, unsigned limit_s)
{
	enum figures_stand stand;

	if (g->ended)
		return;
	stand = figures_stand_now(&g->figures);
	/* No interrupt reaches it. */
	if (stand == FIGURES_HALTED || stand == FIGURES_PANICKED)
		limit_s = 0;
	shutdown_begin(&g->vm, limit_s);
}

/*
 * A worker that does not read now is told later: one that went on sampling would
 * slow its guest for nobody, and one that does not begin leaves the policy without
 * accesses. Of any other error, a worker that is dead or wrong, the watch reports.
 */
static void guest_send_sample(struct guest *g)
{
	struct loop *l = &g->m->watcher.loop;
	struct worker_request r = { .kind = WORKER_REQ_SAMPLE,
				    .sample = g->sample.wanted };

	if (!g->ended && vm_watch_send(&g->vm, &r, NULL) == -EAGAIN)
		loop_timer_set(l, &g->sample.timer,
			       clock_now_ns() + SAMPLE_AGAIN_NS);
}

static void guest_sample_again(struct loop_timer *t)
{
	guest_send_sample(container_of(t, struct guest, sample.timer));
}

/* Instead of what waits to be sent. */
static void guest_sample(struct guest *g, const struct worker_req_sample *r)
{
	loop_timer_cancel(&g->m->watcher.loop, &g->sample.timer);
	g->sample.timer.expired = guest_sample_again;
	g->sample.wanted = *r;
	guest_send_sample(g);
}

void guest_unplace(struct guest *g)
{
	struct worker_req_sample sample;

	if (!g->ended && placer_sampling(g->m->placer, &sample)) {
		sample.rate = 0;
		guest_sample(g, &sample);
	}
	placer_stop(g->m->placer, g->id);
}

void guest_unsample(struct guest *g)
{
	const struct worker_req_sample none = { .share = 1 };
	struct worker_req_sample sample;

	if (!placer_sampling(g->m->placer, &sample))
		guest_sample(g, &none);
}

void guest_place(struct guest *g)
{
	struct worker_req_sample sample;
	struct placer_vm vm = { .id = g->id,
				.name = g->record.name,
				.pid = g->record.pid,
				.node = g->record.node,
				.memory_bytes = g->record.memory_bytes,
				.bound_ns = g->m->stall_ns };

	memcpy(vm.policy, g->record.policy, sizeof(vm.policy));
	vm.nodes = g->vm.nodes;
	vm.copies = g->record.copies ? &g->vm : NULL;
	if (g->ended)
		return;
	placer_start(g->m->placer, &vm);
	if (placer_sampling(g->m->placer, &sample))
		guest_sample(g, &sample);
}

/* --- what workers do --- */

static bool guests_have_origin(void *monitor, uint64_t origin)
{
	const struct monitor *m = monitor;

	for (const struct guest *g = m->guests; g; g = g->next)
		if (!g->ended && g->boot_origin == origin)
			return true;
	return false;
}

static void guest_on_ended(struct watcher *w, struct vm_watch *vm)
{
	struct guest *g = container_of(vm, struct guest, vm);
	struct monitor *m = g->m;

	(void)w;
	tap_end(&g->tap);
	g->ended = true;
	figures_close(&g->figures);
	m->ops->ended(m, g);
	boot_copies_sweep(&m->boots, guests_have_origin, m);
	m->nr_running--;
	m->nr_ended++;
	/* If this monitor ends before the start, the next one sees to it. */
	if (!g->restarting)
		state_vm_remove(&m->state, g->record.name);
	outcome_line(&vm->end, vm->text, m->nr_running > 0, g->message,
		     sizeof(g->message));
	vm_watch_tell(vm, g->message[0] ? g->message
					: status_meaning(vm->figures.status));
	if (m->nr_ended > MONITOR_MAX_ENDED)
		guests_forget_oldest(m);
}

static void guest_on_heard(struct watcher *w, struct vm_watch *vm,
			   const struct worker_event *ev)
{
	struct guest *g = container_of(vm, struct guest, vm);

	(void)w;
	if (ev->kind == WORKER_STATS) {
		g->stats_ns = clock_now_ns();
		if (ev->id == g->exact_id)
			g->exact_ns = g->stats_ns;
	}
	g->m->ops->heard(g->m, g, ev);
}

static bool guest_on_shutdown(struct watcher *w, struct vm_watch *vm)
{
	struct guest *g = container_of(vm, struct guest, vm);

	(void)w;
	return g->m->ops->ask_agent && g->m->ops->ask_agent(g);
}

/* --- what is shared --- */

/* Standard error takes bytes again. */
static void guests_watch_logs(void *monitor)
{
	struct monitor *m = monitor;

	for (struct guest *g = m->guests; g; g = g->next)
		if (!g->ended)
			vm_watch_log(&g->vm);
}

/* The worker program on each node, once for all guests of this monitor. */
static int guests_copy_code(struct monitor *m, struct diag *d)
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

int guests_create(struct monitor *m, const struct guests_ops *ops,
		  struct diag *d)
{
	struct sink *out = &m->watcher.err;
	int err;

	memset(m, 0, sizeof(*m));
	m->ops = ops;
	m->state = STATE_DIR_NONE;
	m->code.file = -1;
	err = state_dir_open(&m->state, true, d);
	if (!err)
		err = state_dir_lock(&m->state, d);
	if (!err)
		err = guests_copy_code(m, d);
	if (err)
		return err;
	err = loop_create(&m->watcher.loop);
	if (err)
		return diag_fail(d, ST_HOST, -err, "monitor: %s",
				 strerror(-err));
	sink_create(out, &m->watcher.loop, STDERR_FILENO);
	out->drained = guests_watch_logs;
	out->arg = m;
	/* Lines are lost rather than the API stopped by who reads them. */
	out->patience_ms = 0;
	m->watcher.ended = guest_on_ended;
	m->watcher.heard = guest_on_heard;
	m->watcher.ask_agent = guest_on_shutdown;
	return 0;
}

void guests_leave(struct monitor *m)
{
	while (m->guests)
		guest_bury(m, m->guests);
	boot_copies_sweep(&m->boots, NULL, NULL);
}

void guests_destroy(struct monitor *m)
{
	if (!m)
		return;
	guests_leave(m);
	if (m->watcher.err.loop)
		(void)sink_flush(&m->watcher.err, 1000);
	guests_sweep(m);
	sink_destroy(&m->watcher.err);
	worker_code_destroy(&m->code);
	topology_destroy(&m->topology);
	loop_destroy(&m->watcher.loop);
	state_dir_close(&m->state);
}
