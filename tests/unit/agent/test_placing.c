/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The placement of pages in an agent, as far as a machine with one node shows:
 * where a worker's RAM is mapped; and from a window of counters through records
 * and decisions to a move, which fails where there is no second node. This
 * program is the worker: its RAM is a memfd with the right name.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/flash.h"
#include "disco/agent_proto.h"
#include "disco/pagemap.h"
#include "disco/placement.h"
#include "guest-hints/abi/hints_abi.h"
#include "memory/placement/engine.h"
#include "memory/trace/trace_ring.h"
#include "monitor/agent/placing/batch.h"
#include "monitor/agent/placing/placing.h"
#include "monitor/agent/placing/pull.h"
#include "monitor/agent/placing/ram_spans.h"
#include "monitor/ipc/fds.h"
#include "monitor/ipc/figures.h"
#include "monitor/sandbox/sandbox.h"
#include "numa/region.h"
#include "tests/unit/agent/placing_rig.h"
#include "tests/unit/support.h"

#define MANY 2000u /* hot pages of a turn */

/* --- where RAM is ---------------------------------------------------------- */

static int file_with(const char *text)
{
	int fd = memfd_create("maps", MFD_CLOEXEC);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

static void spans_are_ram_and_what_is_over_it(void **state)
{
	struct ram_span s[8];
	int fd = file_with(
		"7efff0000000-7efff0001000 rw-p 00000000 00:01 98 "
		"/memfd:disco-cache (deleted)\n"
		"7f0000000000-7f0000004000 rw-s 00000000 00:01 99 "
		"/memfd:disco-ram (deleted)\n"
		"7f0000004000-7f0000005000 rw-p 00007000 00:01 98 "
		"/memfd:disco-cache (deleted)\n"
		"7f0000005000-7f0000008000 rw-s 00005000 00:01 99 "
		"/memfd:disco-ram (deleted)\n"
		"7f0000008000-7f0000009000 rw-p 00000000 00:00 0\n"
		"7f0000009000-7f000000a000 rw-s 00000000 00:01 97 "
		"/memfd:disco-ram2 (deleted)\n"
		"7f000000b000-7f000000a000 rw-s 00000000 00:01 97 "
		"/memfd:disco-ram (deleted)\n"
		"fffff00000000000-fffff00000001000 rw-s 00000000 00:01 9 "
		"/memfd:disco-ram\n"
		"7f000000a000-7f000000b000 rw-p 00000000 00:01 98 "
		"/memfd:disco-boot (deleted)\n"
		"7f000000c000-7f000000d000 rw-s 0000c000 00:01 99 "
		"/memfd:disco-ram\n"
		"7f000000d000-7f000000e000 rw-p 00000000 00:01 98 "
		"/memfd:disco-boot (deleted)\n"
		"7f000000e000-7f0000013000 rw-p 00003000 00:01 97 "
		"/memfd:disco-cache (deleted)\n"
		"7f0000013000-7f0000014000 rw-p 00003000 00:01 97 "
		"/memfd:disco-cache (deleted)\n"
		"7f0000020000-7f0000021000 rw-s 00010000 00:01 99 "
		"/memfd:disco-ram\n"
		"nonsense\n\n7f00-\n");
	static const struct ram_span want[] = {
		{ 0x7f0000000000, 0, 4, AGENT_FILE },
		{ 0x7f0000004000, 4, 1, AGENT_ANON },
		{ 0x7f0000005000, 5, 3, AGENT_FILE },
		{ 0x7f000000c000, 12, 1, AGENT_FILE },
		{ 0x7f000000d000, 13, 1, AGENT_ANON },
		/* What is beyond RAM is cut off. */
		{ 0x7f000000e000, 14, 2, AGENT_ANON },
	};

	(void)state;
	assert_int_equal(ram_spans_read(fd, PAGES, s, 8), 6);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(s[i].start, want[i].start);
		assert_int_equal(s[i].page, want[i].page);
		assert_int_equal(s[i].pages, want[i].pages);
		assert_int_equal(s[i].own, want[i].own);
	}
	assert_int_equal(ram_spans_address(s, 6, 0), 0x7f0000000000);
	assert_int_equal(ram_spans_address(s, 6, 4), 0x7f0000004000);
	assert_int_equal(ram_spans_address(s, 6, 6), 0x7f0000006000);
	assert_int_equal(ram_spans_address(s, 6, 8), 0);
	assert_int_equal(ram_spans_address(s, 6, 15), 0x7f000000f000);
	assert_int_equal(ram_spans_address(s, 6, UINT64_MAX), 0);
	assert_int_equal(ram_spans_address(s, 0, 0), 0);
	assert_ptr_equal(ram_spans_find(s, 6, 7), &s[2]);
	/* All of them are of one mapping. */
	assert_int_equal(ram_spans_group(s, 6, 0), 6);
	assert_int_equal(ram_spans_group(s, 6, 5), 6);
	assert_int_equal(ram_spans_beyond(s, 6, 0), 0);
	assert_int_equal(ram_spans_beyond(s, 6, 4), 1);
	assert_int_equal(ram_spans_beyond(s, 6, 9), 3); /* in a hole */
	assert_int_equal(ram_spans_beyond(s, 6, 15), 5);
	assert_int_equal(ram_spans_beyond(s, 6, 16), 6);
	assert_int_equal(ram_spans_beyond(s, 0, 0), 0);
	assert_int_equal(ram_spans_read(fd, PAGES, s, 2), 2);
	(void)close(fd);
}

