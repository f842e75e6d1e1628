/* SPDX-License-Identifier: BSD-2-Clause */
/* The monitor's client of a guest agent, and agents that are hostile to it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/exec/fake_agent.h"
#include "tests/unit/support.h"

static struct fake_agent f;
static unsigned nr_done;
static struct diag last;
static char last_line[256];

static int set_up(void **state)
{
	(void)state;
	nr_done = 0;
	fake_agent_create(&f);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_agent_destroy(&f);
	return 0;
}

static void done(void *arg, const struct ga_result *r)
{
	assert_ptr_equal(arg, &f);
	assert_int_equal(r->line != NULL, r->diag.status == ST_OK);
	assert_int_equal(r->line != NULL, r->reply != NULL);
	nr_done++;
	last = r->diag;
	(void)snprintf(last_line, sizeof(last_line), "%s",
		       r->line ? r->line : "");
}

static int ask(const char *name, struct ga_command **out, struct diag *d)
{
	json_t *request = json_pack("{s:s}", "execute", name);
	int err = ga_submit(f.g, request, 0, done, &f, out, d);

	json_decref(request);
	return err;
}

static void must_ask(const char *name)
{
	struct diag d = { .status = ST_OK };

	assert_int_equal(ask(name, NULL, &d), 0);
}

static void expect_command(const char *name)
{
	char want[128];

	(void)snprintf(want, sizeof(want), "{\"execute\":\"%s\"}", name);
	assert_string_equal(fake_agent_line(&f), want);
}

/* One command, up to where the agent has it. */
static void begin(const char *name)
{
	must_ask(name);
	fake_agent_sync(&f);
	expect_command(name);
}

static void expect_failure(unsigned nr, const char *text)
{
	fake_agent_run(&f);
	assert_int_equal(nr_done, nr);
	assert_int_equal(last.status, ST_NO_AGENT);
	assert_non_null(strstr(last.text, text));
}

/* A later command works: the client has not stopped at what went wrong. */
static void expect_it_works(void)
{
	unsigned before = nr_done;

	begin("guest-ping");
	fake_agent_say(&f, "{\"return\": {}}\n");
	assert_int_equal(nr_done, before + 1);
	assert_int_equal(last.status, ST_OK);
}

static void commands_are_answered_in_their_order(void **state)
{
	(void)state;
	must_ask("one");
	must_ask("two");
	assert_int_equal(nr_done, 0);
	fake_agent_sync(&f);
	expect_command("one");
	assert_null(fake_agent_line(&f));
	fake_agent_say(&f, "{\"return\": ");
	assert_int_equal(nr_done, 0);
	fake_agent_say(&f, "1}\n");
	assert_int_equal(nr_done, 1);
	assert_string_equal(last_line, "{\"return\": 1}");
	expect_command("two");
	fake_agent_say(&f,
		       "{\"error\": {\"class\": \"A\", \"desc\": \"b\"}}\n");
	assert_int_equal(nr_done, 2);
	assert_int_equal(last.status, ST_OK); /* an answer, too */
	/* No second synchronisation: nothing has gone wrong. */
	must_ask("three");
	expect_command("three");
	fake_agent_say(&f, "{\"return\": {}}\n");
	assert_int_equal(nr_done, 3);
}

static void expect_refusal(int err, enum exit_status status, const char *text)
{
	struct diag d = { .status = ST_OK };

	assert_int_equal(ask("guest-ping", NULL, &d), err);
	assert_int_equal(d.status, status);
	assert_non_null(strstr(d.text, text));
	fake_agent_run(&f);
	assert_int_equal(nr_done, 0);
}

static void without_an_agent_there_is_advice(void **state)
{
	(void)state;
	fake_agent_open(&f, ~(1ull << GUEST_PORT_AGENT));
	expect_refusal(-ENOTCONN, ST_NO_AGENT, "apt install qemu-guest-agent");
	fake_agent_open(&f, ~0ull);
	f.g->vm.paused = true;
	expect_refusal(-EAGAIN, ST_NO_VM, "paused");
	f.g->vm.paused = false;
	f.g->ended = true;
	expect_refusal(-ESRCH, ST_NO_VM, "has ended");
}

static void one_that_never_answers_fails_all_that_wait(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		must_ask("guest-ping");
	assert_non_null(fake_agent_line(&f));
	fake_agent_sleep(&f, GA_SYNC_NS - 1000000000ull);
	assert_int_equal(nr_done, 0);
	fake_agent_sleep(&f, GA_SYNC_NS);
	expect_failure(3, "does not answer");
	assert_null(fake_agent_line(&f));
	expect_it_works();
}

