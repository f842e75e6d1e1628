/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many at a time: the operator gets in beside any number of consoles and of
 * calls that wait, and starts wait for their turn.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/control/api/api.h"
#include "monitor/control/cli/http_client.h"
#include "monitor/control/guests/starter.h"
#include "numa/bind.h"
#include "tests/unit/guests/monitor_calls.h"

#define NR_VMS	   (API_MAX_CONSOLES / TAP_MAX_CLIENTS)
#define START_BODY "{\"name\":\"%s\",\"kernel\":\"%s\",\"memory\":\"16M\"}"

/* A request whose answer is not waited for. Return: its connection. */
static int raw_start(const char *name, const char *kernel)
{
	struct diag d = { .status = ST_OK };
	char text[512], body[256];
	struct state_dir s;
	int fd, n;

	(void)snprintf(body, sizeof(body), START_BODY, name, kernel);
	n = snprintf(text, sizeof(text),
		     "POST /v1/vms HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
		     "Content-Length: %zu\r\n\r\n%s",
		     strlen(body), body);
	assert_int_equal(state_dir_open(&s, false, &d), 0);
	fd = state_api_connect(&s);
	state_dir_close(&s);
	assert_true(fd >= 0);
	assert_int_equal(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
	return fd;
}

/* Return: the HTTP status. */
static int answer_of(int fd)
{
	char head[64] = "";

	assert_true(wait_readable(fd));
	assert_true(recv(fd, head, 12, MSG_WAITALL) == 12);
	assert_int_equal(strncmp(head, "HTTP/1.1 ", 9), 0);
	return atoi(head + 9);
}

static void consoles_keep_no_command_out(void **state)
{
	static int fds[API_MAX_CONSOLES];
	struct diag d = { .status = ST_OK };
	unsigned nr = 0;
	char path[64];
	int more;

	(void)state;
	for (unsigned i = 0; i < NR_VMS; i++) {
		(void)snprintf(path, sizeof(path), "echo.%u", i);
		start_vm(path);
		(void)snprintf(path, sizeof(path), "/v1/vms/echo.%u/console",
			       i);
		for (unsigned k = 0; k < TAP_MAX_CLIENTS; k++)
			if (http_upgrade(path, API_CONSOLE, &fds[nr++], &d))
				fail_msg("console %u: %s", nr, d.text);
		assert_true(answers());
	}
	start_vm("echo.more");
	assert_int_equal(http_upgrade("/v1/vms/echo.more/console", API_CONSOLE,
				      &more, &d),
			 -EREMOTEIO);
	assert_non_null(strstr(d.text, "consoles are attached already"));
	/* One that leaves makes room for another one. */
	(void)close(fds[--nr]);
	WAIT_UNTIL(http_upgrade("/v1/vms/echo.more/console", API_CONSOLE, &more,
				&(struct diag){ .status = ST_OK }) == 0);
	(void)close(more);
	while (nr)
		(void)close(fds[--nr]);
	for (unsigned i = 0; i < NR_VMS; i++) {
		(void)snprintf(path, sizeof(path), "echo.%u", i);
		vm_call(path, "kill");
	}
	vm_call("echo.more", "kill");
}

/* Neither do starts that never end. */
static void waiting_calls_keep_no_command_out(void **state)
{
	int fds[API_MAX_LASTING];
	char name[32];
	int more;

	(void)state;
	for (unsigned i = 0; i < API_MAX_LASTING; i++) {
		(void)snprintf(name, sizeof(name), "obey.%u", i);
		fds[i] = raw_start(name, "/slow");
	}
	for (unsigned i = 0; i < 20; i++)
		assert_true(answers());
	more = raw_start("obey.more", "/slow");
	assert_int_equal(answer_of(more), 503);
	(void)close(more);
	for (unsigned i = 0; i < API_MAX_LASTING; i++)
		(void)close(fds[i]);
	assert_true(answers());
}

static void starts_wait_for_their_turn(void **state)
{
	int fds[4 * STARTERS_MAX];
	char name[32];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
		(void)snprintf(name, sizeof(name), "obey.%u", i);
		fds[i] = raw_start(name, i == 6 ? "/missing" : "/kernel");
	}
	/* Its name is taken while it waits. */
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
		assert_int_equal(answer_of(fds[i]), i == 6 ? 422 : 201);
		(void)close(fds[i]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
		if (i == 6)
			continue;
		(void)snprintf(name, sizeof(name), "obey.%u", i);
		expect(name, "running", 0);
		vm_call(name, "kill");
	}
}

