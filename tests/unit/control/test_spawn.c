/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting workers: what they inherit, and how their deaths are seen. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disco/huge.h"
#include "monitor/control/workers/outcome.h"
#include "monitor/control/workers/spawn.h"
#include "monitor/ipc/worker_messages.h"
#include "monitor/control/workers/worker_code.h"
#include "tests/unit/guests/fake_worker.h"
#include "tests/unit/support.h"

#define NR_DISKS 3

static struct worker_code code;
static struct spawn_files files;

static int set_up(void **state)
{
	struct diag d = { .status = ST_OK };

	(void)state;
	assert_int_equal(setenv("DISCO_VM", "/proc/self/exe", 1), 0);
	assert_int_equal(worker_code_create(&code, WORKER_PROGRAM, &d), 0);
	assert_int_equal(worker_code_get(&code, NODE_AUTO, &files.code, &d), 0);
	files.kvm = open("/dev/null", O_RDWR | O_CLOEXEC);
	files.listener = -1;
	files.boot = memfd_create("boot", MFD_CLOEXEC);
	for (unsigned i = 0; i < NR_DISKS; i++)
		files.disks[i] = memfd_create("disk", MFD_CLOEXEC);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)close(files.kvm);
	(void)close(files.boot);
	for (unsigned i = 0; i < NR_DISKS; i++)
		(void)close(files.disks[i]);
	worker_code_destroy(&code);
	return 0;
}

static struct worker_spec make_spec(const char *name, unsigned nr_disks)
{
	struct worker_spec spec = { .magic = WORKER_SPEC_MAGIC,
				    .protocol = WORKER_PROTOCOL,
				    .size = sizeof(spec),
				    .nr_vcpus = 1,
				    .node = NODE_AUTO,
				    .ram_bytes = MIB(16),
				    .huge = HUGE_OFF,
				    .nr_disks = nr_disks };

	files.nr_disk_fds = nr_disks;
	(void)snprintf(spec.name, sizeof(spec.name), "%s", name);
	return spec;
}

static struct worker spawn(const char *name)
{
	struct worker_spec spec = make_spec(name, 0);
	struct diag d = { .status = ST_OK };
	struct worker w = WORKER_NONE;

	assert_int_equal(worker_spawn(&spec, &files, &w, &d), 0);
	return w;
}

static siginfo_t await_end(struct worker *w)
{
	siginfo_t info = { .si_code = 0 };

	assert_true(wait_readable(w->pidfd));
	assert_int_equal(worker_reap(w, &info), 0);
	assert_int_equal(worker_reap(w, &info), -ECHILD);
	return info;
}

static struct worker_event next_event(const struct worker *w)
{
	struct worker_event ev = { .kind = 0 };

	assert_true(wait_readable(w->control));
	assert_int_equal(worker_event_receive(w->control, &ev), 0);
	return ev;
}

/* The worker looks itself; see check_inherited() in fake_worker.c. */
static void check_disks(unsigned nr_disks)
{
	struct worker_spec spec = make_spec("check", nr_disks);
	struct diag d = { .status = ST_OK };
	struct worker w = WORKER_NONE;
	struct worker_event ev;

	assert_int_equal(worker_spawn(&spec, &files, &w, &d), 0);
	ev = next_event(&w);
	assert_string_equal(ev.stopped.text, "");
	assert_int_equal(ev.kind, WORKER_STOPPED);
	assert_int_equal(ev.stopped.stop, STOP_POWEROFF);
	assert_int_equal(await_end(&w).si_status, 0);
	worker_destroy(&w);
}

static void a_worker_gets_what_it_is_promised(void **state)
{
	(void)state;
	check_disks(0);
	check_disks(NR_DISKS);
}

/* Sources that sit at each other's places must not get lost. */
static void numbers_in_use_are_no_obstacle(void **state)
{
	struct spawn_files keep = files;
	int stray[40];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(stray); i++)
		stray[i] = open("/dev/null", O_RDONLY);
	files.kvm = fcntl(keep.kvm, F_DUPFD_CLOEXEC, WORKER_FD_DISK0);
	files.disks[0] = fcntl(keep.disks[0], F_DUPFD_CLOEXEC, 70);
	files.disks[1] = keep.kvm;
	files.disks[2] = keep.kvm;
	files.boot = keep.disks[0];
	check_disks(NR_DISKS);
	(void)close(files.kvm);
	(void)close(files.disks[0]);
	files = keep;
	for (unsigned i = 0; i < ARRAY_SIZE(stray); i++)
		(void)close(stray[i]);
}

static void signals_are_reset(void **state)
{
	sigset_t set, old;

	(void)state;
	(void)sigfillset(&set);
	(void)sigprocmask(SIG_BLOCK, &set, &old);
	(void)signal(SIGPIPE, SIG_IGN);
	check_disks(0);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
}

static void expect_death(const char *name, int si_code, int value)
{
	struct worker w = spawn(name);
	siginfo_t info;

	assert_int_equal(next_event(&w).kind, WORKER_STARTED);
	info = await_end(&w);
	if (si_code == CLD_KILLED)
		assert_in_set(
			info.si_code,
			((const unsigned long[]){ CLD_KILLED, CLD_DUMPED }), 2);
	else
		assert_int_equal(info.si_code, si_code);
	assert_int_equal(info.si_status, value);
	worker_destroy(&w);
}

static void deaths_are_told_apart(void **state)
{
	(void)state;
	expect_death("sig9", CLD_KILLED, SIGKILL);
	expect_death("sys", CLD_KILLED, SIGSYS);
	expect_death("exit3", CLD_EXITED, 3);
}

