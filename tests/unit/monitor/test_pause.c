/* SPDX-License-Identifier: BSD-2-Clause */
// LINK: monitor/worker/pause.c
/*
 * Parking vCPUs, with threads in place of vCPUs: "KVM_RUN" is a loop that
 * ends when immediate_exit is set.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/worker/vcpu.h"
#include "monitor/worker/vm.h"
#include "tests/unit/support.h"

#define VCPUS  4
#define ROUNDS 2000

static struct vm vm;
static struct vcpu vcpus[VCPUS];
static struct kvm_run *runs[VCPUS];
static struct {
	_Atomic bool inside; /* in the guest */
	_Atomic uint64_t entered;
} fakes[VCPUS];
static _Atomic bool stop;

void vcpu_kick(struct vcpu *c)
{
	__atomic_store_n(&c->run->immediate_exit, 1, __ATOMIC_RELAXED);
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *c = arg;
	unsigned i = c->index;

	while (!atomic_load(&stop)) {
		atomic_store(&fakes[i].inside, true);
		atomic_fetch_add(&fakes[i].entered, 1);
		while (!__atomic_load_n(&c->run->immediate_exit,
					__ATOMIC_RELAXED))
			(void)usleep(1);
		atomic_store(&fakes[i].inside, false);
		vcpu_wait_parked(c);
	}
	vcpu_leave_parked(c);
	return NULL;
}

static int start(void **state)
{
	(void)state;
	memset(&vm, 0, sizeof(vm));
	atomic_store(&stop, false);
	park_init(&vm.park);
	vm.vcpus = vcpus;
	vm.nr_vcpus = VCPUS;
	for (unsigned i = 0; i < VCPUS; i++) {
		runs[i] = calloc(1, sizeof(*runs[i]));
		assert_non_null(runs[i]);
		vcpus[i] = (struct vcpu){
			.vm = &vm, .index = i, .fd = -1, .run = runs[i]
		};
		assert_int_equal(pthread_create(&vcpus[i].thread, NULL,
						vcpu_thread, &vcpus[i]),
				 0);
	}
	return 0;
}

static void join(void)
{
	atomic_store(&stop, true);
	vm_unpark(&vm, UINT32_MAX);
	for (unsigned i = 0; i < VCPUS; i++)
		vcpu_kick(&vcpus[i]);
	for (unsigned i = 0; i < VCPUS; i++)
		assert_int_equal(pthread_join(vcpus[i].thread, NULL), 0);
}

static int end(void **state)
{
	(void)state;
	for (unsigned i = 0; i < VCPUS; i++)
		free(runs[i]);
	park_destroy(&vm.park);
	return 0;
}

static void expect_out(void)
{
	for (unsigned i = 0; i < VCPUS; i++)
		assert_false(atomic_load(&fakes[i].inside));
}

static void nobody_is_in_the_guest_while_parked(void **state)
{
	(void)state;
	for (unsigned n = 0; n < ROUNDS; n++) {
		vm_park(&vm, PARK_PAUSE);
		expect_out();
		assert_int_equal(vm_parked(&vm), PARK_PAUSE);
		vm_unpark(&vm, PARK_PAUSE);
	}
	join();
}

static void it_goes_on_when_no_reason_is_left(void **state)
{
	uint64_t before, limit;

	(void)state;
	vm_park(&vm, PARK_PAUSE);
	vm_park(&vm, PARK_PAUSE); /* again: no error */
	vm_park(&vm, PARK_MOVE);
	vm_unpark(&vm, PARK_PAUSE);
	assert_int_equal(vm_parked(&vm), PARK_MOVE);
	before = atomic_load(&fakes[0].entered);
	(void)usleep(5000);
	expect_out();
	assert_int_equal(atomic_load(&fakes[0].entered), before);
	vm_unpark(&vm, PARK_MOVE);
	for (limit = clock_now_ns() + 5000000000ull;
	     atomic_load(&fakes[0].entered) == before;)
		assert_true(clock_now_ns() < limit);
	vm_unpark(&vm, PARK_MOVE); /* again: no error */
	join();
}

static void a_parked_guest_can_be_ended(void **state)
{
	(void)state;
	vm_park(&vm, PARK_PAUSE | PARK_MOVE);
	join();
	expect_out();
	/* vCPUs that are gone for good are out. */
	vm_park(&vm, PARK_PAUSE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			nobody_is_in_the_guest_while_parked, start, end),
		cmocka_unit_test_setup_teardown(
			it_goes_on_when_no_reason_is_left, start, end),
		cmocka_unit_test_setup_teardown(a_parked_guest_can_be_ended,
						start, end),
	};

	return cmocka_run_group_tests_name("pause", tests, NULL, NULL);
}
