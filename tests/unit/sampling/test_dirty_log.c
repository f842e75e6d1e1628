/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looks by the dirty log, against a KVM that the test plays: it checks each call as
 * KVM would, and has a log of its own.
 */
#include <errno.h>
#include <string.h>

#include <linux/kvm.h>

#include "memory/sampling/dirty_log.h"
#include "tests/unit/fake_ioctl.h"
#include "tests/unit/support.h"

#define VM_FD	  77
#define LOW_PAGES 200u /* no multiple of 64: the last group has 8 */
#define PAGES	  (LOW_PAGES + 128u)
#define MS	  1000000ull

static struct ram_view ram = {
	.bytes = PAGES * PAGE_BYTES,
	.nr_slots = 2,
	.slots = { { 0, LOW_PAGES *PAGE_BYTES, 0 },
		   { GIB(4), 128 * PAGE_BYTES, LOW_PAGES *PAGE_BYTES } },
};
static struct dirty_log *the_log;
static struct sampler sampler;
static uint64_t now_ns;

/* KVM's: */
static bool dirty[PAGES], cleared[PAGES], logged[2], manual;
static unsigned has;	      /* KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 */
static unsigned long refuses; /* this request; 0: none */
static int refusal;
static unsigned refuse_slot = UINT32_MAX;
static unsigned nr_gets;

static int no(int err)
{
	errno = err;
	return -1;
}

static unsigned first_of(uint32_t slot)
{
	return slot ? LOW_PAGES : 0;
}

static unsigned pages_of(uint32_t slot)
{
	return slot ? 128 : LOW_PAGES;
}

static int set_region(const struct kvm_userspace_memory_region *r)
{
	assert_true(r->slot < 2);
	assert_int_equal(r->guest_phys_addr, r->slot ? GIB(4) : 0);
	assert_int_equal(r->memory_size, pages_of(r->slot) * PAGE_BYTES);
	assert_int_equal(r->userspace_addr,
			 (uintptr_t)ram.hva + first_of(r->slot) * PAGE_BYTES);
	if (r->slot == refuse_slot && r->flags)
		return no(ENOMEM);
	if (r->flags && !logged[r->slot])
		for (unsigned i = 0; i < pages_of(r->slot); i++)
			dirty[first_of(r->slot) + i] = true;
	logged[r->slot] = r->flags == KVM_MEM_LOG_DIRTY_PAGES;
	return 0;
}

static int get_log(const struct kvm_dirty_log *g)
{
	uint64_t *bits = g->dirty_bitmap;
	unsigned nr = pages_of(g->slot);

	if (!logged[g->slot])
		return no(ENOENT);
	nr_gets++;
	memset(bits, 0, (nr + 63) / 64 * 8);
	for (unsigned i = 0; i < nr; i++)
		if (dirty[first_of(g->slot) + i])
			bits[i / 64] |= 1ull << i % 64;
	return 0;
}

static int clear_log(const struct kvm_clear_dirty_log *c)
{
	unsigned nr = pages_of(c->slot);

	if (!logged[c->slot])
		return no(ENOENT);
	/* As KVM has it: whole words, or up to the end. */
	if (c->first_page % 64 || c->first_page + c->num_pages > nr ||
	    (c->num_pages % 64 && c->first_page + c->num_pages != nr))
		return no(EINVAL);
	for (unsigned i = 0; i < c->num_pages; i++) {
		dirty[first_of(c->slot) + c->first_page + i] = false;
		cleared[first_of(c->slot) + c->first_page + i] = true;
	}
	return 0;
}

int fake_ioctl(int fd, unsigned long request, void *arg)
{
	const struct kvm_enable_cap *cap = arg;

	assert_int_equal(fd, VM_FD);
	if (refuses && request == refuses)
		return no(refusal);
	switch (request) {
	case KVM_CHECK_EXTENSION:
		return (int)has;
	case KVM_ENABLE_CAP:
		assert_int_equal(cap->cap, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);
		assert_int_equal(cap->args[0], 3);
		manual = true;
		return 0;
	case KVM_SET_USER_MEMORY_REGION:
		return set_region(arg);
	case KVM_GET_DIRTY_LOG:
		return get_log(arg);
	case KVM_CLEAR_DIRTY_LOG:
		assert_true(manual);
		return clear_log(arg);
	default:
		fail_msg("request %lx", request);
		return -1;
	}
}

static unsigned written[PAGES], nr_written;
static uint64_t latency;

static void found(void *arg, const struct dirty_page *p)
{
	assert_ptr_equal(arg, written);
	assert_true(p->page < PAGES);
	written[p->page]++;
	nr_written++;
	latency = p->latency_ns;
}

static int turn(void)
{
	return dirty_log_turn(the_log, &sampler, now_ns, found, written);
}

static void pass(uint64_t ms)
{
	now_ns += ms * MS;
}

static int set_up(void **state)
{
	(void)state;
	memset(dirty, 0, sizeof(dirty));
	memset(cleared, 0, sizeof(cleared));
	memset(logged, 0, sizeof(logged));
	memset(written, 0, sizeof(written));
	manual = false;
	has = 3;
	refuses = 0;
	refuse_slot = UINT32_MAX;
	nr_written = nr_gets = 0;
	now_ns = 1000 * MS;
	assert_int_equal(dirty_log_create(&the_log, VM_FD, &ram), 0);
	assert_int_equal(dirty_log_groups(the_log), 4 + 2);
	sampler_init(&sampler, 6, 1);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	dirty_log_destroy(the_log);
	return 0;
}

