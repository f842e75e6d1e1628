/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sampled faults of a worker without a guest: the kernel's userfaultfd, the
 * thread that takes the faults in its sandbox, and a thread of the test that
 * stands for a vCPU. This thread is the I/O thread.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disco/huge.h"
#include "memory/sampling/page_traps.h"
#include "monitor/worker/sampling/sampling.h"
#include "tests/unit/support.h"

#define PAGES  64u
#define FAULTS 200u

/*
 * Each test has its own, as their threads live until the process ends. Never freed.
 */
static struct vm *vm;
static struct worker_spec spec;
static struct vcpu *vcpu;
static struct sampling *sampling;
static _Atomic(bool) over;
static uint64_t next, lost;

static _Atomic(uint32_t) *word(uint64_t page)
{
	return (_Atomic(uint32_t) *)(vm->ram.hva + page * PAGE_BYTES);
}

/* Reachable, or it would be a leak to LeakSanitizer. */
static void *keep(void *p)
{
	static void *kept[16];
	static unsigned nr;

	assert_true(p && nr < ARRAY_SIZE(kept));
	return kept[nr++] = p;
}

static void make_vm(void)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);

	assert_return_code(ftruncate(fd, PAGES * PAGE_BYTES), errno);
	vm = keep(calloc(1, sizeof(*vm)));
	vcpu = keep(calloc(1, sizeof(*vcpu)));
	sampling = keep(calloc(1, sizeof(*sampling)));
	vm->spec = &spec;
	vm->figures = aligned_alloc(128, FIGURES_BYTES);
	memset(vm->figures, 0, FIGURES_BYTES);
	*vcpu = (struct vcpu){ .vm = vm, .figures = &vm->figures->vcpus[0] };
	vm->vcpus = vcpu;
	vm->nr_vcpus = 1;
	assert_int_equal(ram_view_create(&vm->ram, fd, PAGES * PAGE_BYTES), 0);
	assert_int_equal(pmap_create(&vm->ram, 100, &vm->pmap), 0);
	assert_int_equal(io_loop_init(&vm->loop), 0);
	for (unsigned i = 0; i < PAGES; i++)
		atomic_store(word(i), i);
}

/* One turn of the loop, if something is ready. */
static void turn(void)
{
	struct epoll_event e;

	if (epoll_wait(vm->loop.epoll_fd, &e, 1, 1) == 1)
		((struct io_watch *)e.data.ptr)->ready(e.data.ptr, e.events);
}

static uint64_t figure(enum figures_samples_word w)
{
	return atomic_load(&vm->figures->samples.words[w]);
}

static void set(uint32_t rate, uint32_t share)
{
	const struct worker_req_sample r = { .rate = rate,
					     .share = share,
					     .how = WORKER_SAMPLE_FAULTS };

	sampling_set(sampling, &r);
}

