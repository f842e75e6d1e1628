/* SPDX-License-Identifier: BSD-2-Clause */
/* Needs no second node; a kernel or container without NUMA calls: SKIP. */
#include <errno.h>
#include <numaif.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "numa/bind.h"

#define PAGES 3000 /* more than two batches of queries */

static char *map(void)
{
	char *p = mmap(NULL, (size_t)PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

static void skip_if_refused(int err)
{
	if (err != -ENOSYS && err != -EPERM && err != -EACCES)
		return;
	print_message("SKIP: NUMA system calls: %s\n", strerror(-err));
	skip();
}

static void counts_touched_pages(void **state)
{
	uint64_t touched = 0, local = 0;
	char *p = map();
	int err = node_bind_memory(p, (size_t)PAGES * PAGE_BYTES, 0, true);

	(void)state;
	skip_if_refused(err);
	assert_int_equal(err, 0);
	assert_int_equal(node_pages_local(p, (size_t)PAGES * PAGE_BYTES, 0,
					  &touched, &local),
			 0);
	assert_int_equal(touched, 0);
	for (size_t i = 0; i < PAGES; i += 3)
		p[i * PAGE_BYTES] = 1;
	assert_int_equal(node_pages_local(p, (size_t)PAGES * PAGE_BYTES, 0,
					  &touched, &local),
			 0);
	assert_int_equal(touched, PAGES / 3);
	assert_int_equal(local, PAGES / 3);
	assert_int_equal(node_pages_local(p, (size_t)PAGES * PAGE_BYTES,
					  NODE_ID_MAX, &touched, &local),
			 0);
	assert_int_equal(touched, PAGES / 3);
	assert_int_equal(local, 0);
	(void)munmap(p, (size_t)PAGES * PAGE_BYTES);
}

static void refuses_bad_ranges(void **state)
{
	uint64_t touched = 77, local = 77;
	char *p = map();

	(void)state;
	assert_int_equal(node_bind_memory(p + 1, PAGE_BYTES, 0, false),
			 -EINVAL);
	assert_int_equal(node_bind_memory(p, 100, 0, false), -EINVAL);
	assert_int_equal(node_bind_memory(p, 0, 0, false), -EINVAL);
	assert_int_equal(
		node_pages_local(p + 1, PAGE_BYTES, 0, &touched, &local),
		-EINVAL);
	assert_int_equal(touched, 77);
	(void)munmap(p, (size_t)PAGES * PAGE_BYTES);
}

static int policy_of(char *p)
{
	int mode = -1;

	assert_int_equal(get_mempolicy(&mode, NULL, 0, p, MPOL_F_ADDR), 0);
	return mode;
}

/* Not the default policy, which the kernel's own balancing moves pages of. */
static void local_to_who_touches(void **state)
{
	char *p = map();
	int err = node_bind_memory(p, PAGE_BYTES, NODE_LOCAL, false);

	(void)state;
	skip_if_refused(err);
	assert_int_equal(err, 0);
	assert_int_equal(policy_of(p), MPOL_LOCAL);
	assert_int_equal(node_bind_memory(p, PAGE_BYTES, NODE_AUTO, false), 0);
	assert_int_equal(policy_of(p), MPOL_DEFAULT);
	(void)munmap(p, (size_t)PAGES * PAGE_BYTES);
}

static void no_such_node(void **state)
{
	uint64_t touched, local;
	char *p = map();
	int err = node_bind_memory(p, PAGE_BYTES, NODE_ID_MAX, true);

	(void)state;
	skip_if_refused(err);
	assert_int_equal(err, -ENODEV);
	assert_int_equal(node_bind_memory(p, PAGE_BYTES, NODE_ID_MAX, false),
			 -ENODEV);
	assert_int_equal(node_bind_memory(p, PAGE_BYTES, NODE_ID_MAX + 1, true),
			 -ENODEV);
	assert_int_equal(node_bind_memory(p, PAGE_BYTES, -3, true), -ENODEV);
	assert_int_equal(node_bind_thread(NODE_ID_MAX, true), -ENODEV);
	assert_int_equal(
		node_pages_local(p, PAGE_BYTES, NODE_AUTO, &touched, &local),
		-ENODEV);
	(void)munmap(p, (size_t)PAGES * PAGE_BYTES);
}

static void threads_bind_and_unbind(void **state)
{
	int err = node_bind_thread(0, false);

	(void)state;
	skip_if_refused(err);
	assert_int_equal(err, 0);
	assert_int_equal(node_bind_thread(0, true), 0);
	assert_int_equal(node_bind_thread(NODE_AUTO, false), 0);
}

static void memory_goes_back_to_default(void **state)
{
	char *p = map();
	int err = node_bind_memory(p, PAGE_BYTES, NODE_AUTO, false);

	(void)state;
	skip_if_refused(err);
	assert_int_equal(err, 0);
	(void)munmap(p, (size_t)PAGES * PAGE_BYTES);
}

static void runs_on_cpus_there_are(void **state)
{
	const uint16_t absent[] = { UINT16_MAX };

	(void)state;
	assert_int_equal(node_run_on(NULL, 0), 0);
	assert_int_equal(node_run_on(absent, 1), -EINVAL);
}

/* Its constructor reads sysfs: neither worker nor agent has time for it. */
extern void numa_init(void) __attribute__((weak));

static void of_libnuma_only_system_calls_are_linked(void **state)
{
	(void)state;
	assert_true(numa_init == NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_touched_pages),
		cmocka_unit_test(refuses_bad_ranges),
		cmocka_unit_test(no_such_node),
		cmocka_unit_test(local_to_who_touches),
		cmocka_unit_test(threads_bind_and_unbind),
		cmocka_unit_test(memory_goes_back_to_default),
		cmocka_unit_test(runs_on_cpus_there_are),
		cmocka_unit_test(of_libnuma_only_system_calls_are_linked),
	};

	return cmocka_run_group_tests_name("bind", tests, NULL, NULL);
}
