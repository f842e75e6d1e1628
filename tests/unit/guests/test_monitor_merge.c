/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Merging from end to end: a monitor, and fake workers with the real worker's
 * part of it.
 */
#include <string.h>
#include <unistd.h>

#include "tests/unit/guests/fake_merger.h"
#include "tests/unit/guests/fake_worker.h"
#include "tests/unit/guests/monitor_calls.h"

#define EQUAL  MERGER_EQUAL
#define KERNEL "/bin/sh" /* a file that nobody changes */

static void start_merger(const char *name)
{
	start_vm_with(name, KERNEL, "%s", ",\"merge\":true");
}

static json_int_t merged(const char *vm)
{
	return vm_figure(vm, "merged_pages");
}

/* Its sums are known, of two rounds: frames may be compared with its own. */
static void is_summed(const char *vm)
{
	WAIT_UNTIL(vm_figure(vm, MERGER_ANSWERS) >= 3);
}

/* In the end, and no more than that. */
static void shares(const char *vm, json_int_t pages)
{
	WAIT_UNTIL(merged(vm) >= pages);
	assert_int_equal(merged(vm), pages);
}

static void end_all(const char *const names[])
{
	for (unsigned i = 0; names[i]; i++) {
		expect(names[i], "running", 0);
		vm_call(names[i], "kill");
		expect(names[i], "ended", ST_STOPPED);
	}
}

static void equal_pages_are_shared(void **state)
{
	static const char *const names[] = { "merger.a", "merger.b", "merger.c",
					     NULL };

	(void)state;
	start_merger("merger.a");
	start_merger("merger.b");
	shares("merger.a", EQUAL);
	shares("merger.b", EQUAL);
	said("gave 300 pages of memory for the guests of group default");
	/* One that comes later gets the layer, and gives none. */
	start_merger("merger.c");
	shares("merger.c", EQUAL);
	end_all(names);
}

static void only_of_those_who_ask_and_their_group(void **state)
{
	static const char *const names[] = { "merger.d", "merger.e", "merger.f",
					     "merger.g", NULL };

	(void)state;
	start_vm_with("merger.d", KERNEL, "%s", "");
	start_vm_with("merger.e", KERNEL, ",\"merge\":true,\"group\":\"%s\"",
		      "other");
	start_merger("merger.f");
	start_merger("merger.g");
	shares("merger.f", EQUAL);
	shares("merger.g", EQUAL);
	(void)usleep(500000);
	assert_int_equal(merged("merger.d"), 0);
	assert_int_equal(merged("merger.e"), 0);
	end_all(names);
}

static void one_alone_shares_with_itself(void **state)
{
	static const char *const names[] = { "twins", NULL };

	(void)state;
	start_merger("twins");
	shares("twins", MERGER_OWN);
	said("twins: gave 1 pages of memory for itself of group default");
	end_all(names);
}

/* A layer that it had is found again. */
static void what_is_equal_again_is_shared_again(void **state)
{
	static const char *const names[] = { "restless", "merger.k", NULL };

	(void)state;
	start_merger("restless");
	start_merger("merger.k");
	WAIT_UNTIL(merged("restless") >= 2 * EQUAL);
	assert_int_equal(merged("merger.k"), EQUAL);
	end_all(names);
}

/* It is not believed: what it gave is tried once, and others give the same. */
static void who_lies_hurts_nobody(void **state)
{
	static const char *const names[] = { "merger.h", "cheat", "merger.l",
					     NULL };

	(void)state;
	start_merger("merger.h");
	is_summed("merger.h");
	start_merger("cheat");
	said("cheat: gave 300 pages");
	start_merger("merger.l");
	shares("merger.h", EQUAL);
	shares("merger.l", EQUAL);
	shares("cheat", EQUAL);
	end_all(names);
}

static void who_dies_while_it_gives_is_replaced(void **state)
{
	static const char *const names[] = { "merger.i", "merger.j", NULL };

	(void)state;
	start_merger("merger.i");
	is_summed("merger.i");
	start_merger("dies");
	expect("dies", "ended", ST_WORKER_FAIL);
	start_merger("merger.j");
	shares("merger.i", EQUAL);
	shares("merger.j", EQUAL);
	end_all(names);
}

int main(int argc, char **argv)
{
#define WITH_MONITOR(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_MONITOR(equal_pages_are_shared),
		WITH_MONITOR(only_of_those_who_ask_and_their_group),
		WITH_MONITOR(one_alone_shares_with_itself),
		WITH_MONITOR(what_is_equal_again_is_shared_again),
		WITH_MONITOR(who_lies_hurts_nobody),
		WITH_MONITOR(who_dies_while_it_gives_is_replaced),
	};
	static char often[] = "--merge=0.1";
	int failed;

	fake_worker_other = fake_merger;
	monitor_option = often;
	if (!monitor_calls_begin(argc, argv))
		return 1;
	failed =
		cmocka_run_group_tests_name("monitor merge", tests, NULL, NULL);
	monitor_calls_end();
	return failed;
}
