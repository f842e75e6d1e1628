/* SPDX-License-Identifier: BSD-2-Clause */
/* Eventfds of devices, whose messages go to vCPUs of one view and another. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "monitor/worker/views/view_routes.h"
#include "tests/unit/views/rig.h"

#define FIRST_GSI  24
#define VECTOR	   0x61
#define ADDRESS(i) (APIC_MSI_ADDRESS | RIG_ID(i) << 12)
#define LOGICAL	   (APIC_MSI_ADDRESS | 1u << 2)

static struct rig rig;
static struct view_routes routes;
static bool made;

static int make(void **state)
{
	(void)state;
	if (!rig_possible())
		return 0;
	rig_make(&rig);
	view_routes_init(&routes, rig.views, FIRST_GSI);
	made = true;
	return 0;
}

static int destroy(void **state)
{
	(void)state;
	if (made)
		rig_destroy(&rig);
	if (made)
		view_routes_destroy(&routes);
	return 0;
}

static void need_kvm(void)
{
	if (!made)
		SKIP("no /dev/kvm for this user");
}

static void expect(unsigned at, int vector)
{
	int got = -1;

	WAIT_UNTIL((got = rig_take(&rig, at)) >= 0);
	assert_int_equal(got, vector);
	for (unsigned i = 0; i < RIG_VCPUS; i++)
		assert_int_equal(rig_take(&rig, i), -1);
}

static void an_eventfd_goes_where_its_message_does(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint32_t gsi = 0;
	uint64_t before;

	(void)state;
	need_kvm();
	before = rig_sent_on(&rig, GHOST_FIXED);
	assert_true(fd >= 0);
	for (unsigned n = 0; n < 50; n++) {
		unsigned to = n % RIG_VCPUS;
		int vector = (int)(VECTOR + n);

		assert_int_equal(view_routes_set(&routes, fd, &gsi, ADDRESS(to),
						 (uint32_t)vector),
				 0);
		assert_int_equal(gsi, FIRST_GSI);
		assert_int_equal(eventfd_write(fd, 1), 0);
		expect(to, vector);
	}
	assert_int_equal(rig_sent_on(&rig, GHOST_FIXED), before);
}

/* The view of such a message is not the vCPU's: a ghost sends it on. */
static void a_logical_message_arrives(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint32_t gsi = 0;
	uint64_t before;

	(void)state;
	need_kvm();
	before = rig_sent_on(&rig, GHOST_FIXED);
	assert_true(fd >= 0);
	/* Cluster 0, the bit of vCPU 1. */
	assert_int_equal(view_routes_set(&routes, fd, &gsi,
					 LOGICAL | 1u << RIG_ID(1) << 12,
					 VECTOR),
			 0);
	assert_int_equal(eventfd_write(fd, 1), 0);
	expect(1, VECTOR);
	assert_int_equal(rig_sent_on(&rig, GHOST_FIXED), before + 1);
}

static void an_unknown_route_is_refused(void **state)
{
	uint32_t low = 1, high = FIRST_GSI + 100, last = UINT32_MAX;

	(void)state;
	need_kvm();
	assert_int_equal(view_routes_set(&routes, 0, &low, ADDRESS(0), VECTOR),
			 -EINVAL);
	assert_int_equal(view_routes_set(&routes, 0, &high, ADDRESS(0), VECTOR),
			 -EINVAL);
	assert_int_equal(view_routes_set(&routes, 0, &last, ADDRESS(0), VECTOR),
			 -EINVAL);
}

static void no_more_routes_than_there_is_room(void **state)
{
	int fds[VIEW_MAX_ROUTES];
	unsigned nr = routes.table.head.nr;
	uint32_t gsi = 0;

	(void)state;
	need_kvm();
	for (unsigned i = nr; i < VIEW_MAX_ROUTES; i++) {
		fds[i] = eventfd(0, EFD_CLOEXEC);
		gsi = 0;
		assert_int_equal(view_routes_set(&routes, fds[i], &gsi,
						 ADDRESS(1), VECTOR),
				 0);
		assert_int_equal(gsi, FIRST_GSI + i);
	}
	gsi = 0;
	assert_int_equal(
		view_routes_set(&routes, fds[nr], &gsi, ADDRESS(1), VECTOR),
		-ENOSPC);
	assert_int_equal(eventfd_write(fds[VIEW_MAX_ROUTES - 1], 1), 0);
	expect(1, VECTOR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_eventfd_goes_where_its_message_does),
		cmocka_unit_test(a_logical_message_arrives),
		cmocka_unit_test(an_unknown_route_is_refused),
		cmocka_unit_test(no_more_routes_than_there_is_room),
	};

	return cmocka_run_group_tests(tests, make, destroy);
}
