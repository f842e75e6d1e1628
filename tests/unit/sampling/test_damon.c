/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DAMON by its files, against a tree that the test plays the kernel for; and the
 * probe against this machine's kernel, whose kdamonds must be there afterwards as
 * they were.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "memory/sampling/damon.h"
#include "memory/sampling/sysfs_file.h"
#include "tests/unit/sampling/fake_damon.h"
#include "tests/unit/support.h"

#define START 0x7f0000000000ull
#define BYTES (64ull * PAGE_BYTES)
#define ATTRS "0/contexts/0/monitoring_attrs/"

static const struct damon_limits limits = { .regions = 100,
					    .sample_us = 10000 };
static const struct damon_target target = { .pid = 4711,
					    .start = START,
					    .bytes = BYTES };
static struct damon *damon;
static struct diag diag;
static struct damon_region out[8];
static uint64_t strange;

static int set_up(void **state)
{
	(void)state;
	damon = NULL;
	strange = 0;
	diag = (struct diag){ 0 };
	return fake_damon_create();
}

static int tear_down(void **state)
{
	(void)state;
	damon_close(damon);
	fake_damon_destroy();
	return 0;
}

static void open_it(void)
{
	assert_int_equal(damon_open(&damon, fake_root, &limits, NULL, &diag),
			 0);
}

static unsigned start(void)
{
	unsigned slot;

	assert_int_equal(damon_start(damon, &target, &slot), 0);
	return slot;
}

/* --- what it does --------------------------------------------------------- */

static void a_kdamond_looks_at_the_memory(void **state)
{
	unsigned slot;

	(void)state;
	open_it();
	slot = start();
	assert_int_equal(slot, 0);
	assert_string_equal(fake_damon_get("0/state"), "on");
	assert_string_equal(fake_damon_get("0/contexts/0/operations"),
			    "fvaddr");
	assert_string_equal(fake_damon_get(ATTRS "intervals/sample_us"),
			    "10000");
	assert_string_equal(fake_damon_get(ATTRS "intervals/aggr_us"),
			    "200000");
	assert_string_equal(fake_damon_get(ATTRS "nr_regions/max"), "100");
	assert_string_equal(fake_damon_get("0/contexts/0/targets/0/pid_target"),
			    "4711");
	assert_string_equal(
		fake_damon_get("0/contexts/0/targets/0/regions/0/start"),
		"139637976727552");
	assert_string_equal(
		fake_damon_get("0/contexts/0/targets/0/regions/0/end"),
		"139637976989696");
	assert_string_equal(fake_damon_get("0/contexts/0/schemes/0/action"),
			    "stat");
	assert_string_equal(fake_damon_get("0/contexts/0/schemes/0/"
					   "access_pattern/nr_accesses/max"),
			    "4294967295");
	damon_stop(damon, slot);
	assert_string_equal(fake_damon_get("0/state"), "off");
	damon_stop(damon, slot); /* once more: nothing */
}

static void its_end_leaves_an_empty_list(void **state)
{
	(void)state;
	open_it();
	start();
	start();
	damon_close(damon);
	damon = NULL;
	assert_string_equal(fake_damon_get("nr_kdamonds"), "0");
	assert_string_equal(fake_damon_get("0/state"), "");
}

static void regions_are_read(void **state)
{
	unsigned slot;

	(void)state;
	open_it();
	slot = start();
	fake_regions[0] = (struct fake_region){ "139637976727552",
						"139637976743936", "20" };
	fake_regions[1] = (struct fake_region){ "139637976743936",
						"139637976989696", "0" };
	fake_nr_regions = 2;
	assert_int_equal(damon_read(damon, slot, out, 8, &strange), 2);
	assert_true(out[0].start == START && out[0].bytes == 4 * PAGE_BYTES);
	assert_int_equal(out[0].accesses, 20);
	assert_true(out[1].bytes == 60 * PAGE_BYTES);
	assert_int_equal(out[1].accesses, 0);
	assert_int_equal(strange, 0);
	/* No more than there is room for. */
	assert_int_equal(damon_read(damon, slot, out, 1, &strange), 1);
}

static void a_list_grows(void **state)
{
	unsigned slot = 0;

	(void)state;
	open_it();
	for (unsigned i = 0; i < DAMON_MAX_SLOTS; i++) {
		assert_int_equal(damon_start(damon, &target, &slot), 0);
		assert_int_equal(slot, i);
	}
	assert_int_equal(damon_start(damon, &target, &slot), -ENOSPC);
	/* Those that ran before it grew run on. */
	assert_string_equal(fake_damon_get("0/state"), "on");
	assert_string_equal(fake_damon_get("63/state"), "on");
	assert_string_equal(fake_damon_get("nr_kdamonds"), "64");
	damon_stop(damon, 5);
	assert_int_equal(damon_start(damon, &target, &slot), 0);
	assert_int_equal(slot, 5);
}

