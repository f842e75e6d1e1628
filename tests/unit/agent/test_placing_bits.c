/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accessed bits and writes in an agent: from control's messages, the bitmap of idle
 * pages (a file) and the worker's log to decisions. All pages are on node 0, and the
 * VM's vCPUs on node 1, or nobody knows where.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "monitor/ipc/fds.h"
#include "monitor/ipc/figures.h"
#include "tests/unit/agent/placing_rig.h"
#include "tests/unit/support.h"

static int set_up(void **state)
{
	int fd = memfd_create("disco-ram", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(fd, PAGES * PAGE_BYTES), 0);
	ram = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		   fd, 0);
	(void)close(fd);
	for (unsigned i = 0; i < PAGES; i++)
		ram[i * PAGE_BYTES] = 1;
	vcpu_node = 1;
	return placing_create(&placing);
}

static int tear_down(void **state)
{
	(void)state;
	end_placing();
	return munmap(ram, PAGES * PAGE_BYTES);
}

/* @fd: of the message; owned by it */
static void tell_source(uint32_t source, int fd)
{
	struct agent_request m = { .kind = AGENT_MACHINE };

	m.machine = (struct agent_req_machine){
		.nr_nodes = NODES,
		.source = source,
		.rate = 100000,
		.share = 500,
		.nodes = { 0, 1 },
		.distance = { { 10, 20 }, { 20, 10 } },
	};
	memset(m.machine.node_of_cpu, AGENT_NO_NODE,
	       sizeof(m.machine.node_of_cpu));
	obey(&m, fd, -1, -1);
}

/* One turn, when the agent wants it. */
static void next_turn(void)
{
	int ms = placing_wait_ms(placing);

	assert_true(ms >= 0);
	(void)poll(NULL, 0, ms);
	placing_turn(placing);
}

static uint64_t tried(void)
{
	return atomic_load(&said()->moves) + atomic_load(&said()->failed);
}

static void tell_heat(uint64_t vm, uint64_t page, uint32_t pages)
{
	struct agent_request r = { .kind = AGENT_HEAT };

	r.heat.vm = vm;
	r.heat.nr = 2;
	r.heat.regions[0].page = page;
	r.heat.regions[0].pages = pages;
	r.heat.regions[0].accesses = 20;
	r.heat.regions[1].page = PAGES; /* that there is not */
	r.heat.regions[1].pages = 1;
	r.heat.period_ns = 200000000;
	obey(&r, -1, -1, -1);
}

/* Two snapshots that agree; the page goes to where the vCPUs are. */
static void hot_pages_go_to_the_vcpus(void **state)
{
	uint64_t end = wait_end_ns();

	(void)state;
	tell_source(AGENT_SOURCE_DAMON, -1);
	tell_place("autonuma");
	next_turn();	    /* it looks where RAM is */
	tell_heat(4, 0, 1); /* of no VM */
	next_turn();
	assert_int_equal(atomic_load(&said()->records), 0);
	tell_heat(5, 3, 2);
	next_turn();
	assert_int_equal(atomic_load(&said()->records), 2);
	assert_int_equal(atomic_load(&said()->remote), 20);
	assert_int_equal(tried(), 0);
	tell_heat(5, 3, 2);
	while (tried() < 2 && clock_now_ns() < end)
		next_turn();
	assert_int_equal(tried(), 2);
	assert_int_equal(atomic_load(&said()->unknown_node), 0);
	assert_int_equal(ram[3 * PAGE_BYTES], 1);
}

static void bits_of_several_nodes_move_nothing(void **state)
{
	(void)state;
	vcpu_node = AGENT_NO_NODE;
	tell_source(AGENT_SOURCE_DAMON, -1);
	tell_place("autonuma");
	next_turn();
	for (unsigned i = 0; i < 5; i++) {
		tell_heat(5, 3, 2);
		next_turn();
	}
	assert_int_equal(atomic_load(&said()->records), 10);
	assert_int_equal(atomic_load(&said()->unknown_node), 10);
	assert_int_equal(tried(), 0);
}

/*
 * The file is no kernel's: a mark in a word clears the others of it, and the frames
 * of this process may be neighbours. So one page alone is to be seen.
 */
static void idle_pages_are_looked_at(void **state)
{
	int fd = memfd_create("bitmap", MFD_CLOEXEC);
	uint64_t end = wait_end_ns(), most = 0;
	static const uint64_t none[512];

	(void)state;
	if (!find_frames())
		SKIP("pagemap hides frames");
	for (unsigned i = 0; i < PAGES; i++)
		most = max_u64(most, frames[i]);
	assert_int_equal(ftruncate(fd, (off_t)(most / 64 + 1) * 8), 0);
	tell_source(AGENT_SOURCE_IDLE, dup(fd));
	tell_place("autonuma");
	/* All of them are accessed all the time. */
	while (!tried() && clock_now_ns() < end) {
		next_turn();
		for (unsigned i = 0; i < PAGES; i++)
			assert_int_equal(pwrite(fd, none, 8,
						(off_t)(frames[i] / 64 * 8)),
					 8);
	}
	assert_true(tried() > 0);
	assert_true(atomic_load(&said()->remote) > 0);
	assert_int_equal(atomic_load(&said()->local), 0);
	/* The bitmap ends: so does the source, and nothing else. */
	assert_int_equal(ftruncate(fd, 0), 0);
	while (placing_wait_ms(placing) >= 0 && clock_now_ns() < end)
		next_turn();
	assert_int_equal(placing_wait_ms(placing), -1);
	(void)close(fd);
}

/* Of a page that was written, nothing but that. */
static void writes_are_taken(void **state)
{
	struct fault_record f = { .page = 3,
				  .latency_ns = 1000000,
				  .vcpu = FAULT_LOG_NO_VCPU,
				  .kind = FAULT_LOG_WRITE };
	uint64_t end = wait_end_ns();
	struct figures *w;
	struct region r;

	(void)state;
	assert_int_equal(
		region_create(&r, "figures", FIGURES_BYTES, NODE_AUTO, 0), 0);
	assert_int_equal(region_reader_fd(r.fd, &worker_figures), 0);
	w = r.base;
	atomic_store(&w->magic, FIGURES_MAGIC);
	tell_source(AGENT_SOURCE_DIRTY, -1);
	tell_place("autonuma");
	next_turn();
	fault_log_add(&w->fault_log, &f);
	fault_log_add(&w->fault_log, &f);
	f.kind = FAULT_LOG_READ; /* a log of faults, or a lie */
	fault_log_add(&w->fault_log, &f);
	while (!tried() && clock_now_ns() < end)
		next_turn();
	assert_int_equal(tried(), 1);
	assert_int_equal(atomic_load(&said()->records), 2);
	/* Nobody knows from where: nothing moves. */
	vcpu_node = AGENT_NO_NODE;
	tell_place("autonuma");
	next_turn();
	f.kind = FAULT_LOG_WRITE;
	for (unsigned i = 0; i < 4; i++)
		fault_log_add(&w->fault_log, &f);
	while (atomic_load(&said()->unknown_node) < 4 && clock_now_ns() < end)
		next_turn();
	assert_int_equal(atomic_load(&said()->unknown_node), 4);
	assert_int_equal(tried(), 0);
	fds_drop(&worker_figures);
	region_destroy(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(hot_pages_go_to_the_vcpus,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			bits_of_several_nodes_move_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(idle_pages_are_looked_at,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(writes_are_taken, set_up,
						tear_down),
	};

	return cmocka_run_group_tests_name("placing_bits", tests, NULL, NULL);
}
