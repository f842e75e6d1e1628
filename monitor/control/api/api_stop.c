/* SPDX-License-Identifier: BSD-2-Clause */
/* POST /v1/vms/{name}/stop, kill and restart. */
#include <microhttpd.h>

#include "disco/clock.h"
#include "monitor/control/api/api_handlers.h"
#include "monitor/control/restart/restart.h"
#include "monitor/control/workers/shutdown.h"

#define NS_PER_S 1000000000ull

/* What a body says; without a body, the defaults. */
struct stop_wish {
	unsigned limit_s; /* until the VM is killed */
	bool wait;	  /* answer when it has ended, or runs again */
};

/* Return: false: the call was answered. */
static bool stop_read_body(struct api_call *c, struct stop_wish *out)
{
	json_int_t limit = SHUTDOWN_LIMIT_S;
	json_error_t why;
	json_t *root;
	int wait = 1;
	bool ok;

	*out = (struct stop_wish){ SHUTDOWN_LIMIT_S, true };
	if (!c->body_len)
		return true;
	root = json_loadb(c->body, c->body_len, JSON_REJECT_DUPLICATES, &why);
	ok = root && json_unpack_ex(root, &why, JSON_STRICT, "{s?I, s?b}",
				    "timeout_s", &limit, "wait", &wait) == 0;
	json_decref(root);
	if (ok && limit >= 0 && limit <= (json_int_t)SHUTDOWN_MAX_S) {
		*out = (struct stop_wish){ (unsigned)limit, wait != 0 };
		return true;
	}
	api_fail(c, MHD_HTTP_BAD_REQUEST, ST_CONFIG,
		 "\"timeout_s\" is 0 to %u, and \"wait\" true or false: %s",
		 SHUTDOWN_MAX_S, ok ? "out of range" : why.text);
	return false;
}

/* No start of it is to come. Return: false: the call was answered. */
static bool stop_for_good(struct api_call *c, struct guest *g)
{
	if (restart_cancel(g) == 0)
		return true;
	api_fail(c, MHD_HTTP_CONFLICT, ST_NO_VM,
		 "%s: is just being started again; try again", c->name);
	return false;
}

/* The guest, and what is wished; NULL: the call was answered. */
static struct guest *stop_begin(struct api_call *c, struct stop_wish *wish)
{
	struct guest *g;

	if (!stop_read_body(c, wish))
		return NULL;
	g = api_the_guest(c);
	if (!g || (wish->wait && !api_may_last(c)))
		return NULL;
	return g;
}

static void stop_wait(struct api_call *c, const struct stop_wish *wish,
		      uint64_t more_ns)
{
	api_wait(c, wish->limit_s * NS_PER_S + more_ns);
}

void api_vm_stop_begin(struct api_call *c)
{
	struct stop_wish wish;
	struct guest *g = stop_begin(c, &wish);

	if (!g || !stop_for_good(c, g))
		return;
	guest_stop(g, wish.limit_s);
	if (!wish.wait) {
		api_answer_guest(c, g);
		return;
	}
	stop_wait(c, &wish, API_WAIT_NS);
	api_vm_end_poll(c, false);
}

void api_vm_kill_begin(struct api_call *c)
{
	struct guest *g = api_the_guest(c);

	if (!g || !stop_for_good(c, g))
		return;
	if (!g->ended) {
		g->vm.end.cut = true;
		vm_watch_ask_stop(&g->vm);
	}
	api_wait(c, API_WAIT_NS);
	api_vm_end_poll(c, false);
}

void api_vm_end_poll(struct api_call *c, bool late)
{
	struct guest *g = api_the_guest(c);

	if (!g)
		return;
	if (g->ended)
		api_answer_guest(c, g);
	else if (late)
		api_fail(c, MHD_HTTP_GATEWAY_TIMEOUT, ST_WORKER_FAIL,
			 "%s: its worker did not end in time", c->name);
}

/* --- restart --- */

void api_vm_restart_begin(struct api_call *c)
{
	struct diag d = { .status = ST_OK };
	struct stop_wish wish;
	struct guest *g = stop_begin(c, &wish);

	if (!g)
		return;
	if (restart_begin(g, wish.limit_s, &d)) {
		api_fail(c, MHD_HTTP_CONFLICT, d.status, "%s", d.text);
		return;
	}
	if (wish.wait)
		stop_wait(c, &wish, API_WAIT_NS + API_START_NS);
	else
		api_answer_guest(c, g);
}

/* The next guest of that name has another id. */
void api_vm_restart_poll(struct api_call *c, bool late)
{
	struct guest *g = guest_find(c->m, c->name);

	if (!g)
		(void)api_the_guest(c);
	else if (g->id != c->guest_id)
		api_answer_guest(c, g);
	else if (g->ended && !g->restarting)
		api_fail(c, MHD_HTTP_SERVICE_UNAVAILABLE,
			 g->vm.figures.status ? g->vm.figures.status : ST_HOST,
			 "%s: %s", c->name,
			 *g->message ? g->message : "was stopped meanwhile");
	else if (late)
		api_fail(c, MHD_HTTP_GATEWAY_TIMEOUT, ST_HOST,
			 "%s: was not started again in time", c->name);
}
