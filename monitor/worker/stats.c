/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "disco/clock.h"
#include "memory/replica/ram_copies.h"
#include "monitor/sandbox/sandbox.h"
#include "monitor/worker/private.h"
#include "monitor/worker/text.h"
#include "monitor/worker/vm/cpu_time.h"

#define STATS_STACK KIB(128)

/* --- the surveyor --- */

/* What the surveyor does next. */
struct stats_task {
	bool exact;
	nodeid_t node;
};

/* Between batches: the guest has ended, and there are figures to show. */
static bool stats_is_over(void *arg)
{
	struct stats *s = arg;
	bool over;

	(void)pthread_mutex_lock(&s->lock);
	over = s->ending && s->last.ended_ns;
	(void)pthread_mutex_unlock(&s->lock);
	return over;
}

/* What the I/O thread counts meanwhile is of the next survey. */
static void stats_huge(const struct vm *vm)
{
	_Atomic(uint64_t) *words = vm->figures->huge.words;
	struct ram_huge_stats h;

	if (!vm->huge)
		return;
	ram_huge_get_stats(vm->huge, &h);
	figures_set(&words[FIGURES_HUGE_BYTES], ram_huge_bytes(vm->huge));
	figures_set(&words[FIGURES_HUGE_SPLITS], h.splits);
	figures_set(&words[FIGURES_HUGE_COLLAPSES], h.collapses);
	figures_set(&words[FIGURES_HUGE_ABORTED], h.aborted);
}

/* Return: 0; -ECANCELED. What the kernel refuses is reported as zero. */
static int stats_survey(struct stats *s, const struct stats_task *t,
			struct stats_survey *r)
{
	const struct ram_survey_ask ask = {
		.budget = t->exact ? RAM_SURVEY_ALL : RAM_SURVEY_PAGES,
		.seed = clock_now_ns(),
		/* vCPUs touch pages by mappings of their own. */
		.map = s->vm->copies != NULL,
		.stop = stats_is_over,
		.arg = s,
	};
	uint64_t begun = clock_now_ns();
	int err;

	err = ram_survey(&s->vm->ram, s->vm->pmap, &ask, &r->ram);
	if (err == -ECANCELED)
		return err;
	if (err)
		r->ram = (struct ram_survey){ .pages = 0 };
	stats_huge(s->vm);
	text_pages(t->node, &r->text_pages, &r->text_pages_local);
	r->private_bytes = private_count(s->maps, s->pagemap, &s->vm->ram);
	r->begun_ns = begun;
	r->ended_ns = clock_now_ns();
	return 0;
}

/* [L:lock] Do requests wait that the last survey does not answer? */
static bool stats_lacks(const struct stats *s, const struct stats_wait *w,
			bool exact)
{
	const struct stats_survey *l = &s->last;

	/* Refused by the kernel: exact or not, it will be the next time. */
	return w->since_ns &&
	       (l->begun_ns < max_u64(w->since_ns, s->valid_ns) ||
		(exact && !l->ram.exact && l->ram.looked));
}

/* @due_ns: when it is next. Return: false: the guest has ended. */
static bool stats_next(struct stats *s, uint64_t due_ns, uint64_t asked_ns,
		       struct stats_task *t)
{
	bool go = false;

	(void)pthread_mutex_lock(&s->lock);
	while (!go && !s->ending) {
		uint64_t at = s->wanted ? min_u64(asked_ns, due_ns) : due_ns;
		struct timespec until = {
			.tv_sec = (time_t)(at / 1000000000u),
			.tv_nsec = (long)(at % 1000000000u),
		};

		go = stats_lacks(s, &s->exact, true) ||
		     stats_lacks(s, &s->plain, false) || clock_now_ns() >= at;
		if (!go)
			(void)pthread_cond_timedwait(&s->wake, &s->lock,
						     &until);
	}
	/* A guest that has no figures at its end gets some. */
	go = !s->ending || !s->last.ended_ns;
	t->exact = stats_lacks(s, &s->exact, true) && !s->ending;
	t->node = s->node;
	s->wanted = false;
	(void)pthread_mutex_unlock(&s->lock);
	return go;
}

