/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ghosts, with vCPUs that do not run (rig.h): what is sent to a vCPU of another
 * view arrives there, each kind, once.
 */
#include <string.h>
#include <sys/ioctl.h>

#include "tests/unit/views/rig.h"

#define ROUNDS		 2000
#define ICR_LOGICAL	 (1u << 11)
#define ICR_ALL_BUT_SELF (3u << 18)
#define VECTOR		 0x55
#define ENABLE_APIC(r, i)                                                      \
	assert_int_equal(                                                      \
		apic_write((r)->fds[i], APIC_MSR_SPURIOUS, APIC_SPURIOUS_ON),  \
		0)

/* vCPU @at, of another view: started, so that its ghosts take vectors. */
static void start_vcpu(struct rig *r, unsigned at, uint8_t page)
{
	struct kvm_regs regs = { .rflags = 0x202 };
	struct kvm_sregs s;

	rig_send(r, 0, RIG_ID(at), APIC_MODE_INIT);
	WAIT_UNTIL(rig_mp_state(r, at) == KVM_MP_STATE_INIT_RECEIVED);
	rig_send(r, 0, RIG_ID(at), APIC_MODE_STARTUP | page);
	WAIT_UNTIL(rig_mp_state(r, at) == KVM_MP_STATE_RUNNABLE);
	assert_int_equal(ioctl(r->fds[at], KVM_GET_SREGS, &s), 0);
	assert_int_equal(s.cs.selector, page << 8);
	/* What its code would do. */
	ENABLE_APIC(r, at);
	assert_int_equal(ioctl(r->fds[at], KVM_SET_REGS, &regs), 0);
}

static int make(void **state)
{
	static struct rig rig;

	if (!rig_possible())
		return 0;
	rig_make(&rig);
	for (unsigned i = 1; i < RIG_VCPUS; i++)
		start_vcpu(&rig, i, (uint8_t)(0x10 + i));
	*state = &rig;
	return 0;
}

static int destroy(void **state)
{
	if (*state)
		rig_destroy(*state);
	return 0;
}

static struct rig *need_kvm(void **state)
{
	if (!*state)
		SKIP("no /dev/kvm for this user");
	return *state;
}

static void one_way(struct rig *r, unsigned from, unsigned to, unsigned i)
{
	uint8_t vector = (uint8_t)(0x20 + i % 0xd0);
	int got = -1;

	rig_send(r, from, RIG_ID(to), vector);
	WAIT_UNTIL((got = rig_take(r, to)) >= 0);
	assert_int_equal(got, vector);
	assert_int_equal(rig_take(r, to), -1);
}

/* Whatever is not waited for 1 ms is quick: spin. */
static void vectors_arrive_both_ways(void **state)
{
	struct rig *r = need_kvm(state);
	uint64_t before = rig_sent_on(r, GHOST_FIXED);

	for (unsigned i = 0; i < ROUNDS; i++) {
		one_way(r, 0, 1, i);
		one_way(r, 1, 0, i);
	}
	assert_int_equal(rig_sent_on(r, GHOST_FIXED) - before, 2 * ROUNDS);
}

/* More at once than one wake-up each: all arrive, each once. */
static void a_burst_arrives(void **state)
{
	struct rig *r = need_kvm(state);
	bool seen[256] = { false };
	unsigned nr = 0;

	for (unsigned v = 0x20; v < 0x100; v++)
		rig_send(r, 0, RIG_ID(3), v);
	while (nr < 0x100 - 0x20) {
		int got = -1;

		WAIT_UNTIL((got = rig_take(r, 3)) >= 0);
		assert_false(seen[got]);
		seen[got] = true;
		nr++;
	}
	assert_int_equal(rig_take(r, 3), -1);
}

/* Within a view no ghost has to do with it. */
static void within_a_view_nothing_is_sent_on(void **state)
{
	struct rig *r = need_kvm(state);
	uint64_t before = rig_sent_on(r, GHOST_FIXED);

	rig_send(r, 0, RIG_ID(2), VECTOR);
	assert_true(rig_pending(r, 2, VECTOR));
	assert_int_equal(rig_take(r, 2), VECTOR);
	assert_int_equal(rig_sent_on(r, GHOST_FIXED), before);
}

