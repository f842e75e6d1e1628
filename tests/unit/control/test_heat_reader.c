/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reader of DAMON as a thread, with a tree of files that the test plays the
 * kernel for; this process stands for the worker, whose RAM is a memfd of the right
 * name. And the reader as the process that it is, on a machine without DAMON.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/control/placer/heat_reader.h"
#include "tests/unit/sampling/fake_damon.h"
#include "tests/unit/support.h"

#define PAGES 32u
#define VM    41u

static struct heat_reader_config config = {
	.root = fake_root,
	.limits = { .regions = 300, .sample_us = 10000 },
};
static int sock = -1, others = -1;
static pthread_t thread;
static bool running;
static char *ram;
static char starts[2][24], ends[2][24];

static void *run(void *arg)
{
	(void)arg;
	heat_child_run(others, &config);
	(void)close(others);
	return NULL;
}

static int set_up(void **state)
{
	int fds[2], fd = memfd_create("disco-ram", MFD_CLOEXEC);

	(void)state;
	config.share = 500;
	assert_return_code(ftruncate(fd, PAGES * PAGE_BYTES), errno);
	ram = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		   fd, 0);
	assert_ptr_not_equal(ram, MAP_FAILED);
	(void)close(fd);
	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), errno);
	sock = fds[0];
	others = fds[1];
	return fake_damon_create();
}

/* The monitor is gone: what the reader made goes as well. */
static int tear_down(void **state)
{
	(void)state;
	if (sock >= 0)
		(void)close(sock);
	sock = -1;
	if (running)
		(void)pthread_join(thread, NULL);
	running = false;
	(void)munmap(ram, PAGES * PAGE_BYTES);
	fake_damon_destroy();
	return 0;
}

static void begin(void)
{
	assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
	running = true;
}

static void order(uint64_t vm, pid_t pid)
{
	const struct heat_order o = { .vm = vm,
				      .ram_bytes = PAGES * PAGE_BYTES,
				      .pid = (int32_t)pid };

	assert_int_equal(send(sock, &o, sizeof(o), 0), sizeof(o));
}

static void next(struct heat_answer *a)
{
	assert_true(wait_readable(sock));
	assert_int_equal(recv(sock, a, sizeof(*a), 0), sizeof(*a));
}

/* Of pages of RAM. */
static void show(unsigned i, unsigned page, unsigned pages,
		 const char *accesses)
{
	(void)snprintf(starts[i], sizeof(starts[i]), "%" PRIuPTR,
		       (uintptr_t)ram + page * PAGE_BYTES);
	(void)snprintf(ends[i], sizeof(ends[i]), "%" PRIuPTR,
		       (uintptr_t)ram + (page + pages) * PAGE_BYTES);
	fake_regions[i] = (struct fake_region){ starts[i], ends[i], accesses };
	fake_nr_regions = i + 1;
}

static void snapshots_come(void **state)
{
	struct heat_answer a;

	(void)state;
	show(0, 0, 5, "20");
	show(1, 5, 27, "1");
	begin();
	order(VM, getpid());
	next(&a);
	assert_string_equal(a.text, "");
	assert_int_equal(a.heat.vm, VM);
	assert_int_equal(a.heat.nr, 2);
	assert_int_equal(a.heat.period_ns, 200000000);
	assert_int_equal(a.heat.regions[0].page, 0);
	assert_int_equal(a.heat.regions[0].pages, 5);
	assert_int_equal(a.heat.regions[0].accesses, 20);
	assert_int_equal(a.heat.regions[1].page, 5);
	assert_int_equal(a.heat.regions[1].pages, 27);
	next(&a); /* and again */
	assert_int_equal(a.heat.nr, 2);
	assert_string_equal(fake_damon_get("0/state"), "on");
	/* The monitor ends. */
	(void)close(sock);
	sock = -1;
	(void)pthread_join(thread, NULL);
	running = false;
	assert_string_equal(fake_damon_get("nr_kdamonds"), "0");
}

static void wait_for_state(const char *state)
{
	uint64_t end = wait_end_ns();

	while (strcmp(fake_damon_get("0/state"), state) != 0) {
		assert_true(clock_now_ns() < end);
		(void)poll(NULL, 0, 1);
	}
}

static void an_order_ends_another(void **state)
{
	struct heat_answer a;

	(void)state;
	show(0, 0, 5, "20");
	begin();
	order(VM, getpid());
	next(&a);
	order(VM, 0);
	wait_for_state("off");
	order(VM + 1, getpid());
	do
		next(&a);
	while (a.heat.vm == VM); /* that was under way */
	assert_int_equal(a.heat.vm, VM + 1);
}

/* This thread stands for the kdamond, as far as its CPU time goes. */
static void burn_ms(uint64_t ms)
{
	uint64_t end = clock_thread_ns() + ms * 1000000;

	while (clock_thread_ns() < end)
		;
}

