/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/workers/vm_watch.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/base/process.h"
#include "monitor/control/base/exit_info.h"
#include "monitor/ipc/text_clean.h"
#include "monitor/ipc/worker_messages.h"

#define EVENTS_A_TURN 16 /* of one worker, before others have their turn */
#define LOG_CHUNK     128u

/* A chunk of one-letter lines, each with "disco: NAME: ", is put at once. */
_Static_assert(LOG_CHUNK / 2 * (VM_NAME_MAX + 12) < SINK_BYTES / 2,
	       "a chunk of messages has room");

void vm_watch_tell(const struct vm_watch *vm, const char *text)
{
	sink_line(&vm->watcher->err, "disco: %s: %s", vm->name, text);
}

/* --- the worker's own messages --- */

static void log_line(struct vm_watch *vm)
{
	vm->log[vm->log_len] = '\0';
	vm->log_len = 0;
	text_clean(vm->log, sizeof(vm->log));
	if (!vm->log[0] || vm->log_lines > LOG_MAX_LINES)
		return;
	if (vm->log_lines++ < LOG_MAX_LINES)
		vm_watch_tell(vm, vm->log);
	else
		vm_watch_tell(
			vm,
			"too many messages from its worker; the rest is lost");
}

/* Return: false when nothing is left to read, or no room to tell it. */
static bool read_log(struct vm_watch *vm)
{
	struct watcher *s = vm->watcher;
	char buf[LOG_CHUNK];
	ssize_t n;

	if (sink_room(&s->err) < SINK_BYTES / 2) {
		loop_want(&s->loop, &vm->log_watch, 0);
		sink_starve(&s->err);
		return false;
	}
	n = read(vm->worker.log, buf, sizeof(buf));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return errno == EINTR;
	if (n <= 0) {
		loop_want(&s->loop, &vm->log_watch, 0);
		return false;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (buf[i] == '\n' || vm->log_len == sizeof(vm->log) - 1)
			log_line(vm);
		if (buf[i] != '\n')
			vm->log[vm->log_len++] = buf[i];
	}
	return true;
}

static void on_log(struct loop_watch *w, uint32_t events)
{
	(void)events;
	(void)read_log(container_of(w, struct vm_watch, log_watch));
}

void vm_watch_log(struct vm_watch *vm)
{
	if (vm->worker.pid)
		loop_want(&vm->watcher->loop, &vm->log_watch, EPOLLIN);
}

/* --- events --- */

void vm_watch_kill_in(struct vm_watch *vm, uint64_t ns_from_now)
{
	uint64_t at = clock_now_ns() + ns_from_now;
	const struct loop_timer *t = &vm->kill_timer;

	if (!t->at_ns || at < t->at_ns)
		loop_timer_set(&vm->watcher->loop, &vm->kill_timer, at);
}

void vm_watch_kill(struct vm_watch *vm)
{
	vm->kill_sent = true;
	worker_signal(&vm->worker, SIGKILL);
}

static void watch_on_late(struct loop_timer *t)
{
	vm_watch_kill(container_of(t, struct vm_watch, kill_timer));
}

int vm_watch_send(struct vm_watch *vm, struct worker_request *r, const int *fds)
{
	r->id = ++vm->last_id;
	return worker_request_send(vm->worker.control, r, fds, MSG_DONTWAIT);
}

bool vm_watch_request(struct vm_watch *vm, enum worker_request_kind kind)
{
	struct worker_request r = { .kind = kind };

	return vm_watch_send(vm, &r, NULL) == 0;
}

void vm_watch_ask_stop(struct vm_watch *vm)
{
	if (!vm->worker.pid)
		return;
	vm->end.asked = true;
	vm_watch_kill_in(vm, STOP_GRACE_NS);
	/* A worker that does not read is killed when its time is over. */
	(void)vm_watch_request(vm, WORKER_REQ_STOP);
}

/* What a worker has counted by node was bounded when it was received. */
void vm_watch_count_local(struct vm_watch *vm)
{
	struct vm_figures *f = &vm->figures;
	uint64_t sum = 0;

	if (!vm->nodes.nr)
		return;
	for (unsigned i = 0; i < MAX_NODES; i++)
		if (node_list_has(&vm->nodes, f->ram_on[i].node))
			sum += f->ram_on[i].pages;
	f->ram_pages_local = min_u64(sum, f->ram_pages);
}

