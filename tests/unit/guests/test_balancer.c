/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The balancer with real processes in place of workers, on a machine that is
 * made up: who is busy is found out, the move is asked for, and counted.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/base/process.h"
#include "monitor/control/cli/cli.h"
#include "monitor/control/guests/balancer.h"
#include "monitor/control/guests/guests.h"
#include "monitor/control/guests/move.h"
#include "tests/unit/support.h"

#define PERIOD_NS 100000000ull
#define GUESTS	  4
#define STALL_NS  7000000ull

static struct monitor m;
static struct guest guests[GUESTS];
static int log_pipe[2];

/* --- in place of guests.c and move.c --- */

static struct {
	unsigned asked;
	uint64_t id;
	nodeid_t node;
	int err;
	void (*done)(void *arg, const struct move_result *r);
	void *arg;
} move;

int move_start(struct monitor *mon, struct guest *g, nodeid_t node,
	       uint64_t bound_ns,
	       void (*done)(void *arg, const struct move_result *r), void *arg,
	       struct diag *d)
{
	assert_ptr_equal(mon, &m);
	assert_int_equal(bound_ns, STALL_NS);
	move.asked++;
	move.id = g->id;
	move.node = node;
	move.done = done;
	move.arg = arg;
	if (move.err)
		return diag_fail(d, ST_HOST, move.err, "no luck");
	mon->move = (struct move *)&move;
	return 0;
}

static void end_move(enum exit_status status)
{
	struct move_result r = { .guest_id = move.id,
				 .node = move.node,
				 .pages = 77,
				 .diag = { .status = status } };

	m.move = NULL;
	if (status == ST_OK) {
		guests[move.id - 1].record.node = move.node;
		guests[move.id - 1].moves++;
	}
	move.done(move.arg, &r);
}

const char *guest_state(const struct guest *g)
{
	return g->vm.paused ? "paused" : "running";
}

struct guest *guest_find_id(const struct monitor *mon, uint64_t id)
{
	assert_ptr_equal(mon, &m);
	assert_in_range(id, 1, GUESTS);
	return &guests[id - 1];
}

/* --- a monitor and its guests --- */

static pid_t spin(bool busy)
{
	pid_t pid = fork();

	if (pid == 0) {
		while (busy)
			;
		for (;;)
			(void)pause();
	}
	assert_true(pid > 0);
	return pid;
}

/* Two nodes of a CPU; the first two are busy; all on node 0. */
static int set_up(void **state)
{
	(void)state;
	memset(&m, 0, sizeof(m));
	m.stall_ns = STALL_NS;
	memset(&move, 0, sizeof(move));
	memset(guests, 0, sizeof(guests));
	m.topology.nr_nodes = 2;
	m.topology.this_machine = true;
	for (unsigned i = 0; i < 2; i++) {
		m.topology.nodes[i].id = (nodeid_t)i;
		m.topology.nodes[i].nr_cpus = 1;
		m.topology.nodes[i].total_bytes = GIB(4);
		m.topology.nodes[i].free_bytes = GIB(4);
	}
	if (loop_create(&m.watcher.loop) || pipe(log_pipe))
		return -1;
	sink_create(&m.watcher.err, &m.watcher.loop, log_pipe[1]);
	for (unsigned i = 0; i < GUESTS; i++) {
		guests[i].id = i + 1;
		guests[i].next = i + 1 < GUESTS ? &guests[i + 1] : NULL;
		(void)snprintf(guests[i].record.name,
			       sizeof(guests[i].record.name), "g%u", i + 1);
		guests[i].record.pid = spin(i < 2);
	}
	m.guests = guests;
	if (balancer_create(&m, PERIOD_NS))
		return -1;
	/* What is free here is not what is free there. */
	m.topology.this_machine = false;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (unsigned i = 0; i < GUESTS; i++) {
		(void)kill(guests[i].record.pid, SIGKILL);
		(void)waitpid(guests[i].record.pid, NULL, 0);
	}
	balancer_destroy(&m);
	sink_destroy(&m.watcher.err);
	loop_destroy(&m.watcher.loop);
	(void)close(log_pipe[0]);
	(void)close(log_pipe[1]);
	return 0;
}

static void checks(unsigned nr)
{
	uint64_t want = m.balancer->checks + nr;

	while (m.balancer->checks < want) {
		assert_int_not_equal(m.balancer->timer.at_ns, 0);
		assert_int_equal(loop_turn(&m.watcher.loop, -1), 0);
	}
}

static void turns_until(uint64_t at_ns)
{
	while (clock_now_ns() < at_ns)
		assert_int_equal(loop_turn(&m.watcher.loop, 1), 0);
}

/*
 * Check until @condition is true. On a machine with much else to do, the kernel
 * accounts for the wait of a process only when it runs again, which may be several
 * periods later: measurements are off then, by as much as it takes.
 */
#define CHECKS_UNTIL(condition)                                                \
	WAIT_UNTIL((condition) || (checks(1), (condition)))

static void until_asked(void)
{
	CHECKS_UNTIL(move.asked);
	assert_int_equal(move.asked, 1);
}

static bool loads_are_right(void)
{
	for (unsigned i = 0; i < 2; i++)
		if (guests[i].balance->load < 300 ||
		    guests[i].balance->load > 3000)
			return false;
	return true;
}