/* The line of a sampling_create() that opens nothing, with @files at most. */
static const char *what_it_reports(rlim_t files)
{
	static char text[256];
	int log = memfd_create("log", MFD_CLOEXEC), was = dup(STDERR_FILENO);
	struct rlimit before, now;
	ssize_t n;
	int err;

	assert_true(log >= 0 && was >= 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	now = (struct rlimit){ files, before.rlim_max };
	(void)dup2(log, STDERR_FILENO);
	(void)setrlimit(RLIMIT_NOFILE, &now);
	err = sampling_create(sampling, vm);
	(void)setrlimit(RLIMIT_NOFILE, &before);
	(void)dup2(was, STDERR_FILENO);
	assert_int_equal(err, 0);
	assert_null(sampling->traps);
	n = pread(log, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	(void)close(log);
	(void)close(was);
	return text;
}

/* Without the request, or with huge pages: nothing is opened, nothing happens. */
static void not_every_vm_is_sampled(void **state)
{
	(void)state;
	spec = (struct worker_spec){ .huge = HUGE_OFF };
	make_vm();
	assert_int_equal(sampling_create(sampling, vm), 0);
	assert_int_equal(sampling_start(sampling), 0);
	set(1000, 10);
	assert_null(sampling->traps);
	spec.sampled = 1;
	spec.huge = HUGE_THP;
	assert_non_null(strstr(what_it_reports(100), "(huge=thp)"));
	set(1000, 10);
	set(0, 1);
}

/* As where a user may have none: no descriptor is left for it. */
static void what_is_missing_is_named(void **state)
{
	(void)state;
	spec = (struct worker_spec){ .sampled = 1 };
	make_vm();
	assert_non_null(strstr(what_it_reports(0), "; see 'disco doctor'"));
}

/* Reads even pages, writes odd ones, over and over; on CPU 0 alone. */
static void *vcpu_main(void *arg)
{
	cpu_set_t cpu;

	(void)arg;
	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	assert_int_equal(sched_setaffinity(0, sizeof(cpu), &cpu), 0);
	atomic_store(&vcpu->figures->thread, (uint64_t)gettid());
	while (!atomic_load(&over))
		for (unsigned i = 0; i < PAGES; i++)
			if (i % 2)
				(void)atomic_fetch_add(word(i), 2);
			else
				(void)atomic_load(word(i));
	return NULL;
}

static void check_records(unsigned *seen, unsigned *again)
{
	struct fault_record r;

	while (fault_log_take(&vm->figures->fault_log, &next, &lost, &r)) {
		assert_true(r.page < PAGES);
		assert_int_equal(r.vcpu, 0);
		assert_int_equal(r.cpu_first, 0);
		assert_int_equal(r.cpu_last, 0);
		assert_int_equal(r.kind,
				 r.page % 2 ? FAULT_LOG_WRITE : FAULT_LOG_READ);
		assert_true(r.latency_ns > 0);
		(*seen)++;
		*again += r.again;
	}
}

static void a_vcpus_accesses_are_logged(void **state)
{
	unsigned seen = 0, again = 0;
	uint64_t end = wait_end_ns();
	pthread_t thread;
	cpu_set_t all;

	(void)state;
	if (page_traps_probe())
		SKIP("userfaultfd: %s", strerror(-page_traps_probe()));
	if (sched_getaffinity(0, sizeof(all), &all) || !CPU_ISSET(0, &all))
		SKIP("CPU 0 is not for this process");
	spec = (struct worker_spec){ .sampled = 1 };
	make_vm();
	assert_int_equal(sampling_create(sampling, vm), 0);
	assert_non_null(sampling->traps);
	assert_int_equal(sampling_start(sampling), 0);
	set(10000, SAMPLER_MAX_SHARE);
	assert_int_equal(pthread_create(&thread, NULL, vcpu_main, NULL), 0);
	while (seen < FAULTS || !again) {
		turn();
		check_records(&seen, &again);
		assert_true(clock_now_ns() < end);
	}
	atomic_store(&over, true);
	(void)pthread_join(thread, NULL);
	check_records(&seen, &again);
	print_message("# %u logged, %u of them second looks; %llu set\n", seen,
		      again, (unsigned long long)figure(FIGURES_SAMPLES_SET));
	assert_int_equal(figure(FIGURES_SAMPLES_FAILED), 0);
	assert_true(figure(FIGURES_SAMPLES_SPENT_NS) > 0);
	/* This thread is no vCPU, and may wait at its own traps. */
	while (figure(FIGURES_SAMPLES_NOBODYS) < 10) {
		turn();
		for (unsigned i = 0; i < PAGES; i++)
			(void)atomic_load(word(i));
		assert_true(clock_now_ns() < end);
	}
	check_records(&seen, &again);
	set(0, 1);
	for (unsigned i = 0; i < PAGES; i += 2)
		assert_int_equal(atomic_load(word(i)), i);
	/* On and off again, as by a move. */
	end = figure(FIGURES_SAMPLES_SET);
	set(10000, SAMPLER_MAX_SHARE);
	while (figure(FIGURES_SAMPLES_SET) <= end)
		turn();
	set(0, 1);
}

/* --- who is no thread of this process ------------------------------------- */

/*
 * Reads all pages of its parent over and over, as KVM's threads fetch pages: the
 * faults are those of a thread of another process. @bound: to CPU 0.
 */
static pid_t fetch_pages(bool bound)
{
	pid_t parent = getpid(), pid = fork();
	cpu_set_t cpu;

	if (pid)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	if (!bound && sched_getaffinity(0, sizeof(cpu), &cpu))
		_exit(1);
	if (sched_setaffinity(0, sizeof(cpu), &cpu))
		_exit(1);
	for (;;)
		for (unsigned i = 0; i < PAGES; i++) {
			char byte;
			struct iovec to = { &byte, 1 };
			struct iovec from = { word(i), 1 };

			if (process_vm_readv(parent, &to, 1, &from, 1, 0) != 1)
				_exit(1);
		}
}

static void stop_fetching(pid_t pid)
{
	int status;

	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static void kvms_threads_are_known_by_their_cpu(void **state)
{
	uint64_t end = wait_end_ns(), seen = 0, before;
	struct fault_record r;
	cpu_set_t all;
	pid_t pid;

	(void)state;
	if (page_traps_probe())
		SKIP("userfaultfd: %s", strerror(-page_traps_probe()));
	if (sched_getaffinity(0, sizeof(all), &all) || !CPU_ISSET(0, &all) ||
	    CPU_COUNT(&all) < 2)
		SKIP("CPU 0 and another one are not for this process");
	spec = (struct worker_spec){ .sampled = 1 };
	make_vm();
	next = 0;
	assert_int_equal(sampling_create(sampling, vm), 0);
	if (!sampling->first_pids)
		SKIP("not in the first PID namespace");
	assert_int_equal(sampling_start(sampling), 0);
	set(10000, SAMPLER_MAX_SHARE);
	pid = fetch_pages(true);
	while (seen < 20) {
		turn();
		while (fault_log_take(&vm->figures->fault_log, &next, &lost,
				      &r)) {
			assert_int_equal(r.vcpu, FAULT_LOG_NO_VCPU);
			assert_int_equal(r.kind, FAULT_LOG_UNKNOWN);
			assert_int_equal(r.cpu_first, 0);
			assert_int_equal(r.cpu_last, 0);
			seen++;
		}
		assert_true(clock_now_ns() < end);
	}
	assert_int_equal(figure(FIGURES_SAMPLES_NOBODYS), 0);
	stop_fetching(pid);
	/*
	 * Of one that may be anywhere, nobody knows where it was. The last fault of
	 * the one before it may be logged only now.
	 */
	before = atomic_load(&vm->figures->fault_log.written);
	pid = fetch_pages(false);
	while (figure(FIGURES_SAMPLES_NOBODYS) < 20) {
		turn();
		assert_true(clock_now_ns() < end);
	}
	stop_fetching(pid);
	assert_true(atomic_load(&vm->figures->fault_log.written) <= before + 1);
	set(0, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(not_every_vm_is_sampled),
		cmocka_unit_test(what_is_missing_is_named),
		cmocka_unit_test(a_vcpus_accesses_are_logged),
		cmocka_unit_test(kvms_threads_are_known_by_their_cpu),
	};

	return cmocka_run_group_tests_name("sampling", tests, NULL, NULL);
}
