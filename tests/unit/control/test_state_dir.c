/* SPDX-License-Identifier: BSD-2-Clause */
/* The monitor's directory: who may use it, and records that are not right. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/control/base/process.h"
#include "monitor/control/base/state_dir.h"
#include "tests/unit/support.h"

static char dir[256];

static struct vm_record good(void)
{
	struct vm_record r = { .name = "a.vm",
			       .pid = 1234,
			       .pid_start = 5678,
			       .node = 1,
			       .nr_vcpus = 2,
			       .memory_bytes = MIB(64),
			       .start_ns = 99,
			       .kernel = "/boot/vm\"linuz",
			       .group = "g",
			       .cluster = "mpi",
			       .role = "node",
			       .nr_cached = 2,
			       .cached = { { 0, 12 }, { 3, 16 } } };

	state_vm_gather(&r);
	return r;
}

static struct state_dir opened(void)
{
	struct diag d = { .status = ST_OK };
	struct state_dir s;

	if (state_dir_open(&s, true, &d))
		fail_msg("%s", d.text);
	return s;
}

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/disco-test-state.XXXXXX");
	assert_non_null(mkdtemp(dir));
	return setenv("DISCO_STATE_DIR", dir, 1);
}

static int tear_down(void **state)
{
	char command[300];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command);
}

static void a_record_comes_back(void **state)
{
	struct vm_record r = good(), got;
	struct state_dir s = opened();

	(void)state;
	memset(&got, 0, sizeof(got));
	assert_int_equal(state_vm_load(&s, r.name, &got), -ENOENT);
	assert_int_equal(state_vm_save(&s, &r), 0);
	assert_int_equal(state_vm_save(&s, &r), 0);
	assert_int_equal(state_vm_load(&s, r.name, &got), 0);
	assert_string_equal(got.name, r.name);
	assert_string_equal(got.kernel, r.kernel);
	assert_string_equal(got.group, r.group);
	assert_string_equal(got.cluster, "mpi");
	assert_string_equal(got.role, "node");
	assert_int_equal(got.nr_cached, r.nr_cached);
	assert_memory_equal(got.cached, r.cached, sizeof(r.cached));
	assert_int_equal(got.pid, r.pid);
	assert_int_equal(got.pid_start, r.pid_start);
	assert_int_equal(got.node, r.node);
	assert_false(got.fixed);
	assert_false(got.copies);
	r.fixed = true;
	r.copies = true;
	assert_int_equal(state_vm_save(&s, &r), 0);
	assert_int_equal(state_vm_load(&s, r.name, &got), 0);
	assert_true(got.fixed);
	assert_true(got.copies);
	assert_int_equal(got.memory_bytes, r.memory_bytes);
	state_vm_remove(&s, r.name);
	state_vm_remove(&s, r.name);
	assert_int_equal(state_vm_load(&s, r.name, &got), -ENOENT);
	state_dir_close(&s);
}

static void networks_come_back(void **state)
{
	struct vm_record r = good(), got;
	struct state_dir s = opened();

	(void)state;
	r.net_fd = 40;
	r.nr_nets = 2;
	r.nets[0] = (struct worker_net){ .net = "lan",
					 .slot = 3,
					 .gen = 7,
					 .mac = { 2, 1, 2, 3, 4, 5 },
					 .ip = { 10, 1, 0, 5 },
					 .server = { 10, 1, 0, 1 },
					 .bits = 24,
					 .routed = 1 };
	r.nets[1] = r.nets[0];
	memcpy(r.nets[1].net, "wan", 4);
	r.nets[1].routed = 0;
	r.nets[1].routed4 = r.nets[1].planned6 = 1;
	memcpy(r.taps[1], "fifteen-letters", NET_TAP_MAX);
	assert_int_equal(state_vm_save(&s, &r), 0);
	assert_int_equal(state_vm_load(&s, r.name, &got), 0);
	assert_int_equal(got.nr_nets, 2);
	assert_int_equal(got.net_fd, 40);
	assert_memory_equal(got.nets, r.nets, sizeof(r.nets));
	assert_memory_equal(got.taps, r.taps, sizeof(r.taps));
	memset(r.taps[1], 'x', sizeof(r.taps[1]));
	assert_false(state_vm_sane(&r));
	state_vm_remove(&s, r.name);
	state_dir_close(&s);
}

static void where_vcpus_are_comes_back(void **state)
{
	struct vm_record r = good(), got;
	struct state_dir s = opened();
	struct node_list nodes;

	(void)state;
	assert_false(state_vm_is_wide(&r));
	r.vcpu_nodes[1] = 3;
	r.vcpu_nodes[0] = 9;
	assert_true(state_vm_is_wide(&r) && state_vm_sane(&r));
	state_vm_nodes(&r, &nodes);
	assert_true(nodes.nr == 2 && nodes.ids[0] == 3 && nodes.ids[1] == 9);
	assert_int_equal(state_vm_save(&s, &r), 0);
	assert_int_equal(state_vm_load(&s, r.name, &got), 0);
	assert_true(got.vcpu_nodes[0] == 9 && got.vcpu_nodes[1] == 3);
	state_vm_gather(&r);
	assert_false(state_vm_is_wide(&r));
	assert_int_equal(state_vm_save(&s, &r), 0);
	assert_int_equal(state_vm_load(&s, r.name, &got), 0);
	assert_true(got.vcpu_nodes[0] == 1 && got.vcpu_nodes[1] == 1);
	/* All on one node, which is not its home. */
	r.vcpu_nodes[0] = r.vcpu_nodes[1] = 2;
	assert_true(state_vm_is_wide(&r));
	r.vcpu_nodes[0] = -2;
	assert_false(state_vm_sane(&r));
	state_vm_remove(&s, r.name);
	state_dir_close(&s);
}

