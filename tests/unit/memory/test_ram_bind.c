/* SPDX-License-Identifier: BSD-2-Clause */
/* Needs no second node; a kernel or container without NUMA calls: SKIP. */
#include <errno.h>
#include <numaif.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/ram_bind.h"
#include "numa/bind.h"
#include "tests/unit/memory/pmap_world.h"

static struct world w;

static void bind_or_skip(nodeid_t node, bool strict)
{
	int err = ram_bind(&w.view, node, strict);

	if (err == -ENOSYS || err == -EPERM || err == -EACCES) {
		world_end(&w);
		SKIP("NUMA system calls: %s", strerror(-err));
	}
	assert_int_equal(err, 0);
}

/* What policy the kernel would take a new page of the view by. */
static int policy(uint64_t page)
{
	int mode = -1;

	assert_int_equal(get_mempolicy(&mode, NULL, 0, world_page(&w, page),
				       MPOL_F_ADDR),
			 0);
	return mode;
}

static void holds_for_ram_alone(void **state)
{
	(void)state;
	world_make(&w, UINT64_MAX);
	assert_int_equal(world_show(&w, 10, 20, 0, 0), 0);
	bind_or_skip(0, false);
	assert_int_equal(policy(9), MPOL_PREFERRED);
	assert_int_equal(policy(30), MPOL_PREFERRED);
	assert_int_equal(policy(10), MPOL_DEFAULT);
	/* And for what becomes RAM again. */
	assert_int_equal(pmap_free(w.pm, (gfn_t){ 12 }, 2), 0);
	assert_int_equal(policy(13), MPOL_PREFERRED);
	assert_int_equal(policy(14), MPOL_DEFAULT);
	assert_int_equal(ram_bind(&w.view, 0, true), 0);
	assert_int_equal(policy(0), MPOL_BIND);
	assert_int_equal(policy(13), MPOL_BIND);
	assert_int_equal(ram_bind(&w.view, NODE_AUTO, false), 0);
	assert_int_equal(policy(0), MPOL_DEFAULT);
	world_end(&w);
}

/* Bound by the view, parts of RAM that came back would not join the rest. */
static void mappings_stay_one(void **state)
{
	(void)state;
	world_make(&w, UINT64_MAX);
	bind_or_skip(0, false);
	for (unsigned i = 1; i < PAGES; i += 2)
		assert_int_equal(world_show(&w, i, 1, 0, i), 0);
	bind_or_skip(0, true);
	for (unsigned i = 1; i < PAGES; i += 2)
		pmap_overwrite(w.pm, world_page(&w, i), PAGE_BYTES);
	world_look(&w);
	assert_int_equal(world_mappings(&w), 0);
	assert_int_equal(world_seen(&w), 0);
	world_end(&w);
}

static void refusals(void **state)
{
	int ram;

	(void)state;
	world_make(&w, UINT64_MAX);
	bind_or_skip(0, false);
	assert_int_equal(ram_bind(&w.view, NODE_ID_MAX, true), -ENODEV);
	ram = w.view.fd;
	w.view.fd = -1;
	assert_int_equal(ram_bind(&w.view, 0, false), -EBADF);
	w.view.fd = ram;
	assert_int_equal(policy(0), MPOL_PREFERRED);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_for_ram_alone),
		cmocka_unit_test(mappings_stay_one),
		cmocka_unit_test(refusals),
	};

	return cmocka_run_group_tests_name("ram_bind", tests, NULL, NULL);
}
