/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replicas from end to end: a monitor, the agents of two nodes, and fake
 * workers on both that read one image and compare each block with the file,
 * while stores and agents come and go. Where there is one node another one is
 * made believe in.
 */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/unit/guests/fake_reader.h"
#include "tests/unit/guests/fake_worker.h"
#include "tests/unit/guests/monitor_calls.h"

#define IMAGE_BLOCKS READER_IMAGE_BLOCKS
#define IMAGE_BYTES  READER_IMAGE_BYTES

static char image[] = "/tmp/disco-image-XXXXXX";
static char other[] = "/tmp/disco-image-XXXXXX";

/* In place of the C library's: memory of a node that is not there is bound. */
long syscall(long nr, ...)
{
	static long (*real)(long nr, ...);
	long a[6], ret;
	va_list ap;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "syscall");
	va_start(ap, nr);
	for (unsigned i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	ret = real(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (ret < 0 && errno == EINVAL &&
	    (nr == SYS_mbind || nr == SYS_set_mempolicy))
		return 0;
	return ret;
}

static int set_up_nodes(char *option)
{
	monitor_option = option;
	(void)setenv("HWLOC_SYNTHETIC", "numa:2(memory=268435456) pu:1", 1);
	(void)setenv("HWLOC_THISSYSTEM", "1", 1);
	return sysconf(_SC_NPROCESSORS_ONLN) < 2 ? 0 : set_up(NULL);
}

static int set_up_large(void **state)
{
	static char option[] = "--cache=16M";

	(void)state;
	return set_up_nodes(option);
}

/* All of the image, and half of it as replicas: they take turns for ever. */
static int set_up_medium(void **state)
{
	static char option[] = "--cache=2M";

	(void)state;
	return set_up_nodes(option);
}

/* Half of the image. */
static int set_up_small(void **state)
{
	static char option[] = "--cache=1M";

	(void)state;
	return set_up_nodes(option);
}

static int tear_down_nodes(void **state)
{
	monitor_option = NULL;
	(void)unsetenv("HWLOC_SYNTHETIC");
	(void)unsetenv("HWLOC_THISSYSTEM");
	return sysconf(_SC_NPROCESSORS_ONLN) < 2 ? 0 : tear_down(state);
}

static void need_cpus(void)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP("one CPU");
}

static void start_reader(const char *name, int node)
{
	start_vm_with(name, "/kernel",
		      ",\"node\":%d,"
		      "\"disks\":[{\"path\":\"%s\",\"ro\":true}]",
		      node, image);
}

/* In the end. */
static void reaches(int node, const char *what, json_int_t least)
{
	uint64_t end = wait_end_ns();

	while (clock_now_ns() < end) {
		if (agent_figure(node, what) >= least)
			return;
		(void)usleep(10000);
	}
	fail_msg("node %d: %s is %lld, not %lld", node, what,
		 (long long)agent_figure(node, what), (long long)least);
}

static void reads_on(const char *name)
{
	json_int_t hits = vm_figure(name, "hit_blocks");

	WAIT_UNTIL(vm_figure(name, "hit_blocks") >= hits + 1000);
}

/* So much more, by the agent that runs. */
static void copies_on(int node)
{
	reaches(node, "replicated_blocks",
		max_u64(0, (uint64_t)agent_figure(node, "replicated_blocks")) +
			300);
}

static void kill_agent(int node)
{
	json_int_t starts = agent_figure(node, "starts");

	assert_true(agent_figure(node, "pid") > 1);
	(void)kill((pid_t)agent_figure(node, "pid"), SIGKILL);
	WAIT_UNTIL(agent_figure(node, "starts") != starts);
	reaches(node, "links", 1);
}

/* All of the image comes to the second node, and is read once. */
static void hot_blocks_are_copied(void **state)
{
	json_int_t remote;

	(void)state;
	need_cpus();
	start_reader("reader.a", 0);
	reaches(0, "present_blocks", IMAGE_BLOCKS);
	assert_int_equal(agent_figure(0, "read_bytes"), IMAGE_BYTES);
	start_reader("reader.b", 1);
	reaches(1, "replicated_blocks", IMAGE_BLOCKS);
	assert_int_equal(agent_figure(1, "replica_blocks"), IMAGE_BLOCKS);
	assert_int_equal(agent_figure(1, "present_blocks"), IMAGE_BLOCKS);
	assert_int_equal(agent_figure(1, "read_bytes"), 0);
	assert_int_equal(agent_figure(0, "read_bytes"), IMAGE_BYTES);
	assert_int_equal(agent_figure(0, "replicated_blocks"), 0);
	/* From then on it uses those. */
	reads_on("reader.b");
	remote = vm_figure("reader.b", "remote_blocks");
	assert_true(remote >= (json_int_t)(2 * IMAGE_BLOCKS));
	reads_on("reader.b");
	assert_int_equal(vm_figure("reader.b", "remote_blocks"), remote);
	/* They outlive what they are of, and the agent that made them. */
	vm_call("reader.a", "kill");
	reads_on("reader.b");
	kill_agent(1);
	reads_on("reader.b");
	assert_int_equal(agent_figure(1, "present_blocks"), IMAGE_BLOCKS);
	assert_int_equal(agent_figure(1, "read_bytes"), 0);
	expect("reader.b", "running", 0);
	vm_call("reader.b", "kill");
}

