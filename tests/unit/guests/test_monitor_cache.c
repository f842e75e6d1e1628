/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The buffer cache from end to end: a monitor and its agent, and fake workers
 * that read their disks through it and compare each block with the file.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "tests/unit/guests/fake_reader.h"
#include "tests/unit/guests/fake_worker.h"
#include "tests/unit/guests/monitor_calls.h"

#define IMAGE_BLOCKS READER_IMAGE_BLOCKS
#define IMAGE_BYTES  READER_IMAGE_BYTES

static char image[] = "/tmp/disco-image-XXXXXX";
static char other[] = "/tmp/disco-image-XXXXXX";

static void start_reader_of(const char *name, const char *how, const char *more)
{
	start_vm_with(name, "/kernel", ",\"disks\":[{\"path\":\"%s\",%s}]%s",
		      image, how, more);
}

static void start_reader(const char *name, const char *more)
{
	start_reader_of(name, "\"ro\":true", more);
}

/* Of a VM, or with NULL of the agent; -1: not known. */
static json_int_t cache_figure(const char *vm, const char *key)
{
	return vm ? vm_figure(vm, key) : agent_figure(0, key);
}

/* In the end it is at least this. */
static void reaches(const char *vm, const char *key, json_int_t least)
{
	uint64_t end = wait_end_ns();

	while (clock_now_ns() < end) {
		if (cache_figure(vm, key) >= least)
			return;
		(void)usleep(10000);
	}
	fail_msg("%s: %s is %lld, not %lld", vm ? vm : "agent", key,
		 (long long)cache_figure(vm, key), (long long)least);
}

static void two_vms_read_an_image_once(void **state)
{
	json_t *doc = description(), *root;
	json_int_t direct, hits, read;

	(void)state;
	start_reader("reader.a", "");
	reaches("reader.a", "hit_blocks", 20000);
	reaches(NULL, "present_blocks", IMAGE_BLOCKS);
	read = cache_figure(NULL, "read_bytes");
	start_reader("reader.b", "");
	reaches("reader.b", "hit_blocks", 20000);
	assert_int_equal(cache_figure("reader.b", "missed_blocks"), 0);
	assert_int_equal(cache_figure(NULL, "present_blocks"), IMAGE_BLOCKS);
	assert_int_equal(cache_figure(NULL, "read_bytes"), read);
	assert_int_equal(read, IMAGE_BYTES);
	assert_int_equal(cache_figure(NULL, "links"), 2);
	/* None directly, now that it is connected. */
	direct = cache_figure("reader.b", "direct_blocks");
	hits = cache_figure("reader.b", "hit_blocks");
	reaches("reader.b", "hit_blocks", hits + 1000);
	assert_int_equal(cache_figure("reader.b", "direct_blocks"), direct);
	root = call("GET", "/v1/stats", NULL);
	has_keys_of(doc, "AgentCache",
		    json_object_get(
			    json_array_get(json_object_get(root, "agents"), 0),
			    "cache"));
	has_keys_of(
		doc, "VmCache",
		json_object_get(json_array_get(json_object_get(root, "vms"), 0),
				"cache"));
	json_decref(root);
	json_decref(doc);
	vm_call("reader.a", "kill");
	vm_call("reader.b", "kill");
	WAIT_UNTIL(cache_figure(NULL, "links") == 0);
	WAIT_UNTIL(cache_figure(NULL, "present_blocks") == 0);
}

static void groups_read_for_themselves(void **state)
{
	(void)state;
	start_reader("reader.c", ",\"group\":\"one\"");
	reaches("reader.c", "hit_blocks", 20000);
	start_reader("reader.d", ",\"group\":\"other\"");
	reaches("reader.d", "hit_blocks", 20000);
	assert_true(cache_figure("reader.d", "missed_blocks") > 0);
	reaches(NULL, "present_blocks", 2 * IMAGE_BLOCKS);
	vm_call("reader.c", "kill");
	vm_call("reader.d", "kill");
}

/* With those that are block devices: the image is read once. */
static void pmem_disks_are_of_the_cache(void **state)
{
	(void)state;
	start_reader("reader.g", "");
	reaches("reader.g", "hit_blocks", 20000);
	reaches(NULL, "present_blocks", IMAGE_BLOCKS);
	start_reader_of("reader.h", "\"pmem\":true,\"ro\":true", "");
	start_reader_of("reader.i", "\"pmem\":true,\"snapshot\":true", "");
	reaches("reader.h", "hit_blocks", 1000);
	reaches("reader.i", "hit_blocks", 1000);
	assert_int_equal(cache_figure(NULL, "present_blocks"), IMAGE_BLOCKS);
	vm_call("reader.g", "kill");
	vm_call("reader.h", "kill");
	vm_call("reader.i", "kill");
}

/* It reads on, from the file; the others through the cache. */
static void who_scribbles_is_dropped(void **state)
{
	json_int_t hits;

	(void)state;
	start_reader("reader.e", "");
	reaches("reader.e", "hit_blocks", 1000);
	start_reader("scribbler", "");
	reaches(NULL, "links_lost", 1);
	said("scribbler: reads its disks without the buffer cache");
	reaches("scribbler", "hit_blocks", 1000);
	hits = cache_figure("reader.e", "hit_blocks");
	reaches("reader.e", "hit_blocks", hits + 1000);
	assert_int_equal(cache_figure(NULL, "links_lost"), 1);
	expect("reader.e", "running", 0);
	expect("scribbler", "running", 0);
	vm_call("reader.e", "kill");
	vm_call("scribbler", "kill");
}

