/* SPDX-License-Identifier: BSD-2-Clause */
/* vCPUs are kept out of the guest: those that come, and one that cannot. */
#include <pthread.h>
#include <stdatomic.h>

#include "monitor/worker/vm/pause.h"
#include "tests/unit/support.h"

#define VCPUS 3u

static struct park park;
static _Atomic(unsigned) kicks, stuck_calls, inside;
static _Atomic(bool) end, cut;
static uint8_t immediate_exit[VCPUS];

static void kick(void *arg)
{
	assert_ptr_equal(arg, &park);
	kicks++;
}

static void stuck(void *arg)
{
	assert_ptr_equal(arg, &park);
	/* Without the lock: others may come out meanwhile. */
	(void)park_reasons(&park);
	stuck_calls++;
	cut = true;
}

/* A guest that exits all the time. */
static void *vcpu_main(void *arg)
{
	while (!end) {
		inside++;
		(void)usleep(10);
		inside--;
		(void)park_wait(&park, arg);
	}
	park_leave(&park);
	return NULL;
}

/* It waits for a page in the kernel, and nothing but a cut ends that. */
static void *waiting_main(void *arg)
{
	while (!cut)
		(void)usleep(100);
	return vcpu_main(arg);
}

static void run(void *(*last)(void *arg))
{
	pthread_t threads[VCPUS];

	kicks = stuck_calls = 0;
	end = cut = false;
	park_init(&park);
	for (unsigned i = 0; i < VCPUS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL,
						i ? vcpu_main : last,
						&immediate_exit[i]),
				 0);
	park_begin(&park, PARK_PAUSE, VCPUS, kick, stuck, &park);
	assert_int_equal(inside, 0);
	park_begin(&park, PARK_MOVE, VCPUS, kick, stuck, &park);
	assert_int_equal(kicks, 2);
	park_end(&park, PARK_PAUSE);
	assert_int_equal(park_reasons(&park), PARK_MOVE);
	assert_int_equal(inside, 0);
	end = true;
	park_end(&park, PARK_MOVE);
	for (unsigned i = 0; i < VCPUS; i++)
		(void)pthread_join(threads[i], NULL);
	/* All have left: nobody is waited for. */
	park_begin(&park, PARK_MOVE, VCPUS, kick, stuck, &park);
	park_destroy(&park);
}

static void all_are_out(void **state)
{
	(void)state;
	run(vcpu_main);
}

static void one_that_cannot_come_is_freed(void **state)
{
	(void)state;
	run(waiting_main);
	assert_true(stuck_calls > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_are_out),
		cmocka_unit_test(one_that_cannot_come_is_freed),
	};

	return cmocka_run_group_tests_name("pause", tests, NULL, NULL);
}