static void all_but_self(void **state)
{
	struct rig *r = need_kvm(state);

	for (unsigned from = 0; from < RIG_VCPUS; from++) {
		rig_send(r, from, 0, ICR_ALL_BUT_SELF | VECTOR);
		for (unsigned i = 0; i < RIG_VCPUS; i++) {
			int got = -1;

			if (i == from)
				continue;
			WAIT_UNTIL((got = rig_take(r, i)) >= 0);
			assert_int_equal(got, VECTOR);
		}
		for (unsigned i = 0; i < RIG_VCPUS; i++)
			assert_int_equal(rig_take(r, i), -1);
	}
}

/* x2APIC: cluster 0 in the upper half, a bit per vCPU in the lower one. */
static void logical_destinations(void **state)
{
	struct rig *r = need_kvm(state);
	int got = -1;

	rig_send(r, 1, 1u << RIG_ID(0) | 1u << RIG_ID(3) | 1u << RIG_ID(4),
		 ICR_LOGICAL | VECTOR);
	WAIT_UNTIL((got = rig_take(r, 0)) >= 0);
	assert_int_equal(got, VECTOR);
	WAIT_UNTIL(rig_take(r, 3) == VECTOR);
	WAIT_UNTIL(rig_take(r, 4) == VECTOR);
	assert_int_equal(rig_take(r, 1), -1);
	assert_int_equal(rig_take(r, 2), -1);
}

static void broadcast(void **state)
{
	struct rig *r = need_kvm(state);

	rig_send(r, 2, UINT32_MAX, VECTOR);
	for (unsigned i = 0; i < RIG_VCPUS; i++)
		WAIT_UNTIL(rig_take(r, i) == VECTOR);
	for (unsigned i = 0; i < RIG_VCPUS; i++)
		assert_int_equal(rig_take(r, i), -1);
}

static void forget_nmis(struct rig *r, unsigned at)
{
	struct kvm_vcpu_events e = { .flags = KVM_VCPUEVENT_VALID_NMI_PENDING };

	assert_int_equal(ioctl(r->fds[at], KVM_SET_VCPU_EVENTS, &e), 0);
}

static void nmis_arrive(void **state)
{
	struct rig *r = need_kvm(state);

	for (unsigned i = 0; i < 100; i++) {
		rig_send(r, 0, RIG_ID(1), APIC_MODE_NMI);
		WAIT_UNTIL(rig_nmis(r, 1) == 1);
		forget_nmis(r, 1);
	}
	/* A vector after an NMI, and the ghost's NMIs are not masked. */
	rig_send(r, 0, RIG_ID(1), VECTOR);
	WAIT_UNTIL(rig_take(r, 1) == VECTOR);
	assert_int_equal(rig_sent_on(r, GHOST_NMI), 100);
}

/* CPU hot-unplug and plug: the ghost sees each INIT, also while it listens. */
static void a_vcpu_starts_again(void **state)
{
	struct rig *r = need_kvm(state);

	for (uint8_t i = 0; i < 20; i++) {
		start_vcpu(r, 1, i);
		one_way(r, 0, 1, i);
		one_way(r, 4, 1, i);
	}
}

/* A start-up IPI to a vCPU that runs does nothing, and none gets stuck. */
static void a_late_startup_is_ignored(void **state)
{
	struct rig *r = need_kvm(state);
	uint64_t before = rig_sent_on(r, GHOST_STARTUP);

	for (unsigned i = 0; i < 50; i++)
		rig_send(r, 0, RIG_ID(1), APIC_MODE_STARTUP | 7);
	one_way(r, 0, 1, 0);
	assert_int_equal(rig_mp_state(r, 1), KVM_MP_STATE_RUNNABLE);
	assert_int_equal(rig_sent_on(r, GHOST_STARTUP), before);
}

/*
 * A kernel parks vCPU 3 by an INIT from view 0; the next one starts it from view
 * 1, where it is real. View 0's ghost then listens again.
 */