static void a_late_answer_is_none_to_the_next_command(void **state)
{
	(void)state;
	begin("slow");
	fake_agent_sleep(&f, GA_COMMAND_NS);
	expect_failure(1, "in time");
	must_ask("next");
	fake_agent_say(&f, "{\"return\": \"of slow\"}\n");
	fake_agent_sync(&f);
	assert_int_equal(nr_done, 1);
	expect_command("next");
	fake_agent_say(&f, "{\"return\": \"of next\"}\n");
	assert_string_equal(last_line, "{\"return\": \"of next\"}");
}

static void
one_that_writes_without_end_costs_a_bounded_number_of_bytes(void **state)
{
	static char noise[65536];
	size_t n = 0;

	(void)state;
	memset(noise, 'x', sizeof(noise));
	must_ask("guest-ping");
	assert_non_null(fake_agent_line(&f));
	while (!nr_done) {
		n += fake_agent_write(&f, noise, sizeof(noise));
		assert_in_range(n, 1, GA_NOISE_MAX + MIB(1));
	}
	expect_failure(1, "without end");
	/* Nobody reads it now: the guest's writer waits. */
	for (unsigned i = 0; i < 64; i++)
		n = fake_agent_write(&f, noise, sizeof(noise));
	assert_int_equal(n, 0);
}

static void endless_marks_and_lines_are_noise_too(void **state)
{
	static char noise[65536];
	uint64_t asked_ns = clock_now_ns();

	(void)state;
	for (size_t i = 0; i < sizeof(noise); i += 16)
		memcpy(noise + i, "\xff{\"return\": 77}\n", 16);
	must_ask("guest-ping");
	assert_non_null(fake_agent_line(&f));
	for (unsigned i = 0; i < 1024 && !nr_done; i++)
		(void)fake_agent_write(&f, noise, sizeof(noise));
	/* Where so many lines take longer than an answer may, time is over first. */
	expect_failure(1, clock_now_ns() - asked_ns < GA_SYNC_NS ? "without end"
								 : "");
}

static void nonsense_fails_the_command_alone(void **state)
{
	static const char *const nonsense[] = {
		"\n",
		"{}\n",
		"[]\n",
		"nothing\n",
		"{\"return\": 1\n",
		"{\"return\": 1, \"return\": 2}\n",
		"{\"return\": 1, \"event\": 2}\n",
		"{\"error\": \"text\"}\n",
		"{\"error\": {\"class\": 1, \"desc\": \"\"}}\n",
		"{\"return\": 1, \"error\": {\"class\": \"\", \"desc\": "
		"\"\"}}\n",
		"{\"return\": \"\xc3\x28\"}\n",
		"\xff{\"return\": 1}\n",
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(nonsense); i++) {
		nr_done = 0;
		begin("guest-ping");
		must_ask("behind");
		fake_agent_say(&f, nonsense[i]);
		expect_failure(1, "not its protocol");
		fake_agent_sync(&f);
		expect_command("behind");
		fake_agent_say(&f, "{\"return\": {}}\n");
		assert_int_equal(nr_done, 2);
		assert_int_equal(last.status, ST_OK);
		/* And the next begins from the start again. */
		fake_agent_say(&f, "");
		must_ask("guest-ping");
		expect_command("guest-ping");
		fake_agent_say(&f, "not JSON\n");
		expect_failure(3, "not its protocol");
	}
}

static void an_answer_without_end_is_too_long(void **state)
{
	static char text[65536];
	size_t n = 0;

	(void)state;
	memset(text, ' ', sizeof(text));
	begin("guest-ping");
	while (!nr_done) {
		n += fake_agent_write(&f, text, sizeof(text));
		assert_in_range(n, 1, GA_REPLY_MAX + MIB(1));
	}
	expect_failure(1, "too long");
	expect_it_works();
}

static void a_short_answer_of_many_values_is_refused(void **state)
{
	static char text[65536];
	size_t n = 0;

	(void)state;
	n = (size_t)sprintf(text, "{\"return\": [");
	while (n < 60000)
		n += (size_t)sprintf(text + n, "[],");
	(void)sprintf(text + n, "[]]}\n");
	begin("guest-ping");
	fake_agent_say(&f, text);
	expect_failure(1, "not its protocol");
}

static void what_nobody_asked_for_is_skipped(void **state)
{
	(void)state;
	begin("one");
	fake_agent_say(&f, "{\"return\": 1}\n{\"return\": 2}\n");
	assert_int_equal(nr_done, 1);
	fake_agent_say(&f, "{\"return\": 3}\n");
	begin("two");
	assert_int_equal(nr_done, 1);
	fake_agent_say(&f, "{\"return\": 4}\n");
	assert_string_equal(last_line, "{\"return\": 4}");
}

