/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/guests/monitor_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disco/agent_proto.h"
#include "monitor/agent/serve.h"
#include "monitor/control/cli/http_client.h"
#include "monitor/control/monitor.h"
#include "monitor/control/notify.h"
#include "monitor/control/run/run.h"
#include "monitor/control/base/exit_info.h"
#include "tests/unit/guests/fake_worker.h"

static char dir[] = "/tmp/disco-test-monitor.XXXXXX";
bool agents_go_wrong;
pid_t monitor_pid;
int log_fd;
char *monitor_option;

/* In place of disco-agent: ourselves, too. */
static void fake_agent_hook(int argc, char **argv)
{
	static struct agent_request r;
	struct pollfd p = { .fd = AGENT_FD_CONTROL, .events = POLLIN };
	struct agent_server *a;

	if (argc < 1 || strcmp(argv[0], "disco-agent") != 0)
		return;
	/* Up to what it goes wrong by; the cache is not what is tested. */
	while (agents_go_wrong && poll(&p, 1, -1) > 0 &&
	       recv(AGENT_FD_CONTROL, &r, sizeof(r), MSG_PEEK) > 0 &&
	       r.kind > AGENT_COPY)
		(void)!recv(AGENT_FD_CONTROL, &r, sizeof(r), 0);
	if (r.pull.bound_ns == MS_DIE * 1000000)
		(void)raise(SIGKILL);
	if (r.pull.bound_ns == MS_NONSENSE * 1000000)
		(void)!send(AGENT_FD_CONTROL, "nonsense", 8, 0);
	if (agent_create(AGENT_FD_CONTROL, &a) || agent_serve(a))
		_exit(EXIT_FAILURE);
	_exit(EXIT_SUCCESS);
}

/* --- in place of systemd, and of the foreground's half --- */

void notify_ready(struct notify *n, struct loop *loop)
{
	(void)n;
	(void)loop;
}

void notify_leaving(struct notify *n)
{
	(void)n;
}

/* --- a monitor --- */

_Noreturn void child(int err)
{
	static char word[] = "monitor";
	char *argv[] = { word, monitor_option, NULL };
	struct diag d = { .status = ST_OK };
	int ret;

	(void)dup2(err, 2);
	ret = command_run(&monitor_command, monitor_option ? 2 : 1, argv, &d);
	if (ret < 0)
		(void)dprintf(2, "disco: %s\n", d.text);
	_exit(ret < 0 ? (int)d.status : ret);
}

bool answers(void)
{
	struct diag d = { .status = ST_OK };
	char *text = NULL;
	bool ok = http_call("GET", "/v1/vms", NULL, &text, &d) == 0;

	free(text);
	return ok;
}

void start_monitor(void)
{
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	(void)fflush(NULL);
	monitor_pid = fork();
	if (monitor_pid == 0)
		child(p[1]);
	(void)close(p[1]);
	log_fd = p[0];
	WAIT_UNTIL(answers());
}

void end_monitor(int sig)
{
	int status;

	assert_int_equal(kill(monitor_pid, sig), 0);
	assert_int_equal(waitpid(monitor_pid, &status, 0), monitor_pid);
	if (sig == SIGTERM && status) {
		char said[4096];
		ssize_t n = read(log_fd, said, sizeof(said) - 1);

		print_message("# %.*s\n", n > 0 ? (int)n : 0, said);
		assert_int_equal(status, 0);
	}
}

int set_up(void **state)
{
	(void)state;
	start_monitor();
	return 0;
}

int tear_down(void **state)
{
	(void)state;
	end_monitor(SIGTERM);
	(void)close(log_fd);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* What the monitor said so far holds @what. */
void said(const char *what)
{
	static char text[65536];
	size_t n = 0;

	while (n + 1 < sizeof(text) && wait_readable(log_fd)) {
		ssize_t got = read(log_fd, text + n, sizeof(text) - 1 - n);

		if (got <= 0)
			break;
		n += (size_t)got;
		text[n] = '\0';
		if (strstr(text, what))
			return;
	}
	fail_msg("no '%s' in: %s", what, text);
}

/* --- calls --- */

json_t *call(const char *method, const char *path, const char *body)
{
	struct diag d = { .status = ST_OK };
	json_t *root = NULL;
	uint64_t end = wait_end_ns();

	/*
	 * The API gives up after 5 s; beside other work, a killed process may
	 * not have run by then.
	 */
	while (http_json(method, path, body, &root, &d))
		if (!strstr(d.text, "did not end in time") ||
		    clock_now_ns() >= end)
			fail_msg("%s %s: %s", method, path, d.text);
	return root;
}

void refused(const char *method, const char *path, const char *body,
	     enum exit_status status, const char *line)
{
	struct diag d = { .status = ST_OK };
	char *text = NULL;

	assert_int_equal(http_call(method, path, body, &text, &d), -EREMOTEIO);
	if (!strstr(d.text, line))
		fail_msg("no '%s' in: %s", line, d.text);
	assert_int_equal(d.status, status);
}

void start_vm_with(const char *name, const char *kernel, const char *more, ...)
{
	char body[768], members[512];
	va_list ap;
	int n;

	va_start(ap, more);
	n = vsnprintf(members, sizeof(members), more, ap);
	va_end(ap);
	assert_in_range(n, 0, sizeof(members) - 1);
	n = snprintf(body, sizeof(body),
		     "{\"name\":\"%s\",\"kernel\":\"%s\","
		     "\"memory\":\"16M\"%s}",
		     name, kernel, members);
	assert_in_range(n, 0, sizeof(body) - 1);
	json_decref(call("POST", "/v1/vms", body));
}

void start_vm(const char *name)
{
	start_vm_with(name, "/kernel", "%s", "");
}

void vm_call(const char *name, const char *action)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "/v1/vms/%s/%s", name, action);
	json_decref(call("POST", path, NULL));
}