/* What the dead one had read is there, and not read again. */
static void an_agent_that_died_is_replaced(void **state)
{
	json_int_t hits;

	(void)state;
	start_reader("reader.f", "");
	reaches(NULL, "present_blocks", IMAGE_BLOCKS);
	for (unsigned i = 0; i < 3; i++) {
		json_int_t starts = agent_figure(0, "starts");

		assert_true(agent_figure(0, "pid") > 1);
		(void)kill((pid_t)agent_figure(0, "pid"), SIGKILL);
		WAIT_UNTIL(agent_figure(0, "starts") != starts);
		hits = cache_figure("reader.f", "hit_blocks");
		reaches("reader.f", "hit_blocks", hits + 1000);
		reaches(NULL, "links", 1);
		assert_int_equal(cache_figure(NULL, "present_blocks"),
				 IMAGE_BLOCKS);
		assert_int_equal(cache_figure(NULL, "read_bytes"), 0);
	}
	expect("reader.f", "running", 0);
	vm_call("reader.f", "kill");
}

/* Of the first or the other image, in that network and group. */
static void start_sharer(const char *name, const char *of, const char *net,
			 const char *more)
{
	start_vm_with(name, "/kernel",
		      ",\"disks\":[{\"path\":\"%s\",\"ro\":true}],"
		      "\"nets\":[{\"name\":\"%s\"}]%s",
		      of, net, more);
}

/*
 * Frames refer to cached blocks: those who may get such frames have the images.
 * What fake_reader.h shows in place of these figures.
 */
static void references_lead_to_images_of_others(void **state)
{
	static const char *const none[] = { "reader.n", "reader.o",
					    "reader.p" };

	(void)state;
	start_sharer("reader.s", image, "lan", ",\"merge\":true");
	start_sharer("reader.t", other, "lan", ",\"merge\":true");
	start_sharer("reader.n", other, "lan", "");
	start_sharer("reader.o", other, "wan", ",\"merge\":true");
	start_sharer("reader.p", other, "lan",
		     ",\"merge\":true,\"group\":\"other\"");
	reaches("reader.s", "refs_received", 1);
	reaches("reader.t", "refs_received", 1);
	/* Its blocks are there, as the other one reads them. */
	reaches("reader.s", "refs_merged_pages", 1000);
	reaches("reader.t", "refs_merged_pages", 1000);
	assert_int_equal(cache_figure("reader.t", "refs_sent"), 1);
	assert_int_equal(cache_figure("reader.t", "refs_dropped"), 1);
	for (unsigned i = 0; i < ARRAY_SIZE(none); i++) {
		reaches(none[i], "hit_blocks", 1000);
		assert_int_equal(cache_figure(none[i], "refs_received"), 0);
		assert_int_equal(cache_figure(none[i], "refs_dropped"), 0);
	}
	assert_int_equal(cache_figure("reader.n", "refs_sent"), 0);
	/* One more of an image that it has: nothing more of it. */
	start_sharer("reader.q", image, "lan", ",\"merge\":true");
	reaches("reader.q", "refs_merged_pages", 1000);
	assert_int_equal(cache_figure("reader.t", "refs_received"), 1);
	assert_int_equal(cache_figure("reader.q", "refs_received"), 1);
	assert_int_equal(cache_figure("reader.s", "refs_received"), 1);
	reaches("reader.s", "refs_dropped", 2);
	/* An agent that is started again serves these, too. */
	(void)kill((pid_t)agent_figure(0, "pid"), SIGKILL);
	WAIT_UNTIL(agent_figure(0, "starts") == 2);
	reaches(NULL, "links", 6);
	assert_int_equal(cache_figure(NULL, "links_lost"), 0);
	/* Its blocks stay for who has them, when their VM has ended. */
	vm_call("reader.s", "kill");
	vm_call("reader.q", "kill");
	expect("reader.q", "ended", ST_STOPPED);
	reaches("reader.t", "refs_merged_pages",
		cache_figure("reader.t", "refs_merged_pages") + 1000);
	expect("reader.t", "running", 0);
	vm_call("reader.t", "kill");
	for (unsigned i = 0; i < ARRAY_SIZE(none); i++)
		vm_call(none[i], "kill");
	WAIT_UNTIL(cache_figure(NULL, "present_blocks") == 0);
}

int main(int argc, char **argv)
{
#define WITH_MONITOR(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_MONITOR(two_vms_read_an_image_once),
		WITH_MONITOR(groups_read_for_themselves),
		WITH_MONITOR(pmem_disks_are_of_the_cache),
		WITH_MONITOR(who_scribbles_is_dropped),
		WITH_MONITOR(an_agent_that_died_is_replaced),
		WITH_MONITOR(references_lead_to_images_of_others),
	};
	int failed;

	fake_worker_other = fake_reader;
	if (!monitor_calls_begin(argc, argv) || !fake_reader_image(image) ||
	    !fake_reader_image(other))
		return 1;
	failed =
		cmocka_run_group_tests_name("monitor cache", tests, NULL, NULL);
	(void)unlink(image);
	(void)unlink(other);
	monitor_calls_end();
	return failed;
}
