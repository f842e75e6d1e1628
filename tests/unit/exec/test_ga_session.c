/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions of clients with a guest agent: requests, answers, streams. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "monitor/control/exec/ga_session.h"
#include "monitor/ipc/fds.h"
#include "tests/unit/exec/fake_agent.h"
#include "tests/unit/support.h"

static struct fake_agent f;
static unsigned nr_left;
static int ours[4]; /* the clients' ends */
static unsigned nr_ours;

static int set_up(void **state)
{
	(void)state;
	nr_left = nr_ours = 0;
	fake_agent_create(&f);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_agent_destroy(&f);
	fds_close(ours, nr_ours);
	return 0;
}

static void left(void *arg)
{
	nr_left++;
	(void)close(*(int *)arg);
	free(arg);
}

/* Return: the number of the client. */
static unsigned open_session(const char *extra)
{
	int sv[2], *theirs = malloc(sizeof(*theirs));

	assert_non_null(theirs);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	*theirs = sv[1];
	ours[nr_ours] = sv[0];
	assert_int_equal(
		ga_session_open(f.g, sv[1], extra, strlen(extra), left, theirs),
		0);
	return nr_ours++;
}

static void hang_up(unsigned client)
{
	(void)close(ours[client]);
	ours[client] = -1;
	fake_agent_run(&f);
}

static void say(unsigned client, const char *text)
{
	assert_int_equal(send(ours[client], text, strlen(text), 0),
			 strlen(text));
	fake_agent_run(&f);
}

/* What a client has received; "": nothing. Descriptors are closed. */
static const char *hear(unsigned client, unsigned *nr_fds)
{
	static char text[65536];
	int fds[FDS_MAX];
	ssize_t n;

	fake_agent_run(&f);
	n = fds_receive(ours[client], text, sizeof(text) - 1, fds, FDS_MAX);
	text[n > 0 ? n : 0] = '\0';
	for (unsigned i = 0; nr_fds && i < FDS_MAX; i++)
		*nr_fds += n > 0 && fds[i] >= 0;
	if (n > 0)
		fds_close(fds, FDS_MAX);
	return text;
}

static void a_command_and_its_answer_pass_through(void **state)
{
	unsigned c = open_session("");

	(void)state;
	say(c, "{\"execute\": \"guest-");
	say(c, "info\"}\n");
	fake_agent_sync(&f);
	assert_string_equal(fake_agent_line(&f),
			    "{\"execute\":\"guest-info\"}");
	assert_string_equal(hear(c, NULL), "");
	fake_agent_say(&f, "{\"return\": {\"version\": \"7\"}}\n");
	assert_string_equal(hear(c, NULL),
			    "{\"return\": {\"version\": \"7\"}}\n");
	say(c, "{\"execute\":\"b\"}\n");
	assert_string_equal(fake_agent_line(&f), "{\"execute\":\"b\"}");
	fake_agent_say(&f,
		       "{\"error\": {\"class\": \"c\", \"desc\": \"d\"}}\n");
	assert_non_null(strstr(hear(c, NULL), "\"desc\": \"d\""));
	hang_up(c);
	assert_int_equal(nr_left, 1);
}

static void what_came_with_the_head_counts(void **state)
{
	(void)state;
	(void)open_session("{\"execute\":\"guest-ping\"}\n");
	fake_agent_sync(&f);
	assert_string_equal(fake_agent_line(&f),
			    "{\"execute\":\"guest-ping\"}");
}

static void failures_are_answers_and_the_session_goes_on(void **state)
{
	unsigned c = open_session("");

	(void)state;
	say(c, "nonsense\n");
	assert_non_null(strstr(hear(c, NULL), "\"failed\""));
	say(c, "{\"execute\":\"a\",\"arguments\":[]}\n");
	assert_non_null(strstr(hear(c, NULL), "\"arguments\\\""));
	fake_agent_open(&f, 0);
	say(c, "{\"execute\":\"guest-ping\"}\n");
	assert_non_null(strstr(hear(c, NULL), "\"status\":18"));
	assert_int_equal(nr_left, 0);
}

static void a_client_that_does_not_wait_is_left(void **state)
{
	unsigned c = open_session("");

	(void)state;
	say(c, "{\"execute\":\"a\"}\n{\"execute\":\"b\"}\n");
	assert_int_equal(nr_left, 1);
}

static void a_request_without_end_is_left(void **state)
{
	static char text[65536];
	unsigned c = open_session("");

	(void)state;
	memset(text, ' ', sizeof(text));
	for (size_t n = 0; !nr_left; n += sizeof(text)) {
		assert_in_range(n, 0, GA_REQUEST_MAX + MIB(1));
		(void)send(ours[c], text, sizeof(text),
			   MSG_DONTWAIT | MSG_NOSIGNAL);
		for (unsigned i = 0; i < 8; i++)
			fake_agent_run(&f);
	}
}