static void on(uint32_t groups_per_second)
{
	sampler_set(&sampler, groups_per_second, 500, now_ns);
}

/* All six groups. */
static void look_at_all(void)
{
	on(1000);
	pass(6);
	assert_int_equal(turn(), 0);
	for (unsigned i = 0; i < PAGES; i++)
		assert_true(cleared[i]);
}

static void what_is_written_is_found(void **state)
{
	(void)state;
	look_at_all();
	dirty[7] = dirty[199] = dirty[200] = dirty[327] = true;
	pass(99);
	assert_int_equal(turn(), 0);
	assert_int_equal(nr_written, 0); /* not yet */
	pass(1);
	assert_int_equal(turn(), 0);
	assert_int_equal(nr_written, 4);
	assert_true(written[7] && written[199] && written[200] && written[327]);
	assert_int_equal(latency, 100 * MS);
}

/* What nobody has cleared has all bits set, and says nothing. */
static void what_was_not_looked_at_is_not_found(void **state)
{
	struct dirty_log_counts c;
	unsigned nr = 0;

	(void)state;
	on(1000);
	pass(2);
	assert_int_equal(turn(), 0);
	sampler_set(&sampler, 1, 500, now_ns);
	for (unsigned i = 0; i < PAGES; i++)
		nr += cleared[i];
	assert_true(nr > 0 && nr <= 128);
	pass(100);
	assert_int_equal(turn(), 0);
	assert_int_equal(nr_written, 0);
	dirty_log_get_counts(the_log, &c);
	assert_int_equal(c.cleared, nr);
	assert_int_equal(c.clean, nr);
}

static void a_look_is_asked_for_once(void **state)
{
	(void)state;
	look_at_all();
	for (unsigned i = 0; i < 4; i++) {
		pass(20);
		assert_int_equal(turn(), 0);
	}
	assert_int_equal(nr_gets, 0);
	pass(20);
	assert_int_equal(turn(), 0);
	assert_int_equal(nr_gets, 2); /* one per slot */
}

static void the_budget_is_kept(void **state)
{
	struct dirty_log_counts c;

	(void)state;
	on(10);
	for (unsigned i = 0; i < 100; i++) {
		pass(20);
		assert_int_equal(turn(), 0);
	}
	dirty_log_get_counts(the_log, &c);
	/* 2 s, and what a burst may be. */
	assert_true(c.cleared > 0 && c.cleared <= 21 * 64);
	/* CPU time that was not paid for: no look. */
	sampler_spend(&sampler, now_ns, 0, 1000 * MS);
	pass(1000);
	assert_int_equal(turn(), 0);
	{
		struct dirty_log_counts later;

		pass(200);
		assert_int_equal(turn(), 0);
		dirty_log_get_counts(the_log, &later);
		assert_int_equal(later.cleared, c.cleared);
	}
}

static void off_is_off(void **state)
{
	(void)state;
	look_at_all();
	assert_true(logged[0] && logged[1]);
	dirty[7] = true;
	pass(200);
	sampler_set(&sampler, 0, 1, now_ns);
	assert_int_equal(turn(), 0);
	assert_false(logged[0] || logged[1]);
	assert_int_equal(nr_written, 0);
	assert_int_equal(turn(), 0);
	/* And on: what was looked at before says nothing of the new log. */
	look_at_all();
	assert_int_equal(nr_written, 0);
	pass(100);
	assert_int_equal(turn(), 0);
	assert_int_equal(nr_written, 0);
}

/* vm_remake_slots() has set them without a log. */
static void slots_that_were_made_anew(void **state)
{
	struct dirty_log_counts c;

	(void)state;
	look_at_all();
	logged[0] = logged[1] = false;
	memset(dirty, 0, sizeof(dirty));
	pass(100);
	assert_int_equal(turn(), 0);
	assert_int_equal(nr_written, 0);
	dirty_log_get_counts(the_log, &c);
	assert_int_equal(c.failed, 1);
	pass(20);
	assert_int_equal(turn(), 0);
	assert_true(logged[0] && logged[1]);
}

static void a_kvm_that_refuses(void **state)
{
	struct dirty_log *none = NULL;

	(void)state;
	/* One slot of two: then neither is logged. */
	refuse_slot = 1;
	on(1000);
	pass(6);
	assert_int_equal(turn(), -ENOMEM);
	assert_false(logged[0] || logged[1]);
	refuse_slot = UINT32_MAX;
	assert_int_equal(turn(), 0);
	refuses = KVM_GET_DIRTY_LOG;
	refusal = EFAULT;
	pass(100);
	assert_int_equal(turn(), -EFAULT);
	assert_int_equal(nr_written, 0);

	has = 1; /* Linux 5.1 */
	assert_int_equal(dirty_log_probe(VM_FD), -EOPNOTSUPP);
	assert_int_equal(dirty_log_create(&none, VM_FD, &ram), -EOPNOTSUPP);
	has = 0;
	assert_int_equal(dirty_log_probe(VM_FD), -EOPNOTSUPP);
	has = 3;
	refuses = KVM_ENABLE_CAP;
	refusal = EINVAL;
	assert_int_equal(dirty_log_create(&none, VM_FD, &ram), -EINVAL);
	assert_null(none);
	refuses = KVM_CHECK_EXTENSION;
	refusal = EPERM;
	assert_int_equal(dirty_log_probe(VM_FD), -EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_written_is_found,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_was_not_looked_at_is_not_found, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_look_is_asked_for_once,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_budget_is_kept, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(off_is_off, set_up, tear_down),
		cmocka_unit_test_setup_teardown(slots_that_were_made_anew,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_kvm_that_refuses, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
