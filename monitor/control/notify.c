/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/notify.h"

#ifdef DISCO_SYSTEMD
#include <systemd/sd-daemon.h>

#include "disco/clock.h"

static void notify_say(const char *state)
{
	(void)sd_notify(0, state);
}

static uint64_t watchdog_us(void)
{
	uint64_t us = 0;

	return sd_watchdog_enabled(0, &us) > 0 ? us : 0;
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

void notify_ready(struct monitor *m)
{
	/* Twice as often as asked for, as sd_watchdog_enabled(3) advises. */
	m->notify_every_ns = watchdog_us() * 1000u / 2;
	m->notify_at_ns = m->notify_every_ns ? clock_now_ns() : 0;
	notify_say("READY=1");
}

void notify_leaving(struct monitor *m)
{
	m->notify_every_ns = 0;
	notify_say("STOPPING=1");
}

int notify_timeout_ms(const struct monitor *m, uint64_t now)
{
	if (!m->notify_every_ns)
		return -1;
	return loop_ms_until(m->notify_at_ns, now);
}

void notify_tick(struct monitor *m, uint64_t now)
{
	if (!m->notify_every_ns || now < m->notify_at_ns)
		return;
	m->notify_at_ns = now + m->notify_every_ns;
	notify_say("WATCHDOG=1");
}
