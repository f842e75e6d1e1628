/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The collapser of a worker without a guest: its thread in its sandbox, this
 * thread as the I/O thread, and a clock that the test sets ahead.
 */
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "monitor/worker/huge/collapser.h"
#include "tests/unit/memory/huge_world.h"

#define REST_S (RAM_HUGE_REST_S + 1)
#define RUN    2u

static struct huge_world w;
static struct vm *vm;
static struct collapser *c;
static _Atomic(time_t) ahead_s;

/* In place of the C library's. */
int clock_gettime(clockid_t id, struct timespec *t)
{
	int ret = (int)syscall(SYS_clock_gettime, id, t);

	t->tv_sec += atomic_load(&ahead_s);
	return ret;
}

void vm_stop(struct vm *v, enum worker_stop why, const char *fmt, ...)
{
	(void)v;
	(void)why;
	fail_msg("%s", fmt);
}

static void make(void)
{
	huge_world_make(&w, UINT64_MAX);
	/* For good: the thread keeps them. */
	vm = calloc(1, sizeof(*vm));
	c = calloc(1, sizeof(*c));
	assert_true(vm && c);
	vm->ram = w.view;
	vm->pmap = w.pm;
	vm->huge = w.huge;
	assert_int_equal(io_loop_init(&vm->loop), 0);
	assert_int_equal(collapser_create(c, vm), 0);
	assert_int_equal(collapser_start(c), 0);
}

/* The thread stays: it waits for a job that never comes. */
static void end(void)
{
	io_loop_destroy(&vm->loop);
	huge_world_end(&w);
}

static struct ram_huge_stats stats_now(void)
{
	struct ram_huge_stats s;

	ram_huge_get_stats(w.huge, &s);
	return s;
}

/* Its time is up. Return: whether it has chosen a run. */
static bool timer_fires(void)
{
	const struct itimerspec now = { .it_value = { .tv_nsec = 1 } };

	assert_int_equal(timerfd_settime(c->timer.fd, 0, &now, NULL), 0);
	assert_true(wait_readable(c->timer.fd));
	c->timer.ready(&c->timer, 0);
	return c->busy;
}

static void job_ends(void)
{
	assert_true(wait_readable(c->done.fd));
	c->done.ready(&c->done, 0);
	assert_false(c->busy);
}

/* A run that was huge, was taken apart, and is in use. */
static void make_candidate(void)
{
	huge_world_write(&w, RUN * RAM_HUGE_PAGES, RAM_HUGE_PAGES, 1);
	pmap_split(w.pm, RUN * RAM_HUGE_PAGES);
	huge_world_write(&w, RUN * RAM_HUGE_PAGES, RAM_HUGE_PAGES, 2);
}

static void what_was_taken_apart_is_made_again(void **state)
{
	(void)state;
	make();
	make_candidate();
	assert_int_equal(huge_world_mapped(&w), 0);
	assert_false(timer_fires());
	atomic_fetch_add(&ahead_s, REST_S);
	assert_true(timer_fires());
	/* Once more: one run at a time. */
	assert_true(timer_fires());
	job_ends();
	if (w.real) {
		assert_int_equal(stats_now().collapses, 1);
		assert_int_equal(huge_world_mapped(&w), RAM_HUGE_BYTES);
	}
	assert_false(timer_fires());
	huge_world_check(&w);
	end();
}

/* What is overlaid while the thread is at it has no memory in the end. */
static void an_overlay_comes_in_between(void **state)
{
	(void)state;
	make();
	for (unsigned i = 0; i < 20; i++) {
		uint64_t page = RUN * RAM_HUGE_PAGES + i * 8;

		make_candidate();
		atomic_fetch_add(&ahead_s, REST_S << RAM_HUGE_DOUBLINGS);
		assert_true(timer_fires());
		assert_int_equal(huge_world_show(&w, page, 4), 0);
		job_ends();
		huge_world_check(&w);
		pmap_overwrite(w.pm, huge_world_page(&w, page), 4 * PAGE_BYTES);
		memset(huge_world_page(&w, page), 3, 4 * PAGE_BYTES);
		memset(huge_world_shadow(&w, page), 3, 4 * PAGE_BYTES);
	}
	assert_int_equal(stats_now().collapses, 0);
	end();
}

/* On the way to another node, and while accesses are sampled. */
static void it_can_be_held(void **state)
{
	(void)state;
	make();
	make_candidate();
	atomic_fetch_add(&ahead_s, REST_S);
	collapser_hold(c, COLLAPSER_SAMPLED, true);
	collapser_hold(c, COLLAPSER_MOVES, true);
	assert_false(timer_fires());
	collapser_hold(c, COLLAPSER_SAMPLED, false);
	assert_false(timer_fires());
	collapser_hold(c, COLLAPSER_MOVES, false);
	assert_true(timer_fires());
	/* Who holds it is sure that it is at none any more. */
	collapser_hold(c, COLLAPSER_MOVES, true);
	assert_true(c->busy);
	if (w.real)
		assert_int_equal(huge_world_mapped(&w), RAM_HUGE_BYTES);
	job_ends();
	huge_world_check(&w);
	end();
}

static void a_vm_of_small_pages_has_none(void **state)
{
	(void)state;
	vm = calloc(1, sizeof(*vm));
	c = calloc(1, sizeof(*c));
	assert_true(vm && c);
	assert_int_equal(collapser_create(c, vm), 0);
	assert_int_equal(collapser_start(c), 0);
	collapser_hold(c, COLLAPSER_MOVES, true);
	free(vm);
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_taken_apart_is_made_again),
		cmocka_unit_test(an_overlay_comes_in_between),
		cmocka_unit_test(it_can_be_held),
		cmocka_unit_test(a_vm_of_small_pages_has_none),
	};

	/* Its filter needs it. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return EXIT_FAILURE;
	return cmocka_run_group_tests_name("collapser", tests, NULL, NULL);
}
