/* SPDX-License-Identifier: BSD-2-Clause */
// LINK: tests/unit/control/fake_worker.c monitor/control/monitor.c
// LINK: monitor/control/starter.c monitor/control/adopt.c monitor/control/tap.c
// LINK: monitor/control/typed.c
// LINK: monitor/control/api.c monitor/control/api_routes.c
// LINK: monitor/control/api_vm.c monitor/control/api_figures.c
// LINK: monitor/control/api_move.c monitor/control/move.c
// LINK: monitor/control/move_map.c monitor/control/agents.c
// LINK: monitor/control/boot_copies.c monitor/ipc/fds.c
// LINK: monitor/agent/serve.c monitor/agent/pull.c
// LINK: monitor/control/http_client.c monitor/control/cli.c
// LINK: monitor/control/state_dir.c monitor/control/state_vm.c
// LINK: monitor/control/launch.c monitor/control/boot_set.c
// LINK: monitor/control/plan.c monitor/control/size.c
// LINK: monitor/control/disk_files.c monitor/control/worker_code.c
// LINK: monitor/control/spawn.c monitor/control/spawn_child.c
// LINK: monitor/control/vm_watch.c monitor/control/outcome.c
// LINK: monitor/control/sink.c monitor/control/loop.c
// LINK: monitor/control/cache_dir.c monitor/control/config_draft.c
// LINK: monitor/control/config_set.c monitor/control/config_reader.c
// LINK: monitor/control/config_json.c monitor/sandbox/privileges.c
// LINK: monitor/control/ram_file.c monitor/control/cow_files.c
// LINK: cowdisk/io.c cowdisk/io_fd.c cowdisk/cow_format.c
// LINK: numa/topology.c numa/place.c numa/bind.c -lmicrohttpd -ljansson -lhwloc
/*
 * The monitor as a process of its own, with the fake worker: its API, what a
 * hostile client may try, moves, and taking over after kill -9. 840
 * lines because every test talks to a whole monitor, by the calls at the top.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disco/agent_proto.h"
#include "monitor/agent/serve.h"
#include "monitor/boot/boot_image.h"
#include "monitor/control/api.h"
#include "monitor/control/http_client.h"
#include "monitor/control/kvm_open.h"
#include "monitor/control/notify.h"
#include "monitor/control/run.h"
#include "tests/unit/control/fake_worker.h"
#include "tests/unit/support.h"

static char dir[] = "/tmp/disco-test-monitor.XXXXXX";
static pid_t monitor_pid;
static int log_fd; /* its standard error */

/* --- in place of KVM and of kernels --- */

int kvm_open(int *fd, struct diag *d)
{
	(void)d;
	*fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	return 0;
}

int boot_image_create(const struct boot_source *src, struct boot_image *out,
		      struct diag *d)
{
	if (strcmp(src->kernel, "/missing") == 0)
		return diag_fail(d, ST_FILE, ENOENT, "kernel /missing: gone");
	if (strcmp(src->kernel, "/slow") == 0)
		(void)pause();
	memset(out, 0, sizeof(*out));
	out->fd = memfd_create("boot", MFD_CLOEXEC);
	out->layout.end = MIB(8);
	return 0;
}

void boot_image_destroy(struct boot_image *img)
{
	if (img && img->fd > 0)
		(void)close(img->fd);
}

/*
 * In place of disco-agent: ourselves, too. The bound that a move asks for
 * says when to go wrong.
 */
#define MS_DIE	    7
#define MS_NONSENSE 8

