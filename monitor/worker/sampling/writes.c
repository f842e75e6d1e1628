/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/sampling/writes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "disco/clock.h"

#define TURN_NS 20000000l

static void writes_found(void *arg, const struct dirty_page *p)
{
	struct writes *w = arg;
	const struct fault_record r = { .page = p->page,
					.latency_ns = p->latency_ns,
					.vcpu = FAULT_LOG_NO_VCPU,
					.kind = FAULT_LOG_WRITE };

	fault_log_add(&w->vm->figures->fault_log, &r);
}

static void writes_publish(struct writes *w)
{
	_Atomic(uint64_t) *words = w->vm->figures->samples.words;
	struct dirty_log_counts c;

	dirty_log_get_counts(w->log, &c);
	figures_set(&words[FIGURES_SAMPLES_SET], c.cleared);
	figures_set(&words[FIGURES_SAMPLES_FAULTS], c.written);
	figures_set(&words[FIGURES_SAMPLES_EXPIRED], c.clean);
	figures_set(&words[FIGURES_SAMPLES_FAILED], c.failed);
	figures_set(&words[FIGURES_SAMPLES_SPENT_NS], w->spent_ns);
}

static void writes_turn(struct writes *w)
{
	uint64_t begun = clock_thread_ns(), now = clock_now_ns(), spent;
	int err = dirty_log_turn(w->log, &w->sampler, now, writes_found, w);

	if (err && !w->failed) {
		w->failed = true;
		(void)fprintf(stderr, "writes are not sampled: KVM: %s\n",
			      strerror(-err));
	}
	spent = clock_thread_ns() - begun;
	w->spent_ns += spent;
	sampler_spend(&w->sampler, now, 0, spent);
	writes_publish(w);
}

static void writes_timer_ready(struct io_watch *watch, uint32_t events)
{
	struct writes *w = container_of(watch, struct writes, timer);
	uint64_t times;

	(void)events;
	if (read(watch->fd, &times, sizeof(times)) == (ssize_t)sizeof(times))
		writes_turn(w);
}

void writes_set(struct writes *w, const struct worker_req_sample *r)
{
	struct itimerspec every = { { 0, 0 }, { 0, 0 } };
	bool on = r->rate && r->how == WORKER_SAMPLE_WRITES;
	uint32_t groups = (uint32_t)max_u64(r->rate / DIRTY_LOG_GROUP, 1);

	if (!w->log)
		return;
	sampler_set(&w->sampler, on ? groups : 0, r->share, clock_now_ns());
	if (on)
		every.it_interval.tv_nsec = every.it_value.tv_nsec = TURN_NS;
	else
		writes_turn(w); /* the log goes off */
	/* Cannot fail: it is a timer, and the times are sound. */
	(void)timerfd_settime(w->timer.fd, 0, &every, NULL);
}

static bool writes_have_a_log(const struct vm *vm)
{
	for (unsigned i = 0; i < vm->regions.nr; i++)
		if (vm->regions.list[i]->flags & KVM_MEM_LOG_DIRTY_PAGES)
			return true;
	return false;
}

/* Return: whether there is sampling; why not is reported. */
static bool writes_open(struct writes *w)
{
	const struct vm *vm = w->vm;
	const char *why = kvms_count(&vm->kvms) != 1
				  ? "the guest has several views (views=on)"
			  : writes_have_a_log(vm)
				  ? "a pmem disk needs KVM's log for flushes"
				  : NULL;
	int err = why ? 0
		      : dirty_log_create(&w->log, kvms_fd(&vm->kvms, 0),
					 &vm->ram);

	if (!why && err)
		why = err == -EOPNOTSUPP
			      ? "KVM's log lacks manual protection (Linux 5.8)"
			      : strerror(-err);
	if (why)
		(void)fprintf(stderr, "writes are not sampled: %s\n", why);
	return !why;
}

int writes_create(struct writes *w, struct vm *vm)
{
	w->vm = vm;
	if (vm->spec->sampled != WORKER_SAMPLE_WRITES || !writes_open(w))
		return 0;
	sampler_init(&w->sampler, dirty_log_groups(w->log), clock_now_ns());
	w->timer.ready = writes_timer_ready;
	w->timer.fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (w->timer.fd < 0)
		return -errno;
	return io_loop_watch(&vm->loop, &w->timer, EPOLLIN);
}