static void an_agent_that_goes_fails_its_commands(void **state)
{
	(void)state;
	begin("guest-ping");
	must_ask("behind");
	fake_agent_open(&f, 0);
	fake_agent_sleep(&f, 300000000);
	expect_failure(2, "has gone");
	fake_agent_open(&f, 1u << GUEST_PORT_AGENT);
	expect_it_works();
}

static void hang_up(void)
{
	(void)close(f.ports[GUEST_PORT_AGENT]);
	f.ports[GUEST_PORT_AGENT] = -1;
	fake_agent_run(&f);
	assert_int_equal(nr_done, 0); /* has the guest ended? */
}

static void a_worker_that_hangs_up_fails_them_as_well(void **state)
{
	(void)state;
	begin("guest-ping");
	hang_up();
	fake_agent_sleep(&f, 2000000000ull);
	expect_failure(1, "connection");
	expect_it_works();
}

static void what_was_asked_before_a_hang_up_is_not_asked_again(void **state)
{
	(void)state;
	begin("guest-exec");
	hang_up();
	must_ask("guest-ping");
	expect_failure(1, "connection");
	fake_agent_sync(&f);
	expect_command("guest-ping");
}

static void
a_worker_hangs_up_before_its_guest_is_known_to_have_ended(void **state)
{
	(void)state;
	begin("guest-ping");
	hang_up();
	f.g->ended = true;
	ga_guest_ended(f.g);
	assert_int_equal(nr_done, 1);
	assert_int_equal(last.status, ST_NO_VM);
}

static void a_guest_that_ends_ends_them(void **state)
{
	(void)state;
	begin("guest-ping");
	f.g->ended = true;
	ga_guest_ended(f.g);
	assert_int_equal(nr_done, 1);
	assert_int_equal(last.status, ST_NO_VM);
	ga_guest_ended(f.g);
	assert_int_equal(nr_done, 1);
}

static void a_forgotten_command_keeps_its_place(void **state)
{
	struct ga_command *c = NULL;
	struct diag d = { .status = ST_OK };

	(void)state;
	assert_int_equal(ask("one", &c, &d), 0);
	must_ask("two");
	fake_agent_sync(&f);
	expect_command("one");
	ga_forget(c);
	fake_agent_say(&f, "{\"return\": 1}\n");
	assert_int_equal(nr_done, 0);
	expect_command("two");
	fake_agent_say(&f, "{\"return\": 2}\n");
	assert_string_equal(last_line, "{\"return\": 2}");
	assert_int_equal(nr_done, 1);
}

static void so_many_commands_wait_and_no_more(void **state)
{
	struct diag d = { .status = ST_OK };

	(void)state;
	for (unsigned i = 0; i < GA_MAX_WAITING; i++)
		must_ask("guest-ping");
	assert_int_equal(ask("guest-ping", NULL, &d), -EBUSY);
}

static void shutdown_is_asked_for(void **state)
{
	struct diag d = { .status = ST_OK };

	(void)state;
	assert_int_equal(
		guest_agent_shutdown(f.g, 5000000000ull, done, &f, NULL, &d),
		0);
	fake_agent_sync(&f);
	assert_string_equal(fake_agent_line(&f),
			    "{\"execute\":\"guest-shutdown\",\"arguments\":"
			    "{\"mode\":\"powerdown\"}}");
	fake_agent_sleep(&f, 5000000000ull);
	expect_failure(1, "in time");
}

int main(void)
{
#define GA_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		GA_TEST(commands_are_answered_in_their_order),
		GA_TEST(without_an_agent_there_is_advice),
		GA_TEST(one_that_never_answers_fails_all_that_wait),
		GA_TEST(a_late_answer_is_none_to_the_next_command),
		GA_TEST(one_that_writes_without_end_costs_a_bounded_number_of_bytes),
		GA_TEST(endless_marks_and_lines_are_noise_too),
		GA_TEST(nonsense_fails_the_command_alone),
		GA_TEST(an_answer_without_end_is_too_long),
		GA_TEST(a_short_answer_of_many_values_is_refused),
		GA_TEST(what_nobody_asked_for_is_skipped),
		GA_TEST(an_agent_that_goes_fails_its_commands),
		GA_TEST(a_worker_that_hangs_up_fails_them_as_well),
		GA_TEST(what_was_asked_before_a_hang_up_is_not_asked_again),
		GA_TEST(a_worker_hangs_up_before_its_guest_is_known_to_have_ended),
		GA_TEST(a_guest_that_ends_ends_them),
		GA_TEST(a_forgotten_command_keeps_its_place),
		GA_TEST(so_many_commands_wait_and_no_more),
		GA_TEST(shutdown_is_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