/*
 * A guest with copies for its views: several mappings, one behind the other, with
 * copies over some pages, also over the first of one.
 */
static void mappings_are_told_apart(void **state)
{
	struct ram_span s[8];
	int fd = file_with("7f0000000000-7f0000010000 rw-s 00000000 00:01 99 "
			   "/memfd:disco-ram (deleted)\n"
			   "7f0000010000-7f0000011000 rw-p 00000000 00:01 98 "
			   "/memfd:disco-copies (deleted)\n"
			   "7f0000011000-7f0000015000 rw-s 00001000 00:01 99 "
			   "/memfd:disco-ram (deleted)\n"
			   "7f0000015000-7f0000017000 rw-p 00005000 00:01 98 "
			   "/memfd:disco-copies (deleted)\n"
			   "7f0000017000-7f0000020000 rw-s 00007000 00:01 99 "
			   "/memfd:disco-ram (deleted)\n"
			   "7f0000020000-7f0000030000 r--s 00000000 00:01 99 "
			   "/memfd:disco-ram (deleted)\n");

	(void)state;
	assert_int_equal(ram_spans_read(fd, PAGES, s, 8), 5);
	assert_int_equal(s[2].own, AGENT_ANON);
	assert_int_equal(s[2].page, 5);
	assert_int_equal(ram_spans_group(s, 5, 0), 1);
	assert_int_equal(ram_spans_group(s, 5, 1), 4);
	assert_int_equal(ram_spans_group(s, 5, 4), 5);
	/* Page 0 of the second one is a copy's, and in no span. */
	assert_int_equal(ram_spans_beyond(s + 1, 3, 0), 0);
	assert_int_equal(s[1].page, 1);
	(void)close(fd);
}

/* Lines that no kernel has, longer than what is read at a time. */
static void long_lines_are_left_out(void **state)
{
	size_t size = 200000;
	char *text = malloc(size);
	struct ram_span s;
	int fd;

	(void)state;
	memset(text, 'x', size);
	(void)strcpy(text + size - 120,
		     "\n7f0000000000-7f0000004000 rw-s 00000000 00:01 99 "
		     "/memfd:disco-ram (deleted)\n");
	fd = file_with(text);
	assert_int_equal(ram_spans_read(fd, PAGES, &s, 1), 1);
	assert_int_equal(s.pages, 4);
	assert_int_equal(ram_spans_read(-1, PAGES, &s, 1), -EBADF);
	(void)close(fd);
	free(text);
}

/* --- from counters to moves ------------------------------------------------ */