static void stats_publish(struct stats *s, const struct stats_survey *r)
{
	(void)pthread_mutex_lock(&s->lock);
	s->last = *r;
	/* Of another node meanwhile: another one, for those who wait. */
	s->wanted |= r->begun_ns < s->valid_ns;
	(void)pthread_cond_signal(&s->first);
	(void)pthread_mutex_unlock(&s->lock);
	/* Cannot fail: the counter is small. */
	(void)eventfd_write(s->done.fd, 1);
}

static void stats_survey_loop(struct stats *s)
{
	uint64_t now = clock_now_ns(), rest = STATS_FIRST_NS;
	uint64_t due = now + rest, asked = due;
	struct stats_survey r;
	struct stats_task t;

	while (stats_next(s, due, asked, &t) && stats_survey(s, &t, &r) == 0) {
		uint64_t took;

		now = r.ended_ns;
		took = now - r.begun_ns;
		rest = min_u64(2 * rest, STATS_REST_NS);
		due = now + max_u64(rest, STATS_DUTY * took);
		asked = now + max_u64(STATS_ASKED_NS, STATS_DUTY_ASKED * took);
		stats_publish(s, &r);
	}
}

static void *stats_main(void *arg)
{
	struct stats *s = arg;
	int err = sandbox_enter(SANDBOX_SURVEY);

	if (err)
		vm_stop(s->vm, STOP_FAILED, "system call filter refused: %s",
			strerror(-err));
	else
		stats_survey_loop(s);
	(void)pthread_mutex_lock(&s->lock);
	s->running = false;
	(void)pthread_cond_signal(&s->first);
	(void)pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* --- the I/O thread --- */

/* [L:lock] Return: true: its requests can be answered, and wait no more. */
static bool stats_served(const struct stats *s, struct stats_wait *w,
			 bool exact)
{
	if (!w->since_ns || stats_lacks(s, w, exact))
		return false;
	w->since_ns = 0;
	return true;
}

static void stats_done_ready(struct io_watch *w, uint32_t events)
{
	struct stats *s = container_of(w, struct stats, done);
	struct stats_wait plain, exact;
	bool any_plain, any_exact;
	eventfd_t times;

	(void)events;
	(void)eventfd_read(w->fd, &times);
	(void)pthread_mutex_lock(&s->lock);
	plain = s->plain;
	exact = s->exact;
	any_plain = stats_served(s, &s->plain, false);
	any_exact = stats_served(s, &s->exact, true);
	(void)pthread_mutex_unlock(&s->lock);
	if (any_plain)
		s->answer(s->arg, plain.id);
	if (any_exact)
		s->answer(s->arg, exact.id);
}

static nodeid_t stats_node(const struct vm *vm)
{
	return vm->node == NODE_AUTO ? 0 : vm->node;
}

int stats_create(struct stats *s, struct vm *vm,
		 void (*answer)(void *arg, uint64_t id), void *arg)
{
	pthread_condattr_t attr;

	*s = (struct stats){
		.vm = vm, .answer = answer, .arg = arg, .node = stats_node(vm)
	};
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&s->wake, &attr);
	(void)pthread_cond_init(&s->first, &attr);
	(void)pthread_condattr_destroy(&attr);
	s->maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	if (s->maps < 0)
		return -errno;
	s->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (s->pagemap < 0)
		return -errno;
	s->done.ready = stats_done_ready;
	s->done.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->done.fd < 0)
		return -errno;
	return io_loop_watch(&vm->loop, &s->done, EPOLLIN);
}

int stats_start(struct stats *s)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STATS_STACK);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	s->running = true; /* nobody else is there yet */
	err = -pthread_create(&thread, &attr, stats_main, s);
	if (err)
		s->running = false;
	(void)pthread_attr_destroy(&attr);
	return err;
}

