/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/vm/standstill.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "monitor/worker/vm/vcpu.h"

/*
 * A sample costs CPU time itself, so a little work right after it cannot be
 * told from it: a guest that is quiet is sampled again after so many turns.
 */
#define STAND_AGAIN 16u

/* --- the judgement --- */

void stand_suspect(struct stand *s)
{
	s->suspected = true;
	s->quiet = 0;
}

enum stand_act stand_told(struct stand *s)
{
	if (s->now == FIGURES_PANICKED)
		return STAND_NOTHING;
	s->now = FIGURES_PANICKED;
	return STAND_REPORT_PANICKED;
}

/* A panic is suspected. */
static enum stand_act stand_confirm(struct stand *s, bool fits)
{
	if (!fits) {
		s->quiet = 0;
		s->now = FIGURES_RUNS;
		return STAND_NOTHING;
	}
	s->quiet++;
	if (s->quiet == STAND_CONFIRM) {
		s->now = FIGURES_PANICKED;
		return STAND_REPORT_PANICKED;
	}
	return s->quiet >= STAND_CONFIRM + STAND_GRACE ? STAND_END
						       : STAND_NOTHING;
}

enum stand_act stand_turn(struct stand *s, const unsigned seen[VCPU_NR_STANDS],
			  bool output)
{
	bool works = seen[VCPU_STAND_RUNS] || seen[VCPU_STAND_IDLE];

	if (s->keep && s->now == FIGURES_PANICKED)
		return STAND_NOTHING;
	if (seen[VCPU_STAND_IDLE])
		s->suspected = false;
	if (s->suspected)
		return stand_confirm(s, seen[VCPU_STAND_RUNS] <= 1 && !output);
	if (works || !seen[VCPU_STAND_HALTED]) {
		s->now = FIGURES_RUNS;
		return STAND_NOTHING;
	}
	if (s->now == FIGURES_HALTED)
		return STAND_NOTHING;
	s->now = FIGURES_HALTED;
	return STAND_REPORT_HALTED;
}

/* --- samples --- */

static void stand_ask(struct standstill *s)
{
	for (unsigned i = 0; i < s->vm->nr_vcpus; i++) {
		struct vcpu *c = &s->vm->vcpus[i];

		(void)atomic_fetch_add_explicit(&c->sample.asked, 1,
						memory_order_release);
		vcpu_kick(c);
	}
	s->sampled = true;
}

static void stand_collect(struct standstill *s, unsigned seen[VCPU_NR_STANDS])
{
	for (unsigned i = 0; i < s->vm->nr_vcpus; i++) {
		struct vcpu_sample *v = &s->vm->vcpus[i].sample;
		uint32_t stand = VCPU_STAND_RUNS;

		if (atomic_load_explicit(&v->answered, memory_order_acquire) ==
		    atomic_load_explicit(&v->asked, memory_order_relaxed))
			stand = atomic_load_explicit(&v->seen,
						     memory_order_relaxed);
		seen[stand]++;
	}
	s->sampled = false;
}

/* Has any vCPU used CPU time since the last call? */
static bool stand_worked(struct standstill *s)
{
	bool worked = false;

	for (unsigned i = 0; i < s->vm->nr_vcpus; i++) {
		struct vcpu *c = &s->vm->vcpus[i];
		struct timespec t = { 0 };
		uint64_t now;
		clockid_t id;

		if (pthread_getcpuclockid(c->thread, &id) ||
		    clock_gettime(id, &t) < 0)
			return true;
		now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
		worked = worked || now != c->sample.cpu_ns;
		c->sample.cpu_ns = now;
	}
	return worked;
}

/* --- turns --- */

static void stand_set_timer(struct standstill *s, bool fast)
{
	uint64_t ms = fast ? STAND_FAST_MS : STAND_SLOW_MS;
	struct itimerspec t = { .it_value.tv_sec = (time_t)(ms / 1000),
				.it_value.tv_nsec =
					(long)(ms % 1000) * 1000000 };

	t.it_interval = t.it_value;
	(void)timerfd_settime(s->timer.fd, 0, &t, NULL);
	s->fast = fast;
}

