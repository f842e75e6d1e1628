/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registry of guests without the parts of the monitor: who is found, what
 * is remembered, and what the parts are called for. Workers are processes that
 * wait to be killed.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/control/guests/guests.h"
#include "monitor/control/workers/shutdown.h"
#include "monitor/ipc/fds.h"
#include "monitor/ipc/worker_messages.h"
#include "tests/unit/support.h"

static struct monitor m;
static unsigned nr_added, nr_ended, nr_heard;
static const struct guest *last;
static int ends[8]; /* the workers' control sockets */
static unsigned nr_ends;

static void on_added(struct monitor *mon, struct guest *g)
{
	assert_ptr_equal(mon, &m);
	assert_false(g->ended);
	nr_added++;
	last = g;
}

static void on_ended(struct monitor *mon, struct guest *g)
{
	assert_ptr_equal(mon, &m);
	assert_true(g->ended);
	nr_ended++;
	last = g;
}

static void on_heard(struct monitor *mon, struct guest *g,
		     const struct worker_event *ev)
{
	assert_ptr_equal(mon, &m);
	assert_non_null(ev);
	nr_heard++;
	last = g;
}

static void on_lost(struct monitor *mon, struct guest *g)
{
	assert_ptr_equal(mon, &m);
	assert_true(g->ended);
	last = g;
}

static bool agent_answers;
static unsigned nr_asked;

static bool on_ask_agent(struct guest *g)
{
	assert_ptr_equal(g->m, &m);
	nr_asked++;
	return agent_answers;
}

static const struct guests_ops ops = { .added = on_added,
				       .ended = on_ended,
				       .lost = on_lost,
				       .heard = on_heard,
				       .ask_agent = on_ask_agent };

static int set_up(void **state)
{
	struct diag d = { .status = ST_OK };

	(void)state;
	nr_added = nr_ended = nr_heard = nr_ends = 0;
	if (guests_create(&m, &ops, &d) == 0)
		return 0;
	print_message("# %s\n", d.text);
	return -1;
}

static int tear_down(void **state)
{
	(void)state;
	guests_destroy(&m);
	assert_int_equal(nr_heard, 0); /* these workers send nothing */
	while (nr_ends)
		(void)close(ends[--nr_ends]);
	return 0;
}

static struct vm_record record(const char *name, uint64_t start_ns)
{
	struct vm_record r = { .nr_vcpus = 1, .start_ns = start_ns };

	(void)snprintf(r.name, sizeof(r.name), "%s", name);
	return r;
}

static struct guest *add(const char *name, uint64_t start_ns)
{
	struct vm_record r = record(name, start_ns);
	int control[2], console[2], log[2];
	struct guest *g = NULL;
	struct worker w;

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, control),
		0);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, console),
		0);
	assert_int_equal(pipe(log), 0);
	w = (struct worker){ .pid = fork(),
			     .control = control[0],
			     .console = console[0],
			     .log = log[0],
			     .start_ns = start_ns };
	if (w.pid == 0)
		for (;;)
			(void)pause();
	w.pidfd = pidfd_open(w.pid, 0);
	assert_true(w.pidfd >= 0);
	assert_true(nr_ends < ARRAY_SIZE(ends));
	ends[nr_ends++] = control[1];
	(void)close(console[1]);
	(void)close(log[1]);
	r.pid = w.pid;
	assert_int_equal(guest_add(&m, &r, &w, false, &g), 0);
	return g;
}

static void kill_and_wait(struct guest *g)
{
	worker_signal(&g->vm.worker, SIGKILL);
	while (!g->ended)
		assert_int_equal(loop_turn(&m.watcher.loop, -1), 0);
}

/* --- tests --- */

static void guests_stand_in_the_order_of_their_starts(void **state)
{
	struct guest *b = add("b", 2000), *c = add("c", 3000),
		     *a = add("a", 1000);

	(void)state;
	assert_ptr_equal(m.guests, a);
	assert_ptr_equal(a->next, b);
	assert_ptr_equal(b->next, c);
	assert_ptr_equal(guest_find(&m, "c"), c);
	assert_null(guest_find(&m, "d"));
	assert_ptr_equal(guest_find_id(&m, a->id), a);
	assert_null(guest_find_id(&m, a->id + 1));
	assert_true(guests_know(&m, b->vm.worker.pid));
	assert_false(guests_know(&m, getpid()));
	assert_int_equal(m.nr_running, 3);
	assert_int_equal(nr_added, 3);
	assert_ptr_equal(last, a);
	kill_and_wait(a);
	kill_and_wait(b);
	kill_and_wait(c);
}