static void fake_agent_hook(int argc, char **argv)
{
	static struct agent_request r;
	struct pollfd p = { .fd = AGENT_FD_CONTROL, .events = POLLIN };

	if (argc < 1 || strcmp(argv[0], "disco-agent") != 0)
		return;
	(void)poll(&p, 1, -1);
	(void)!recv(AGENT_FD_CONTROL, &r, sizeof(r), MSG_PEEK);
	if (r.bound_ns == MS_DIE * 1000000)
		(void)raise(SIGKILL);
	if (r.bound_ns == MS_NONSENSE * 1000000)
		(void)!send(AGENT_FD_CONTROL, "nonsense", 8, 0);
	_exit(agent_serve(AGENT_FD_CONTROL) ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* --- in place of systemd, and of the foreground's half --- */

void notify_ready(struct monitor *m)
{
	(void)m;
}

void notify_leaving(struct monitor *m)
{
	(void)m;
}

int notify_timeout_ms(const struct monitor *m, uint64_t now)
{
	(void)m;
	(void)now;
	return -1;
}

void notify_tick(struct monitor *m, uint64_t now)
{
	(void)m;
	(void)now;
}

int run_hold_standard_fds(struct diag *d)
{
	(void)d;
	return 0;
}

/* --- a monitor --- */

_Noreturn static void child(int err)
{
	char *argv[] = { (char[]){ "monitor" }, NULL };
	struct diag d = { .status = ST_OK };
	int ret;

	(void)dup2(err, 2);
	ret = monitor_main(1, argv, &d);
	if (ret < 0)
		(void)dprintf(2, "disco: %s\n", d.text);
	_exit(ret < 0 ? (int)d.status : ret);
}

static bool answers(void)
{
	struct diag d = { .status = ST_OK };
	char *text = NULL;
	bool ok = http_call("GET", "/v1/vms", NULL, &text, &d) == 0;

	free(text);
	return ok;
}

static void start_monitor(void)
{
	uint64_t end = now_ns() + 20000000000ull;
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	(void)fflush(NULL);
	monitor_pid = fork();
	if (monitor_pid == 0)
		child(p[1]);
	(void)close(p[1]);
	log_fd = p[0];
	while (!answers()) {
		assert_true(now_ns() < end);
		(void)usleep(10000);
	}
}

static void end_monitor(int sig)
{
	int status;

	assert_int_equal(kill(monitor_pid, sig), 0);
	assert_int_equal(waitpid(monitor_pid, &status, 0), monitor_pid);
	if (sig == SIGTERM)
		assert_int_equal(status, 0);
}

static int set_up(void **state)
{
	(void)state;
	start_monitor();
	return 0;
}

static int tear_down(void **state)
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
static void said(const char *what)
{
	static char text[65536];
	struct pollfd p = { .fd = log_fd, .events = POLLIN };
	size_t n = 0;

	while (n + 1 < sizeof(text) && poll(&p, 1, 2000) > 0) {
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

static json_t *call(const char *method, const char *path, const char *body)
{
	struct diag d = { .status = ST_OK };
	json_t *root = NULL;

	if (http_json(method, path, body, &root, &d))
		fail_msg("%s %s: %s", method, path, d.text);
	return root;
}

static void refused(const char *method, const char *path, const char *body,
		    enum exit_status status, const char *line)
{
	struct diag d = { .status = ST_OK };
	char *text = NULL;

	assert_int_equal(http_call(method, path, body, &text, &d), -EREMOTEIO);
	if (!strstr(d.text, line))
		fail_msg("no '%s' in: %s", line, d.text);
	assert_int_equal(d.status, status);
}

static void start_vm(const char *name)
{
	char body[256];

	(void)snprintf(body, sizeof(body),
		       "{\"name\":\"%s\",\"kernel\":\"/kernel\","
		       "\"memory\":\"16M\"}",
		       name);
	json_decref(call("POST", "/v1/vms", body));
}

static void vm_call(const char *name, const char *action)
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

static void expect(const char *name, const char *want, int status)
{
	uint64_t end = now_ns() + 10000000000ull;
	int is;

	while (strcmp(state_of(name, &is), want) != 0) {
		if (now_ns() > end)
			fail_msg("%s is %s, not %s", name, state_of(name, &is),
				 want);
		(void)usleep(5000);
	}
	assert_int_equal(is, status);
}

static pid_t pid_of(const char *name)
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

/* --- tests --- */

static void vms_live_and_end(void **state)
{
	(void)state;
	start_vm("obey.1");
	start_vm("panic");
	start_vm("sig9");
	start_vm("forged");
	expect("obey.1", "running", 0);
	expect("panic", "ended", ST_GUEST_PANIC);
	expect("sig9", "ended", ST_WORKER_SIGNAL);
	expect("forged", "ended", ST_WORKER_FAIL);
	vm_call("obey.1", "pause");
	vm_call("obey.1", "pause");
	expect("obey.1", "paused", 0);
	vm_call("obey.1", "resume");
	vm_call("obey.1", "resume");
	expect("obey.1", "running", 0);
	vm_call("obey.1", "stop");
	expect("obey.1", "ended", ST_STOPPED);
	vm_call("obey.1", "stop");
	refused("POST", "/v1/vms/obey.1/pause", NULL, ST_NO_VM, "has ended");
	start_vm("obey.1"); /* the name is free again */
	vm_call("obey.1", "kill");
	expect("obey.1", "ended", ST_STOPPED);
}

static void a_deaf_worker_is_killed(void **state)
{
	(void)state;
	start_vm("deaf");
	vm_call("deaf", "stop");
	expect("deaf", "ended", ST_STOPPED);
}

static void bad_requests_are_told(void **state)
{
	(void)state;
	refused("POST", "/v1/vms", "{", ST_JSON, "request:1:");
	refused("POST", "/v1/vms", NULL, ST_JSON, "request");
	refused("POST", "/v1/vms", "{\"name\":\"a\"}", ST_CONFIG, "kernel");
	refused("POST", "/v1/vms", "{\"kernel\":\"here\"}", ST_CONFIG,
		"absolute");
	refused("POST", "/v1/vms", "{\"kernel\":\"/missing\"}", ST_FILE,
		"gone");
	refused("GET", "/v1/vms/nobody", NULL, ST_NO_VM, "nobody");
	refused("POST", "/v1/vms/nobody/stop", NULL, ST_NO_VM, "nobody");
	refused("GET", "/v2/vms", NULL, ST_USAGE, "nothing is at");
	refused("GET", "/v1/vms/a/b/c", NULL, ST_USAGE, "nothing is at");
	refused("PUT", "/v1/stats", NULL, ST_USAGE, "PUT is not for");
	start_vm("obey.same");
	refused("POST", "/v1/vms",
		"{\"name\":\"obey.same\",\"kernel\":\"/kernel\"}", ST_CONFIG,
		"runs already");
	/* All or none. */
	refused("POST", "/v1/vms",
		"{\"vms\":[{\"name\":\"obey.x\",\"kernel\":\"/k\"},"
		"{\"name\":\"obey.y\",\"kernel\":\"/missing\"}]}",
		ST_FILE, "gone");
	refused("GET", "/v1/vms/obey.x", NULL, ST_NO_VM, "obey.x");
	vm_call("obey.same", "kill");
}

static void a_large_body_is_refused(void **state)
{
	size_t n = API_MAX_BODY + 1;
	char *body = malloc(n + 1);

	(void)state;
	assert_non_null(body);
	memset(body, ' ', n);
	body[n] = '\0';
	refused("POST", "/v1/vms", body, ST_CONFIG, "larger than 1024 KiB");
	free(body);
}

static int raw(const char *bytes)
{
	struct diag d = { .status = ST_OK };
	struct state_dir s;
	int fd;

	assert_int_equal(state_dir_open(&s, false, &d), 0);
	fd = state_api_connect(&s);
	state_dir_close(&s);
	assert_true(fd >= 0);
	(void)!send(fd, bytes, strlen(bytes), MSG_NOSIGNAL);
	return fd;
}

static void others_are_served_meanwhile(void **state)
{
	const char slow[] = "POST /v1/vms HTTP/1.1\r\nHost: x\r\n"
			    "Content-Length: 40\r\n\r\n"
			    "{\"name\":\"obey.slow\",\"kernel\":\"/slow\"}  ";
	int fds[40];

	(void)state;
	fds[0] = raw(slow);
	fds[1] = raw("GET /v1/vms HTT");
	fds[2] = raw("\r\n\r\n\x01\x02 \xff\xff\r\n\r\n");
	fds[3] = raw("POST /v1/vms HTTP/1.1\r\nTransfer-Encoding: "
		     "chunked\r\n\r\nzzz\r\n");
	for (unsigned i = 4; i < ARRAY_SIZE(fds); i++)
		fds[i] = raw("G");
	for (unsigned i = 0; i < 20; i++)
		assert_true(answers());
	/* Its client leaves before it is answered. */
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		(void)close(fds[i]);
	for (unsigned i = 0; i < 20; i++)
		assert_true(answers());
}

/* More than there are places for, and none says anything. */
static void a_full_house_empties(void **state)
{
	int fds[API_MAX_CONNECTIONS + 16];
	uint64_t begun = now_ns();

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = raw("G");
	assert_true(answers());
	assert_in_range(now_ns() - begun, 0, 9000000000ull);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		(void)close(fds[i]);
	assert_true(answers());
}

/* --- the console --- */

static size_t read_until(int fd, char *buf, size_t size, const char *what)
{
	size_t n = 0;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	buf[0] = '\0';
	while (n + 1 < size && !strstr(buf, what)) {
		ssize_t got;

		assert_true(poll(&p, 1, 5000) > 0);
		got = recv(fd, buf + n, size - 1 - n, 0);
		assert_true(got > 0);
		n += (size_t)got;
		buf[n] = '\0';
	}
	return n;
}

static int attach(const char *path)
{
	struct diag d = { .status = ST_OK };
	int fd = -1;

	if (http_upgrade(path, API_CONSOLE, &fd, &d))
		fail_msg("%s", d.text);
	return fd;
}

static void a_console_is_shown_again(void **state)
{
	struct diag d = { .status = ST_OK };
	int more[TAP_MAX_CLIENTS], fd;
	char buf[512];

	(void)state;
	refused("GET", "/v1/vms/obey.c/console", NULL, ST_NO_VM, "obey.c");
	start_vm("echo.c");
	fd = attach("/v1/vms/echo.c/console");
	assert_int_equal(send(fd, "hello\n", 6, 0), 6);
	(void)read_until(fd, buf, sizeof(buf), "hello\n");
	(void)close(fd);
	for (unsigned i = 0; i < TAP_MAX_CLIENTS; i++) {
		more[i] = attach("/v1/vms/echo.c/console");
		(void)read_until(more[i], buf, sizeof(buf), "hello\n");
	}
	assert_int_equal(
		http_upgrade("/v1/vms/echo.c/console", API_CONSOLE, &fd, &d),
		-EREMOTEIO);
	assert_int_equal(send(more[0], "again\n", 6, 0), 6);
	for (unsigned i = 0; i < TAP_MAX_CLIENTS; i++)
		(void)read_until(more[i], buf, sizeof(buf), "again\n");
	vm_call("echo.c", "stop");
	for (unsigned i = 0; i < TAP_MAX_CLIENTS; i++) {
		assert_int_equal(recv(more[i], buf, sizeof(buf), 0), 0);
		(void)close(more[i]);
	}
	refused("GET", "/v1/vms/echo.c/console", NULL, ST_USAGE, "Upgrade");
}

static void who_does_not_read_stops_no_guest(void **state)
{
	int fd;

	(void)state;
	start_vm("flood");
	fd = attach("/v1/vms/flood/console");
	expect("flood", "ended", ST_OK);
	(void)close(fd);
}

/* --- taking over --- */

static void guests_outlive_a_killed_monitor(void **state)
{
	struct pollfd p = { .events = POLLIN };
	pid_t one, echo, gone;
	char buf[512];
	int fd;

	(void)state;
	start_vm("obey.a");
	start_vm("echo.a");
	start_vm("obey.gone");
	vm_call("obey.a", "pause");
	one = pid_of("obey.a");
	echo = pid_of("echo.a");
	gone = pid_of("obey.gone");
	end_monitor(SIGKILL);
	/* One that dies with nobody looking. */
	(void)close(log_fd);
	p.fd = pidfd_open(gone, 0);
	assert_int_equal(kill(gone, SIGKILL), 0);
	assert_int_equal(poll(&p, 1, 5000), 1);
	(void)close(p.fd);
	start_monitor();
	assert_int_equal(pid_of("obey.a"), one);
	assert_int_equal(pid_of("echo.a"), echo);
	expect("obey.a", "paused", 0);
	expect("obey.gone", "ended", ST_WORKER_FAIL);
	said("obey.gone: ended while no monitor was running");
	vm_call("obey.a", "resume");
	fd = attach("/v1/vms/echo.a/console");
	assert_int_equal(send(fd, "still\n", 6, 0), 6);
	(void)read_until(fd, buf, sizeof(buf), "still\n");
	(void)close(fd);
	/* And in good order. */
	end_monitor(SIGTERM);
	(void)close(log_fd);
	start_monitor();
	refused("GET", "/v1/vms/obey.gone", NULL, ST_NO_VM, "obey.gone");
	vm_call("obey.a", "stop");
	expect("obey.a", "ended", ST_STOPPED);
	assert_int_equal(kill(echo, SIGKILL), 0);
	expect("echo.a", "ended", ST_WORKER_FAIL);
}

static void a_second_monitor_is_refused(void **state)
{
	int status, p[2];
	char buf[256];
	pid_t pid;
	ssize_t n;

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0)
		child(p[1]);
	(void)close(p[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), ST_HOST);
	n = read(p[0], buf, sizeof(buf) - 1);
	assert_true(n > 0);
	buf[n] = '\0';
	assert_non_null(strstr(buf, "runs already"));
	(void)close(p[0]);
	assert_true(answers());
}

/* --- the description --- */

static json_t *description(void)
{
	json_t *root = json_load_file("docs/openapi.json", 0, NULL);

	assert_non_null(root);
	return root;
}

static void every_route_is_described(void **state)
{
	json_t *root = description(), *paths, *item, *op;
	const char *path, *method;
	unsigned nr = 0, described = 0;

	(void)state;
	paths = json_object_get(root, "paths");
	for (const struct api_route *r = api_routes(); r->method; r++) {
		char lower[16];

		for (nr = 0; r->method[nr]; nr++)
			lower[nr] = (char)(r->method[nr] | 0x20);
		lower[nr] = '\0';
		if (!json_object_get(json_object_get(paths, r->path), lower))
			fail_msg("%s %s is not in openapi.json", r->method,
				 r->path);
	}
	json_object_foreach(paths, path, item)
	{
		json_object_foreach(item, method, op)
		{
			bool found = false;

			described++;
			for (const struct api_route *r = api_routes();
			     r->method; r++)
				found = found ||
					(strcmp(r->path, path) == 0 &&
					 strcasecmp(r->method, method) == 0);
			if (!found)
				fail_msg("%s %s is no route", method, path);
			assert_non_null(json_object_get(op, "responses"));
		}
	}
	assert_true(described > 5);
	json_decref(root);
}

static void has_keys_of(json_t *doc, const char *schema, json_t *value)
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

static void answers_are_as_described(void **state)
{
	json_t *doc = description(), *root;
	struct diag d = { .status = ST_OK };
	char *text = NULL;

	(void)state;
	start_vm("obey.d");
	root = call("GET", "/v1/vms", NULL);
	has_keys_of(doc, "VmList", root);
	has_keys_of(doc, "Vm", json_array_get(json_object_get(root, "vms"), 0));
	json_decref(root);
	root = call("GET", "/v1/stats", NULL);
	has_keys_of(doc, "StatsList", root);
	has_keys_of(doc, "Stats",
		    json_array_get(json_object_get(root, "vms"), 0));
	json_decref(root);
	root = call("GET", "/v1/topology", NULL);
	has_keys_of(doc, "NodeList", root);
	has_keys_of(doc, "Node",
		    json_array_get(json_object_get(root, "nodes"), 0));
	json_decref(root);
	assert_int_equal(http_call("GET", "/metrics", NULL, &text, &d), 0);
	assert_non_null(strstr(text, "disco_vm_local_pages{vm=\"obey.d\","
				     "node=\"0\"} 199\n"));
	free(text);
	vm_call("obey.d", "kill");
	json_decref(doc);
}

/* --- moves --- */

static void need_move_pages(void)
{
	if (syscall(SYS_move_pages, 0, 0, NULL, NULL, NULL, 0) < 0)
		SKIP("no move_pages(2) here");
}

static json_int_t figure(const char *vm, const char *key)
{
	json_t *root = call("GET", "/v1/stats", NULL), *list, *v;
	json_int_t n = -1;
	size_t i;

	list = json_object_get(root, "vms");
	json_array_foreach(
		list, i,
		v) if (strcmp(json_string_value(json_object_get(v, "name")),
			      vm) == 0)
		n = json_integer_value(json_object_get(v, key));
	json_decref(root);
	return n;
}

static void a_move_pulls_all_pages(void **state)
{
	json_t *doc = description(), *root;

	(void)state;
	need_move_pages();
	start_vm("obey.m");
	root = call("POST", "/v1/vms/obey.m/move", "{\"node\": 0}");
	has_keys_of(doc, "Moved", root);
	assert_true(json_integer_value(json_object_get(root, "pages")) >= 100);
	assert_int_equal(json_integer_value(json_object_get(root, "parked_ns")),
			 5000000);
	json_decref(root);
	json_decref(doc);
	assert_int_equal(figure("obey.m", "moves"), 1);
	assert_true(figure("obey.m", "moved_pages") >= 100);
	assert_true(figure("obey.m", "longest_stall_ns") >= 5000000);
	vm_call("obey.m", "kill");
}

static void move_requests_are_checked(void **state)
{
	static const char *const bad[] = {
		"",
		"{}",
		"[]",
		"{\"node\": \"0\"}",
		"{\"node\": -1}",
		"{\"node\": 4294967296}",
		"{\"node\": 0, \"stall_ms\": 0}",
		"{\"node\": 0, \"stall_ms\": 10001}",
		"{\"node\": 0, \"more\": 1}",
	};

	(void)state;
	start_vm("obey.c");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		refused("POST", "/v1/vms/obey.c/move", bad[i], ST_CONFIG,
			"a move wants");
	refused("POST", "/v1/vms/obey.c/move", "{\"node\": 999}", ST_CONFIG,
		"is not there");
	refused("POST", "/v1/vms/none/move", "{\"node\": 0}", ST_NO_VM,
		"no VM");
	vm_call("obey.c", "kill");
	expect("obey.c", "ended", ST_STOPPED);
	refused("POST", "/v1/vms/obey.c/move", "{\"node\": 0}", ST_NO_VM,
		"has ended");
}

static void moves_that_fail_end_no_guest(void **state)
{
	const char *body = "{\"node\": 0}";

	(void)state;
	need_move_pages();
	start_vm("unbound");
	start_vm("stale");
	start_vm("liar");
	start_vm("obey.f");
	refused("POST", "/v1/vms/unbound/move", body, ST_HOST,
		"cannot bind its memory: Operation not permitted");
	expect("unbound", "running", 0);
	refused("POST", "/v1/vms/stale/move", body, ST_HOST, "another build");
	expect("stale", "running", 0);
	refused("POST", "/v1/vms/liar/move", body, ST_NO_VM, "ended while");
	expect("liar", "ended", ST_WORKER_FAIL);
	vm_call("unbound", "kill");
	vm_call("stale", "kill");
	vm_call("obey.f", "kill");
}

static void an_agent_that_dies_is_replaced(void **state)
{
	char body[64];

	(void)state;
	need_move_pages();
	start_vm("obey.g");
	for (int ms = MS_DIE; ms <= MS_NONSENSE; ms++) {
		(void)snprintf(body, sizeof(body),
			       "{\"node\": 0, \"stall_ms\": %d}", ms);
		refused("POST", "/v1/vms/obey.g/move", body, ST_HOST,
			"obey.g: not moved: the agent of node 0 died");
		said("the agent of node 0 died");
	}
	expect("obey.g", "running", 0);
	json_decref(call("POST", "/v1/vms/obey.g/move", "{\"node\": 0}"));
	vm_call("obey.g", "kill");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_route_is_described),
#define WITH_MONITOR(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		WITH_MONITOR(a_move_pulls_all_pages),
		WITH_MONITOR(move_requests_are_checked),
		WITH_MONITOR(moves_that_fail_end_no_guest),
		WITH_MONITOR(an_agent_that_dies_is_replaced),
		WITH_MONITOR(vms_live_and_end),
		WITH_MONITOR(a_deaf_worker_is_killed),
		WITH_MONITOR(bad_requests_are_told),
		WITH_MONITOR(a_large_body_is_refused),
		WITH_MONITOR(others_are_served_meanwhile),
		WITH_MONITOR(a_full_house_empties),
		WITH_MONITOR(a_console_is_shown_again),
		WITH_MONITOR(who_does_not_read_stops_no_guest),
		WITH_MONITOR(guests_outlive_a_killed_monitor),
		WITH_MONITOR(a_second_monitor_is_refused),
		WITH_MONITOR(answers_are_as_described),
	};
	int failed;

	fake_worker_hook(argc, argv);
	fake_agent_hook(argc, argv);
	if (!mkdtemp(dir) || setenv("DISCO_STATE_DIR", dir, 1) ||
	    setenv("DISCO_VM", "/proc/self/exe", 1) ||
	    setenv("DISCO_AGENT", "/proc/self/exe", 1))
		return 1;
	failed = cmocka_run_group_tests_name("monitor", tests, NULL, NULL);
	(void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return failed;
}