static void note_figures(struct vm_watch *vm, const struct worker_usage *u)
{
	struct vm_figures *f = &vm->figures;
	uint64_t now = clock_now_ns();

	f->cpu_ns = u->cpu_ns;
	f->ram_pages = u->ram_pages;
	f->ram_pages_local = u->ram_pages_local;
	memcpy(f->ram_on, u->ram_on, sizeof(f->ram_on));
	vm_watch_count_local(vm);
	f->ram_ns = u->ram_age_ns && u->ram_age_ns < now ? now - u->ram_age_ns
							 : 0;
	f->ram_exact = u->ram_exact;
	f->private_bytes = u->private_bytes;
	f->exits = u->exits;
	f->text_pages = u->text_pages;
	f->text_pages_local = u->text_pages_local;
	f->cpu_ns_before_first_run = u->first_run_cpu_ns;
	f->nr_views = (unsigned)u->nr_views;
	memcpy(f->sent, u->sent, sizeof(f->sent));
	f->copies_limit = u->copies_limit;
	memcpy(f->copies, u->copies, sizeof(f->copies));
	f->copied_pages = u->copied_pages;
	f->collapsed = u->collapsed;
	f->device_waits = u->device_waits;
}

static void take_event(struct vm_watch *vm, const struct worker_event *ev)
{
	if (vm->end.stop)
		return; /* STOPPED is the last event: it said so itself */
	switch ((enum worker_event_kind)ev->kind) {
	case WORKER_STARTED:
		vm->started = true;
		break;
	case WORKER_STOPPED:
		vm->end.stop = ev->stopped.stop;
		memcpy(vm->text, ev->stopped.text, sizeof(vm->text));
		note_figures(vm, &ev->stopped.usage);
		vm_watch_kill_in(vm, END_GRACE_NS);
		break;
	case WORKER_STATS:
		note_figures(vm, &ev->stats.usage);
		vm->paused = ev->stats.paused;
		break;
	case WORKER_PAUSED:
		vm->paused = ev->paused.paused;
		vm->paused_id = ev->id;
		break;
	case WORKER_BOUND:
	case WORKER_REHOMED:
	case WORKER_MERGED:
		break; /* whoever asked hears it */
	}
	if (vm->watcher->heard)
		vm->watcher->heard(vm->watcher, vm, ev);
}

/* Return: false when there is nothing more to receive, now or ever. */
static bool watch_receive(struct vm_watch *vm)
{
	struct worker_event ev;
	int err = worker_event_receive(vm->worker.control, &ev);

	if (err == -EAGAIN)
		return false;
	if (err && err != -EBADMSG && err != -EPROTO && err != -EBADF) {
		loop_want(&vm->watcher->loop, &vm->control_watch, 0);
		if (!vm->end.stop)
			vm->end.stuck = true; /* unless it ends by itself */
		vm_watch_kill_in(vm, END_GRACE_NS);
		return false;
	}
	if (err || ev.id > vm->last_id) { /* or nobody has asked */
		loop_want(&vm->watcher->loop, &vm->control_watch, 0);
		vm->end.hostile = true;
		worker_signal(&vm->worker, SIGKILL);
		return false;
	}
	take_event(vm, &ev);
	return true;
}

static void on_control(struct loop_watch *w, uint32_t events)
{
	struct vm_watch *vm = container_of(w, struct vm_watch, control_watch);

	(void)events;
	for (unsigned i = 0; i < EVENTS_A_TURN && watch_receive(vm); i++)
		;
}

/* --- the end of a VM --- */

#define FREE_LOOK_NS	 1000000u  /* before the first look at the locks */
#define FREE_LOOK_MAX_NS 64000000u /* and between later ones */

/*
 * Has the kernel killed a process for memory, since a VM last started or ended?
 * It does not say which one to those who may not read its log.
 */
static bool watch_saw_oom(struct watcher *s)
{
	uint64_t kills = process_oom_kills();
	bool more = kills > s->oom_kills;

	s->oom_kills = kills;
	return more;
}

static void watch_finish(struct vm_watch *vm)
{
	bool oom = watch_saw_oom(vm->watcher);

	vm->end.oom = oom && !vm->kill_sent && !vm->end.cut;
	vm->leaving = false;
	disk_locks_close(&vm->locks);
	vm->end.stuck = vm->end.stuck && vm->kill_sent &&
			(vm->end.unseen || vm->end.value == SIGKILL);
	vm->figures.status = outcome_status(&vm->end);
	vm->watcher->ended(vm->watcher, vm);
}

