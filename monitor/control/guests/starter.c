/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/guests/starter.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/config/config_draft.h"
#include "monitor/control/config/config_write.h"
#include "monitor/control/guests/guests.h"
#include "monitor/control/launch/launch.h"
#include "monitor/control/launch/plan.h"
#include "monitor/control/base/process.h"
#include "monitor/control/guests/start_message.h"

struct started {
	struct vm_record record;
	struct worker worker;
	struct boot_key boot_key;
	struct boot_image boot;
};

struct starter {
	struct monitor *m;
	struct starter *next;
	struct run_config cfg;
	struct loop_watch sock, pidfd;
	pid_t pid; /* 0: it waits for its turn */
	/*
	 * Kills the child at its limit. Once the start is over, it expires at
	 * the end of the turn, when no handler is left, and frees the start.
	 */
	struct loop_timer timer;
	bool late; /* it was killed for that */
	bool over;
	struct diag diag;
	struct started *vms;	   /* cfg.nr_vms */
	struct net_ports *ports;   /* the same */
	struct segment_uses *uses; /* the same */
	unsigned nr;
	void (*done)(void *arg, const struct diag *d);
	void *arg;
};

/* --- the child --- */

/*
 * At most @room bytes of @text, NUL-terminated; no half of a character, which
 * JSON would refuse.
 */
static void starter_cut(char *out, size_t room, const char *text)
{
	size_t n = strlen(text);

	if (n >= room)
		for (n = room - 1; n && ((uint8_t)text[n] & 0xc0) == 0x80;)
			n--;
	memcpy(out, text, n);
	out[n] = '\0';
}

static void make_record(const struct launch *l, unsigned i,
			struct net_port *const *ports,
			const struct segment_uses *uses, const struct worker *w,
			struct vm_record *r)
{
	const struct vm_config *vm = &l->cfg->vms[i];

	*r = (struct vm_record){
		.pid = w->pid,
		.pid_start = process_start(w->pid),
		.node = l->nodes[i],
		.fixed = plan_node(vm) != NODE_AUTO || vm->strict,
		.strict = vm->strict,
		.copies = vm->copies_bytes != 0,
		/* What is reserved is not given away. */
		.merge = vm->merge && (!vm->strict || vm->overcommit),
		.protocol = WORKER_PROTOCOL,
		.nr_vcpus = vm->nr_vcpus,
		.memory_bytes = vm->memory_bytes,
		.start_ns = w->start_ns
	};
	(void)snprintf(r->name, sizeof(r->name), "%s", vm->name);
	starter_cut(r->kernel, sizeof(r->kernel), launch_kernel(l, i));
	(void)snprintf(r->group, sizeof(r->group), "%s",
		       vm->group ? vm->group : GROUP_DEFAULT);
	(void)snprintf(r->policy, sizeof(r->policy), "%s",
		       vm->policy ? vm->policy : "");
	(void)snprintf(r->cluster, sizeof(r->cluster), "%s",
		       vm->cluster ? vm->cluster : "");
	(void)snprintf(r->role, sizeof(r->role), "%s",
		       vm->role ? vm->role : "");
	launch_vcpu_nodes(l, i, r->vcpu_nodes);
	r->nr_cached = launch_cached(l, i, r->cached);
	nets_record(ports, r);
	r->net_fd = launch_net_fd(l, i);
	segments_record(uses, r);
	r->shm_fd = launch_shm_fd(l, i);
}

/* Waits for the monitor, which may be busy. */
static int start_hand_over(int sock, const struct start_message *msg,
			   const struct worker *w, int boot)
{
	const int fds[START_NR_FDS] = { [START_FD_PIDFD] = w->pidfd,
					[START_FD_CONTROL] = w->control,
					[START_FD_CONSOLE] = w->console,
					[START_FD_LOG] = w->log,
					[START_FD_BOOT] = boot };

	return start_message_send(sock, msg, fds);
}

static int start_one(struct launch *l, unsigned i, const struct starter *st,
		     struct diag *d)
{
	const struct boot_set_entry *boot = launch_boot(l, i);
	struct start_message msg = { .kind = START_VM,
				     .vm = { .boot_key = boot->key,
					     .boot = boot->image.layout } };
	const char *name = l->cfg->vms[i].name;
	struct worker w = WORKER_NONE;
	int err, listener = state_vm_listen(&st->m->state, name);

