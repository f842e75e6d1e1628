/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/sampling/sampling.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "disco/clock.h"
#include "disco/huge.h"
#include "monitor/sandbox/sandbox.h"

#define SAMPLING_STACK KIB(64)
#define TURN_NS	       20000000l
#define HOST_CPUS      8192u /* that a mask has room for */
#define MASK_BITS      (8u * sizeof(long))

/* --- the faults thread ---------------------------------------------------- */

static uint16_t sampling_vcpu(const struct vm *vm, uint32_t thread)
{
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		if (atomic_load_explicit(&vm->vcpus[i].figures->thread,
					 memory_order_relaxed) == thread)
			return (uint16_t)i;
	return FAULT_LOG_NO_VCPU;
}

/* Lowest and highest CPU of a thread. Return: how many it has; 0: not known. */
static int sampling_cpus(uint32_t thread, uint16_t *first, uint16_t *last)
{
	unsigned long mask[HOST_CPUS / MASK_BITS] = { 0 };
	int nr = 0;

	if (sched_getaffinity((pid_t)thread, sizeof(mask), (cpu_set_t *)mask))
		return 0;
	/* By words: this is done for each fault. */
	for (unsigned i = 0; i < ARRAY_SIZE(mask); i++) {
		unsigned at = i * MASK_BITS;

		if (!mask[i])
			continue;
		if (!nr)
			*first = (uint16_t)(at + __builtin_ctzl(mask[i]));
		*last = (uint16_t)(at + MASK_BITS - 1 -
				   __builtin_clzl(mask[i]));
		nr += __builtin_popcountl(mask[i]);
	}
	return nr;
}

/*
 * A thread that is bound to one CPU, and is none of this process: one of KVM's
 * that fetches a page for a vCPU.
 */
static bool sampling_is_kvms(const struct sampling *s, uint32_t thread,
			     int cpus)
{
	return s->first_pids && cpus == 1 &&
	       tgkill(getpid(), (pid_t)thread, 0) < 0;
}

static void sampling_log(struct sampling *s, const struct page_trap_fault *f)
{
	struct fault_record r = { .page = f->page,
				  .latency_ns = f->latency_ns,
				  .vcpu = sampling_vcpu(s->vm, f->thread),
				  .kind = FAULT_LOG_UNKNOWN,
				  .again = f->again };
	int cpus = sampling_cpus(f->thread, &r.cpu_first, &r.cpu_last);
	bool is_vcpu = r.vcpu != FAULT_LOG_NO_VCPU;

	if (!cpus || (!is_vcpu && !sampling_is_kvms(s, f->thread, cpus))) {
		figures_count(&s->nobodys, 1);
		return;
	}
	/* KVM's threads ask for a page to write, whatever the guest does. */
	if (is_vcpu)
		r.kind = f->write ? FAULT_LOG_WRITE : FAULT_LOG_READ;
	fault_log_add(&s->vm->figures->fault_log, &r);
}

static void *sampling_main(void *arg)
{
	struct sampling *s = arg;
	struct page_trap_fault f;
	int err = sandbox_enter(SANDBOX_FAULTS), ret;

	if (err)
		vm_stop(s->vm, STOP_FAILED, "system call filter refused: %s",
			strerror(-err));
	/* Until the process ends: who is at a trap waits for this thread. */
	for (;;) {
		ret = page_traps_wait(s->traps, &f);
		if (ret > 0)
			sampling_log(s, &f);
		else if (ret < 0)
			vm_stop(s->vm, STOP_FAILED, "sampled faults: %s",
				strerror(-ret));
		atomic_store_explicit(&s->faults_ns, clock_thread_ns(),
				      memory_order_relaxed);
	}
	return NULL;
}

/* --- the I/O thread ------------------------------------------------------- */

