/* SPDX-License-Identifier: BSD-2-Clause */
/* What a worker says and how it ends, judged. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "monitor/control/run/stop_requests.h"
#include "monitor/control/workers/outcome.h"
#include "monitor/ipc/text_clean.h"
#include "monitor/ipc/worker_messages.h"
#include "tests/unit/support.h"

#define DIED(c, v) .code = (c), .value = (v)

struct end_case {
	struct vm_end end;
	enum exit_status status;
	const char *line; /* with others running, last words "why" */
};

#define GONE "; its guest is gone, the other VMs go on: why"

static const struct end_case ends[] = {
	{ { .stop = STOP_POWEROFF, DIED(CLD_EXITED, 0) }, ST_OK, "" },
	{ { .stop = STOP_RESET, DIED(CLD_EXITED, 0) },
	  ST_GUEST_RESET,
	  "guest asked for a reset: why" },
	{ { .stop = STOP_PANIC, DIED(CLD_EXITED, 0) },
	  ST_GUEST_PANIC,
	  "guest kernel panicked: why" },
	{ { .stop = STOP_CRASH, DIED(CLD_EXITED, 0) },
	  ST_GUEST_CRASH,
	  "guest CPU stopped: why" },
	{ { .stop = STOP_FAILED, DIED(CLD_EXITED, 1) },
	  ST_WORKER_FAIL,
	  "worker failed: why" },
	{ { .stop = STOP_ASKED, DIED(CLD_EXITED, 0) }, ST_STOPPED, "" },
	{ { .stop = STOP_ASKED, .asked = true, .cut = true },
	  ST_STOPPED,
	  "killed by the operator" },
	/* It had a minute to shut down, and did so, or did not. */
	{ { .stop = STOP_ASKED, .asked = true, .late_s = 60 },
	  ST_STOPPED,
	  "guest did not shut down within 60 s and was killed" },
	{ { .asked = true, .late_s = 5, DIED(CLD_KILLED, SIGKILL) },
	  ST_STOPPED,
	  "guest did not shut down within 5 s and was killed: why" },
	{ { .unseen = true, .asked = true, .late_s = 5 },
	  ST_STOPPED,
	  "guest did not shut down within 5 s and was killed: why" },
	{ { .stop = STOP_POWEROFF, .asked = true, .late_s = 60 }, ST_OK, "" },
	/* It said how it went: dying on the way out changes nothing. */
	{ { .stop = STOP_POWEROFF, DIED(CLD_KILLED, SIGSEGV) }, ST_OK, "" },
	{ { DIED(CLD_KILLED, SIGSYS) },
	  ST_WORKER_SECCOMP,
	  "worker killed by its system call filter" GONE },
	{ { DIED(CLD_DUMPED, SIGSYS) },
	  ST_WORKER_SECCOMP,
	  "worker killed by its system call filter" GONE },
	{ { DIED(CLD_KILLED, SIGKILL) },
	  ST_WORKER_SIGNAL,
	  "worker killed by signal 9 (Killed)" GONE },
	{ { DIED(CLD_DUMPED, SIGSEGV) },
	  ST_WORKER_SIGNAL,
	  "worker killed by signal 11 (Segmentation fault)" GONE },
	{ { DIED(CLD_EXITED, 0) },
	  ST_WORKER_FAIL,
	  "worker exited with status 0 without saying why" GONE },
	{ { DIED(CLD_EXITED, 3) },
	  ST_WORKER_FAIL,
	  "worker exited with status 3 without saying why" GONE },
	{ { .asked = true, DIED(CLD_KILLED, SIGKILL) },
	  ST_STOPPED,
	  "worker did not stop in time and was killed: why" },
	/* Asked to stop, but this is another death. */
	{ { .asked = true, DIED(CLD_KILLED, SIGSYS) },
	  ST_WORKER_SECCOMP,
	  "worker killed by its system call filter" GONE },
	{ { .hostile = true, DIED(CLD_KILLED, SIGKILL) },
	  ST_WORKER_FAIL,
	  "worker sent a message that makes no sense and was killed" GONE },
	{ { .hostile = true, .stop = STOP_POWEROFF, DIED(CLD_KILLED, SIGKILL) },
	  ST_WORKER_FAIL,
	  "worker sent a message that makes no sense and was killed" GONE },
	{ { .stuck = true, DIED(CLD_KILLED, SIGKILL) },
	  ST_WORKER_FAIL,
	  "worker hung and was killed" GONE },
	/* Adopted: not our child, so only what it said is known. */
	{ { .unseen = true },
	  ST_WORKER_FAIL,
	  "worker is gone, and how it ended is not known, as an earlier "
	  "monitor "
	  "had started it and this kernel does not tell" GONE },
	{ { .unseen = true, .stop = STOP_POWEROFF }, ST_OK, "" },
	{ { .unseen = true, .asked = true, .cut = true },
	  ST_STOPPED,
	  "killed by the operator: why" },
	{ { .asked = true, .cut = true, DIED(CLD_KILLED, SIGKILL) },
	  ST_STOPPED,
	  "killed by the operator: why" },
	{ { .stop = 77, DIED(CLD_EXITED, 0) },
	  ST_WORKER_FAIL,
	  "worker failed: why" },
};