/*
 * A recording begins with the policy and the nodes; then each access and each
 * decision is in it, until it ends.
 */
static void is_recorded(void)
{
	struct agent_request r = { .kind = AGENT_TRACE_END, .trace.vm = 5 };
	static const int want[] = { TRACE_POLICY,   TRACE_NODE,
				    TRACE_NODE,	    0,
				    TRACE_DECISION, 0,
				    TRACE_DECISION };
	struct trace_ring_cursor c = { 0 };
	struct region_view ring = { 0 };
	uint64_t before = atomic_load(&said()->records);
	struct trace_item i;

	begin_recording(&ring);
	hot(1, frames[6]);
	hot(1, frames[6]);
	turn_until(before + 2);
	for (size_t n = 0; n < ARRAY_SIZE(want); n++) {
		assert_true(trace_ring_take(ring.base, &c, &i));
		assert_int_equal(i.is_event ? i.event.kind : 0, want[n]);
		if (n == 0)
			assert_string_equal(i.event.text, "balanced");
		if (!i.is_event)
			assert_int_equal(i.access.page, 6);
		if (n == 6)
			assert_int_equal(i.event.decision.reason,
					 POLICY_NODE_FULL);
	}
	assert_false(trace_ring_take(ring.base, &c, &i));
	obey(&r, -1, -1, -1);
	hot(1, frames[6]);
	turn_until(before + 3);
	assert_false(trace_ring_take(ring.base, &c, &i));
	assert_int_equal(c.lost, 0);
	/* Of a VM that there is not; without a descriptor. */
	r = (struct agent_request){ .kind = AGENT_TRACE, .trace.vm = 77 };
	obey(&r, open("/dev/zero", O_RDONLY | O_CLOEXEC), -1, -1);
	r.trace.vm = 5;
	obey(&r, -1, -1, -1);
	obey(&r, open("/dev/zero", O_RDONLY | O_CLOEXEC), -1, -1);
	region_detach(&ring);
}

static uint64_t tried(void)
{
	return atomic_load(&said()->moves) + atomic_load(&said()->failed);
}

/*
 * One hot page of a hinted range: all of them are tried, in two runs about the
 * page itself, but for the one that has no memory.
 */
static void hinted_ranges_go_as_runs(struct figures *f)
{
	struct hint_record h = { .pages = PAGES, .kind = HINTS_READ_MOSTLY };

	assert_int_equal(madvise(ram + 9 * PAGE_BYTES, PAGE_BYTES, MADV_REMOVE),
			 0);
	hint_log_add(&f->hint_log, &h);
	tell_place("migrate");
	turn();
	hot(1, frames[2]);
	turn_until(1);
	for (unsigned i = 0; i < 6; i++)
		turn();
	assert_int_equal(atomic_load(&said()->hinted_pages), PAGES - 1);
	assert_int_equal(tried(), PAGES - 1);
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(ram[i * PAGE_BYTES], i != 9);
}

/* What its guest has said, in the figures of the worker. */
static void hints_are_read(void)
{
	struct hint_record h = { .page = 2, .pages = 3, .kind = HINTS_PIN };
	uint64_t end = wait_end_ns();
	struct region r;
	struct figures *f;

	assert_int_equal(
		region_create(&r, "figures", FIGURES_BYTES, NODE_AUTO, 0), 0);
	assert_int_equal(region_reader_fd(r.fd, &worker_figures), 0);
	f = r.base;
	hint_log_add(&f->hint_log, &h);
	tell_place("interleave");
	turn();
	assert_int_equal(atomic_load(&said()->hints), 0); /* no magic yet */
	atomic_store(&f->magic, FIGURES_MAGIC);
	h.page = PAGES; /* that it does not have */
	hint_log_add(&f->hint_log, &h);
	while (atomic_load(&said()->hints) < 1) {
		assert_true(clock_now_ns() < end);
		turn();
	}
	assert_int_equal(atomic_load(&said()->hints), 1);
	assert_int_equal(atomic_load(&said()->strange), 1);
	/* Page 3 would be node 1's turn. */
	hot(1, frames[3]);
	turn_until(1);
	assert_int_equal(atomic_load(&said()->reasons[POLICY_HINTED]), 1);
	hinted_ranges_go_as_runs(f);
	fds_drop(&worker_figures);
	region_destroy(&r);
}

