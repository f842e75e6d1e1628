/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the C library does by itself for a thread of each class, tried for real
 * under its filter. The thread's function returns; abort() is called because an
 * assertion fails, a stack is smashed or the heap is damaged; malloc() makes a
 * new arena. Where a filter lacks one of those calls, the process ends by SIGSYS,
 * and the C library's message is lost.
 */
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/sandbox/sandbox.h"
#include "tests/unit/support.h"

/* The C library's own. */
__attribute__((noreturn)) void __assert_fail(const char *assertion,
					     const char *file,
					     unsigned int line,
					     const char *function);
__attribute__((noreturn)) void __stack_chk_fail(void);

static const struct {
	enum sandbox_class class;
	const char *name;
	bool is_main; /* the first thread of its process */
} classes[] = {
	{ SANDBOX_IO, "io", true },
	{ SANDBOX_VCPU, "vcpu", false },
	{ SANDBOX_GHOST, "ghost", false },
	{ SANDBOX_PAGER, "pager", false },
	{ SANDBOX_SURVEY, "survey", false },
	{ SANDBOX_AGENT, "agent", true },
	{ SANDBOX_SEGMENT, "segment", false },
	{ SANDBOX_COPIES, "copies", false },
	{ SANDBOX_UPLINK, "uplink", true },
	{ SANDBOX_TRUNK, "trunk", true },
	{ SANDBOX_FAULTS, "faults", false },
	{ SANDBOX_READER, "reader", true },
};

/* --- ends --- */

static void returns(void)
{
}

static void assertion(void)
{
	__assert_fail("an assertion", __FILE__, __LINE__, __func__);
}

static void smashed_stack(void)
{
	__stack_chk_fail();
}

static void damaged_heap(void)
{
	void *volatile p = malloc(64);
	void *volatile again = p;

	free(p);
	free(again);
}

/*
 * malloc() makes an arena for each thread that calls it. For the ninth one, glibc
 * (before 2.44) counts the CPUs, in a file of /sys, unless sandbox_drop() has set
 * a limit. So many threads call malloc() before the thread of the class does.
 */
#define MAX_ARENAS 12u

static unsigned nr_arenas;
static sem_t have_arena;

static void takes_memory(void)
{
	/* Volatile: else the compiler leaves both out. */
	void *volatile p = malloc(64);

	free(p);
}

static void *arena_main(void *arg)
{
	takes_memory();
	(void)sem_post(&have_arena);
	for (;;)
		(void)pause();
	return arg;
}

static void make_arenas(void)
{
	pthread_t t;

	(void)sem_init(&have_arena, 0, 0);
	for (unsigned i = 0; i < nr_arenas; i++)
		if (pthread_create(&t, NULL, arena_main, NULL))
			_exit(96);
	for (unsigned i = 0; i < nr_arenas; i++)
		(void)sem_wait(&have_arena);
}

static const struct {
	const char *name;
	void (*end)(void);
	int signal;	  /* 0: it goes on */
	const char *text; /* on standard error */
} ends[] = {
	{ "return", returns, 0, "" },
	{ "abort()", abort, SIGABRT, "" },
	{ "an assertion", assertion, SIGABRT, "an assertion" },
	{ "a smashed stack", smashed_stack, SIGABRT, "smashing" },
	{ "a damaged heap", damaged_heap, SIGABRT, "double free" },
};

/* --- the child --- */

static enum sandbox_class class;
static void (*end)(void);

static void *thread_main(void *arg)
{
	(void)arg;
	if (sandbox_enter(class) < 0)
		_exit(99);
	end();
	return NULL;
}

static void child(bool is_main, int errors)
{
	pthread_t t;

	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)dup2(errors, STDERR_FILENO);
	if (sandbox_drop() < 0)
		_exit(98);
	make_arenas();
	if (is_main)
		(void)thread_main(NULL);
	else if (pthread_create(&t, NULL, thread_main, NULL) ||
		 pthread_join(t, NULL))
		_exit(97);
	_exit(0);
}

/* Return: wait status. @text: what it has printed. */
static int run_child(bool is_main, char *text, size_t size)
{
	int status = 0, p[2];
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (pid == 0)
		child(is_main, p[1]);
	assert_true(pid > 0);
	(void)close(p[1]);
	n = read(p[0], text, size - 1);
	text[n > 0 ? n : 0] = '\0';
	(void)close(p[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* Return: whether it ended with @signal, and printed @want. */
static bool ends_with(size_t c, const char *how, int signal, const char *want)
{
	char text[512];
	int status = run_child(classes[c].is_main, text, sizeof(text));

	if (status == signal && strstr(text, want))
		return true;
	print_message("# %s, %s: wait status %#x, not %#x; '%s'\n",
		      classes[c].name, how, status, signal, text);
	return false;
}

static void need_filters(void)
{
#ifdef DISCO_SANITIZED
	SKIP("no filters in a build with sanitizers");
#endif
}

static void every_class_ends_as_it_should(void **state)
{
	bool ok = true;

	(void)state;
	need_filters();
	nr_arenas = 0;
	for (size_t c = 0; c < ARRAY_SIZE(classes); c++) {
		class = classes[c].class;
		for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
			end = ends[i].end;
			ok &= ends_with(c, ends[i].name, ends[i].signal,
					ends[i].text);
		}
	}
	assert_true(ok);
}

static void every_class_can_take_memory(void **state)
{
	bool ok = true;

	(void)state;
	need_filters();
	end = takes_memory;
	for (size_t c = 0; c < ARRAY_SIZE(classes); c++) {
		class = classes[c].class;
		for (nr_arenas = 0; nr_arenas <= MAX_ARENAS; nr_arenas++)
			ok &= ends_with(c, "malloc()", 0, "");
	}
	assert_true(ok);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_class_ends_as_it_should),
		cmocka_unit_test(every_class_can_take_memory),
	};

	return cmocka_run_group_tests_name("thread_ends", tests, NULL, NULL);
}