static void a_pause_is_a_stop(void **state)
{
	unsigned slot;

	(void)state;
	open_it();
	slot = start();
	assert_int_equal(damon_pause(damon, slot, true), 0);
	assert_string_equal(fake_damon_get("0/state"), "off");
	assert_int_equal(damon_read(damon, slot, out, 8, &strange), -ESRCH);
	assert_int_equal(damon_pause(damon, slot, false), 0);
	assert_string_equal(fake_damon_get("0/state"), "on");
}

static void no_bad_target(void **state)
{
	static const struct damon_target bad[] = {
		{ 0, START, BYTES },	 { -1, START, BYTES },
		{ 1, START + 1, BYTES }, { 1, START, 0 },
		{ 1, START, 100 },	 { 1, UINT64_MAX - 4095, 8192 },
	};
	unsigned slot;

	(void)state;
	open_it();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(damon_start(damon, &bad[i], &slot), -EINVAL);
	damon_stop(damon, 3);
	damon_stop(damon, 1000);
	assert_int_equal(damon_read(damon, 1000, out, 8, &strange), -ESTALE);
}

/* --- whose it is ---------------------------------------------------------- */

/* Somebody else's, as `damo` and others make them. */
static void make_others(void)
{
	assert_int_equal(fake_damon_put("nr_kdamonds", "1"), 0);
	assert_int_equal(fake_damon_put("0/contexts/nr_contexts", "1"), 0);
	assert_int_equal(
		fake_damon_put(ATTRS "intervals/update_us", "60000000"), 0);
	assert_int_equal(fake_damon_put("0/state", "on"), 0);
}

static void others_are_left_alone(void **state)
{
	(void)state;
	make_others();
	assert_int_equal(damon_probe(fake_root, &diag), -EBUSY);
	assert_non_null(strstr(diag.text, "somebody else has 1 kdamond "));
	assert_int_equal(damon_open(&damon, fake_root, &limits, NULL, &diag),
			 -EBUSY);
	assert_int_equal(damon_tidy(fake_root), 0);
	assert_int_equal(fake_writes, 0);
	assert_string_equal(fake_damon_get("0/state"), "on");
}

/* One of theirs among ours, and one that nobody has told what to do. */
static void a_list_that_is_not_all_ours_is_left_alone(void **state)
{
	(void)state;
	assert_int_equal(fake_damon_put("nr_kdamonds", "2"), 0);
	assert_int_equal(fake_damon_put("0/contexts/nr_contexts", "1"), 0);
	assert_int_equal(
		fake_damon_put(ATTRS "intervals/update_us", "293287969615"), 0);
	assert_int_equal(damon_tidy(fake_root), 0);
	assert_int_equal(damon_probe(fake_root, &diag), -EBUSY);
	assert_int_equal(fake_writes, 0);
}

/* A killed monitor: its lock is gone, its kdamonds are not. */
static void leave_three(void)
{
	char name[80];

	assert_int_equal(fake_damon_put("nr_kdamonds", "3"), 0);
	for (unsigned i = 0; i < 3; i++) {
		(void)snprintf(name, sizeof(name), "%u/contexts/nr_contexts",
			       i);
		assert_int_equal(fake_damon_put(name, "1"), 0);
		(void)snprintf(name, sizeof(name),
			       "%u/contexts/0/monitoring_attrs/intervals/"
			       "update_us",
			       i);
		assert_int_equal(fake_damon_put(name, "293287969615"), 0);
	}
	assert_int_equal(fake_damon_put("1/state", "on"), 0);
}

static void what_a_killed_monitor_left_is_taken(void **state)
{
	unsigned left = 0;

	(void)state;
	leave_three();
	assert_int_equal(damon_probe(fake_root, &diag), 0);
	assert_int_equal(fake_writes, 0); /* a probe leaves it */
	assert_int_equal(damon_open(&damon, fake_root, &limits, &left, &diag),
			 0);
	assert_int_equal(left, 3);
	assert_string_equal(fake_damon_get("1/state"), "off");
	assert_int_equal(start(), 0);
}