static void stop_request(const struct worker *w)
{
	struct worker_request req = { .kind = WORKER_REQ_STOP };

	assert_int_equal(worker_request_send(w->control, &req, NULL, 0), 0);
}

static void one_dies_the_others_go_on(void **state)
{
	struct worker w[4];
	siginfo_t info;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(w); i++) {
		w[i] = spawn("obey");
		assert_int_equal(next_event(&w[i]).kind, WORKER_STARTED);
	}
	worker_signal(&w[2], SIGKILL);
	info = await_end(&w[2]);
	assert_int_equal(info.si_status, SIGKILL);
	for (unsigned i = 0; i < ARRAY_SIZE(w); i++) {
		if (i == 2)
			continue;
		assert_int_equal(worker_reap(&w[i], &info), -EAGAIN);
		stop_request(&w[i]);
		assert_int_equal(next_event(&w[i]).stopped.stop, STOP_ASKED);
		assert_int_equal(await_end(&w[i]).si_code, CLD_EXITED);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(w); i++)
		worker_destroy(&w[i]);
}

static void destroy_ends_a_running_worker(void **state)
{
	struct worker w = spawn("deaf");
	pid_t pid = w.pid;

	(void)state;
	assert_int_equal(next_event(&w).kind, WORKER_STARTED);
	worker_destroy(&w);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	worker_signal(&w, SIGKILL); /* nobody there: no harm */
	worker_destroy(&w);
	worker_destroy(NULL);
}

static unsigned count_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void a_failed_exec_is_one_line(void **state)
{
	struct worker_spec spec = make_spec("vm-0", 0);
	struct spawn_files bad = files;
	struct diag d = { .status = ST_OK };
	struct worker w = WORKER_NONE;
	unsigned before = count_fds();

	(void)state;
	bad.code = files.kvm; /* a device is no program */
	assert_int_equal(worker_spawn(&spec, &bad, &w, &d), -EACCES);
	assert_int_equal(d.status, ST_HOST);
	assert_string_equal(d.text, "vm-0: worker: cannot execute it: "
				    "Permission denied");
	assert_int_equal(w.pid, 0);
	assert_int_equal(count_fds(), before);
}

static void cpus_that_are_not_there_are_refused(void **state)
{
	struct worker_spec spec = make_spec("vm-0", 0);
	struct diag d = { .status = ST_OK };
	struct worker w = WORKER_NONE;

	(void)state;
	spec.nr_cpus = 1;
	spec.cpus[0] = 1023;
	assert_int_equal(worker_spawn(&spec, &files, &w, &d), -EINVAL);
	assert_non_null(strstr(d.text, "cannot run on its node's CPUs"));
}

static void nodes_that_are_not_there_are_refused_when_strict(void **state)
{
	struct worker_spec spec = make_spec("check", 0);
	struct diag d = { .status = ST_OK };
	struct worker w = WORKER_NONE;

	(void)state;
	spec.node = 63;
	assert_int_equal(worker_spawn(&spec, &files, &w, &d), 0);
	assert_int_equal(next_event(&w).stopped.stop, STOP_POWEROFF);
	worker_destroy(&w);
	spec.strict = 1;
	assert_true(worker_spawn(&spec, &files, &w, &d) < 0);
	assert_int_equal(d.status, ST_MEMORY);
	assert_non_null(strstr(d.text, "node 63"));
}

static void the_code_is_copied_once_a_node(void **state)
{
	struct diag d = { .status = ST_OK };
	int first = -1, again = -1, other = -1;

	(void)state;
	assert_int_equal(worker_code_get(&code, 0, &first, &d), 0);
	assert_int_equal(worker_code_get(&code, 0, &again, &d), 0);
	assert_int_equal(worker_code_get(&code, NODE_AUTO, &other, &d), 0);
	assert_int_equal(first, again);
	assert_int_not_equal(first, other);
	assert_int_equal(fcntl(first, F_GET_SEALS) & F_SEAL_WRITE,
			 F_SEAL_WRITE);
}

static void a_missing_program_is_named(void **state)
{
	struct worker_code none;
	struct diag d = { .status = ST_OK };

	(void)state;
	assert_int_equal(setenv("DISCO_VM", "/nowhere/disco-vm", 1), 0);
	assert_int_equal(worker_code_create(&none, WORKER_PROGRAM, &d),
			 -ENOENT);
	assert_int_equal(setenv("DISCO_VM", "/proc/self/exe", 1), 0);
	assert_int_equal(d.status, ST_HOST);
	assert_non_null(strstr(d.text, "/nowhere/disco-vm"));
	worker_code_destroy(&none);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_worker_gets_what_it_is_promised),
		cmocka_unit_test(numbers_in_use_are_no_obstacle),
		cmocka_unit_test(signals_are_reset),
		cmocka_unit_test(deaths_are_told_apart),
		cmocka_unit_test(one_dies_the_others_go_on),
		cmocka_unit_test(destroy_ends_a_running_worker),
		cmocka_unit_test(a_failed_exec_is_one_line),
		cmocka_unit_test(cpus_that_are_not_there_are_refused),
		cmocka_unit_test(
			nodes_that_are_not_there_are_refused_when_strict),
		cmocka_unit_test(the_code_is_copied_once_a_node),
		cmocka_unit_test(a_missing_program_is_named),
	};

	fake_worker_hook(argc, argv);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