static void every_end_has_its_status(void **state)
{
	char line[512];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(ends); i++) {
		assert_int_equal(outcome_status(&ends[i].end), ends[i].status);
		outcome_line(&ends[i].end, ends[i].line[0] ? "why" : "", true,
			     line, sizeof(line));
		assert_string_equal(line, ends[i].line);
	}
}

static void the_last_vm_has_no_others(void **state)
{
	const struct vm_end end = { DIED(CLD_KILLED, SIGKILL) };
	char line[512], tiny[8];

	(void)state;
	outcome_line(&end, "", false, line, sizeof(line));
	assert_string_equal(line, "worker killed by signal 9 (Killed); its "
				  "guest is gone");
	outcome_line(&end, "long last words", false, tiny, sizeof(tiny));
	assert_string_equal(tiny, "worker ");
}

#define STATS_BYTES MESSAGE_BYTES(worker_event, stats)

static struct worker_event good(void)
{
	struct worker_event ev = {
		.kind = WORKER_STOPPED,
		.stopped = { .stop = STOP_POWEROFF,
			     .usage = { .ram_pages = 10, .ram_pages_local = 9 },
			     .text = "fine" }
	};
	return ev;
}

static void a_good_event_passes(void **state)
{
	struct worker_event ev = good(), out;

	(void)state;
	assert_int_equal(worker_event_check(&ev, sizeof(ev), &out), 0);
	assert_memory_equal(&ev, &out, sizeof(ev));
}

static void wrong_sizes_are_refused(void **state)
{
	struct worker_event ev[2] = { good(), good() }, out = { .kind = 55 };

	(void)state;
	for (size_t len = 0; len < sizeof(ev); len++) {
		if (len != sizeof(ev[0]))
			assert_int_equal(worker_event_check(ev, len, &out),
					 -EBADMSG);
	}
	assert_int_equal(out.kind, 55);
}

static void wrong_kinds_and_reasons_are_refused(void **state)
{
	static const uint32_t bad[] = { 0, WORKER_MERGED + 1, 99, 0x80000000u,
					UINT32_MAX };
	static const uint32_t bad_stop[] = { 0, 7, 99, 0x80000000u,
					     UINT32_MAX };
	struct worker_event ev, out;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		ev = good();
		ev.kind = bad[i];
		assert_int_equal(worker_event_check(&ev, sizeof(ev), &out),
				 -EPROTO);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(bad_stop); i++) {
		ev = good();
		ev.stopped.stop = bad_stop[i];
		assert_int_equal(worker_event_check(&ev, sizeof(ev), &out),
				 -EPROTO);
		ev.kind = WORKER_STATS; /* no reason there: not looked at */
		assert_int_equal(worker_event_check(&ev, STATS_BYTES, &out), 0);
		assert_int_equal(out.kind, WORKER_STATS);
	}
}

static void impossible_shares_become_unknown(void **state)
{
	struct worker_event ev = good(), out;

	(void)state;
	ev.stopped.usage.ram_pages_local = ev.stopped.usage.ram_pages + 1;
	assert_int_equal(worker_event_check(&ev, sizeof(ev), &out), 0);
	assert_int_equal(out.stopped.usage.ram_pages, 0);
	assert_int_equal(out.stopped.usage.ram_pages_local, 0);
	ev.stopped.usage.text_pages_local = 1;
	assert_int_equal(worker_event_check(&ev, sizeof(ev), &out), 0);
	assert_int_equal(out.stopped.usage.text_pages_local, 0);
}