static void what_a_killed_monitor_left_is_removed(void **state)
{
	(void)state;
	leave_three();
	assert_int_equal(damon_tidy(fake_root), 3);
	assert_string_equal(fake_damon_get("nr_kdamonds"), "0");
	assert_int_equal(damon_tidy(fake_root), 0);
}

static void one_monitor_at_a_time(void **state)
{
	struct damon *second;
	unsigned before;

	(void)state;
	open_it();
	start();
	before = fake_writes;
	assert_int_equal(damon_open(&second, fake_root, &limits, NULL, &diag),
			 -EAGAIN);
	assert_int_equal(damon_probe(fake_root, &diag), -EAGAIN);
	assert_int_equal(damon_tidy(fake_root), 0);
	assert_int_equal(fake_writes, before);
	assert_string_equal(fake_damon_get("0/state"), "on");
}

/* Somebody makes the list anew while it is ours: nothing is written from then on. */
static void a_list_that_was_taken_is_left_alone(void **state)
{
	unsigned slot, before;

	(void)state;
	open_it();
	slot = start();
	assert_int_equal(fake_damon_put("0/state", "off"), 0);
	make_others();
	before = fake_writes;
	assert_int_equal(damon_read(damon, slot, out, 8, &strange), -ESTALE);
	assert_int_equal(damon_pause(damon, slot, true), -ESTALE);
	damon_stop(damon, slot);
	assert_int_equal(damon_start(damon, &target, &slot), -ESTALE);
	damon_close(damon);
	damon = NULL;
	assert_int_equal(fake_writes, before);
	assert_string_equal(fake_damon_get("0/state"), "on");
}

/* --- kernels that are odd ------------------------------------------------- */

static void a_probe_leaves_nothing(void **state)
{
	(void)state;
	assert_int_equal(damon_probe(fake_root, &diag), 0);
	assert_string_equal(fake_damon_get("nr_kdamonds"), "0");
	assert_string_equal(fake_damon_get("0/state"), "");
}

static void refused(int err, const char *text)
{
	diag = (struct diag){ 0 };
	assert_int_equal(damon_probe(fake_root, &diag), err);
	if (!strstr(diag.text, text))
		fail_msg("'%s' is not in '%s'", text, diag.text);
	assert_null(strchr(diag.text, '\n'));
	assert_int_equal(damon_open(&damon, fake_root, &limits, NULL, &diag),
			 err);
	assert_null(damon);
	if (fake_refuses)
		return;
	assert_string_equal(fake_damon_get("0/state"), "");
}

static void a_kernel_without_it(void **state)
{
	char root[sizeof(fake_root)];

	(void)state;
	fake_offers = "paddr";
	refused(-ENOTSUP, "CONFIG_DAMON_VADDR");
	fake_offers = "fvaddr2 vaddr";
	refused(-ENOTSUP, "CONFIG_DAMON_VADDR");
	fake_offers = "fvaddr";
	fake_shows_regions = false;
	refused(-ENOTSUP, "Linux 6.2");
	fake_shows_regions = true;
	(void)strcpy(root, fake_root);
	(void)strcpy(fake_root, "/tmp/disco-damon-none");
	refused(-ENOENT, "CONFIG_DAMON_SYSFS");
	(void)strcpy(fake_root, root);
}

static void a_kernel_that_refuses(void **state)
{
	(void)state;
	fake_refuses = "/nr_kdamonds";
	fake_refusal = -EPERM;
	refused(-EPERM, "for root alone");
	fake_refusal = -EACCES;
	refused(-EACCES, "for root alone");
	fake_refuses = "/update_us";
	fake_refusal = -EINVAL;
	refused(-EINVAL, "Invalid argument");
	assert_string_equal(fake_damon_get("nr_kdamonds"), "0");
}

static void a_number_that_is_none(void **state)
{
	static const char *const bad[] = {
		"", "-1", "1x", " 1", "0x1", "99999999999999999999"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char path[128];
		FILE *f;

		(void)snprintf(path, sizeof(path), "%s/nr_kdamonds", fake_root);
		f = fopen(path, "we");
		(void)fprintf(f, "%s\n", bad[i]);
		(void)fclose(f);
		refused(-EBADMSG, "not what DAMON's files say");
	}
	/* More than there can be, of which not one is there. */
	assert_int_equal(fake_damon_put("nr_kdamonds", "0"), 0);
	{
		char path[128];
		int fd;

		(void)snprintf(path, sizeof(path), "%s/nr_kdamonds", fake_root);
		fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
		assert_int_equal(write(fd, "4000000000\n", 11), 11);
		(void)close(fd);
	}
	refused(-EBUSY, "somebody else has 4000000000 kdamonds");
	assert_int_equal(fake_writes, 0);
}

