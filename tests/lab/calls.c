/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * calls WHAT ROUNDS SECONDS - interrupts between the CPUs of a guest, none of
 * which may be lost. Run in the guest by tests/lab/views_eight.sh; linked
 * statically, as the guest's libraries are its own.
 *
 *	calls all ROUNDS SECONDS	Each CPU in turn asks ROUNDS times for a
 *		memory barrier on all others, which run threads of this process
 *		(membarrier(2), PRIVATE_EXPEDITED). Linux sends an interrupt to
 *		each of them, and the call returns when all have answered: if one
 *		is lost, it never does.
 *	calls ring ROUNDS SECONDS	A token goes round ROUNDS times, from CPU
 *		to CPU, by way of pipes. Who has not got it sleeps, so that its CPU
 *		is idle: an interrupt wakes it. If one is lost, it sleeps until
 *		another reason to wake comes along.
 *
 * SECONDS: a call, or a step of the ring, that takes longer is lost. Prints a
 * line that begins with CALLS or RING.
 *
 * Exit status: 0; 1 one was lost, or this cannot be tried here; 2 bad usage.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_CPUS	   64u
#define REGISTER_EXPEDITED 16 /* of linux/membarrier.h */
#define PRIVATE_EXPEDITED  8
#define NS_PER_SECOND	   1000000000ull

static unsigned nr_cpus;
static int cpus[MAX_CPUS]; /* those that this process may use */
static unsigned rounds, seconds;
/* Read by the handler of SIGALRM, whichever thread it interrupts. */
static _Atomic unsigned who, which;
/* Of "all": spinning threads that have begun; whether they are to end. */
static _Atomic unsigned ready;
static atomic_bool stop;
/*
 * Of "ring": the way from a CPU to the next, which is one of another node; and the
 * time that a step has taken at most, by the CPU that was woken.
 */
static unsigned step;
static int pipes[MAX_CPUS][2];
static uint64_t longest[MAX_CPUS];

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_SECOND + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void lost(int sig)
{
	char text[128];
	int len = snprintf(text, sizeof(text),
			   "LOST: CPU %u of %u, round %u: nothing for %u s\n",
			   who, nr_cpus, which, seconds);

	(void)sig;
	(void)!write(STDOUT_FILENO, text, (size_t)len);
	_exit(1);
}

static void find_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		die("sched_getaffinity");
	for (int i = 0; i < CPU_SETSIZE && nr_cpus < MAX_CPUS; i++)
		if (CPU_ISSET((size_t)i, &set))
			cpus[nr_cpus++] = i;
}

static void go_to(unsigned i)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpus[i], &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
}

static void start(pthread_t *t, void *(*run)(void *arg), unsigned i)
{
	int err = pthread_create(t, NULL, run, (void *)(uintptr_t)i);

	if (err) {
		errno = err;
		die("pthread_create");
	}
}

/* --- all ------------------------------------------------------------------ */

/* Function calls that each CPU has taken, by /proc/interrupts; absent: 0. */
static void read_calls(unsigned long count[MAX_CPUS])
{
	char line[4096], *at;
	FILE *f = fopen("/proc/interrupts", "r");

	if (!f)
		die("/proc/interrupts");
	memset(count, 0, MAX_CPUS * sizeof(*count));
	while (fgets(line, sizeof(line), f)) {
		at = strstr(line, "CAL:");
		if (!at)
			continue;
		at += 4;
		for (unsigned i = 0; i < nr_cpus; i++)
			count[i] = strtoul(at, &at, 10);
	}
	(void)fclose(f);
}

static void *spin(void *arg)
{
	go_to((unsigned)(uintptr_t)arg);
	ready++;
	while (!stop)
		;
	return NULL;
}

/* Return: what one call has taken at most. */
static uint64_t call_from(unsigned caller)
{
	pthread_t thread[MAX_CPUS];
	uint64_t most = 0;

	go_to(caller);
	who = caller;
	which = 0;
	alarm(seconds);
	stop = false;
	ready = 1;
	for (unsigned i = 0; i < nr_cpus; i++)
		if (i != caller)
			start(&thread[i], spin, i);
	while (ready < nr_cpus)
		sched_yield();
	for (unsigned r = 0; r < rounds; r++) {
		uint64_t begun = now_ns(), took;

		which = r;
		alarm(seconds);
		if (syscall(SYS_membarrier, PRIVATE_EXPEDITED, 0, 0))
			die("membarrier");
		took = now_ns() - begun;
		most = took > most ? took : most;
	}
	stop = true;
	for (unsigned i = 0; i < nr_cpus; i++)
		if (i != caller)
			pthread_join(thread[i], NULL);
	return most;
}