static void sampling_publish(struct sampling *s, uint64_t spent_ns)
{
	_Atomic(uint64_t) *words = s->vm->figures->samples.words;
	struct page_traps_counts c;

	page_traps_get_counts(s->traps, &c);
	figures_set(&words[FIGURES_SAMPLES_SET], c.set);
	figures_set(&words[FIGURES_SAMPLES_SKIPPED], c.skipped);
	figures_set(&words[FIGURES_SAMPLES_FAULTS], c.faults);
	figures_set(&words[FIGURES_SAMPLES_EXPIRED], c.expired);
	figures_set(&words[FIGURES_SAMPLES_FAILED], c.failed);
	figures_set(&words[FIGURES_SAMPLES_NOBODYS],
		    atomic_load_explicit(&s->nobodys, memory_order_relaxed));
	figures_set(&words[FIGURES_SAMPLES_SPENT_NS], spent_ns);
}

/* What both threads have spent since the last turn is paid for. */
static void sampling_turn(struct sampling *s)
{
	uint64_t begun = clock_thread_ns(), now = clock_now_ns(), spent;

	page_traps_turn(s->traps, &s->sampler, now);
	s->spent_ns += clock_thread_ns() - begun;
	spent = s->spent_ns +
		atomic_load_explicit(&s->faults_ns, memory_order_relaxed);
	sampler_spend(&s->sampler, now, 0, spent - s->counted_ns);
	s->counted_ns = spent;
	sampling_publish(s, spent);
}

static void sampling_timer_ready(struct io_watch *w, uint32_t events)
{
	struct sampling *s = container_of(w, struct sampling, timer);
	uint64_t times;

	(void)events;
	if (read(w->fd, &times, sizeof(times)) == (ssize_t)sizeof(times))
		sampling_turn(s);
}

void sampling_set(struct sampling *s, const struct worker_req_sample *r)
{
	struct itimerspec every = { { 0, 0 }, { 0, 0 } };

	bool on = r->rate && r->how == WORKER_SAMPLE_FAULTS;

	if (!s->traps)
		return;
	sampler_set(&s->sampler, on ? r->rate : 0, r->share, clock_now_ns());
	if (on)
		every.it_interval.tv_nsec = every.it_value.tv_nsec = TURN_NS;
	else
		sampling_turn(s); /* takes all traps away */
	/* Cannot fail: it is a timer, and the times are sound. */
	(void)timerfd_settime(s->timer.fd, 0, &every, NULL);
}

/* Return: whether there is sampling; why not is reported. */
static bool sampling_open(struct sampling *s)
{
	struct vm *vm = s->vm;
	int err;

	if (vm->copies || vm->spec->huge == HUGE_THP) {
		(void)fprintf(stderr, "accesses are not sampled: %s\n",
			      vm->copies ? "views have copies of pages "
					   "(copies=SIZE)"
					 : "memory has huge pages (huge=thp)");
		return false;
	}
	err = page_traps_create(&s->traps, &vm->ram, vm->pmap);
	if (!err)
		return true;
	s->traps = NULL;
	(void)fprintf(stderr,
		      "accesses are not sampled: userfaultfd of shared memory: "
		      "%s; see 'disco doctor'\n",
		      strerror(-err));
	return false;
}

int sampling_create(struct sampling *s, struct vm *vm)
{
	s->vm = vm;
	if (vm->spec->sampled != WORKER_SAMPLE_FAULTS || !sampling_open(s))
		return 0;
	s->first_pids = page_traps_first_pids();
	sampler_init(&s->sampler, vm->ram.bytes / PAGE_BYTES, clock_now_ns());
	s->timer.ready = sampling_timer_ready;
	s->timer.fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (s->timer.fd < 0)
		return -errno;
	return io_loop_watch(&vm->loop, &s->timer, EPOLLIN);
}

int sampling_start(struct sampling *s)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	if (!s->traps)
		return 0;
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, SAMPLING_STACK);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = -pthread_create(&thread, &attr, sampling_main, s);
	(void)pthread_attr_destroy(&attr);
	return err;
}