static void said(const char *what)
{
	char text[1024];
	ssize_t n;

	assert_true(
		sink_flush(&m.watcher.err, (unsigned)wait_limit_ms(HANG_MS)));
	n = read(log_pipe[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = '\0';
	if (!strstr(text, what))
		fail_msg("no '%s' in: %s", what, text);
	assert_ptr_equal(strchr(text, '\n'), text + n - 1); /* one line */
}

/* --- tests --- */

static void a_busy_one_is_moved(void **state)
{
	(void)state;
	checks(1); /* nothing is known before the second */
	assert_int_equal(guests[0].balance->load, 0);
	checks(1); /* and two have to agree */
	assert_int_equal(move.asked, 0);
	until_asked();
	assert_in_range(guests[2].balance->load, 0, BALANCE_BUSY);
	assert_in_range(move.id, 1, 2);
	assert_int_equal(move.node, 1);
	end_move(ST_OK);
	assert_int_equal(m.balancer->moves, 1);
	said("moved from node 0 to node 1, for balance: 77 pages");
	checks(8); /* and that is all */
	CHECKS_UNTIL(loads_are_right());
	assert_int_equal(move.asked, 1);
	assert_int_equal(m.balancer->failed, 0);
}

static void who_was_placed_stays(void **state)
{
	(void)state;
	guests[0].record.fixed = true;
	guests[1].vm.paused = true;
	checks(5);
	assert_int_equal(move.asked, 0);
	guests[1].vm.paused = false;
	until_asked();
	assert_int_equal(move.id, 2);
}

static void a_move_by_hand_gives_rest(void **state)
{
	(void)state;
	guests[0].record.fixed = true;
	guests[1].moves = 1;
	checks(BALANCE_REST + 1);
	assert_int_equal(move.asked, 0);
	until_asked();
	assert_int_equal(move.id, 2);
}

static void no_check_meanwhile(void **state)
{
	uint64_t nr, then;

	(void)state;
	until_asked();
	nr = m.balancer->checks;
	turns_until(clock_now_ns() + 3 * PERIOD_NS);
	assert_int_equal(m.balancer->checks, nr);
	/* A failed one: a pause for all. */
	then = clock_now_ns();
	end_move(ST_HOST);
	assert_int_equal(m.balancer->failed, 1);
	assert_int_equal(m.balancer->moves, 0);
	assert_true(m.balancer->timer.at_ns >= then + BALANCE_REST * PERIOD_NS);
	checks(1);
	assert_int_equal(m.balancer->checks, nr + 1);
}

static void a_move_that_cannot_begin_is_told(void **state)
{
	(void)state;
	move.err = EBUSY;
	until_asked();
	assert_int_equal(m.balancer->failed, 1);
	said("not moved for balance: no luck");
}

static void gone_processes_are_no_load(void **state)
{
	(void)state;
	(void)kill(guests[0].record.pid, SIGKILL);
	(void)waitpid(guests[0].record.pid, NULL, 0);
	assert_int_equal(process_demand_ns(guests[0].record.pid), 0);
	assert_int_equal(process_cpu_ns(guests[0].record.pid), 0);
	assert_int_equal(process_resident_pages(guests[0].record.pid), 0);
	guests[2].ended = true;
	checks(4);
	assert_int_equal(move.asked, 0);
}

static uint64_t the_end_of_time(void)
{
	return UINT64_MAX;
}

static void begin_again(uint64_t period_ns)
{
	balancer_destroy(&m);
	assert_int_equal(balancer_create(&m, period_ns), 0);
}

static void it_is_off(void)
{
	assert_int_equal(m.balancer->period_ns, 0);
	assert_int_equal(m.balancer->timer.at_ns, 0);
	assert_int_equal(loop_turn(&m.watcher.loop, 0), 0);
	assert_int_equal(m.balancer->checks, 0);
}

static void it_can_be_off(void **state)
{
	(void)state;
	m.watcher.loop.now_ns = the_end_of_time;
	m.topology.this_machine = true;
	begin_again(0);
	it_is_off();
	m.topology.nodes[1].nr_cpus = 0;
	begin_again(PERIOD_NS);
	it_is_off();
	m.topology.nodes[1].nr_cpus = 1;
	m.topology.this_machine = false;
	begin_again(PERIOD_NS);
	it_is_off();
}

static void values_are_checked(void **state)
{
	static const char *const bad[] = { "",	    "on",   "0",    "-1",
					   "0.05",  "2s",   "nan",  "inf",
					   "86401", "off1", "1e999" };
	struct diag d = { .status = ST_OK };
	uint64_t ns = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(cli_period(bad[i], &ns, &d), -EINVAL);
		assert_int_equal(d.status, ST_USAGE);
	}
	assert_int_equal(ns, 7);
	assert_int_equal(cli_period("0.1", &ns, &d), 0);
	assert_int_equal(ns, 100000000);
	assert_int_equal(cli_period("86400", &ns, &d), 0);
	assert_int_equal(ns, 86400000000000ull);
	assert_int_equal(cli_period("off", &ns, &d), 0);
	assert_int_equal(ns, 0);
}

int main(void)
{
#define WITH_GUESTS(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_checked),
		WITH_GUESTS(a_busy_one_is_moved),
		WITH_GUESTS(who_was_placed_stays),
		WITH_GUESTS(a_move_by_hand_gives_rest),
		WITH_GUESTS(no_check_meanwhile),
		WITH_GUESTS(a_move_that_cannot_begin_is_told),
		WITH_GUESTS(gone_processes_are_no_load),
		WITH_GUESTS(it_can_be_off),
	};

	return cmocka_run_group_tests_name("balancer", tests, NULL, NULL);
}