/* 200 ms of a fifteenth of a CPU: it rests for 3 s, and goes on. */
static void a_kdamond_over_its_share_is_stopped(void **state)
{
	struct heat_answer a;
	char pid[16];

	(void)state;
	(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
	config.share = 66;
	show(0, 0, 5, "20");
	begin();
	order(VM, getpid());
	next(&a);
	assert_string_equal(fake_damon_get("0/state"), "on");
	assert_int_equal(fake_damon_put("0/pid", pid), 0);
	burn_ms(200);
	wait_for_state("off");
	wait_for_state("on");
}

static void a_process_without_ram_is_looked_for_again(void **state)
{
	struct heat_answer a;

	(void)state;
	show(0, 0, 5, "20");
	begin();
	order(7, 1); /* another program */
	order(VM, getpid());
	next(&a);
	assert_int_equal(a.heat.vm, VM);
}

static void lines(const char *text)
{
	struct heat_answer a;

	do
		next(&a);
	while (!*a.text);
	if (!strstr(a.text, text))
		fail_msg("'%s' is not in '%s'", text, a.text);
}

static void others_kdamonds(void **state)
{
	(void)state;
	(void)fake_damon_put("nr_kdamonds", "1");
	begin();
	lines("somebody else has 1 kdamond there");
	assert_int_equal(recv(sock, ram, 1, 0), 0); /* it has ended */
	assert_int_equal(fake_writes, 0);
}

static void a_list_that_is_taken(void **state)
{
	struct heat_answer a;

	(void)state;
	show(0, 0, 5, "20");
	begin();
	order(VM, getpid());
	next(&a);
	(void)fake_damon_put(
		"0/contexts/0/monitoring_attrs/intervals/update_us", "1000000");
	lines("somebody else has made its kdamonds anew");
	assert_string_equal(fake_damon_get("0/state"), "on");
}

static void regions_that_are_cut(void **state)
{
	(void)state;
	show(0, 0, 5, NULL);
	begin();
	order(VM, getpid());
	lines("regions that are cut");
	wait_for_state("off");
}

/* --- where RAM is --------------------------------------------------------- */

static bool find(const char *text, uint64_t *start)
{
	FILE *f = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	bool found = heat_find_ram(f, 16 * PAGE_BYTES, start);

	(void)fclose(f);
	return found;
}

static void ram_is_found_in_maps(void **state)
{
	uint64_t start = 0;

	(void)state;
	/* Its first pages show something else. */
	assert_true(find("00400000-00401000 r-xp 00000000 00:01 7 /bin/x\n"
			 "7f0000002000-7f0000010000 rw-s 00002000 00:01 9 "
			 "/memfd:disco-ram (deleted)\n",
			 &start));
	assert_true(start == 0x7f0000000000);
	start = 5;
	assert_false(find("7f0000002000-7f0000010000 rw-s 00002000 00:01 9 "
			  "/memfd:other (deleted)\n",
			  &start));
	/* More than it has, in the middle of a page, below zero. */
	assert_false(find("7f0000002000-7f0000010000 rw-s 00010000 00:01 9 "
			  "/memfd:disco-ram\n"
			  "7f0000002001-7f0000010000 rw-s 00000000 00:01 9 "
			  "/memfd:disco-ram\n"
			  "00001000-00002000 rw-s 00002000 00:01 9 "
			  "/memfd:disco-ram\n"
			  "/memfd:disco-ram\n"
			  "fffffffffffff000-fffffffffffff001 rw-s 0 00:01 9 "
			  "/memfd:disco-ram\n",
			  &start));
	assert_int_equal(start, 5);
	assert_false(find("x", &start));
}

/* --- the process ---------------------------------------------------------- */

static unsigned nr_lines;

static void on_heat(void *arg, const struct agent_req_heat *r)
{
	(void)arg;
	(void)r;
	fail_msg("there is no DAMON here");
}

static void on_failed(void *arg, const char *text)
{
	print_message("[          ] %s\n", text);
	assert_ptr_equal(arg, &nr_lines);
	nr_lines++;
}

static void the_process_says_why_not(void **state)
{
	struct heat_reader_config c = config;
	struct heat_reader *h;
	struct loop loop;

	(void)state;
	c.root = "/tmp/disco-damon-none";
	c.heat = on_heat;
	c.failed = on_failed;
	c.arg = &nr_lines;
	assert_int_equal(loop_create(&loop), 0);
	assert_int_equal(heat_reader_create(&h, &loop, &c), 0);
	while (nr_lines < 2) /* why, and that it has ended */
		assert_int_equal(loop_turn(&loop, -1), 0);
	heat_reader_order(h, VM, getpid(), PAGE_BYTES); /* to nobody */
	heat_reader_destroy(h);
	loop_destroy(&loop);
	assert_int_equal(nr_lines, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(snapshots_come, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(an_order_ends_another, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			a_kdamond_over_its_share_is_stopped, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_process_without_ram_is_looked_for_again, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(others_kdamonds, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_list_that_is_taken, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(regions_that_are_cut, set_up,
						tear_down),
		cmocka_unit_test(ram_is_found_in_maps),
		cmocka_unit_test(the_process_says_why_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