static int run_all(void)
{
	unsigned long before[MAX_CPUS], after[MAX_CPUS], least = ~0ul;
	uint64_t most = 0;

	if (syscall(SYS_membarrier, REGISTER_EXPEDITED, 0, 0))
		die("membarrier");
	read_calls(before);
	for (unsigned i = 0; i < nr_cpus; i++) {
		uint64_t took = call_from(i);

		most = took > most ? took : most;
	}
	alarm(0);
	read_calls(after);
	for (unsigned i = 0; i < nr_cpus; i++)
		if (after[i] - before[i] < least)
			least = after[i] - before[i];
	printf("CALLS %u of %u answered by %u CPUs, longest %llu us; each CPU "
	       "has "
	       "taken %lu interrupts or more\n",
	       nr_cpus * rounds, nr_cpus * rounds, nr_cpus,
	       (unsigned long long)most / 1000, least);
	return 0;
}

/* --- ring ----------------------------------------------------------------- */

struct token {
	uint64_t sent_ns;
	unsigned left; /* steps */
};

/* Of a token that makes no more steps all others learn, and end. */
static void *pass_on(void *arg)
{
	unsigned i = (unsigned)(uintptr_t)arg;
	unsigned next = (i + step) % nr_cpus;
	struct token t;

	go_to(i);
	do {
		uint64_t took;

		if (read(pipes[i][0], &t, sizeof(t)) != (ssize_t)sizeof(t))
			die("read");
		took = now_ns() - t.sent_ns;
		longest[i] = took > longest[i] ? took : longest[i];
		who = i;
		which = t.left / nr_cpus;
		alarm(seconds);
		if (t.left)
			t.left--;
		t.sent_ns = now_ns();
		if (write(pipes[next][1], &t, sizeof(t)) != (ssize_t)sizeof(t))
			die("write");
	} while (t.left > nr_cpus);
	return NULL;
}

/* The least that leads half way round or further, and comes to each CPU. */
static unsigned step_of_ring(void)
{
	for (unsigned i = nr_cpus / 2; i < nr_cpus; i++) {
		unsigned a = i, b = nr_cpus;

		while (b) {
			unsigned rest = a % b;

			a = b;
			b = rest;
		}
		if (a == 1)
			return i;
	}
	return 0;
}

static int run_ring(void)
{
	struct token t = { .left = (rounds + 1) * nr_cpus };
	pthread_t thread[MAX_CPUS];
	uint64_t most = 0;

	step = step_of_ring();
	if (!step) {
		printf("calls: no ring of one CPU\n");
		return 1;
	}
	for (unsigned i = 0; i < nr_cpus; i++)
		if (pipe(pipes[i]))
			die("pipe");
	for (unsigned i = 0; i < nr_cpus; i++)
		start(&thread[i], pass_on, i);
	t.sent_ns = now_ns();
	if (write(pipes[0][1], &t, sizeof(t)) != (ssize_t)sizeof(t))
		die("write");
	for (unsigned i = 0; i < nr_cpus; i++)
		pthread_join(thread[i], NULL);
	alarm(0);
	for (unsigned i = 0; i < nr_cpus; i++)
		most = longest[i] > most ? longest[i] : most;
	printf("RING %u rounds over %u CPUs, longest step %llu us\n", rounds,
	       nr_cpus, (unsigned long long)most / 1000);
	return most > seconds * NS_PER_SECOND;
}

int main(int argc, char *argv[])
{
	bool ring = argc == 4 && strcmp(argv[1], "ring") == 0;

	if (argc != 4 || (!ring && strcmp(argv[1], "all") != 0)) {
		(void)fprintf(stderr, "usage: calls all|ring ROUNDS SECONDS\n");
		return 2;
	}
	rounds = (unsigned)strtoul(argv[2], NULL, 10);
	seconds = (unsigned)strtoul(argv[3], NULL, 10);
	(void)signal(SIGALRM, lost);
	find_cpus();
	return ring ? run_ring() : run_all();
}
