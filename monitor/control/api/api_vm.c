/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <microhttpd.h>
#include <string.h>

#include "disco/clock.h"
#include "monitor/control/api/api_handlers.h"
#include "monitor/control/config/config_json.h"
#include "monitor/control/exec/ga_session.h"
#include "monitor/control/guests/starter.h"
#include "monitor/control/restart/restart.h"
#include "monitor/control/workers/shutdown.h"

uint64_t guest_uptime_ms(const struct guest *g, uint64_t now_ns)
{
	uint64_t ns = g->vm.figures.wall_ns;

	if (!g->ended && now_ns > g->record.start_ns)
		ns = now_ns - g->record.start_ns;
	return ns / 1000000u;
}

/* null: it was not asked to end. */
static json_t *stop_left_json(const struct guest *g, uint64_t now_ns)
{
	int64_t ms = g->ended ? -1 : shutdown_left_ms(&g->vm, now_ns);

	return ms < 0 ? json_null() : json_integer(ms);
}

json_t *guest_json(const struct guest *g, uint64_t now_ns)
{
	enum exit_status status = g->vm.figures.status;

	return json_pack(
		"{s:s, s:s, s:o, s:i, s:o, s:o, s:i, s:I, s:s, s:b, s:I, s:o, "
		"s:o, s:s, s:s, s:i, s:o, s:s, s:s, s:i}",
		"name", g->record.name, "state", guest_state(g), "pid",
		g->ended ? json_null() : json_integer(g->record.pid), "node",
		(int)g->record.node, "nodes", nodes_json(g), "vcpu_nodes",
		vcpu_nodes_json(g), "vcpus", (int)g->record.nr_vcpus,
		"memory_bytes", (json_int_t)g->record.memory_bytes, "kernel",
		g->record.kernel, "adopted", (int)g->adopted, "uptime_ms",
		(json_int_t)guest_uptime_ms(g, now_ns), "status",
		g->ended ? json_integer((int)status) : json_null(),
		"status_word",
		g->ended ? json_string(status_word(status)) : json_null(),
		"message", g->message, "restart",
		restart_policy_word(g->restart.policy), "restarts",
		(int)g->record.restarts, "stop_left_ms",
		stop_left_json(g, now_ns), "cluster", g->record.cluster, "role",
		g->record.role, "commands", (int)ga_sessions_count(g));
}

void api_answer_guest(struct api_call *c, const struct guest *g)
{
	api_answer(c, MHD_HTTP_OK, guest_json(g, clock_now_ns()));
}

struct guest *api_the_guest(struct api_call *c)
{
	struct guest *g = guest_find(c->m, c->name);

	if (g && (!c->guest_id || g->id == c->guest_id)) {
		c->guest_id = g->id;
		return g;
	}
	api_fail(c, MHD_HTTP_NOT_FOUND, ST_NO_VM, "no VM is named '%s'",
		 c->name);
	return NULL;
}

struct guest *api_running_guest(struct api_call *c)
{
	struct guest *g = guest_find(c->m, c->name);

	if (g && !g->ended)
		return g;
	api_fail(c, g ? MHD_HTTP_CONFLICT : MHD_HTTP_NOT_FOUND, ST_NO_VM,
		 g ? "%s: has ended" : "no VM is named '%s'", c->name);
	return NULL;
}

void api_vm_list(struct api_call *c)
{
	json_t *list = json_array();
	uint64_t now = clock_now_ns();

	for (const struct guest *g = c->m->guests; g; g = g->next)
		(void)json_array_append_new(list, guest_json(g, now));
	api_answer(c, MHD_HTTP_OK, json_pack("{s:o}", "vms", list));
}

void api_vm_show(struct api_call *c)
{
	struct guest *g = api_the_guest(c);

	if (g)
		api_answer_guest(c, g);
}

/* --- starting --- */

static void vm_started(void *arg, const struct diag *d)
{
	struct api_call *c = arg;

	if (d->status == ST_OK)
		api_answer(c, MHD_HTTP_CREATED,
			   json_pack("{s:s}", "state", "started"));
	else
		api_fail_diag(c, d);
}

/* The monitor's own directory is no place to look for anything. */
static int check_paths(const struct run_config *cfg, struct diag *d)
{
	for (unsigned i = 0; i < cfg->nr_vms; i++) {
		const struct vm_config *vm = &cfg->vms[i];
		const char *bad = vm_relative_path(vm);

		if (bad)
			return diag_fail(d, ST_CONFIG, EINVAL,
					 "%s: %.200s: a monitor wants absolute "
					 "paths",
					 vm->name, bad);
	}
	return 0;
}

void api_vm_create(struct api_call *c)
{
	struct run_config cfg = { .nr_vms = 0 };
	struct diag d = { .status = ST_OK };
	int err = config_json_load_buffer(c->body ? c->body : "", c->body_len,
					  "request", &cfg, &d);

	if (!err)
		err = check_paths(&cfg, &d);
	if (!err)
		err = starter_start(c->m, &cfg, vm_started, c, &d);
	if (err == -EEXIST)
		api_fail(c, MHD_HTTP_CONFLICT, d.status, "%s", d.text);
	else if (err)
		api_fail_diag(c, &d);
	run_config_destroy(&cfg);
}

/* --- pausing --- */

static void api_vm_ask(struct api_call *c, enum worker_request_kind kind)
{
	struct guest *g = api_the_guest(c);

	if (!g)
		return;
	api_wait(c, API_WAIT_NS);
	if (!g->ended && vm_watch_request(&g->vm, kind))
		c->request_id = g->vm.last_id;
	else
		api_fail(c, MHD_HTTP_CONFLICT, ST_NO_VM, "%s: %s", c->name,
			 g->ended ? "has ended" : "its worker does not listen");
}

/* Answers come in the order of their ids: a later one stands for ours. */
static void await_paused(struct api_call *c, bool late)
{
	struct guest *g = api_the_guest(c);

	if (!g)
		return;
	if (g->ended)
		api_fail(c, MHD_HTTP_CONFLICT, ST_NO_VM, "%s: has ended",
			 c->name);
	else if (g->vm.paused_id >= c->request_id)
		api_answer_guest(c, g);
	else if (late)
		api_fail(c, MHD_HTTP_GATEWAY_TIMEOUT, ST_WORKER_FAIL,
			 "%s: its worker does not answer", c->name);
}

void api_vm_pause_begin(struct api_call *c)
{
	api_vm_ask(c, WORKER_REQ_PAUSE);
}

void api_vm_pause_poll(struct api_call *c, bool late)
{
	await_paused(c, late);
}

void api_vm_resume_begin(struct api_call *c)
{
	api_vm_ask(c, WORKER_REQ_RESUME);
}

void api_vm_resume_poll(struct api_call *c, bool late)
{
	await_paused(c, late);
}

/* --- the console --- */

void api_vm_console(struct api_call *c)
{
	struct guest *g = api_the_guest(c);

	if (!g)
		return;
	if (g->tap.nr_clients >= TAP_MAX_CLIENTS) {
		api_fail(c, MHD_HTTP_CONFLICT, ST_NO_VM,
			 "%s: %u are at its console already", c->name,
			 TAP_MAX_CLIENTS);
		return;
	}
	api_upgrade(c, API_CONSOLE);
}