static void agents_die(void **state)
{
	(void)state;
	need_cpus();
	start_reader("reader.c", 0);
	reaches(0, "present_blocks", IMAGE_BLOCKS);
	start_reader("reader.d", 1);
	/* The one that is copied from, which has to know who does. */
	for (unsigned i = 0; i < 3; i++) {
		copies_on(1);
		kill_agent(0);
		copies_on(1);
	}
	/* The one that copies; what it had does not count as copies. */
	kill_agent(1);
	reaches(1, "replicated_blocks", 100);
	reads_on("reader.c");
	reads_on("reader.d");
	assert_int_equal(agent_figure(0, "read_bytes") +
				 agent_figure(1, "read_bytes"),
			 0);
	expect("reader.c", "running", 0);
	expect("reader.d", "running", 0);
	vm_call("reader.c", "kill");
	vm_call("reader.d", "kill");
}

/* Then the other one has all of it, and copies go the other way. */
static void stores_come_and_go(void **state)
{
	(void)state;
	need_cpus();
	start_reader("reader.e", 0);
	reaches(0, "present_blocks", IMAGE_BLOCKS);
	start_reader("reader.f", 1);
	for (unsigned i = 0; i < 2; i++) {
		copies_on(1);
		vm_call("reader.e", "kill");
		reaches(1, "present_blocks", IMAGE_BLOCKS);
		start_reader("reader.e", 0);
		copies_on(0);
		vm_call("reader.f", "kill");
		reaches(0, "present_blocks", IMAGE_BLOCKS);
		start_reader("reader.f", 1);
	}
	copies_on(1);
	expect("reader.e", "running", 0);
	expect("reader.f", "running", 0);
	vm_call("reader.e", "kill");
	vm_call("reader.f", "kill");
	WAIT_UNTIL(agent_figure(0, "present_blocks") +
			   agent_figure(1, "present_blocks") ==
		   0);
	assert_int_equal(agent_figure(0, "replica_blocks"), 0);
	assert_int_equal(agent_figure(1, "replica_blocks"), 0);
}

/* All the time, while they copy from each other, and die. */
static void both_evict(void **state)
{
	(void)state;
	need_cpus();
	start_reader("reader.g", 0);
	reaches(0, "evicted_blocks", 100);
	start_reader("reader.h", 1);
	for (unsigned i = 0; i < 6; i++) {
		reads_on("reader.g");
		reads_on("reader.h");
		kill_agent((int)(i % 2));
	}
	reads_on("reader.g");
	reads_on("reader.h");
	expect("reader.g", "running", 0);
	expect("reader.h", "running", 0);
	vm_call("reader.g", "kill");
	vm_call("reader.h", "kill");
}

static void start_sharer(const char *name, int node, const char *of)
{
	start_vm_with(name, "/kernel",
		      ",\"node\":%d,\"merge\":true,"
		      "\"nets\":[{\"name\":\"lan\"}],"
		      "\"disks\":[{\"path\":\"%s\",\"ro\":true}]",
		      node, of);
}

/*
 * Images of others, which frames refer to (fake_reader.h), are copied to where they
 * are used; of a VM that was linked to its agent before it had them.
 */
static void foreign_blocks_are_copied(void **state)
{
	json_int_t there;

	(void)state;
	need_cpus();
	start_sharer("reader.i", 1, other);
	reaches(1, "present_blocks", IMAGE_BLOCKS);
	reads_on("reader.i");
	start_sharer("reader.j", 0, image);
	reaches(0, "replicated_blocks", IMAGE_BLOCKS);
	reaches(1, "replicated_blocks", IMAGE_BLOCKS);
	assert_int_equal(agent_figure(0, "links_lost"), 0);
	assert_int_equal(agent_figure(1, "links_lost"), 0);
	/* They outlive the VM whose they are, for who has them. */
	vm_call("reader.j", "kill");
	expect("reader.j", "ended", ST_STOPPED);
	there = agent_figure(1, "present_blocks");
	assert_int_equal(there, 2 * IMAGE_BLOCKS);
	reads_on("reader.i");
	expect("reader.i", "running", 0);
	vm_call("reader.i", "kill");
	WAIT_UNTIL(agent_figure(1, "present_blocks") == 0);
}

int main(int argc, char **argv)
{
#define NODES(f, how) cmocka_unit_test_setup_teardown(f, how, tear_down_nodes)
	const struct CMUnitTest tests[] = {
		NODES(hot_blocks_are_copied, set_up_large),
		NODES(agents_die, set_up_medium),
		NODES(stores_come_and_go, set_up_medium),
		NODES(both_evict, set_up_small),
		NODES(foreign_blocks_are_copied, set_up_large),
	};
	int failed;

	fake_worker_other = fake_reader;
	if (!monitor_calls_begin(argc, argv) || !fake_reader_image(image) ||
	    !fake_reader_image(other))
		return 1;
	failed = cmocka_run_group_tests_name("monitor replicas", tests, NULL,
					     NULL);
	(void)unlink(image);
	(void)unlink(other);
	monitor_calls_end();
	return failed;
}
