/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Policies that are loaded: the documented example decides; one with a bound of
 * its own has it for runs of hinted pages as well; what needs anything is refused
 * by name; and 20,000 damaged copies of the example are refused, or
 * loaded, without harm.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/placement/engine.h"
#include "memory/placement/hinted.h"
#include "memory/placement/plugin.h"
#include "memory/placement/policies.h"
#include "tests/unit/support.h"

#define DAMAGED 20000u

/* A file of the build: this program is tests/unit/placement/ below its top. */
static int open_built(const char *name)
{
	char path[4096];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 128);
	int fd;

	assert_true(len > 0);
	path[len] = '\0';
	for (int i = 0; i < 4; i++)
		*strrchr(path, '/') = '\0';
	(void)snprintf(path + strlen(path), 120, "/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail_msg("%s is not built", path);
	return fd;
}

static void the_example_decides(void **state)
{
	struct policy_node nodes[4];
	static const uint32_t latency[16] = {
		300,  900, 1200, 900, 900, 300,	 900, 1200,
		1200, 900, 300,	 900, 900, 1200, 900, 300,
	};
	static const uint32_t move[16];
	struct policy_machine machine = { .nr_nodes = 4,
					  .nodes = nodes,
					  .latency_ns = latency,
					  .move_ns = move };
	struct policy_choice choice;
	struct policy_now now = { .period_ns = 100000000, .machine = &machine };
	struct policy_page page = { .home = 0,
				    .node = 2,
				    .nodes = { 2, POLICY_NO_NODE },
				    .counts = { 200 } };
	struct policy_decision d = { 0 };
	struct policy_plugin plugin;
	struct diag diag = { 0 };
	int fd = open_built("examples/policy_nearest.so");

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		nodes[i] = (struct policy_node){ .has_memory = 1 };
	if (policy_plugin_load(&plugin, fd, "nearest.so", &diag))
		fail_msg("%s", diag.text);
	(void)close(fd);
	assert_string_equal(plugin.policy->name, "nearest");
	assert_int_equal(policy_parse("nearest,often=150", plugin.policy,
				      &choice, &diag),
			 0);
	assert_ptr_equal(choice.policy, plugin.policy);
	assert_int_equal(choice.params[0], 150);
	now.params = choice.params;
	/* From node 0 to 2, which is across: one step, to node 1. */
	choice.policy->page(NULL, &now, &page, &d);
	assert_int_equal(d.action, POLICY_MOVE);
	assert_int_equal(d.to, 1);
	page.home = 1;
	choice.policy->page(NULL, &now, &page, &d);
	assert_int_equal(d.to, 2);
	d = (struct policy_decision){ 0 };
	page.counts[0] = 149;
	choice.policy->page(NULL, &now, &page, &d);
	assert_int_equal(d.action, POLICY_STAY);
	assert_int_equal(choice.policy->place(NULL, &now, 5, 3), 3);
	policy_plugin_unload(&plugin);
	policy_plugin_unload(&plugin);
}

/* Whom a record of an access, or a hint of pages, is given. */
static void record(struct placement *engine, uint64_t ms, uint64_t page,
		   uint32_t weight, uint8_t kind, uint8_t class)
{
	const struct access_record r = { .time_ns = ms * 1000000,
					 .page = page,
					 .weight = weight,
					 .node = class == ACCESS_HINT
							 ? ACCESS_NO_NODE
							 : 1,
					 .home = class == ACCESS_HINT
							 ? ACCESS_NO_NODE
							 : 0,
					 .kind = kind,
					 .class = class };

	placement_record(engine, &r);
}

/* Pages that the engine has moved now; all are moved. */
static uint64_t take(struct placement *engine)
{
	struct placement_action a[64];
	uint64_t pages = 0;
	unsigned nr;

	while ((nr = placement_take(engine, a, ARRAY_SIZE(a))) > 0)
		for (unsigned i = 0; i < nr; i++) {
			placement_done(engine, &a[i], true, 8000);
			pages += a[i].pages;
		}
	return pages;
}

/*
 * A loaded policy that allows 300 pages in all: two of them go one by one, the rest
 * in runs; what it has decided on the range itself is none of them.
 */
