/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/notify.h"

#include "disco/clock.h"

#ifdef DISCO_SYSTEMD
#include <dlfcn.h>
#include <systemd/sd-daemon.h>

/*
 * The monitor alone loads libsystemd: every command would take longer to start.
 * Return: NULL: it is not there.
 */
static void *notify_call(const char *name)
{
	static void *lib;

	if (!lib)
		lib = dlopen("libsystemd.so.0", RTLD_NOW);
	return lib ? dlsym(lib, name) : NULL;
}

static void notify_say(const char *state)
{
	__typeof__(&sd_notify) call = notify_call("sd_notify");

	if (call)
		(void)call(0, state);
}

static uint64_t watchdog_us(void)
{
	__typeof__(&sd_watchdog_enabled) call =
		notify_call("sd_watchdog_enabled");
	uint64_t us = 0;

	return call && call(0, &us) > 0 ? us : 0;
}
#else
static void notify_say(const char *state)
{
	(void)state;
}

static uint64_t watchdog_us(void)
{
	return 0;
}
#endif

static void notify_on_watchdog(struct loop_timer *t)
{
	struct notify *n = container_of(t, struct notify, watchdog);

	loop_timer_set(n->loop, t, clock_now_ns() + n->every_ns);
	notify_say("WATCHDOG=1");
}

void notify_ready(struct notify *n, struct loop *loop)
{
	n->loop = loop;
	/* Twice as often as asked for, as sd_watchdog_enabled(3) advises. */
	n->every_ns = watchdog_us() * 1000u / 2;
	n->watchdog.expired = notify_on_watchdog;
	if (n->every_ns)
		loop_timer_set(loop, &n->watchdog, clock_now_ns());
	notify_say("READY=1");
}

void notify_leaving(struct notify *n)
{
	if (n->loop)
		loop_timer_cancel(n->loop, &n->watchdog);
	notify_say("STOPPING=1");
}