	if (listener < 0)
		return diag_fail(d, ST_HOST, -listener,
				 "%s: no socket in the state directory: %s",
				 name, strerror(-listener));
	err = launch_spawn(l, i, listener, st->ports[i].of, st->uses[i].of, &w,
			   d);
	(void)close(listener);
	if (err)
		return err;
	make_record(l, i, st->ports[i].of, &st->uses[i], &w, &msg.vm.record);
	if (start_hand_over(st->sock.fd, &msg, &w, boot->image.fd))
		err = diag_fail(d, ST_HOST, EPIPE, "%s: cannot be handed over",
				name);
	/* The monitor has copies; the worker is its child when we are gone. */
	w.pid = 0;
	worker_destroy(&w);
	return err;
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/*
 * What we got by fork() and need not: connections of clients must end when
 * the monitor closes them, not when we are ready.
 */
static int close_others(const struct starter *st)
{
	const struct worker_code *code = &st->m->code;
	const int own[] = { st->sock.fd, code->file, st->m->state.fd,
			    st->m->state.vms };
	unsigned boots = boot_copies_each(&st->m->boots, NULL, 0);
	unsigned nets =
		st->cfg.nr_vms * (WORKER_MAX_NET_FDS + WORKER_MAX_SHM_FDS);
	unsigned nr = ARRAY_SIZE(own), next = STDERR_FILENO + 1;
	int *keep = calloc(nr + code->nr + boots + nets, sizeof(*keep));

	if (!keep)
		return -ENOMEM;
	memcpy(keep, own, sizeof(own));
	for (unsigned i = 0; i < code->nr; i++)
		keep[nr++] = code->copy[i];
	nr += boot_copies_each(&st->m->boots, keep + nr, boots);
	for (unsigned i = 0; i < st->cfg.nr_vms; i++)
		nr += nets_descriptors(st->ports[i].of, keep + nr);
	for (unsigned i = 0; i < st->cfg.nr_vms; i++)
		nr += segments_descriptors(&st->uses[i], keep + nr);
	qsort(keep, nr, sizeof(keep[0]), by_number);
	for (unsigned i = 0; i < nr; i++) {
		if (keep[i] < (int)next)
			continue;
		if (keep[i] > (int)next)
			(void)close_range(next, (unsigned)keep[i] - 1, 0);
		next = (unsigned)keep[i] + 1;
	}
	(void)close_range(next, ~0u, 0);
	free(keep);
	return 0;
}

_Noreturn static void child_run(struct starter *st)
{
	struct start_message msg = { .kind = START_FAILED };
	struct launch l = { .cfg = NULL };
	struct worker_req_sample sample;
	sigset_t none;
	int err;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	err = close_others(st);
	if (err)
		(void)diag_fail(&msg.failed, ST_HOST, ENOMEM, "out of memory");
	else
		err = launch_prepare(&l, &st->cfg, &st->m->code, &st->m->boots,
				     &st->m->topology, &msg.failed);
	if (!err && placer_sampling(st->m->placer, &sample))
		launch_sampled(&l, sample.how);
	for (unsigned i = 0; !err && i < st->cfg.nr_vms; i++)
		err = start_one(&l, i, st, &msg.failed);
	if (err)
		(void)!start_message_send(st->sock.fd, &msg, NULL);
	_exit(err ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* --- the monitor's side --- */

static void take_vm(struct starter *st, const struct start_vm *vm,
		    const int *fds)
{
	struct started *s = &st->vms[st->nr++];

	s->record = vm->record;
	s->worker = (struct worker){ .pid = vm->record.pid,
				     .pidfd = fds[START_FD_PIDFD],
				     .control = fds[START_FD_CONTROL],
				     .console = fds[START_FD_CONSOLE],
				     .log = fds[START_FD_LOG],
				     .start_ns = vm->record.start_ns };
	s->boot_key = vm->boot_key;
	s->boot = (struct boot_image){ fds[START_FD_BOOT], vm->boot };
}

/* Return: false when there is nothing more now. */
static bool take_message(struct starter *st)
{
	struct start_message msg;
	int fds[FDS_MAX];
	int err = start_message_receive(st->sock.fd, &msg, fds);

	if (err) {
		if (err != -EAGAIN)
			loop_want(&st->m->watcher.loop, &st->sock, 0);
		return false;
	}
	if (msg.kind == START_FAILED)
		st->diag = msg.failed;
	else if (st->nr < st->cfg.nr_vms)
		take_vm(st, &msg.vm, fds);
	else
		fds_close(fds, FDS_MAX);
	return true;
}

static void starter_sock_ready(struct loop_watch *w, uint32_t events)
{
	(void)events;
	(void)take_message(container_of(w, struct starter, sock));
}

/* From here on the guest outlives us. */
static void starter_keep(struct monitor *m, struct guest *g)
{
	int err = g->config ? state_vm_save_config(&m->state, g->record.name,
						   g->config)
			    : -ENOMEM;

	if (!err)
		err = state_vm_save(&m->state, &g->record);
	if (!err && !vm_watch_request(&g->vm, WORKER_REQ_KEEP))
		err = -EPIPE;
	if (err)
		sink_line(&m->watcher.err,
			  "disco: %s: ends with this monitor, as its record "
			  "was not written: %s",
			  g->record.name, strerror(-err));
}

/* Those that no guest has. */
static void starter_drop_nets(struct starter *st)
{
	for (unsigned i = 0; st->ports && i < st->cfg.nr_vms; i++)
		nets_release(st->ports[i].of);
	for (unsigned i = 0; st->uses && i < st->cfg.nr_vms; i++)
		segments_release(&st->uses[i]);
}

static void kill_started(struct starter *st)
{
	for (unsigned i = 0; i < st->nr; i++) {
		worker_destroy(&st->vms[i].worker);
		boot_image_destroy(&st->vms[i].boot);
		state_vm_remove(&st->m->state, st->vms[i].record.name);
	}
	st->nr = 0;
}

/* Of one VM alone; NULL: no memory. Its paths are absolute: see api_vm.c. */
static char *starter_config(const struct starter *st, const char *name)
{
	for (unsigned i = 0; i < st->cfg.nr_vms; i++)
		if (strcmp(st->cfg.vms[i].name, name) == 0)
			return config_json_write(
				&(struct run_config){ .vms = &st->cfg.vms[i],
						      .nr_vms = 1 },
				NULL);
	return NULL;
}

static void register_all(struct starter *st)
{
	for (unsigned i = 0; i < st->nr; i++) {
		struct started *s = &st->vms[i];
		struct guest *g = NULL;

		if (guest_add(st->m, &s->record, &s->worker, false, &g)) {
			(void)diag_fail(&st->diag, ST_HOST, ENOMEM,
					"out of memory");
			boot_image_destroy(&s->boot);
			continue;
		}
		guest_set_config(g, starter_config(st, g->record.name));
		g->boot_origin = boot_copies_started(
			&st->m->boots, &s->boot_key, s->record.node, &s->boot);
		g->ports = st->ports[i];
		st->ports[i] = (struct net_ports){ { NULL } };
		nets_attach(g->ports.of, &g->vm);
		g->uses = st->uses[i];
		st->uses[i] = (struct segment_uses){ { NULL } };
		segments_attach(&g->uses, &g->vm, g->record.node,
				g->record.policy);
		starter_keep(st->m, g);
	}
	nets_update(st->m->nets);
	segments_update(st->m->segments);
	st->nr = 0;
}

/* It is freed at the end of this turn. */
static void starter_finish(struct starter *st)
{
	st->over = true;
	loop_timer_set(&st->m->watcher.loop, &st->timer, clock_now_ns());
	if (st->done)
		st->done(st->arg, &st->diag);
	st->done = NULL;
}

static void starter_run_waiting(struct monitor *m);

/* The child is dead, its workers are ours. */
static void child_ended(struct loop_watch *w, uint32_t events)
{
	struct starter *st = container_of(w, struct starter, pidfd);
	int status = 0;

	(void)events;
	if (waitpid(st->pid, &status, WNOHANG) != st->pid)
		return;
	while (take_message(st))
		;
	loop_want(&st->m->watcher.loop, &st->sock, 0);
	loop_want(&st->m->watcher.loop, &st->pidfd, 0);
	if (st->diag.status == ST_OK &&
	    (st->nr != st->cfg.nr_vms || !WIFEXITED(status) ||
	     WEXITSTATUS(status) != 0))
		(void)diag_fail(&st->diag, ST_HOST, EIO,
				st->late ? "the start took too long"
					 : "the start broke off");
	if (st->diag.status == ST_OK)
		register_all(st);
	else
		kill_started(st);
	starter_drop_nets(st);
	starter_finish(st);
	starter_run_waiting(st->m);
}

static void starter_free(struct starter *st)
{
	kill_started(st);
	if (st->sock.fd >= 0)
		(void)close(st->sock.fd);
	if (st->pidfd.fd >= 0)
		(void)close(st->pidfd.fd);
	starter_drop_nets(st);
	free(st->ports);
	free(st->uses);
	run_config_destroy(&st->cfg);
	free(st->vms);
	free(st);
}

static void starter_on_timer(struct loop_timer *t)
{
	struct starter *st = container_of(t, struct starter, timer);
	struct starter **at = &st->m->starters;

	if (!st->over) {
		st->late = true;
		(void)pidfd_send_signal(st->pidfd.fd, SIGKILL, NULL, 0);
		return;
	}
	while (*at != st)
		at = &(*at)->next;
	*at = st->next;
	starter_free(st);
}

static bool name_taken(const struct monitor *m, const char *name)
{
	const struct guest *g = guest_find(m, name);

	if (g && !g->ended)
		return true;
	for (const struct starter *st = m->starters; st; st = st->next)
		for (unsigned i = 0; !st->over && i < st->cfg.nr_vms; i++)
			if (strcmp(st->cfg.vms[i].name, name) == 0)
				return true;
	return false;
}

static int starter_check(const struct monitor *m, const struct run_config *cfg,
			 struct diag *d)
{
	unsigned running = m->nr_running + cfg->nr_vms, waiting = 0;

	for (const struct starter *st = m->starters; st; st = st->next) {
		running += st->over ? 0 : st->cfg.nr_vms;
		waiting += !st->over && !st->pid;
	}
	if (running > MONITOR_MAX_GUESTS)
		return diag_fail(d, ST_HOST, EAGAIN,
				 "too many guests: at most %u may run or be "
				 "started",
				 MONITOR_MAX_GUESTS);
	if (waiting >= STARTERS_WAITING)
		return diag_fail(d, ST_HOST, EAGAIN,
				 "too many starts: %u wait for their turn "
				 "already; try again later",
				 STARTERS_WAITING);
	for (unsigned i = 0; i < cfg->nr_vms; i++)
		if (name_taken(m, cfg->vms[i].name))
			return diag_fail(d, ST_CONFIG, EEXIST,
					 "a VM named '%s' runs already",
					 cfg->vms[i].name);
	return 0;
}

static int starter_fork_child(struct starter *st)
{
	struct loop *loop = &st->m->watcher.loop;
	int pair[2], err;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	st->sock.fd = pair[1];
	st->pid = fork();
	if (st->pid == 0)
		child_run(st);
	err = st->pid < 0 ? -errno : 0;
	(void)close(pair[1]);
	st->sock.fd = pair[0];
	if (err)
		return err;
	st->pidfd.fd = pidfd_open(st->pid, 0);
	if (st->pidfd.fd < 0) {
		err = -errno;
		(void)kill(st->pid, SIGKILL);
		(void)waitpid(st->pid, NULL, 0);
		return err;
	}
	st->sock.ready = starter_sock_ready;
	st->pidfd.ready = child_ended;
	loop_want(loop, &st->sock, EPOLLIN);
	loop_want(loop, &st->pidfd, EPOLLIN);
	return 0;
}

/* Memory that the start reserves, which takes its time. */
static uint64_t starter_reserves(const struct starter *st)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < st->cfg.nr_vms; i++)
		if (st->cfg.vms[i].strict && !st->cfg.vms[i].overcommit)
			bytes += st->cfg.vms[i].memory_bytes;
	return bytes;
}

/* Its kernel may have to be read and unpacked; boot_reader.h has the limits. */
static bool starter_boots_disk(const struct starter *st)
{
	for (unsigned i = 0; i < st->cfg.nr_vms; i++)
		if (!st->cfg.vms[i].kernel)
			return true;
	return false;
}

/* By the monitor, as two starts must not take the same addresses. */
static int starter_reserve_nets(struct starter *st, struct diag *d)
{
	int err = 0;

	for (unsigned i = 0; !err && i < st->cfg.nr_vms; i++)
		err = nets_reserve(st->m->nets, &st->cfg.vms[i],
				   st->ports[i].of, d);
	for (unsigned i = 0; !err && i < st->cfg.nr_vms; i++)
		err = segments_reserve(st->m->segments, &st->cfg.vms[i],
				       &st->uses[i], d);
	return err;
}

/* Its time counts from now on. Return: 0; -errno with @d filled. */
static int starter_run(struct starter *st, struct diag *d)
{
	uint64_t mib = starter_reserves(st) >> 20;
	uint64_t more = (starter_boots_disk(st) ? STARTER_DISK_NS : 0) +
			(st->cfg.nr_vms - 1) * STARTER_VM_NS;
	int err = starter_reserve_nets(st, d);

	if (err)
		return err;
	guests_count_promises(st->m);
	err = starter_fork_child(st);
	if (err) {
		st->pid = 0;
		return diag_fail(d, ST_HOST, -err, "cannot start a start: %s",
				 strerror(-err));
	}
	loop_timer_set(&st->m->watcher.loop, &st->timer,
		       clock_now_ns() + STARTER_LIMIT_NS + more +
			       mib * STARTER_RESERVE_NS);
	return 0;
}

/*
 * Is it the turn of @st? Only one start at a time reserves memory: the next one
 * sees what is left then, in the ledger and on the nodes.
 */
static bool starter_may_run(const struct monitor *m, const struct starter *st)
{
	bool reserves = false;
	unsigned n = 0;

	for (const struct starter *s = m->starters; s; s = s->next) {
		if (s->over || !s->pid)
			continue;
		reserves = reserves || starter_reserves(s);
		n++;
	}
	return n < STARTERS_MAX && !(reserves && starter_reserves(st));
}

/* The list is in the order in which they came, and may be passed by others. */
static void starter_run_waiting(struct monitor *m)
{
	for (struct starter *st = m->starters; st; st = st->next) {
		if (st->over || st->pid || !starter_may_run(m, st))
			continue;
		if (!starter_run(st, &st->diag))
			continue;
		starter_drop_nets(st);
		starter_finish(st);
	}
}

int starter_start(struct monitor *m, struct run_config *cfg,
		  void (*done)(void *arg, const struct diag *d), void *arg,
		  struct diag *d)
{
	struct starter *st, **at = &m->starters;
	int err = starter_check(m, cfg, d);