static void a_plugin_bounds_runs_of_hinted_pages(void **state)
{
	static const uint32_t latency[] = { 300, 900, 900, 300 };
	struct placement_config c = { .pages = 4096,
				      .nr_nodes = 2,
				      .latency_ns = latency,
				      .move_ns = 8000,
				      .run_pages = 128 };
	struct policy_plugin plugin;
	struct placement *engine;
	struct diag d = { 0 };
	int fd = open_built("tests/plugins/bounded.so");

	(void)state;
	if (policy_plugin_load(&plugin, fd, "bounded.so", &d))
		fail_msg("%s", d.text);
	(void)close(fd);
	assert_int_equal(
		policy_parse("bounded,pages=300", plugin.policy, &c.choice, &d),
		0);
	assert_int_equal(placement_create(&engine, &c), 0);
	record(engine, 1, 3000, 1, POLICY_READ, ACCESS_MISS);
	assert_int_equal(take(engine), 1);
	/* It allows more than it is asked for, and no page goes twice by that. */
	record(engine, 2, 0, 100, HINTS_READ_MOSTLY, ACCESS_HINT);
	record(engine, 2, 200, 1000, HINTS_READ_MOSTLY, ACCESS_HINT);
	record(engine, 2, 5, 1, POLICY_READ, ACCESS_MISS);
	assert_int_equal(take(engine), 299);
	assert_int_equal(take(engine), 0);
	record(engine, 50, 3001, 1, POLICY_READ, ACCESS_MISS);
	assert_int_equal(take(engine), 0);
	placement_destroy(engine);
	policy_plugin_unload(&plugin);
}

static void expect_refusal(const char *name, int err, const char *word)
{
	struct policy_plugin plugin;
	struct diag d = { 0 };
	int fd = open_built(name);

	assert_int_equal(policy_plugin_load(&plugin, fd, name, &d), err);
	(void)close(fd);
	assert_null(plugin.policy);
	if (!strstr(d.text, word))
		fail_msg("no '%s' in: %s", word, d.text);
}

static void what_needs_anything_is_refused(void **state)
{
	(void)state;
	expect_refusal("tests/plugins/clock.so", -ENOEXEC, "needs clock");
	expect_refusal("tests/plugins/constructor.so", -ENOEXEC,
		       "constructors");
	expect_refusal("tests/plugins/name.so", -EINVAL, "disco_policy");
	expect_refusal("tests/plugins/sound.so", -EINVAL, "sound policy");
	expect_refusal("tests/plugins/pay.so", -EINVAL, "sound policy");
	expect_refusal("tests/plugins/abi.so", -EINVAL, "compile it again");
}

static void what_is_no_object_is_refused(void **state)
{
	struct policy_plugin plugin;
	struct diag d = { 0 };
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(policy_plugin_load(&plugin, fd, "null", &d), -EINVAL);
	(void)close(fd);
	d = (struct diag){ 0 };
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	assert_true(policy_plugin_load(&plugin, fd, "exe", &d) < 0);
	(void)close(fd);
	assert_null(plugin.policy);
}

/*
 * Bytes of the headers, of the dynamic section and of the relocations are
 * changed at random, or the file is cut. Code is not run.
 */
static void damaged_objects_do_no_harm(void **state)
{
	int fd = open_built("examples/policy_nearest.so");
	size_t bytes = (size_t)lseek(fd, 0, SEEK_END);
	uint8_t *good = malloc(bytes), *bad = malloc(bytes);
	unsigned loaded = 0;

	(void)state;
	assert_int_equal(pread(fd, good, bytes, 0), bytes);
	(void)close(fd);
	srandom(22);
	for (unsigned i = 0; i < DAMAGED; i++) {
		struct policy_plugin plugin;
		struct diag d = { 0 };
		size_t keep = bytes;

		memcpy(bad, good, bytes);
		for (long n = random() % 4; n >= 0; n--)
			bad[(size_t)random() % (n % 2 ? 64 + 9 * 56 : bytes)] =
				(uint8_t)random();
		if (i % 16 == 0)
			keep = (size_t)random() % bytes;
		fd = memfd_create("plugin", MFD_CLOEXEC);
		assert_int_equal(write(fd, bad, keep), keep);
		if (policy_plugin_load(&plugin, fd, "bad", &d) == 0) {
			assert_true(policy_is_sound(plugin.policy));
			loaded++;
		}
		policy_plugin_unload(&plugin);
		(void)close(fd);
	}
	free(good);
	free(bad);
	/* Else nothing was reached but the first check. */
	assert_true(loaded > DAMAGED / 10 && loaded < DAMAGED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_decides),
		cmocka_unit_test(a_plugin_bounds_runs_of_hinted_pages),
		cmocka_unit_test(what_needs_anything_is_refused),
		cmocka_unit_test(what_is_no_object_is_refused),
		cmocka_unit_test(damaged_objects_do_no_harm),
	};

	return cmocka_run_group_tests_name("plugin", tests, NULL, NULL);
}
