/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/restart/restart.h"

#include <errno.h>
#include <string.h>

#include "disco/clock.h"
#include "monitor/control/config/config_json.h"
#include "monitor/control/guests/starter.h"
#include "monitor/control/restart/restart_rule.h"

#define NS_PER_S 1000000000.0

static void restart_on_timer(struct loop_timer *t);

static void restart_in(struct guest *g, uint64_t ns)
{
	g->restarting = true;
	g->restart.delay_ns = ns;
	g->restart.timer.expired = restart_on_timer;
	/* Never now: the end of the old guest is still being handled. */
	loop_timer_set(&g->m->watcher.loop, &g->restart.timer,
		       clock_now_ns() + ns);
}

/* It stays ended. */
static void restart_give_up(struct guest *g)
{
	loop_timer_cancel(&g->m->watcher.loop, &g->restart.timer);
	g->restarting = false;
	g->restart.wanted = false;
	state_vm_remove(&g->m->state, g->record.name);
}

static void restart_failed(struct guest *g, const struct diag *d)
{
	bool again = !g->restart.wanted && !g->restart.off &&
		     restart_is_due(g->restart.policy, d->status);
	uint64_t delay_ns = restart_delay(g->restart.delay_ns, 0);

	(void)snprintf(g->message, sizeof(g->message),
		       "cannot be started again: %.400s", d->text);
	g->vm.figures.status = d->status;
	if (again) {
		sink_line(&g->m->watcher.err,
			  "disco: %s: %s; next try in %.0f s", g->record.name,
			  g->message, (double)delay_ns / NS_PER_S);
		restart_in(g, delay_ns);
		return;
	}
	sink_line(&g->m->watcher.err, "disco: %s: %s", g->record.name,
		  g->message);
	restart_give_up(g);
}

/*
 * The guest is still there: one that is restarting is not forgotten, and a name
 * that is being started is not given to another. If the start succeeded it has
 * just been replaced, and is freed after this turn.
 */
static void restart_done(void *arg, const struct diag *d)
{
	struct guest *g = arg;

	g->restart.starting = false;
	if (d->status != ST_OK)
		restart_failed(g, d);
}

static void restart_on_timer(struct loop_timer *t)
{
	struct guest *g = container_of(t, struct guest, restart.timer);
	struct run_config cfg = { .nr_vms = 0 };
	struct diag d = { .status = ST_OK };
	int err = config_json_load_buffer(g->config, strlen(g->config),
					  g->record.name, &cfg, &d);

	sink_line(&g->m->watcher.err, "disco: %s: starts again",
		  g->record.name);
	if (!err)
		err = starter_start(g->m, &cfg, restart_done, g, &d);
	g->restart.starting = !err;
	run_config_destroy(&cfg);
	if (err)
		restart_failed(g, &d);
}

static void restart_by_policy(struct guest *g, uint64_t ran_ns)
{
	if (g->config &&
	    restart_is_due(g->restart.policy, g->vm.figures.status))
		restart_in(g, restart_delay(g->restart.delay_ns, ran_ns));
}

void restart_guest_ended(struct monitor *m, struct guest *g)
{
	(void)m;
	if (g->restart.wanted)
		restart_in(g, 0);
	else if (!g->restart.off)
		restart_by_policy(g, g->vm.figures.wall_ns);
}

void restart_guest_lost(struct monitor *m, struct guest *g)
{
	(void)m;
	restart_by_policy(g, 0);
}

int restart_begin(struct guest *g, unsigned limit_s, struct diag *d)
{
	if (!g->config)
		return diag_fail(d, ST_NO_VM, ENODATA,
				 "%s: its configuration is not known, as an "
				 "earlier version of disco started it",
				 g->record.name);
	if (g->restart.starting)
		return 0;
	g->restart.wanted = true;
	if (g->ended)
		restart_in(g, 0);
	else
		guest_stop(g, limit_s);
	return 0;
}

int restart_cancel(struct guest *g)
{
	g->restart.wanted = false;
	/* Its end may have come, and be handled only later. */
	g->restart.off = true;
	if (!g->restarting)
		return 0;
	if (g->restart.starting)
		return -EBUSY;
	restart_give_up(g);
	return 0;
}

const char *restart_policy_word(enum restart_policy policy)
{
	switch (policy) {
	case RESTART_ON_FAILURE:
		return "on-failure";
	case RESTART_ALWAYS:
		return "always";
	case RESTART_NO:
		break;
	}
	return "no";
}