static void an_end_is_remembered_until_its_name_is_used(void **state)
{
	struct guest *old = add("vm", 1000), *now;
	uint64_t id = old->id;

	(void)state;
	assert_string_equal(guest_state(old), "starting");
	kill_and_wait(old);
	assert_int_equal(nr_ended, 1);
	assert_ptr_equal(last, old);
	assert_string_equal(guest_state(old), "ended");
	assert_int_equal(old->vm.figures.status, ST_WORKER_SIGNAL);
	assert_non_null(strstr(old->message, "signal 9"));
	assert_int_equal(m.nr_running, 0);
	assert_int_equal(m.nr_ended, 1);
	assert_ptr_equal(guest_find(&m, "vm"), old);

	now = add("vm", 2000);
	assert_ptr_equal(guest_find(&m, "vm"), now);
	assert_null(guest_find_id(&m, id));
	assert_int_not_equal(now->id, id);
	assert_int_equal(m.nr_ended, 0);
	/* A handler of this turn may have kept it. */
	assert_int_equal(old->id, id);
	guests_sweep(&m);
	assert_null(m.dead);
	kill_and_wait(now);
}

static void a_silent_worker_is_killed_in_the_end(void **state)
{
	struct guest *g = add("vm", 1000);
	const struct loop_timer *t = &g->vm.kill_timer;
	uint64_t begin = clock_now_ns();

	(void)state;
	assert_int_equal(t->at_ns, 0);
	vm_watch_ask_stop(&g->vm);
	assert_string_equal(guest_state(g), "stopping");
	assert_in_range(t->at_ns, begin + STOP_GRACE_NS,
			clock_now_ns() + STOP_GRACE_NS);
	/* A later deadline does not replace it, an earlier one does. */
	vm_watch_kill_in(&g->vm, END_GRACE_NS);
	assert_in_range(t->at_ns, begin + STOP_GRACE_NS,
			clock_now_ns() + STOP_GRACE_NS);
	vm_watch_kill_in(&g->vm, 1000000);
	while (!g->ended)
		assert_int_equal(loop_turn(&m.watcher.loop, -1), 0);
	assert_int_equal(t->at_ns, 0);
	assert_int_equal(g->vm.figures.status, ST_STOPPED);
}

/* What a worker of ends[0] has been sent; false: nothing. */
static bool receive(struct worker_request *r)
{
	int fds[FDS_MAX], err = worker_request_receive(ends[0], r, fds);

	if (err == -EAGAIN)
		return false;
	assert_int_equal(err, 0);
	fds_close(fds, FDS_MAX);
	return true;
}

static void fill_socket(struct guest *g)
{
	struct worker_request r;
	int err;

	do {
		r = (struct worker_request){ .kind = WORKER_REQ_STATS };
		err = vm_watch_send(&g->vm, &r, NULL);
	} while (!err);
	assert_int_equal(err, -EAGAIN);
}

static void a_worker_that_does_not_read_is_told_to_sample_later(void **state)
{
	struct guest *g = add("vm", 1000);
	struct worker_request r = { .kind = 0 };
	uint64_t end = wait_end_ns();
	unsigned nr = 0;

	(void)state;
	fill_socket(g);
	guest_unsample(g);
	/* It is tried again, and what was to be sent is not lost by that. */
	for (unsigned i = 0; i < 2; i++) {
		uint64_t at = g->sample.timer.at_ns;

		assert_true(at > 0);
		while (g->sample.timer.at_ns == at) {
			assert_true(clock_now_ns() < end);
			assert_int_equal(loop_turn(&m.watcher.loop, 10), 0);
		}
	}
	while (receive(&r))
		assert_int_equal(r.kind, WORKER_REQ_STATS);
	while (!receive(&r)) {
		assert_true(clock_now_ns() < end);
		assert_int_equal(loop_turn(&m.watcher.loop, 10), 0);
	}
	assert_int_equal(r.kind, WORKER_REQ_SAMPLE);
	assert_int_equal(r.sample.rate, 0);
	assert_int_equal(r.sample.share, 1);
	/* Once. */
	assert_int_equal(g->sample.timer.at_ns, 0);
	assert_false(receive(&r));
	/* What is newer takes its place; a guest that ended is told nothing. */
	fill_socket(g);
	guest_unsample(g);
	while (receive(&r))
		;
	guest_unsample(g);
	while (receive(&r))
		nr += r.kind == WORKER_REQ_SAMPLE;
	assert_int_equal(nr, 1);
	assert_int_equal(g->sample.timer.at_ns, 0);
	fill_socket(g);
	guest_unsample(g);
	kill_and_wait(g);
}