static void put(const struct state_dir *s, const char *name, const char *text)
{
	int fd = openat(s->vms, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
}

/* Who wrote it did not know of balancing: the VM is left where it is. */
static void an_old_record_is_of_a_fixed_vm(void **state)
{
	static const char word[] = "\"fixed\": false,";
	struct vm_record r = good(), got;
	struct state_dir s = opened();
	char text[4096], *at;
	int fd;

	(void)state;
	assert_int_equal(state_vm_save(&s, &r), 0);
	fd = openat(s.vms, "a.vm.json", O_RDONLY);
	assert_true(fd >= 0);
	text[read(fd, text, sizeof(text) - 1)] = '\0';
	(void)close(fd);
	at = strstr(text, word);
	assert_non_null(at);
	memset(at, ' ', strlen(word));
	put(&s, "a.vm.json", text);
	assert_int_equal(state_vm_load(&s, r.name, &got), 0);
	assert_true(got.fixed);
	state_vm_remove(&s, r.name);
	state_dir_close(&s);
}

#define RECORD(boot, name, pid, vcpus) RECORD_AND(boot, name, pid, vcpus, "")
#define CACHED(list)                                                           \
	RECORD_AND("of-yesterday", "x", "7", "1", ",\"cached\":" list)
#define RECORD_AND(boot, name, pid, vcpus, more)                               \
	"{\"version\":1,\"boot\":\"" boot "\",\"name\":\"" name                \
	"\",\"pid\":" pid ",\"pid_start\":3,\"node\":0,\"vcpus\":" vcpus       \
	",\"memory_bytes\":4096,\"start_ns\":1,\"kernel\":\"k\"" more "}"

static void bad_records_are_refused(void **state)
{
	static const struct {
		const char *text;
		int err;
	} cases[] = {
		{ "", -EBADMSG },
		{ "{", -EBADMSG },
		{ "[]", -EBADMSG },
		{ "{\"version\":1}", -EBADMSG },
		{ RECORD("of-yesterday", "x", "7", "1"), -ESTALE },
		{ RECORD("of-yesterday", "x", "1", "1"), -EBADMSG },
		{ RECORD("of-yesterday", "x", "-5", "1"), -EBADMSG },
		{ RECORD("of-yesterday", "x", "7", "0"), -EBADMSG },
		{ RECORD("of-yesterday", "x", "7", "65"), -EBADMSG },
		{ RECORD("of-yesterday", "../x", "7", "1"), -EBADMSG },
		{ RECORD("of-yesterday", "x", "\"7\"", "1"), -EBADMSG },
		{ RECORD_AND("of-yesterday", "x", "7", "2",
			     ",\"vcpu_nodes\":[0, 3]"),
		  -ESTALE },
		{ RECORD_AND("of-yesterday", "x", "7", "2",
			     ",\"vcpu_nodes\":[0, 3, 1]"),
		  -EBADMSG },
		{ RECORD_AND("of-yesterday", "x", "7", "2",
			     ",\"vcpu_nodes\":[0, 1024]"),
		  -EBADMSG },
		{ RECORD_AND("of-yesterday", "x", "7", "2",
			     ",\"vcpu_nodes\":[0, \"1\"]"),
		  -EBADMSG },
		{ CACHED("[[0, 12]]"), -ESTALE },
		{ CACHED("[[16, 12]]"), -EBADMSG },
		{ CACHED("[[-1, 12]]"), -EBADMSG },
		{ CACHED("[[0, -1]]"), -EBADMSG },
		{ CACHED("[0]"), -EBADMSG },
		{ CACHED("[[0, 1],[0, 1],[0, 1],[0, 1],[0, 1],[0, 1],[0, 1],"
			 "[0, 1],[0, 1],[0, 1],[0, 1],[0, 1],[0, 1],[0, 1],"
			 "[0, 1],[0, 1],[0, 1]]"),
		  -EBADMSG },
	};
	struct state_dir s = opened();
	struct vm_record got = { .pid = 42 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		put(&s, "x.json", cases[i].text);
		assert_int_equal(state_vm_load(&s, "x", &got), cases[i].err);
	}
	assert_int_equal(got.pid, 42);
	state_dir_close(&s);
}

static void count(void *arg, const char *name)
{
	(*(unsigned *)arg)++;
	assert_true(strcmp(name, "a") == 0 || strcmp(name, "b.c") == 0);
}

static void only_names_of_vms_are_found(void **state)
{
	struct state_dir s = opened();
	unsigned nr = 0;

	(void)state;
	put(&s, "a.json", "");
	put(&s, "b.c.json", "");
	put(&s, ".a", "");
	put(&s, ".json", "");
	put(&s, "a b.json", "");
	put(&s, "a.sock", "");
	assert_int_equal(state_vm_each(&s, count, &nr), 0);
	assert_int_equal(nr, 2);
	state_dir_close(&s);
}

static void it_is_ours_alone(void **state)
{
	struct diag d = { .status = ST_OK };
	struct state_dir s = opened(), other;
	struct stat st;
	int copy;

	(void)state;
	assert_int_equal(fstat(s.vms, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(state_dir_lock(&s, &d), 0);
	other = opened();
	assert_int_equal(state_dir_lock(&other, &d), -EWOULDBLOCK);
	assert_int_equal(d.status, ST_HOST);
	copy = dup(s.lock); /* as a child has until it executes its program */
	assert_true(copy >= 0);
	state_dir_close(&s);
	d.status = ST_OK;
	assert_int_equal(state_dir_lock(&other, &d), 0);
	state_dir_close(&other);
	(void)close(copy);
	assert_int_equal(chmod(dir, 0750), 0);
	assert_int_equal(state_dir_open(&s, true, &d), -EPERM);
	state_dir_close(&s);
	assert_int_equal(chmod(dir, 0700), 0);
}

static void a_missing_one_means_no_monitor(void **state)
{
	struct diag d = { .status = ST_OK };
	char path[600];
	struct state_dir s;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/none", dir);
	assert_int_equal(setenv("DISCO_STATE_DIR", path, 1), 0);
	assert_int_equal(state_dir_open(&s, false, &d), -ENOENT);
	assert_int_equal(d.status, ST_NO_MONITOR);
	state_dir_close(&s);
	assert_int_equal(setenv("DISCO_STATE_DIR", dir, 1), 0);
}

/* A directory whose name is longer than a socket address can be. */
static void sockets_work_below_long_names(void **state)
{
	struct diag d = { .status = ST_OK };
	char path[600];
	struct state_dir s;
	struct stat st;
	int listener, fd;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/%0150d", dir, 0);
	assert_int_equal(setenv("DISCO_STATE_DIR", path, 1), 0);
	assert_int_equal(state_dir_open(&s, true, &d), 0);
	assert_int_equal(state_api_connect(&s), -ENOENT);
	listener = state_api_listen(&s);
	assert_true(listener >= 0);
	assert_int_equal(fstatat(s.fd, "api.sock", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	fd = state_api_connect(&s);
	assert_true(fd >= 0);
	(void)close(fd);
	(void)close(listener);
	assert_int_equal(state_api_connect(&s), -ECONNREFUSED);
	/* In place of the old one. */
	listener = state_api_listen(&s);
	assert_true(listener >= 0);
	(void)close(listener);
	state_dir_close(&s);
	assert_int_equal(setenv("DISCO_STATE_DIR", dir, 1), 0);
}

static void a_process_is_known_by_its_start(void **state)
{
	uint64_t mine = process_start(getpid());
	int status;
	pid_t pid;

	(void)state;
	assert_true(mine > 0);
	assert_int_equal(process_start(getpid()), mine);
	pid = fork();
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(process_start(pid), 0);
}

static void names_are_checked(void **state)
{
	char longest[VM_NAME_MAX + 2];

	(void)state;
	memset(longest, 'x', sizeof(longest));
	longest[VM_NAME_MAX + 1] = '\0';
	assert_false(vm_name_valid(longest));
	longest[VM_NAME_MAX] = '\0';
	assert_true(vm_name_valid(longest));
	assert_true(vm_name_valid("a"));
	assert_true(vm_name_valid("0.A-b_c"));
	assert_false(vm_name_valid(""));
	assert_false(vm_name_valid(".."));
	assert_false(vm_name_valid("-a"));
	assert_false(vm_name_valid("a/b"));
	assert_false(vm_name_valid("a\n"));
}

int main(void)
{
#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		IN_DIR(a_record_comes_back),
		IN_DIR(networks_come_back),
		IN_DIR(where_vcpus_are_comes_back),
		IN_DIR(an_old_record_is_of_a_fixed_vm),
		IN_DIR(bad_records_are_refused),
		IN_DIR(only_names_of_vms_are_found),
		IN_DIR(it_is_ours_alone),
		IN_DIR(a_missing_one_means_no_monitor),
		IN_DIR(sockets_work_below_long_names),
		cmocka_unit_test(a_process_is_known_by_its_start),
		cmocka_unit_test(names_are_checked),
	};

	return cmocka_run_group_tests_name("state_dir", tests, NULL, NULL);
}