bool stats_ask(struct stats *s, uint64_t id, bool exact)
{
	struct stats_wait *w = exact ? &s->exact : &s->plain;
	uint64_t now = clock_now_ns(), age;
	bool known;

	(void)pthread_mutex_lock(&s->lock);
	age = now - s->last.begun_ns;
	known = !exact && s->last.ended_ns && s->last.begun_ns >= s->valid_ns &&
		age <= STATS_FRESH_NS;
	if (!known) {
		/* Those before are answered with this one. */
		w->since_ns = exact	    ? now
			      : w->since_ns ? w->since_ns
					    : s->last.begun_ns + 1;
		w->id = id;
	}
	s->wanted |= !exact && age > STATS_ASKED_NS;
	(void)pthread_cond_signal(&s->wake);
	(void)pthread_mutex_unlock(&s->lock);
	return known;
}

void stats_forget(struct stats *s)
{
	(void)pthread_mutex_lock(&s->lock);
	s->plain.since_ns = s->exact.since_ns = 0;
	(void)pthread_mutex_unlock(&s->lock);
}

void stats_moved(struct stats *s)
{
	(void)pthread_mutex_lock(&s->lock);
	s->node = stats_node(s->vm);
	s->valid_ns = clock_now_ns();
	s->wanted = true;
	(void)pthread_cond_signal(&s->wake);
	(void)pthread_mutex_unlock(&s->lock);
}

_Static_assert((unsigned)WORKER_SENT_NOTHING == GHOST_NONE &&
		       (unsigned)WORKER_SENT_VECTORS == GHOST_FIXED &&
		       (unsigned)WORKER_SENT_NMIS == GHOST_NMI &&
		       (unsigned)WORKER_SENT_INITS == GHOST_INIT &&
		       (unsigned)WORKER_SENT_STARTUPS == GHOST_STARTUP &&
		       (unsigned)WORKER_NR_SENT == GHOST_NR_EVENTS,
	       "one table");

static void stats_fill_views(const struct views *v, struct worker_usage *u)
{
	struct views_figures f;

	if (!v)
		return;
	views_read_figures(v, &f);
	u->nr_views = views_count(v);
	memcpy(u->sent, f.sent, sizeof(u->sent));
}

static void stats_fill_copies(const struct vm *vm, struct worker_usage *u)
{
	struct ram_copies_stats c;
	unsigned nr = vm->spec->wide.nr_nodes;

	if (!vm->copies)
		return;
	ram_copies_read_stats(vm->copies, &c);
	u->copies_limit = vm->spec->wide.copies_bytes / PAGE_BYTES;
	for (unsigned i = 0; i < nr; i++)
		u->copies[i] = (struct worker_copies){ .now = c.now[i],
						       .made = c.made[i],
						       .dropped = c.dropped[i],
						       .waits = c.writes[i] };
	u->copied_pages = c.shared;
	u->collapsed = c.collapsed;
	u->device_waits = c.writes[nr];
}

void stats_fill(struct stats *s, struct worker_usage *u)
{
	struct vm *vm = s->vm;
	struct stats_survey l;
	nodeid_t node;

	(void)pthread_mutex_lock(&s->lock);
	l = s->last;
	node = s->node;
	(void)pthread_mutex_unlock(&s->lock);
	u->cpu_ns = cpu_time_ns();
	u->first_run_cpu_ns = atomic_load_explicit(&vm->first_run_cpu_ns,
						   memory_order_relaxed);
	u->exits = vm_exits(vm);
	u->ram_pages = l.ram.pages;
	u->ram_pages_local = node_counts_of(&l.ram.on, node);
	for (unsigned i = 0; i < l.ram.on.nr; i++)
		u->ram_on[i] = (struct worker_node_pages){
			.node = l.ram.on.at[i].node,
			.pages = l.ram.on.at[i].pages,
		};
	u->ram_exact = l.ram.exact;
	u->ram_age_ns = l.ended_ns ? clock_now_ns() - l.begun_ns + 1 : 0;
	u->private_bytes = l.private_bytes;
	u->text_pages = l.text_pages;
	u->text_pages_local = l.text_pages_local;
	stats_fill_views(vm->kvms.views, u);
	stats_fill_copies(vm, u);
}

void stats_end(struct stats *s)
{
	(void)pthread_mutex_lock(&s->lock);
	s->ending = true;
	(void)pthread_cond_signal(&s->wake);
	while (s->running && !s->last.ended_ns)
		(void)pthread_cond_wait(&s->first, &s->lock);
	(void)pthread_mutex_unlock(&s->lock);
}