	if (err)
		return err;
	st = calloc(1, sizeof(*st));
	if (!st)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	st->m = m;
	st->sock.fd = st->pidfd.fd = -1;
	st->timer.expired = starter_on_timer;
	st->cfg = *cfg;
	st->vms = calloc(cfg->nr_vms, sizeof(*st->vms));
	st->ports = calloc(cfg->nr_vms, sizeof(*st->ports));
	st->uses = calloc(cfg->nr_vms, sizeof(*st->uses));
	err = st->vms && st->ports && st->uses
		      ? 0
		      : diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	if (!err && starter_may_run(m, st))
		err = starter_run(st, d);
	if (err) {
		starter_drop_nets(st);
		memset(&st->cfg, 0, sizeof(st->cfg));
		starter_free(st);
		return err;
	}
	memset(cfg, 0, sizeof(*cfg));
	st->done = done;
	st->arg = arg;
	while (*at)
		at = &(*at)->next;
	*at = st;
	return 0;
}

void starter_forget(struct monitor *m, void *arg)
{
	for (struct starter *st = m->starters; st; st = st->next)
		if (st->arg == arg)
			st->done = NULL;
}

bool starter_knows(const struct monitor *m, pid_t pid)
{
	for (const struct starter *st = m->starters; st; st = st->next) {
		if (st->pid == pid)
			return true;
		for (unsigned i = 0; i < st->nr; i++)
			if (st->vms[i].record.pid == pid)
				return true;
	}
	return false;
}

void starter_destroy_all(struct monitor *m)
{
	while (m->starters) {
		struct starter *st = m->starters;

		m->starters = st->next;
		loop_want(&m->watcher.loop, &st->sock, 0);
		loop_want(&m->watcher.loop, &st->pidfd, 0);
		loop_timer_cancel(&m->watcher.loop, &st->timer);
		if (!st->over && st->pid) {
			(void)kill(st->pid, SIGKILL);
			(void)waitpid(st->pid, NULL, 0);
		}
		starter_free(st);
	}
}