/* Of one that is not our child. Return: true if it may be known later. */
static bool watch_exit_info(struct vm_watch *vm)
{
	int status, err;

	if (!vm->end.unseen)
		return false;
	err = exit_info_get(vm->pidfd_watch.fd, &status);
	if (err)
		return err == -EAGAIN;
	vm->end.unseen = false;
	vm->end.code = WIFEXITED(status)   ? CLD_EXITED
		       : WCOREDUMP(status) ? CLD_DUMPED
					   : CLD_KILLED;
	vm->end.value = WIFEXITED(status) ? WEXITSTATUS(status)
					  : WTERMSIG(status);
	return false;
}

static void watch_look_in(struct vm_watch *vm, uint64_t now_ns)
{
	loop_timer_set(&vm->watcher->loop, &vm->free_timer,
		       now_ns + vm->free_look_ns);
	vm->free_look_ns = min_u64(2 * vm->free_look_ns, FREE_LOOK_MAX_NS);
}

static void watch_on_look(struct loop_timer *t)
{
	struct vm_watch *vm = container_of(t, struct vm_watch, free_timer);
	uint64_t now = clock_now_ns();

	bool untold = watch_exit_info(vm), held = disk_locks_held(&vm->locks);

	if ((untold || held) && now < vm->free_end_ns) {
		watch_look_in(vm, now);
		return;
	}
	if (held)
		vm_watch_tell(vm, "a disk of it is still in use, as the kernel "
				  "has not ended its last requests");
	watch_finish(vm);
}

/*
 * Its end is reported when the next guest can have its disks, and when its
 * parent, where we are not that, has reaped it.
 */
static void watch_free(struct vm_watch *vm)
{
	uint64_t now = clock_now_ns();
	bool untold = watch_exit_info(vm);

	vm->leaving = true;
	if (!untold && !disk_locks_held(&vm->locks)) {
		watch_finish(vm);
		return;
	}
	vm->free_look_ns = FREE_LOOK_NS;
	vm->free_end_ns = now + FREE_GRACE_NS;
	watch_look_in(vm, now);
}

static void watch_on_death(struct loop_watch *w, uint32_t events)
{
	struct vm_watch *vm = container_of(w, struct vm_watch, pidfd_watch);
	struct watcher *s = vm->watcher;
	siginfo_t info = { .si_code = 0 };
	int err = worker_reap(&vm->worker, &info);

	(void)events;
	if (err == -EAGAIN)
		return;
	vm->end.unseen = err < 0; /* adopted: not our child */
	loop_want(&s->loop, w, 0);
	vm->figures.wall_ns = clock_now_ns() - vm->worker.start_ns;
	vm->end.code = info.si_code;
	vm->end.value = info.si_status;
	/* What it said before it died is still in its socket and pipe. */
	for (unsigned i = 0; i < EVENTS_A_TURN && watch_receive(vm); i++)
		;
	for (unsigned i = 0; i < EVENTS_A_TURN && read_log(vm); i++)
		;
	log_line(vm);
	loop_want(&s->loop, &vm->control_watch, 0);
	loop_want(&s->loop, &vm->log_watch, 0);
	loop_timer_cancel(&s->loop, &vm->kill_timer);
	loop_timer_cancel(&s->loop, &vm->shutdown.timer);
	watch_free(vm);
}

static void watch_fd(struct watcher *s, struct loop_watch *w, int fd,
		     void (*ready)(struct loop_watch *, uint32_t))
{
	w->fd = fd;
	w->ready = ready;
	loop_want(&s->loop, w, EPOLLIN);
}

void vm_watch_start(struct watcher *s, struct vm_watch *vm)
{
	vm->watcher = s;
	s->oom_kills = process_oom_kills();
	vm->kill_timer.expired = watch_on_late;
	vm->free_timer.expired = watch_on_look;
	disk_locks_open(&vm->locks, vm->worker.pid, WORKER_FD_DISK0);
	watch_fd(s, &vm->pidfd_watch, vm->worker.pidfd, watch_on_death);
	watch_fd(s, &vm->control_watch, vm->worker.control, on_control);
	watch_fd(s, &vm->log_watch, vm->worker.log, on_log);
}

void vm_watch_stop(struct vm_watch *vm)
{
	if (!vm->watcher)
		return;
	loop_want(&vm->watcher->loop, &vm->pidfd_watch, 0);
	loop_want(&vm->watcher->loop, &vm->control_watch, 0);
	loop_want(&vm->watcher->loop, &vm->log_watch, 0);
	loop_timer_cancel(&vm->watcher->loop, &vm->kill_timer);
	loop_timer_cancel(&vm->watcher->loop, &vm->free_timer);
	loop_timer_cancel(&vm->watcher->loop, &vm->shutdown.timer);
	disk_locks_close(&vm->locks);
	vm->watcher = NULL;
}