static const char *state_of(const char *name, int *status)
{
	static char copy[32];
	json_t *root, *vm;
	char path[128];

	(void)snprintf(path, sizeof(path), "/v1/vms/%s", name);
	root = call("GET", path, NULL);
	vm = json_object_get(root, "state");
	(void)snprintf(copy, sizeof(copy), "%s", json_string_value(vm));
	*status = (int)json_integer_value(json_object_get(root, "status"));
	json_decref(root);
	return copy;
}

void expect(const char *name, const char *want, int status)
{
	uint64_t end = wait_end_ns();
	int is;

	while (strcmp(state_of(name, &is), want) != 0) {
		if (clock_now_ns() > end)
			fail_msg("%s is %s, not %s", name, state_of(name, &is),
				 want);
		(void)usleep(5000);
	}
	assert_int_equal(is, status);
}

pid_t pid_of(const char *name)
{
	char path[128];
	json_t *root;
	pid_t pid;

	(void)snprintf(path, sizeof(path), "/v1/vms/%s", name);
	root = call("GET", path, NULL);
	pid = (pid_t)json_integer_value(json_object_get(root, "pid"));
	json_decref(root);
	assert_true(pid > 1);
	return pid;
}

enum exit_status killed_after_adoption(void)
{
	int status, fd;
	pid_t pid = fork();

	if (pid == 0) {
		(void)pause();
		_exit(0);
	}
	fd = pidfd_open(pid, 0);
	assert_true(fd >= 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	pid = exit_info_get(fd, &status);
	(void)close(fd);
	return pid ? ST_WORKER_FAIL : ST_WORKER_SIGNAL;
}

/* --- figures --- */

static json_int_t figure_of(const json_t *o, const char *key)
{
	json_t *n = json_object_get(o, key);

	if (!n)
		n = json_object_get(json_object_get(o, "cache"), key);
	return n ? json_integer_value(n) : -1;
}

json_int_t vm_figure(const char *name, const char *key)
{
	json_t *root = call("GET", "/v1/stats", NULL), *v;
	json_int_t n = -1;
	size_t i;

	json_array_foreach(json_object_get(root, "vms"), i, v)
	{
		if (strcmp(json_string_value(json_object_get(v, "name")),
			   name) == 0)
			n = figure_of(v, key);
	}
	json_decref(root);
	return n;
}

json_int_t agent_figure(int node, const char *key)
{
	json_t *root = call("GET", "/v1/stats", NULL), *v;
	json_int_t n = -1;
	size_t i;

	json_array_foreach(json_object_get(root, "agents"), i, v)
	{
		if (json_integer_value(json_object_get(v, "node")) == node)
			n = figure_of(v, key);
	}
	json_decref(root);
	return n;
}

/* --- the description --- */

json_t *description(void)
{
	json_t *root = json_load_file("docs/openapi.json", 0, NULL);

	assert_non_null(root);
	return root;
}

void has_keys_of(json_t *doc, const char *schema, json_t *value)
{
	json_t *props = NULL, *v;
	const char *key;

	assert_int_equal(json_unpack(doc, "{s:{s:{s:{s:o}}}}", "components",
				     "schemas", schema, "properties", &props),
			 0);
	assert_true(json_is_object(value));
	json_object_foreach(props, key, v) if (!json_object_get(value, key))
		fail_msg("%s: no '%s' in the answer", schema, key);
	json_object_foreach(value, key, v) if (!json_object_get(props, key))
		fail_msg("%s: '%s' is not described", schema, key);
}

/* --- the program --- */

/*
 * What a monitor leaves behind is reaped at once, as by an init: how an adopted
 * worker ended is known only then, and the first process of a container may take
 * its time. Returns in a child of this process; this process ends as the child.
 */
static void run_under_a_reaper(void)
{
	pid_t pid, test;
	int status;

	(void)fflush(NULL);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || (test = fork()) < 0)
		_exit(EXIT_FAILURE);
	if (test == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		return;
	}
	do
		pid = waitpid(-1, &status, 0);
	while (pid != test);
	if (WIFSIGNALED(status))
		(void)raise(WTERMSIG(status));
	_exit(WEXITSTATUS(status));
}

bool monitor_calls_begin(int argc, char **argv)
{
	fake_worker_hook(argc, argv);
	fake_agent_hook(argc, argv);
	run_under_a_reaper();
	return mkdtemp(dir) && setenv("DISCO_STATE_DIR", dir, 1) == 0 &&
	       setenv("DISCO_VM", "/proc/self/exe", 1) == 0 &&
	       setenv("DISCO_AGENT", "/proc/self/exe", 1) == 0;
}

void monitor_calls_end(void)
{
	(void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