static void the_kernel_has_it_for_itself(void **state)
{
	unsigned slot = 7;

	(void)state;
	open_it();
	fake_is_busy = true;
	assert_int_equal(damon_start(damon, &target, &slot), -EBUSY);
	assert_int_equal(slot, 7);
	fake_is_busy = false;
	assert_int_equal(start(), 0);
}

/* A region that is wrong is left out; one that is cut ends it. */
static void regions_that_are_wrong(void **state)
{
	static const struct fake_region wrong[] = {
		{ "139637976727551", "139637976743936", "1" },	/* no page */
		{ "139637976723456", "139637976731648", "1" },	/* before */
		{ "139637976981504", "139637976993792", "1" },	/* beyond */
		{ "139637976743936", "139637976727552", "1" },	/* backwards */
		{ "139637976727552", "139637976727552", "1" },	/* empty */
		{ "139637976727552", "139637976743936", "21" }, /* > looks */
		{ "0", "18446744073709547520", "1" },
	};
	static const struct fake_region cut[] = {
		{ "139637976727552", NULL, "1" },
		{ "139637976727552", "139637976743936", NULL },
		{ "139637976727552", "139637976743936", "" },
		{ "zero", "139637976743936", "1" },
		{ "-1", "139637976743936", "1" },
		{ "1e4", "139637976743936", "1" },
		{ "99999999999999999999999", "139637976743936", "1" },
	};
	static const struct fake_region good = { "139637976743936",
						 "139637976989696", "3" };
	unsigned slot;

	(void)state;
	open_it();
	slot = start();
	fake_nr_regions = 2;
	fake_regions[1] = good;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		fake_regions[0] = wrong[i];
		strange = 0;
		assert_int_equal(damon_read(damon, slot, out, 8, &strange), 1);
		assert_int_equal(strange, 1);
		assert_int_equal(out[0].accesses, 3);
	}
	for (size_t i = 0; i < ARRAY_SIZE(cut); i++) {
		fake_regions[0] = cut[i];
		assert_int_equal(damon_read(damon, slot, out, 8, &strange),
				 -EBADMSG);
	}
	/* The same region twice. */
	fake_regions[0] = good;
	strange = 0;
	assert_int_equal(damon_read(damon, slot, out, 8, &strange), 1);
	assert_int_equal(strange, 1);
	fake_nr_regions = 0;
	assert_int_equal(damon_read(damon, slot, out, 8, &strange), 0);
}

static void a_process_that_has_ended(void **state)
{
	unsigned slot;

	(void)state;
	open_it();
	slot = start();
	assert_int_equal(fake_damon_put("0/state", "off"), 0);
	assert_int_equal(damon_read(damon, slot, out, 8, &strange), -ESRCH);
	damon_stop(damon, slot);
	assert_int_equal(start(), 0);
}

/* --- this machine's kernel ------------------------------------------------ */

static void this_kernel_says_why_not(void **state)
{
	uint64_t before = 0, after = 0;
	int had = sysfs_get_number(DAMON_ROOT "/nr_kdamonds", &before), err;

	(void)state;
	/* Writing is the fake's: with an empty list the probe would write there. */
	if (had == 0 && before == 0)
		SKIP("nobody has kdamonds here; see test_damon_kernel");
	err = damon_probe(DAMON_ROOT, &diag);
	print_message("[          ] %s\n", diag.text);
	assert_true(err < 0);
	assert_true(*diag.text);
	assert_int_equal(fake_writes, 0);
	if (had == 0) {
		assert_int_equal(
			sysfs_get_number(DAMON_ROOT "/nr_kdamonds", &after), 0);
		assert_int_equal(after, before);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_kdamond_looks_at_the_memory,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(its_end_leaves_an_empty_list,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(regions_are_read, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_list_grows, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_pause_is_a_stop, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(no_bad_target, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(others_are_left_alone, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			a_list_that_is_not_all_ours_is_left_alone, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			what_a_killed_monitor_left_is_taken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_a_killed_monitor_left_is_removed, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(one_monitor_at_a_time, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			a_list_that_was_taken_is_left_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_probe_leaves_nothing, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_kernel_without_it, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_kernel_that_refuses, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_number_that_is_none, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(the_kernel_has_it_for_itself,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(regions_that_are_wrong, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_process_that_has_ended,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(this_kernel_says_why_not,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
