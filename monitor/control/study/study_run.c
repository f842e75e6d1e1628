/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The runs of a study, by as many threads as there are CPUs. A job is one trace
 * with one policy, or its optimum; each reads the file for itself, so jobs share
 * nothing but the counter that hands them out.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "disco/clock.h"
#include "memory/sim/optimum.h"
#include "monitor/control/base/progress.h"
#include "monitor/control/study/study.h"

#define THREADS_MAX 1024u
#define PROGRESS_NS 50000000

struct study_jobs {
	struct study *s;
	uint32_t nr; /* jobs */
	_Atomic(uint32_t) next;
	_Atomic(uint32_t) running; /* threads */
	_Atomic(uint64_t) bytes;   /* read, by all of them */
	_Atomic(bool) failed;
	pthread_mutex_t lock;
	struct diag d; /* [L:lock] the first failure */
	int err;       /* [L:lock] */
};

/* A trace that is read, with what takes its chunks. */
struct study_feed {
	int (*feed)(void *arg, const struct access_record *r, uint32_t nr);
	void *arg;
};

static int study_feed_sim(void *arg, const struct access_record *r, uint32_t nr)
{
	return sim_feed(arg, r, nr);
}

static int study_feed_optimum(void *arg, const struct access_record *r,
			      uint32_t nr)
{
	return optimum_feed(arg, r, nr);
}

/* @totals: of the trace, out; NULL: not wanted. */
static int study_read(struct study_jobs *j, struct study_trace *t,
		      const struct study_feed *f, bool first, struct diag *d)
{
	int fd = open(t->path, O_RDONLY | O_CLOEXEC), got;
	struct trace_reader *r = NULL;
	struct trace_chunk c;
	uint64_t at = 0;

	if (fd < 0)
		return diag_fail(d, ST_TRACE, errno, "%s: %s", t->path,
				 strerror(errno));
	got = trace_open(&r, fd, t->path, d);
	if (got) {
		(void)close(fd);
		return got;
	}
	/* The simulations were made for the head that was read first. */
	if (memcmp(trace_info(r), t->info, sizeof(*t->info)) != 0) {
		trace_close(r);
		return diag_fail(d, ST_TRACE, EBADMSG,
				 "%s: it changes while it is read", t->path);
	}
	while ((got = trace_next(r, &c, d)) > 0) {
		int err = f->feed(f->arg, c.records, c.nr);

		if (err)
			got = diag_fail(d, ST_HOST, -err, "%s: %s", t->path,
					strerror(-err));
		if (err || atomic_load(&j->failed))
			break;
		atomic_fetch_add_explicit(&j->bytes, trace_bytes_read(r) - at,
					  memory_order_relaxed);
		at = trace_bytes_read(r);
	}
	if (first && got == 0) {
		t->totals = *trace_totals(r);
		t->cut = trace_is_cut(r);
	}
	trace_close(r);
	return got < 0 ? got : 0;
}

static int study_run_policy(struct study_jobs *j, struct study_trace *t,
			    uint32_t run, struct diag *d)
{
	const struct study_options *o = &j->s->o;
	struct study_run *out = &t->runs[run];
	const struct sim_config c = { .info = t->info,
				      .machine = t->machine,
				      .choice = out->choice,
				      .replicas = o->replicas,
				      .proof_ns = o->proof_ns,
				      .turn_ns = o->turn_ns,
				      .turn_pages = o->turn_pages };
	uint64_t before = clock_thread_ns();
	struct sim *sim;
	int err = sim_create(&sim, &c);

	if (err)
		return diag_fail(d, ST_HOST, -err, "%s: cannot simulate: %s",
				 t->path, strerror(-err));
	err = study_read(j, t, &(struct study_feed){ study_feed_sim, sim },
			 run == 0, d);
	if (!err)
		out->result = *sim_result(sim);
	sim_destroy(sim);
	out->cpu_ns = clock_thread_ns() - before;
	return err;
}

static int study_run_optimum(struct study_jobs *j, struct study_trace *t,
			     struct diag *d)
{
	struct optimum *o;
	int err = optimum_create(&o, t->info, t->machine, j->s->o.replicas);

	if (err)
		return diag_fail(d, ST_HOST, -err,
				 "%s: cannot find the optimum: %s", t->path,
				 strerror(-err));
	err = study_read(j, t, &(struct study_feed){ study_feed_optimum, o },
			 false, d);
	if (!err) {
		t->optimum_ns = optimum_cost_ns(o);
		t->optimum_has_replicas = optimum_has_replicas(o);
	}
	optimum_destroy(o);
	return err;
}

/* Optima first: they take longest. */
static int study_do_job(struct study_jobs *j, uint32_t job, struct diag *d)
{
	struct study *s = j->s;
	uint32_t optima = s->o.optimum ? s->nr_traces : 0;

	if (job < optima)
		return study_run_optimum(j, &s->traces[job], d);
	job -= optima;
	return study_run_policy(j, &s->traces[job / s->nr_runs],
				job % s->nr_runs, d);
}

static void *study_thread(void *arg)
{
	struct study_jobs *j = arg;
	uint32_t job;

	while (!atomic_load(&j->failed) &&
	       (job = atomic_fetch_add(&j->next, 1)) < j->nr) {
		struct diag d = { .status = ST_OK };
		int err = study_do_job(j, job, &d);

		if (!err)
			continue;
		(void)pthread_mutex_lock(&j->lock);
		if (!j->err) {
			j->err = err;
			j->d = d;
		}
		(void)pthread_mutex_unlock(&j->lock);
		atomic_store(&j->failed, true);
	}
	atomic_fetch_sub(&j->running, 1);
	return NULL;
}

static uint64_t study_all_bytes(const struct study *s)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < s->nr_traces; i++)
		sum += s->traces[i].file_bytes;
	return sum * (s->nr_runs + (s->o.optimum ? 1 : 0));
}

static void study_watch(struct study_jobs *j)
{
	const struct timespec rest = { .tv_nsec = PROGRESS_NS };
	struct progress p;

	progress_start(&p, "simulating", study_all_bytes(j->s));
	while (atomic_load(&j->running)) {
		progress_show(&p, atomic_load_explicit(&j->bytes,
						       memory_order_relaxed));
		if (p.shown)
			(void)nanosleep(&rest, NULL);
		else
			break; /* nobody watches */
	}
	progress_end(&p);
}

int study_run(struct study *s, struct diag *d)
{
	struct study_jobs j = { .s = s,
				.nr = s->nr_traces *
				      (s->nr_runs + (s->o.optimum ? 1 : 0)),
				.lock = PTHREAD_MUTEX_INITIALIZER };
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t want = s->o.jobs ? s->o.jobs : (uint32_t)max_u64(1, cpus);
	pthread_t threads[THREADS_MAX];
	uint32_t nr = 0;

	want = (uint32_t)min_u64(min_u64(want, THREADS_MAX), j.nr);
	for (; nr < want; nr++) {
		atomic_fetch_add(&j.running, 1);
		if (pthread_create(&threads[nr], NULL, study_thread, &j)) {
			atomic_fetch_sub(&j.running, 1);
			break;
		}
	}
	if (!nr)
		return diag_fail(d, ST_HOST, EAGAIN, "no thread can be made");
	study_watch(&j);
	while (nr)
		(void)pthread_join(threads[--nr], NULL);
	if (j.err)
		*d = j.d;
	return j.err;
}
