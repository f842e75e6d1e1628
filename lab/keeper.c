/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keeper [MS] - runs in the lab as long as it is up, so that two faults of QEMU
 * 7.2 (TCG with several threads) do not stop it, and a third ends it at once.
 * What is done about two more is in machine_args() of lab/run. QEMU 10, which
 * Debian 13 has and lab/qemu fetches for Debian 12, has neither of the first
 * two.
 *
 * 1. A lost interrupt. do_vmexit() of svm_helper.c clears a bit of the CPU's
 *    interrupt_request by a plain read-modify-write while another thread may
 *    be setting CPU_INTERRUPT_HARD in it: that interrupt is forgotten until
 *    the next one for this CPU. Seen as "soft lockup - CPU#4 stuck for 106s"
 *    in an idle CPU. Mended in QEMU 10.
 *
 *    Any next interrupt delivers what was forgotten, as the APIC still has
 *    it. So every CPU gets some, each MS milliseconds, of three kinds, since
 *    Linux does not send an IPI again for a flag that is set already: its own
 *    timer (the sleep of its thread), a reschedule IPI (a wake-up of its
 *    second thread), a function-call IPI (its event counter is read), the
 *    latter two by the two CPUs before it in a ring. They want NO_TTWU_QUEUE,
 *    see lab/session. Each of them takes a guest out of its CPU, which costs
 *    a flush of QEMU's TLB: 250 ms where this fault is, 1000 ms where it is
 *    mended and the interrupts only show that a CPU is not deaf (3).
 *
 * 2. Old code. A CPU that translates a block of code while another writes to
 *    the same page keeps what it read. When Linux patches a static key, that
 *    is an int3: the CPU traps for ever. Seen as two vCPU threads that never
 *    leave exc_int3() in kvm.ko. Mended in QEMU 8.1 ("Always lock pages
 *    before translation").
 *
 *    The keys that change in a lab are KVM's: with the first and last VM
 *    (preempt_notifier_key), and as APICs are enabled (apic_sw_disabled). A
 *    VM that never runs, with an APIC that is never enabled, keeps them on.
 *
 * 3. A deaf CPU. A guest is entered, and runs, with the CPU's global interrupt
 *    flag clear (hflags2 0x4a instead of 0x14b, as seen by a debugger on QEMU).
 *    No interrupt leaves the guest any more, nor does it get its own, so it
 *    waits for time to pass, for ever. Then CPUs wait for that one
 *    (smp_call_function_single(), SRCU), and then everybody. Nothing in the lab
 *    can reach that CPU. The cause, by QEMU's source, can hit CPU 0 only, which
 *    runs no guests therefore: see lab/machine.sh.
 *
 *    Should a CPU not have run its second thread for DEAF_S seconds all the
 *    same, the lab ends, and says so: lab/run exits with 125, whoever wants to
 *    goes on in a new one.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_CPUS  256
#define PERIOD_MS 250
#define DEAF_S	  25

struct target {
	int wake;    /* eventfd */
	int counter; /* -1: no perf events here */
	/* Written by its listens(), read by all watches(); no order needed. */
	_Atomic(unsigned) heard;
	pthread_t beats, listens, watches;
};

static struct target targets[MAX_CPUS];
static unsigned nr_cpus;
static long period_ms = PERIOD_MS;
static atomic_flag ending = ATOMIC_FLAG_INIT;

static void go_to(unsigned cpu, int priority)
{
	struct sched_param p = { .sched_priority = priority };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0 ||
	    sched_setscheduler(0, SCHED_FIFO, &p) < 0)
		perror("keeper: scheduling");
}

static void beat(struct target *t)
{
	uint64_t one = 1, count;

	if (write(t->wake, &one, sizeof(one)) < 0)
		perror("keeper: eventfd");
	if (t->counter >= 0 && read(t->counter, &count, sizeof(count)) < 0)
		perror("keeper: perf event");
}

static void *beats(void *arg)
{
	unsigned cpu = (unsigned)(uintptr_t)arg;
	struct timespec pause = { .tv_sec = period_ms / 1000,
				  .tv_nsec = period_ms % 1000 * 1000000 };

	go_to(cpu, 1);
	for (;;) {
		(void)nanosleep(&pause, NULL);
		for (unsigned i = 1; i <= 2 && i < nr_cpus; i++)
			beat(&targets[(cpu + i) % nr_cpus]);
	}
	return NULL;
}