static void pages_are_placed(void **state)
{
	struct agent_request r = { .kind = AGENT_NODES };
	int fd = memfd_create("disco-ram", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(fd, PAGES * PAGE_BYTES), 0);
	ram = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		   fd, 0);
	(void)close(fd);
	if (!find_frames())
		SKIP("frames are hidden from who is not root");
	assert_int_equal(placing_create(&placing), 0);
	tell_place("first-touch"); /* before it knows the nodes: nothing */
	assert_int_equal(placing_wait_ms(placing), -1);
	tell_machine(make_window());
	assert_int_equal(placing_wait_ms(placing), -1);
	tell_place("first-touch");
	assert_int_equal(placing_wait_ms(placing), 0);
	assert_int_equal(atomic_load(&said()->magic), PLACEMENT_MAGIC);
	placing_turn(placing); /* it looks up the frames */
	assert_true(placing_wait_ms(placing) > 0);
	hot(0, frames[3]);
	hot(1, frames[3]);
	hot(1, 1); /* nobody's */
	turn_until(2);
	assert_int_equal(atomic_load(&said()->local), 128);
	assert_int_equal(atomic_load(&said()->remote), 128);
	assert_int_equal(atomic_load(&said()->logged), 0);

	/* All that has come since is read at once. */
	for (unsigned i = 0; i < MANY; i++)
		hot(1, frames[i % PAGES]);
	turn();
	assert_int_equal(atomic_load(&said()->records), 2 + MANY);

	/* Another policy: page 3 is node 1's turn. */
	r = (struct agent_request){ .kind = AGENT_POLICY, .policy.vm = 5 };
	(void)strcpy(r.policy.policy, "interleave");
	obey(&r, -1, -1, -1);
	hot(1, frames[3]);
	hot(1, frames[4]);
	turn_until(4 + MANY);
	/* One move waits for others, but not for ever. */
	assert_int_equal(tried(), 0);
	for (unsigned i = 0; i < 5; i++)
		turn();
	assert_int_equal(tried(), 1);
	assert_int_equal(ram[3 * PAGE_BYTES], 1);
	assert_true(atomic_load(&said()->cpu_ns) > 0);

	hints_are_read();

	/* A full node is full for balanced. */
	r = (struct agent_request){ .kind = AGENT_NODES,
				    .nodes = { .nr_nodes = NODES } };
	obey(&r, -1, -1, -1);
	tell_place("balanced");
	turn(); /* it looks up the frames again */
	hot(1, frames[6]);
	hot(1, frames[6]);
	hot(1, frames[6]);
	turn_until(3);
	assert_int_equal(atomic_load(&said()->reasons[POLICY_NODE_FULL]), 3);

	is_recorded();

	r = (struct agent_request){ .kind = AGENT_PLACE_END,
				    .place_end.vm = 6 };
	obey(&r, -1, -1, -1); /* not there */
	assert_true(placing_wait_ms(placing) >= 0);
	r.place_end.vm = 5;
	obey(&r, -1, -1, -1);
	assert_int_equal(placing_wait_ms(placing), -1);
	end_placing();
	placing_destroy(NULL);
}

/*
 * What a worker has sampled: pages are found without a look at frames, their
 * homes by a question to the kernel. The agent's clock is this machine's.
 */