static void an_error_is_an_errno(void **state)
{
	const size_t len = MESSAGE_BYTES(worker_event, rehomed);
	struct worker_event ev = { .kind = WORKER_REHOMED }, out;

	(void)state;
	ev.rehomed.error = EPERM;
	assert_int_equal(worker_event_check(&ev, len, &out), 0);
	ev.rehomed.error = 4096;
	assert_int_equal(worker_event_check(&ev, len, &out), -EPROTO);
	ev.rehomed.error = UINT32_MAX;
	assert_int_equal(worker_event_check(&ev, len, &out), -EPROTO);
}

static void text_is_one_clean_line(void **state)
{
	struct worker_event ev = good(), out;

	(void)state;
	memset(ev.stopped.text, 'A', sizeof(ev.stopped.text)); /* no NUL */
	assert_int_equal(worker_event_check(&ev, sizeof(ev), &out), 0);
	assert_int_equal(strlen(out.stopped.text), sizeof(ev.stopped.text) - 1);
	(void)snprintf(ev.stopped.text, sizeof(ev.stopped.text),
		       "a\nb\x1b[2Jc\xff\td\r\n");
	assert_int_equal(worker_event_check(&ev, sizeof(ev), &out), 0);
	assert_string_equal(out.stopped.text, "a b [2Jc? d");
}

static void nothing_leaks_behind_the_text(void **state)
{
	char text[8] = { 'a', 0, 'b', 'c', 'd', 'e', 'f', 'g' };
	static const char clean[8] = "a";
	char one[1] = { 'x' };

	(void)state;
	text_clean(text, sizeof(text));
	assert_memory_equal(text, clean, sizeof(text));
	text_clean(one, sizeof(one));
	assert_int_equal(one[0], 0);
}

static void statuses_have_words(void **state)
{
	(void)state;
	assert_string_equal(status_word(ST_OK), "ok");
	assert_string_equal(status_word(ST_GUEST_PANIC), "guest-panic");
	assert_string_equal(status_word(ST_WORKER_SECCOMP), "worker-seccomp");
	assert_string_equal(status_word((enum exit_status)250), "unknown");
	assert_string_equal(status_meaning(ST_WORKER_SIGNAL),
			    "worker killed by a signal");
	assert_string_equal(status_meaning((enum exit_status)250), "unknown");
}

/* --- requests to stop --- */

#define AT(ms) ((ms)*1000000ull + 5000000000ull)

static void signals_of_one_decision_are_one_request(void **state)
{
	struct stop_requests r = { .nr = 0 };

	(void)state;
	assert_int_equal(stop_requests_add(&r, false, AT(0)), STOP_STEP_ASK);
	assert_int_equal(stop_requests_add(&r, false, AT(0)), STOP_STEP_NONE);
	assert_int_equal(stop_requests_add(&r, false, AT(3)), STOP_STEP_NONE);
	assert_int_equal(stop_requests_add(&r, false, AT(999)), STOP_STEP_NONE);
	/* A repetition does not begin another second. */
	assert_int_equal(stop_requests_add(&r, false, AT(1000)), STOP_STEP_END);
	assert_int_equal(stop_requests_add(&r, false, AT(1001)),
			 STOP_STEP_NONE);
	for (unsigned i = 2; i < 6; i++)
		assert_int_equal(stop_requests_add(&r, false, AT(i * 1000)),
				 STOP_STEP_KILL);
}

static void each_key_is_a_request(void **state)
{
	struct stop_requests r = { .nr = 0 };

	(void)state;
	assert_int_equal(stop_requests_add(&r, true, AT(0)), STOP_STEP_ASK);
	assert_int_equal(stop_requests_add(&r, true, AT(1)), STOP_STEP_END);
	assert_int_equal(stop_requests_add(&r, false, AT(2)), STOP_STEP_NONE);
	assert_int_equal(stop_requests_add(&r, true, AT(3)), STOP_STEP_KILL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_end_has_its_status),
		cmocka_unit_test(the_last_vm_has_no_others),
		cmocka_unit_test(a_good_event_passes),
		cmocka_unit_test(wrong_sizes_are_refused),
		cmocka_unit_test(wrong_kinds_and_reasons_are_refused),
		cmocka_unit_test(impossible_shares_become_unknown),
		cmocka_unit_test(an_error_is_an_errno),
		cmocka_unit_test(text_is_one_clean_line),
		cmocka_unit_test(nothing_leaks_behind_the_text),
		cmocka_unit_test(statuses_have_words),
		cmocka_unit_test(signals_of_one_decision_are_one_request),
		cmocka_unit_test(each_key_is_a_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
