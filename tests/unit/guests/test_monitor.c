/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor as a process of its own, with the fake worker: its API, what a
 * hostile client may try, and taking over after kill -9. Moves, agents and
 * balancing: test_monitor_nodes.c.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/control/api/api.h"
#include "monitor/control/cli/http_client.h"
#include "tests/unit/guests/monitor_calls.h"

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
	expect("obey.1", "ended", ST_OK);
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
	vm_call("deaf", "kill");
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

static int raw_bytes(const char *bytes, size_t n)
{
	struct diag d = { .status = ST_OK };
	struct state_dir s;
	int fd;

	assert_int_equal(state_dir_open(&s, false, &d), 0);
	fd = state_api_connect(&s);
	state_dir_close(&s);
	assert_true(fd >= 0);
	(void)!send(fd, bytes, n, MSG_NOSIGNAL);
	return fd;
}

static int raw(const char *bytes)
{
	return raw_bytes(bytes, strlen(bytes));
}

/* One head, and an error in JSON. */
static void is_json_error(char *text, unsigned http)
{
	char *body = strstr(text, "\r\n\r\n"), status[32];
	const char *error = NULL;
	json_t *root;
	int code = 0;

	(void)snprintf(status, sizeof(status), "HTTP/1.1 %u ", http);
	if (strncmp(text, status, strlen(status)) != 0 || !body ||
	    !strstr(text, "\r\nContent-Type: application/json\r\n") ||
	    strstr(text, "\r\n\r\nHTTP/1.1 "))
		fail_msg("not a JSON error %u: %s", http, text);
	root = json_loads(body + 4, 0, NULL);
	assert_int_equal(json_unpack(root, "{s:s, s:i}", "error", &error,
				     "status", &code),
			 0);
	assert_int_equal(code, ST_USAGE);
	json_decref(root);
}

static void read_all(int fd, char *text, size_t size)
{
	size_t n = 0;
	ssize_t got;

	do {
		assert_true(wait_readable(fd));
		got = recv(fd, text + n, size - 1 - n, 0);
		assert_true(got >= 0);
		n += (size_t)got;
	} while (got > 0);
	text[n] = '\0';
	(void)close(fd);
}

#define HEAD " HTTP/1.1\r\nHost: x\r\n"

static void malformed_requests_get_json(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		unsigned http;
	} cases[] = {
#define CASE(http, text) { text, sizeof(text) - 1, http }
		CASE(400, "GET /v1/vms\r\n\r\n"),
		CASE(505, "GET /v1/vms HTTP/9.9\r\n\r\n"),
		CASE(400, "GET /v1/vms%00x" HEAD "\r\n"),
		CASE(400, "GET /v1/vms\0x" HEAD "\r\n"),
		CASE(400, "\x16\x03\x01\x02 garbage"),
		CASE(400, "GET /v1/vms" HEAD "no colon\r\n\r\n"),
		CASE(400, "POST /v1/vms" HEAD "Content-Length: abc\r\n\r\n"),
		CASE(400, "POST /v1/vms" HEAD "Content-Length: -1\r\n\r\n"),
		CASE(413, "POST /v1/vms" HEAD
			  "Content-Length: 99999999999999999999\r\n\r\n"),
		CASE(411, "POST /v1/vms" HEAD
			  "Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
		CASE(405, "FLY /v1/vms" HEAD "\r\n"),
		CASE(404, "GET /v2" HEAD "\r\n"),
#undef CASE
	};
	static char large[20000], text[65536];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		read_all(raw_bytes(cases[i].bytes, cases[i].n), text,
			 sizeof(text));
		is_json_error(text, cases[i].http);
	}
	memset(large, 'x', sizeof(large));
	memcpy(large, "GET /v1/vms HTTP/1.1\r\nA:", 24);
	read_all(raw_bytes(large, sizeof(large)), text, sizeof(text));
	is_json_error(text, 431);
	memset(large, 'x', 24);
	memcpy(large, "GET /", 5);
	read_all(raw_bytes(large, sizeof(large)), text, sizeof(text));
	is_json_error(text, 414);
}

/* Else the second head of a connection would be one that nobody has checked. */
static void there_is_one_request_per_connection(void **state)
{
	char text[4096];

	(void)state;
	read_all(raw("GET /v1/vms" HEAD "\r\nGET /v1/vms%00" HEAD "\r\n"), text,
		 sizeof(text));
	assert_non_null(strstr(text, "HTTP/1.1 200 OK\r\n"));
	assert_non_null(strstr(text, "Connection: close\r\n"));
	assert_null(strstr(text + 1, "HTTP/1.1 "));
}

/* A byte at a time: it is looked at where it is, and read once. */
static void a_request_may_come_in_parts(void **state)
{
	const char all[] = "GET /v1/vms" HEAD "\r\n";
	char text[4096];
	int fd = raw("");

	(void)state;
	for (size_t i = 0; i < sizeof(all) - 1; i++)
		assert_int_equal(send(fd, all + i, 1, MSG_NOSIGNAL), 1);
	read_all(fd, text, sizeof(text));
	assert_non_null(strstr(text, "HTTP/1.1 200 OK\r\n"));
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
	uint64_t begun = clock_now_ns();

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = raw("G");
	assert_true(answers());
	assert_true(clock_now_ns() - begun < wait_limit_ms(9000) * 1000000);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		(void)close(fds[i]);
	assert_true(answers());
}