static void a_parked_vcpu_starts_elsewhere(void **state)
{
	struct rig *r = need_kvm(state);
	struct kvm_regs regs = { .rflags = 0x202 };

	rig_send(r, 0, RIG_ID(3), APIC_MODE_INIT);
	WAIT_UNTIL(rig_mp_state(r, 3) == KVM_MP_STATE_INIT_RECEIVED);
	rig_send(r, 1, RIG_ID(3), APIC_MODE_INIT);
	rig_send(r, 1, RIG_ID(3), APIC_MODE_STARTUP | 9);
	assert_int_equal(rig_mp_state(r, 3), KVM_MP_STATE_RUNNABLE);
	ENABLE_APIC(r, 3);
	assert_int_equal(ioctl(r->fds[3], KVM_SET_REGS, &regs), 0);
	WAIT_UNTIL(
		(rig_send(r, 0, RIG_ID(3), VECTOR), rig_take(r, 3) == VECTOR));
	/* More than one is on its way; a lower one comes after them. */
	rig_send(r, 0, RIG_ID(3), VECTOR - 0x20);
	WAIT_UNTIL(rig_pending(r, 3, VECTOR - 0x20));
	while (rig_take(r, 3) >= 0)
		;
	one_way(r, 1, 3, 0);
}

/* The real APIC of a vCPU that waits is off, and vectors to it are dropped. */
static void a_vcpu_that_waits_gets_no_vector(void **state)
{
	struct rig *r = need_kvm(state);

	rig_send(r, 0, RIG_ID(3), APIC_MODE_INIT);
	WAIT_UNTIL(rig_mp_state(r, 3) == KVM_MP_STATE_INIT_RECEIVED);
	rig_send(r, 0, RIG_ID(3), VECTOR);
	rig_send(r, 0, RIG_ID(3), APIC_MODE_STARTUP | 9);
	WAIT_UNTIL(rig_mp_state(r, 3) == KVM_MP_STATE_RUNNABLE);
	ENABLE_APIC(r, 3);
	/* One that is sent later comes after it. */
	rig_send(r, 0, RIG_ID(3), VECTOR + 1);
	WAIT_UNTIL(rig_pending(r, 3, VECTOR + 1));
	assert_false(rig_pending(r, 3, VECTOR));
	start_vcpu(r, 3, 1);
	one_way(r, 0, 3, 0);
}

static void the_boot_processor_is_reset(void **state)
{
	struct rig *r = need_kvm(state);
	struct kvm_regs regs = { .rflags = 0x202, .rbx = 77 };

	assert_int_equal(ioctl(r->fds[0], KVM_SET_REGS, &regs), 0);
	rig_send(r, 1, RIG_ID(0), APIC_MODE_INIT);
	WAIT_UNTIL(rig_sent_on(r, GHOST_INIT) >= 1 &&
		   rig_mp_state(r, 0) == KVM_MP_STATE_RUNNABLE &&
		   ioctl(r->fds[0], KVM_GET_REGS, &regs) == 0 && regs.rbx == 0);
	ENABLE_APIC(r, 0);
	regs.rflags = 0x202;
	assert_int_equal(ioctl(r->fds[0], KVM_SET_REGS, &regs), 0);
	one_way(r, 1, 0, 0);
}

static void clocks_are_equal(void **state)
{
	struct rig *r = need_kvm(state);
	uint64_t offset = 0, first = 0;
	struct kvm_device_attr a = { .group = KVM_VCPU_TSC_CTRL,
				     .attr = KVM_VCPU_TSC_OFFSET,
				     .addr = (uintptr_t)&offset };

	for (unsigned i = 0; i < RIG_VCPUS; i++) {
		assert_int_equal(ioctl(r->fds[i], KVM_GET_DEVICE_ATTR, &a), 0);
		if (i == 0)
			first = offset;
		assert_true(offset == first);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_arrive_both_ways),
		cmocka_unit_test(a_burst_arrives),
		cmocka_unit_test(within_a_view_nothing_is_sent_on),
		cmocka_unit_test(all_but_self),
		cmocka_unit_test(logical_destinations),
		cmocka_unit_test(broadcast),
		cmocka_unit_test(nmis_arrive),
		cmocka_unit_test(a_vcpu_starts_again),
		cmocka_unit_test(a_late_startup_is_ignored),
		cmocka_unit_test(a_parked_vcpu_starts_elsewhere),
		cmocka_unit_test(a_vcpu_that_waits_gets_no_vector),
		cmocka_unit_test(the_boot_processor_is_reset),
		cmocka_unit_test(clocks_are_equal),
	};

	return cmocka_run_group_tests(tests, make, destroy);
}