static void sampled_faults_are_placed(void **state)
{
	struct agent_request m = { .kind = AGENT_MACHINE };
	struct fault_record f = { .page = 3, .cpu_first = 0, .cpu_last = 0 };
	int fd = memfd_create("disco-ram", MFD_CLOEXEC);
	uint64_t end = wait_end_ns(), before;
	struct figures *w;
	struct region r;

	(void)state;
	/* Another test's would be RAM of this worker as well. */
	if (ram)
		(void)munmap(ram, PAGES * PAGE_BYTES);
	assert_int_equal(ftruncate(fd, PAGES * PAGE_BYTES), 0);
	ram = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		   fd, 0);
	(void)close(fd);
	ram[3 * PAGE_BYTES] = 1; /* page 4 is not there */
	assert_int_equal(
		region_create(&r, "figures", FIGURES_BYTES, NODE_AUTO, 0), 0);
	assert_int_equal(region_reader_fd(r.fd, &worker_figures), 0);
	w = r.base;
	atomic_store(&w->magic, FIGURES_MAGIC);
	/* Before it is placed: old, and not lost. */
	for (unsigned i = 0; i < 2 * FAULT_LOG_ENTRIES; i++)
		fault_log_add(&w->fault_log, &f);
	assert_int_equal(placing_create(&placing), 0);
	m.machine = (struct agent_req_machine){
		.nr_nodes = NODES,
		.source = AGENT_SOURCE_FAULTS,
		.nodes = { 0, 1 },
		.distance = { { 10, 20 }, { 20, 10 } },
	};
	memset(m.machine.node_of_cpu, AGENT_NO_NODE,
	       sizeof(m.machine.node_of_cpu));
	m.machine.node_of_cpu[0] = 0;
	m.machine.node_of_cpu[7] = 1;
	obey(&m, open("/dev/null", O_RDONLY | O_CLOEXEC), -1, -1);
	tell_place("autonuma");
	placing_turn(placing); /* it looks where RAM is */
	before = atomic_load(&said()->records);
	assert_int_equal(before, 0);
	f.latency_ns = 10000000;
	fault_log_add(&w->fault_log, &f); /* local, as 10 accesses */
	f.cpu_first = f.cpu_last = 7;
	fault_log_add(&w->fault_log, &f); /* remote, twice in a row */
	fault_log_add(&w->fault_log, &f);
	f.page = 4;
	fault_log_add(&w->fault_log, &f); /* nowhere */
	f.page = 3;
	f.cpu_last = 0;
	fault_log_add(&w->fault_log, &f); /* of two nodes */
	while (tried() < 1) {
		int ms = placing_wait_ms(placing);

		assert_true(ms >= 0 && clock_now_ns() < end);
		(void)poll(NULL, 0, ms);
		placing_turn(placing);
	}
	assert_int_equal(atomic_load(&said()->records), 3);
	assert_int_equal(atomic_load(&said()->local), 10);
	assert_int_equal(atomic_load(&said()->remote), 20);
	assert_int_equal(atomic_load(&said()->lost), 0);
	assert_int_equal(tried(), 1);
	assert_int_equal(ram[3 * PAGE_BYTES], 1);
	end_placing();
	fds_drop(&worker_figures);
	region_destroy(&r);
}

static bool others_are_there(void *arg)
{
	(void)arg;
	return true;
}

/* Segments are there; they have no samples, so nothing is to be done for them. */
static void samples_are_of_vms_alone(void **state)
{
	static const struct placing_others others = { .any = others_are_there };
	struct agent_request m = { .kind = AGENT_MACHINE };

	(void)state;
	m.machine = (struct agent_req_machine){ .nr_nodes = 1,
						.source = AGENT_SOURCE_FAULTS,
						.distance = { { 10 } } };
	assert_int_equal(placing_create(&placing), 0);
	placing_set_others(placing, &others, NULL);
	obey(&m, open("/dev/null", O_RDONLY | O_CLOEXEC), -1, -1);
	assert_int_equal(placing_wait_ms(placing), -1);
	tell_place("first-touch");
	assert_int_equal(placing_wait_ms(placing), 0);
	end_placing();
}