/* --- the console --- */

static size_t read_until(int fd, char *buf, size_t size, const char *what)
{
	size_t n = 0;

	buf[0] = '\0';
	while (n + 1 < size && !strstr(buf, what)) {
		ssize_t got;

		assert_true(wait_readable(fd));
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

/* It is shown, and in the record, which the next monitor finds. */
static void a_long_path_is_cut_between_characters(void **state)
{
	char body[640] = "{\"name\":\"obey.p\",\"kernel\":\"/a";
	json_t *root, *kernel;

	(void)state;
	for (unsigned i = 0; i < 200; i++)
		(void)strcat(body, "\xc3\xa9");
	(void)strcat(body, "\",\"memory\":\"16M\"}");
	json_decref(call("POST", "/v1/vms", body));
	end_monitor(SIGKILL);
	start_monitor();
	root = call("GET", "/v1/vms/obey.p", NULL);
	kernel = json_object_get(root, "kernel");
	assert_int_equal(json_string_length(kernel), 254);
	json_decref(root);
	vm_call("obey.p", "kill");
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
	assert_true(wait_readable(p.fd));
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
	expect("obey.a", "ended", ST_OK);
	assert_int_equal(kill(echo, SIGKILL), 0);
	expect("echo.a", "ended", (int)killed_after_adoption());
}

static json_t *load_record(const char *name, char path[256])
{
	json_t *r;

	(void)snprintf(path, 256, "%s/vms/%s.json", getenv("DISCO_STATE_DIR"),
		       name);
	r = json_load_file(path, 0, NULL);
	assert_non_null(r);
	return r;
}

/* @protocol: of its worker, as its record has it; -1: it does not say. */
static void change_protocol(const char *name, int protocol)
{
	char path[256];
	json_t *r = load_record(name, path);

	if (protocol < 0)
		(void)json_object_del(r, "protocol");
	else
		(void)json_object_set_new(r, "protocol",
					  json_integer(protocol));
	assert_int_equal(json_dump_file(r, path, 0), 0);
	json_decref(r);
}

/* In good order: agents that have just been forked hold its lock as well. */
static void next_monitor(void)
{
	end_monitor(SIGTERM);
	(void)close(log_fd);
	start_monitor();
}

/* They wait for a monitor of their own build. */
static void guests_of_another_protocol_go_on(void **state)
{
	static const int others[] = { -1, 0, WORKER_PROTOCOL + 1 };
	char line[256], path[256];
	json_t *record;
	pid_t pid;

	(void)state;
	start_vm("obey.old");
	start_vm("obey.own");
	pid = pid_of("obey.old");
	record = load_record("obey.old", path);
	assert_int_equal(
		json_integer_value(json_object_get(record, "protocol")),
		WORKER_PROTOCOL);
	json_decref(record);
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		change_protocol("obey.old", others[i]);
		next_monitor();
		(void)snprintf(line, sizeof(line),
			       "disco: obey.old: cannot be taken over: its "
			       "worker (process %d) is of another version of "
			       "disco (protocol %d, here %u); its guest goes "
			       "on\n",
			       (int)pid, others[i] < 0 ? 0 : others[i],
			       WORKER_PROTOCOL);
		said(line);
		refused("GET", "/v1/vms/obey.old", NULL, ST_NO_VM, "obey.old");
		expect("obey.own", "running", 0);
		assert_int_equal(kill(pid, 0), 0);
	}
	change_protocol("obey.old", WORKER_PROTOCOL);
	next_monitor();
	expect("obey.old", "running", 0);
	assert_int_equal(pid_of("obey.old"), pid);
	vm_call("obey.old", "kill");
	vm_call("obey.own", "kill");
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
	root = call("GET", "/v1/nets", NULL);
	has_keys_of(doc, "NetList", root);
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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_route_is_described),
#define WITH_MONITOR(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		WITH_MONITOR(vms_live_and_end),
		WITH_MONITOR(a_deaf_worker_is_killed),
		WITH_MONITOR(bad_requests_are_told),
		WITH_MONITOR(a_large_body_is_refused),
		WITH_MONITOR(malformed_requests_get_json),
		WITH_MONITOR(there_is_one_request_per_connection),
		WITH_MONITOR(a_request_may_come_in_parts),
		WITH_MONITOR(others_are_served_meanwhile),
		WITH_MONITOR(a_full_house_empties),
		WITH_MONITOR(a_long_path_is_cut_between_characters),
		WITH_MONITOR(a_console_is_shown_again),
		WITH_MONITOR(who_does_not_read_stops_no_guest),
		WITH_MONITOR(guests_outlive_a_killed_monitor),
		WITH_MONITOR(guests_of_another_protocol_go_on),
		WITH_MONITOR(a_second_monitor_is_refused),
		WITH_MONITOR(answers_are_as_described),
	};
	int failed;

	if (!monitor_calls_begin(argc, argv))
		return 1;
	failed = cmocka_run_group_tests_name("monitor", tests, NULL, NULL);
	monitor_calls_end();
	return failed;
}