/* A start that waits behind slow ones has its name, and leaves no trace. */
static void a_start_that_waits_ends_with_the_monitor(void **state)
{
	int fds[STARTERS_MAX + 1], second;
	char name[32];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
		(void)snprintf(name, sizeof(name), "obey.%u", i);
		fds[i] =
			raw_start(name, i < STARTERS_MAX ? "/slow" : "/kernel");
	}
	(void)snprintf(name, sizeof(name), "obey.%u", STARTERS_MAX);
	second = raw_start(name, "/kernel");
	assert_int_equal(answer_of(second), 409);
	(void)close(second);
	end_monitor(SIGTERM);
	(void)close(log_fd);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		(void)close(fds[i]);
	start_monitor();
	refused("GET", "/v1/vms/obey.4", NULL, ST_NO_VM, "obey.4");
}

/* --- promises --- */

static uint64_t figure_of_node(const char *key)
{
	json_t *root = call("GET", "/v1/topology", NULL);
	json_t *node = json_array_get(json_object_get(root, "nodes"), 0);
	json_int_t n = json_integer_value(json_object_get(node, key));

	json_decref(root);
	return (uint64_t)n;
}

/* Of a strict VM on node 0 that is started though it may not fit. */
static void start_promised(const char *name, uint64_t mib)
{
	char body[256];

	(void)snprintf(body, sizeof(body),
		       "{\"name\":\"%s\",\"kernel\":\"/kernel\","
		       "\"memory\":\"%lluM\",\"node\":0,\"strict\":true,"
		       "\"overcommit\":true}",
		       name, (unsigned long long)mib);
	json_decref(call("POST", "/v1/vms", body));
}

/* What was promised is not promised again, although it is free. */
static void a_promise_is_given_once(void **state)
{
	uint64_t mib = (figure_of_node("memory_bytes") >> 20) - 8;
	const char strict[] = "{\"name\":\"obey.s\",\"kernel\":\"/kernel\","
			      "\"memory\":\"16M\",\"node\":0,\"strict\":true}";

	(void)state;
	if (node_bind_probe(0) || mib > VM_MAX_MEMORY >> 20)
		SKIP("memory cannot be bound here");
	assert_int_equal(figure_of_node("promised_bytes"), 0);
	start_promised("obey.p", mib);
	assert_int_equal(figure_of_node("promised_bytes"), MIB(mib));
	refused("POST", "/v1/vms", strict, ST_MEMORY,
		"MiB are promised to running ones");
	/* The next monitor knows it, too. */
	end_monitor(SIGKILL);
	(void)close(log_fd);
	start_monitor();
	refused("POST", "/v1/vms", strict, ST_MEMORY,
		"MiB are promised to running ones");
	start_promised("obey.more", mib);
	vm_call("obey.more", "kill");
	vm_call("obey.p", "kill");
	assert_int_equal(figure_of_node("promised_bytes"), 0);
	json_decref(call("POST", "/v1/vms", strict));
	vm_call("obey.s", "kill");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define WITH_MONITOR(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		WITH_MONITOR(consoles_keep_no_command_out),
		WITH_MONITOR(waiting_calls_keep_no_command_out),
		WITH_MONITOR(starts_wait_for_their_turn),
		WITH_MONITOR(a_start_that_waits_ends_with_the_monitor),
		WITH_MONITOR(a_promise_is_given_once),
	};
	int failed;

	if (!monitor_calls_begin(argc, argv))
		return 1;
	failed = cmocka_run_group_tests_name("monitor's limits", tests, NULL,
					     NULL);
	monitor_calls_end();
	return failed;
}