static void *listens(void *arg)
{
	unsigned cpu = (unsigned)(uintptr_t)arg;
	uint64_t count;

	go_to(cpu, 1);
	while (read(targets[cpu].wake, &count, sizeof(count)) > 0 ||
	       errno == EINTR)
		atomic_fetch_add_explicit(&targets[cpu].heard, 1,
					  memory_order_relaxed);
	return NULL;
}

/*
 * At once, and without other CPUs: they may wait for that one. Those that do,
 * or that it wakes, are quiet as well. By the kernel's log, which is on the
 * console when the write returns: what a terminal has not sent yet is lost.
 */
static void end_lab(const unsigned *quiet)
{
	int sysrq = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);
	int kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	char text[4 * MAX_CPUS + 100];
	int n = snprintf(text, sizeof(text), "<0>LAB-FAIL CPUs");

	for (unsigned i = 0; i < nr_cpus; i++)
		if (quiet[i] >= DEAF_S / 2)
			n += snprintf(text + n, sizeof(text) - (size_t)n, " %u",
				      i);
	n += snprintf(text + n, sizeof(text) - (size_t)n,
		      " have run nothing for %d s, a fault of QEMU "
		      "(lab/keeper.c)\n",
		      DEAF_S);
	if (kmsg < 0 || write(kmsg, text, (size_t)n) < 0)
		perror("keeper: kmsg");
	if (sysrq < 0 || write(sysrq, "b", 1) < 0)
		perror("keeper: sysrq");
}

/* Seconds are counted, as a clock would count those that QEMU slept, too. */
static void *watches(void *arg)
{
	unsigned last[MAX_CPUS] = { 0 }, quiet[MAX_CPUS] = { 0 };
	struct timespec pause = { .tv_sec = 1 };

	go_to((unsigned)(uintptr_t)arg, 2);
	for (;;) {
		(void)nanosleep(&pause, NULL);
		for (unsigned i = 0; i < nr_cpus; i++) {
			unsigned now = atomic_load_explicit(
				&targets[i].heard, memory_order_relaxed);

			quiet[i] = now == last[i] ? quiet[i] + 1 : 0;
			last[i] = now;
			if (quiet[i] == DEAF_S &&
			    !atomic_flag_test_and_set(&ending))
				end_lab(quiet);
		}
	}
	return NULL;
}

static int open_counter(unsigned cpu)
{
	struct perf_event_attr a = { .type = PERF_TYPE_SOFTWARE,
				     .size = sizeof(a),
				     .config = PERF_COUNT_SW_DUMMY };

	return (int)syscall(SYS_perf_event_open, &a, -1, (int)cpu, -1,
			    PERF_FLAG_FD_CLOEXEC);
}

/* Its descriptors stay open. */
static void hold_kvm(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);

	if (vm < 0 || ioctl(vm, KVM_CREATE_IRQCHIP, 0) < 0 ||
	    ioctl(vm, KVM_CREATE_VCPU, 0) < 0)
		perror("keeper: KVM");
}

int main(int argc, char **argv)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	if (argc > 1)
		period_ms = atol(argv[1]);
	if (period_ms < 1 || period_ms > 1000) {
		(void)fprintf(stderr, "keeper: %ld ms\n", period_ms);
		return EXIT_FAILURE;
	}
	if (n < 1 || n > MAX_CPUS) {
		(void)fprintf(stderr, "keeper: %ld CPUs\n", n);
		return EXIT_FAILURE;
	}
	nr_cpus = (unsigned)n;
	for (unsigned i = 0; i < nr_cpus; i++) {
		targets[i].wake = eventfd(0, EFD_CLOEXEC);
		targets[i].counter = open_counter(i);
		if (targets[i].wake < 0)
			return EXIT_FAILURE;
	}
	hold_kvm();
	for (unsigned i = 0; i < nr_cpus; i++) {
		void *arg = (void *)(uintptr_t)i;

		if (pthread_create(&targets[i].listens, NULL, listens, arg) ||
		    pthread_create(&targets[i].beats, NULL, beats, arg) ||
		    pthread_create(&targets[i].watches, NULL, watches, arg))
			return EXIT_FAILURE;
	}
	(void)pthread_join(targets[0].beats, NULL);
	return EXIT_FAILURE;
}