static void only_some_ends_are_remembered(void **state)
{
	char name[32];

	(void)state;
	for (unsigned i = 0; i < MONITOR_MAX_ENDED; i++) {
		struct vm_record r;

		(void)snprintf(name, sizeof(name), "lost-%u", i);
		r = record(name, i + 1);
		guest_add_lost(&m, &r, "gone");
	}
	assert_int_equal(m.nr_ended, MONITOR_MAX_ENDED);
	assert_int_equal(nr_added, 0);
	assert_string_equal(guest_find(&m, "lost-0")->message, "gone");
	kill_and_wait(add("last", 100000));
	assert_int_equal(m.nr_ended, MONITOR_MAX_ENDED);
	assert_null(guest_find(&m, "lost-0"));
	assert_non_null(guest_find(&m, "lost-1"));
	assert_non_null(guest_find(&m, "last"));
}

/* The monitor ends: workers go on, and parts are not told of an end. */
/* Kind of the request that a worker got last; 0: none has come. */
static uint32_t requested(unsigned worker)
{
	struct worker_request r = { .kind = 0 };

	(void)recv(ends[worker], &r, sizeof(r), MSG_DONTWAIT);
	return r.kind;
}

static void an_agent_is_asked_before_the_button_is_pressed(void **state)
{
	struct guest *with, *without;

	(void)state;
	with = add("with", 1);
	without = add("without", 2);
	nr_asked = 0;
	agent_answers = true;
	shutdown_begin(&with->vm, 60);
	assert_int_equal(nr_asked, 1);
	assert_int_equal(requested(0), 0);
	agent_answers = false;
	shutdown_begin(&without->vm, 60);
	assert_int_equal(nr_asked, 2);
	assert_int_equal(requested(1), WORKER_REQ_BUTTON);
	/* It was asked, and did not shut the guest down. */
	agent_answers = true;
	shutdown_begin(&with->vm, 60);
	assert_int_equal(nr_asked, 2);
	assert_int_equal(requested(0), WORKER_REQ_BUTTON);
	kill_and_wait(with);
	kill_and_wait(without);
}

static void workers_outlive_the_registry(void **state)
{
	struct guest *g = add("vm", 1000);
	pid_t pid = g->vm.worker.pid;

	(void)state;
	guests_leave(&m);
	assert_null(m.guests);
	assert_int_equal(m.nr_running, 0);
	guests_sweep(&m);
	assert_int_equal(kill(pid, 0), 0);
	assert_int_equal(nr_ended, 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
}

int main(void)
{
	char dir[] = "/tmp/disco-test-guests.XXXXXX", path[64];
	int failed;
#define REGISTRY(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		REGISTRY(guests_stand_in_the_order_of_their_starts),
		REGISTRY(an_end_is_remembered_until_its_name_is_used),
		REGISTRY(a_silent_worker_is_killed_in_the_end),
		REGISTRY(a_worker_that_does_not_read_is_told_to_sample_later),
		REGISTRY(only_some_ends_are_remembered),
		REGISTRY(an_agent_is_asked_before_the_button_is_pressed),
		REGISTRY(workers_outlive_the_registry),
	};

	if (!mkdtemp(dir) || setenv("DISCO_STATE_DIR", dir, 1) ||
	    setenv("DISCO_VM", "/proc/self/exe", 1))
		return EXIT_FAILURE;
	failed = cmocka_run_group_tests_name("guests", tests, NULL, NULL);
	(void)snprintf(path, sizeof(path), "%s/vms", dir);
	(void)rmdir(path);
	(void)snprintf(path, sizeof(path), "%s/lock", dir);
	(void)unlink(path);
	(void)rmdir(dir);
	return failed;
}