static void stand_obey(struct standstill *s, enum stand_act act)
{
	struct dev_host *host = &s->vm->host;
	char line[PANIC_TEXT_BYTES + 128];

	figures_set(&s->vm->figures->io.stand, s->stand.now);
	switch (act) {
	case STAND_NOTHING:
		break;
	case STAND_REPORT_HALTED:
		host->ops->report(host, "the guest has halted its CPUs with "
					"interrupts off: it cannot go on, and "
					"only you can end it");
		break;
	case STAND_REPORT_PANICKED:
		(void)snprintf(line, sizeof(line),
			       "the guest kernel has panicked%s%.*s; %s",
			       s->text[0] ? ": " : "", (int)sizeof(s->text),
			       s->text,
			       s->stand.keep ? "it is kept (on-panic=keep)"
					     : "it ends soon, unless it goes "
					       "on (see --on-panic)");
		host->ops->report(host, line);
		break;
	case STAND_END:
		vm_stop(s->vm, STOP_PANIC, "%.*s", (int)sizeof(s->text),
			s->text[0] ? s->text : "found by its console");
		break;
	}
}

/* Nothing is suspected: look only at a guest that has come to rest. */
static void stand_look(struct standstill *s, bool after_sample)
{
	bool worked = stand_worked(s) && !after_sample;

	if (worked && s->stand.now == FIGURES_HALTED) {
		s->stand.now = FIGURES_RUNS;
		stand_obey(s, STAND_NOTHING);
	}
	if (worked) {
		s->settled = 0;
	} else if (s->settled == 0 || s->settled == STAND_AGAIN) {
		stand_ask(s);
		s->settled = 1;
	} else {
		s->settled++;
	}
}

static void stand_timer_ready(struct io_watch *w, uint32_t events)
{
	struct standstill *s = container_of(w, struct standstill, timer);
	unsigned seen[VCPU_NR_STANDS] = { 0 };
	uint64_t count, written = s->written(s->arg);
	bool sampled = s->sampled, output = written != s->output;

	(void)events;
	if (read(w->fd, &count, sizeof(count)) < 0)
		return;
	s->output = written;
	if (vm_parked(s->vm)) {
		s->sampled = false; /* does not count: it was kept out */
		s->settled = 0;
		return;
	}
	if (sampled) {
		stand_collect(s, seen);
		stand_obey(s, stand_turn(&s->stand, seen, output));
	}
	if (s->stand.keep && s->stand.now == FIGURES_PANICKED)
		stand_set_timer(s, false);
	else if (s->stand.suspected)
		stand_ask(s);
	else
		stand_look(s, sampled);
	if (s->fast && !s->stand.suspected)
		stand_set_timer(s, false);
}

static void stand_told_ready(struct io_watch *w, uint32_t events)
{
	struct standstill *s = container_of(w, struct standstill, told);
	eventfd_t count;

	(void)events;
	if (eventfd_read(w->fd, &count) < 0)
		return;
	stand_obey(s, stand_told(&s->stand));
}

/* --- for others --- */

void standstill_suspect(struct standstill *s, const char *text)
{
	if (s->stand.now == FIGURES_PANICKED)
		return;
	/* The first one says why; "end Kernel panic" says it again. */
	if (!s->stand.suspected)
		(void)snprintf(s->text, sizeof(s->text), "%s", text);
	stand_suspect(&s->stand);
	s->sampled = false;
	if (!s->fast)
		stand_set_timer(s, true);
}

void standstill_told(struct standstill *s)
{
	(void)eventfd_write(s->told.fd, 1);
}

int standstill_create(struct standstill *s, struct vm *vm,
		      uint64_t (*written)(void *arg), void *arg)
{
	int err;

	*s = (struct standstill){ .vm = vm,
				  .stand.keep = vm->spec->keep_panicked,
				  .timer.ready = stand_timer_ready,
				  .told.ready = stand_told_ready,
				  .written = written,
				  .arg = arg };
	s->timer.fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	s->told.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->timer.fd < 0 || s->told.fd < 0)
		return -errno;
	stand_set_timer(s, false);
	err = io_loop_watch(&vm->loop, &s->timer, EPOLLIN);
	return err ? err : io_loop_watch(&vm->loop, &s->told, EPOLLIN);
}
