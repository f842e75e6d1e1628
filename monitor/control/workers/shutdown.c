/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/workers/shutdown.h"

#include "disco/clock.h"

#define NS_PER_S 1000000000ull

/* By its agent, if one answers; the button follows when that does not help. */
static void shutdown_ask(struct vm_watch *vm)
{
	struct watcher *w = vm->watcher;
	bool first = !vm->shutdown.asked;

	vm->shutdown.asked = true;
	if (vm->paused)
		(void)vm_watch_request(vm, WORKER_REQ_RESUME);
	if (first && w->ask_agent && w->ask_agent(w, vm))
		return;
	/* A worker that does not read is killed at the limit. */
	(void)vm_watch_request(vm, WORKER_REQ_BUTTON);
}

static void shutdown_wait(struct vm_watch *vm, uint64_t now_ns)
{
	loop_timer_set(
		&vm->watcher->loop, &vm->shutdown.timer,
		min_u64(vm->shutdown.end_ns, now_ns + SHUTDOWN_AGAIN_NS));
}

static void shutdown_on_timer(struct loop_timer *t)
{
	struct vm_watch *vm = container_of(t, struct vm_watch, shutdown.timer);
	uint64_t now = clock_now_ns();

	if (!vm->worker.pid || vm->end.stop || vm->end.asked)
		return;
	if (now < vm->shutdown.end_ns) {
		shutdown_ask(vm);
		shutdown_wait(vm, now);
		return;
	}
	vm->end.late_s = vm->shutdown.limit_s;
	vm_watch_ask_stop(vm);
}

void shutdown_begin(struct vm_watch *vm, unsigned limit_s)
{
	uint64_t now = clock_now_ns();

	if (!vm->worker.pid || vm->leaving || vm->end.stop || vm->end.asked)
		return;
	if (limit_s == 0) {
		vm_watch_ask_stop(vm);
		return;
	}
	vm->shutdown.timer.expired = shutdown_on_timer;
	vm->shutdown.limit_s = limit_s;
	vm->shutdown.end_ns = now + limit_s * NS_PER_S;
	shutdown_ask(vm);
	shutdown_wait(vm, now);
}

int64_t shutdown_left_ms(const struct vm_watch *vm, uint64_t now_ns)
{
	uint64_t end = vm->shutdown.end_ns;

	if (vm->end.asked)
		return 0;
	if (!vm->shutdown.asked)
		return -1;
	return end > now_ns ? (int64_t)((end - now_ns + 999999) / 1000000) : 0;
}
