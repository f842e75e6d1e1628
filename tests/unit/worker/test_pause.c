/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parking vCPUs, with threads in place of vCPUs: "KVM_RUN" is a loop that
 * ends when immediate_exit is set.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cowdisk/dax/pager.h"
#include "memory/uffd.h"
#include "monitor/worker/vm/vcpu.h"
#include "monitor/worker/vm/vm.h"
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
static uint8_t *_Atomic touch; /* vCPU 0 does in the guest; NULL: nothing */

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
		if (i == 0 && atomic_load(&touch))
			(void)*(volatile uint8_t *)atomic_load(&touch);
		while (!__atomic_load_n(&c->run->immediate_exit,
					__ATOMIC_RELAXED))
			(void)usleep(1);
		atomic_store(&fakes[i].inside, false);
		vcpu_wait_parked(c);
	}
	park_leave(&c->vm->park);
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
	uint64_t before;

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
	WAIT_UNTIL(atomic_load(&fakes[0].entered) != before);
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

static void *pager_thread(void *p)
{
	pager_run(p);
	return NULL;
}

static void never_served(struct pager_region *r, struct pager_fault *f)
{
	(void)r;
	(void)f;
	fail_msg("the I/O thread was parking");
}

#define PAGES 8u

/* Of a disk that is memory: what is touched faults. */
static void make_region(struct pager_region *r, struct pager *p)
{
	int memory = memfd_create("memory", MFD_CLOEXEC);

	*r = (struct pager_region){ .nr_pages = PAGES, .serve = never_served };
	r->base = memfd_create("base", MFD_CLOEXEC);
	assert_int_equal(ftruncate(r->base, PAGES * PAGE_BYTES), 0);
	assert_int_equal(ftruncate(memory, PAGES * PAGE_BYTES), 0);
	r->hva = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE, memory, 0);
	assert_ptr_not_equal(r->hva, MAP_FAILED);
	(void)close(memory);
	assert_int_equal(
		uffd_register(pager_uffd(p), r->hva, PAGES * PAGE_BYTES), 0);
	assert_int_equal(pager_add(p, r), 0);
}

static uint64_t faults_of(const struct pager *p)
{
	struct pager_stats s;

	pager_get_stats(p, &s);
	return s.faults;
}

static void wait_fault(const struct pager *p, uint64_t faults)
{
	WAIT_UNTIL(faults_of(p) >= faults);
}

/* A kick does not end a fault; the I/O thread waits, and cannot serve it. */
static void a_vcpu_in_a_fault_can_be_parked(void **state)
{
	struct pager_region r;
	struct pager *p;
	pthread_t thread;
	unsigned at_once = 0;
	int err = pager_create(&p);

	(void)state;
	if (err) {
		join();
		SKIP("no userfaultfd: %s", strerror(-err));
	}
	make_region(&r, p);
	assert_int_equal(pthread_create(&thread, NULL, pager_thread, p), 0);
	vm.pager = p;
	vm_park(&vm, PARK_PAUSE);
	for (unsigned i = 0; i < PAGES; i++) {
		uint64_t start_ns;

		atomic_store(&touch, r.hva + i * PAGE_BYTES);
		vm_unpark(&vm, PARK_PAUSE);
		start_ns = clock_now_ns();
		wait_fault(p, i + 1);
		vm_park(&vm, PARK_PAUSE);
		at_once += clock_now_ns() - start_ns < PAGER_PATIENCE_NS;
		expect_out();
	}
	atomic_store(&touch, NULL);
	join();
	/* Not one patience each. */
	assert_true(at_once > PAGES / 2);
	pager_stop(p);
	assert_int_equal(pthread_join(thread, NULL), 0);
	(void)munmap(r.hva, PAGES * PAGE_BYTES);
	(void)close(r.base);
	pager_destroy(p);
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
		cmocka_unit_test_setup_teardown(a_vcpu_in_a_fault_can_be_parked,
						start, end),
	};

	return cmocka_run_group_tests_name("pause", tests, NULL, NULL);
}