static void streams_come_as_descriptors(void **state)
{
	unsigned c = open_session(""), fds = 0;

	(void)state;
	say(c, "{\"execute\":\"disco-streams\",\"arguments\":{\"stdin\":true}}"
	       "\n");
	assert_string_equal(hear(c, &fds),
			    "{\"return\":{\"ports\":[2,3,4]}}\n");
	assert_int_equal(fds, 3);
	for (unsigned i = 0; i < GUEST_STREAMS; i++)
		assert_true(f.ports[GUEST_PORT_OF(0, i)] >= 0);
	say(c, "{\"execute\":\"disco-streams\"}\n");
	assert_non_null(strstr(hear(c, NULL), "\"failed\""));
}

static void without_input_there_are_two(void **state)
{
	unsigned c = open_session(""), fds = 0;

	(void)state;
	say(c, "{\"execute\":\"disco-streams\"}\n");
	assert_string_equal(hear(c, &fds),
			    "{\"return\":{\"ports\":[0,3,4]}}\n");
	assert_int_equal(fds, 2);
	assert_int_equal(f.ports[GUEST_PORT_OF(0, GUEST_IN)], -1);
}

static const char streams[] = "{\"execute\":\"disco-streams\"}\n";

static void a_set_is_waited_for_until_nobody_has_it(void **state)
{
	unsigned a = open_session(""), b = open_session(""),
		 c = open_session("");
	uint64_t agent = 1u << GUEST_PORT_AGENT;

	(void)state;
	say(a, streams);
	say(b, streams);
	assert_string_equal(hear(a, NULL),
			    "{\"return\":{\"ports\":[0,3,4]}}\n");
	assert_string_equal(hear(b, NULL),
			    "{\"return\":{\"ports\":[0,6,7]}}\n");
	say(c, streams);
	fake_agent_sleep(&f, 1000000000);
	assert_string_equal(hear(c, NULL), "");
	/* Its client has gone, but the guest has not closed it. */
	fake_agent_open(&f, agent | 1u << GUEST_PORT_OF(0, GUEST_ERR));
	hang_up(a);
	fake_agent_sleep(&f, 1000000000);
	assert_string_equal(hear(c, NULL), "");
	fake_agent_open(&f, agent);
	fake_agent_sleep(&f, 1000000000);
	assert_string_equal(hear(c, NULL),
			    "{\"return\":{\"ports\":[0,3,4]}}\n");
}

/* A command that the client has started; up to the agent's answer, or not. */
static unsigned start_command(bool answer)
{
	unsigned c = open_session("");

	say(c, streams);
	(void)hear(c, NULL);
	say(c, "{\"execute\":\"guest-exec\",\"arguments\":{}}\n");
	fake_agent_sync(&f);
	assert_non_null(fake_agent_line(&f));
	if (answer) {
		fake_agent_say(&f, "{\"return\": {\"pid\": 4711}}\n");
		assert_non_null(strstr(hear(c, NULL), "4711"));
	}
	return c;
}

static void a_client_that_goes_takes_its_command_along(void **state)
{
	unsigned c = start_command(true);

	(void)state;
	hang_up(c);
	assert_non_null(strstr(fake_agent_line(&f), "\"4711\""));
	assert_int_equal(nr_left, 1);
}

static void even_if_the_number_of_its_process_is_not_known_yet(void **state)
{
	unsigned c = start_command(false);

	(void)state;
	hang_up(c);
	assert_int_equal(nr_left, 1);
	assert_null(fake_agent_line(&f));
	fake_agent_say(&f, "{\"return\": {\"pid\": 4711}}\n");
	assert_non_null(strstr(fake_agent_line(&f), "\"4711\""));
}

static void a_command_that_has_ended_is_left_alone(void **state)
{
	unsigned c = start_command(true);

	(void)state;
	say(c, "{\"execute\":\"guest-exec-status\"}\n");
	assert_non_null(fake_agent_line(&f));
	fake_agent_say(&f,
		       "{\"return\": {\"exited\": true, \"exitcode\": 0}}\n");
	hang_up(c);
	assert_null(fake_agent_line(&f));
}

static void the_end_of_the_guest_ends_sessions(void **state)
{
	unsigned c = open_session("");

	(void)state;
	(void)open_session("{\"execute\":\"guest-ping\"}\n");
	fake_agent_run(&f);
	f.g->ended = true;
	ga_guest_ended(f.g);
	ga_sessions_guest_ended(f.g);
	assert_int_equal(nr_left, 2);
	assert_string_equal(hear(c, NULL), "");
}

int main(void)
{
#define GA_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		GA_TEST(a_command_and_its_answer_pass_through),
		GA_TEST(what_came_with_the_head_counts),
		GA_TEST(failures_are_answers_and_the_session_goes_on),
		GA_TEST(a_client_that_does_not_wait_is_left),
		GA_TEST(a_request_without_end_is_left),
		GA_TEST(streams_come_as_descriptors),
		GA_TEST(without_input_there_are_two),
		GA_TEST(a_set_is_waited_for_until_nobody_has_it),
		GA_TEST(a_client_that_goes_takes_its_command_along),
		GA_TEST(even_if_the_number_of_its_process_is_not_known_yet),
		GA_TEST(a_command_that_has_ended_is_left_alone),
		GA_TEST(the_end_of_the_guest_ends_sessions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