/* As many moves as are taken at once, with the system calls of an agent. */
static void take_in_sandbox(void)
{
	struct placement_action a[128];
	uint32_t latency[NODES * NODES] = { 300, 900, 900, 300 };
	struct placement_config c = { .pages = 4096,
				      .nr_nodes = NODES,
				      .latency_ns = latency };
	struct access_record r = { .weight = 32, .node = 1 };
	struct placement *e;
	struct diag d = { 0 };

	if (policy_parse("autonuma", NULL, &c.choice, &d) ||
	    placement_create(&e, &c) || sandbox_enter(SANDBOX_AGENT))
		_exit(2);
	for (r.page = 4096; r.page-- > 0;) {
		placement_record(e, &r);
		placement_record(e, &r);
	}
	if (placement_take(e, a, ARRAY_SIZE(a)) != ARRAY_SIZE(a))
		_exit(3);
	for (unsigned i = 1; i < ARRAY_SIZE(a); i++)
		if (a[i - 1].page >= a[i].page)
			_exit(4);
	_exit(0);
}

static void many_moves_fit_the_sandbox(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (!pid)
		take_in_sandbox();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int no_progress(void *arg, const struct agent_pulled *p)
{
	(void)arg;
	(void)p;
	return 0;
}

/* The second one knows what pages take: it has fewer batches. */
static void a_pull_goes_on_as_the_last_one_ended(void **state)
{
	const size_t bytes = 700 * PAGE_BYTES;
	struct agent_req_pull r = { .bound_ns = 100000000000ull,
				    .nr_ranges = 1,
				    .what = AGENT_ANON,
				    .pid = getpid(),
				    .node = 0 };
	struct agent_pulled first, second;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	unsigned size = 0, last;
	char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(at != MAP_FAILED && fd >= 0);
	(void)madvise(at, bytes, MADV_NOHUGEPAGE);
	memset(at, 1, bytes);
	r.ranges[0] = (struct agent_range){ (uintptr_t)at, bytes };
	assert_int_equal(pull(&r, fd, &size, &first, no_progress, NULL), 0);
	assert_int_equal(first.pages, 700);
	assert_true(size > BATCH_FIRST);
	assert_int_equal(pull(&r, fd, &size, &second, no_progress, NULL), 0);
	assert_int_equal(second.pages, 700);
	assert_true(second.batches < first.batches);
	/* A rest that is small is no reason for small batches. */
	last = size;
	r.ranges[0].bytes = PAGE_BYTES;
	assert_int_equal(pull(&r, fd, &size, &second, no_progress, NULL), 0);
	assert_int_equal(size, last);
	r.ranges[0].bytes = bytes;
	assert_int_equal(pull(&r, fd, NULL, &second, no_progress, NULL), 0);
	assert_int_equal(second.batches, first.batches);
	(void)munmap(at, bytes);
	(void)close(fd);
}

/* What cannot be is left undone, and nothing leaks. */
static void strange_requests_do_no_harm(void **state)
{
	struct agent_request r = { .kind = AGENT_POLICY };

	(void)state;
	assert_int_equal(placing_create(&placing), 0);
	tell_machine(open("/dev/zero", O_RDONLY | O_CLOEXEC));
	tell_place("nonsense");
	assert_int_equal(placing_wait_ms(placing), -1);
	tell_place("balanced,horizon=0");
	(void)strcpy(r.policy.policy, "disco");
	obey(&r, -1, -1, -1);
	r = (struct agent_request){
		.kind = AGENT_PLACE,
		.place = { .vm = 1, .ram_pages = 1, .pid = 1, .bound_ns = 1 }
	};
	obey(&r, -1, -1, -1); /* its descriptors did not come */
	tell_machine(-1);
	placing_turn(placing);
	end_placing();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans_are_ram_and_what_is_over_it),
		cmocka_unit_test(mappings_are_told_apart),
		cmocka_unit_test(long_lines_are_left_out),
		cmocka_unit_test(pages_are_placed),
		cmocka_unit_test(sampled_faults_are_placed),
		cmocka_unit_test(samples_are_of_vms_alone),
		cmocka_unit_test(many_moves_fit_the_sandbox),
		cmocka_unit_test(a_pull_goes_on_as_the_last_one_ended),
		cmocka_unit_test(strange_requests_do_no_harm),
	};

	return cmocka_run_group_tests_name("placing", tests, NULL, NULL);
}
