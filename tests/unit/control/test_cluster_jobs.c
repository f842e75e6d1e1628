/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands in many VMs at once, with a fake in place of a guest agent: output is
 * cut into lines of its VM, ends are gathered, time is limited. And which VMs a
 * cluster has, and which of them is the least loaded.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "monitor/control/cluster/cluster_jobs.h"
#include "monitor/control/cluster/cluster_vms.h"
#include "tests/unit/support.h"

/* What the children see of each other. */
static struct shared {
	_Atomic unsigned running, most, tries;
} * shared;

struct heard {
	char text[65536]; /* "VM/1 line" for each line */
	size_t len;
	unsigned over, ticks;
	bool stop;
};

static int write_text(void *to, enum guest_stream from, const char *text)
{
	return cluster_job_wrote(to, from, text, strlen(text));
}

static void wait_for_all(unsigned nr)
{
	uint64_t end = wait_end_ns();

	shared->running++;
	while (shared->running < nr && clock_now_ns() < end)
		(void)usleep(1000);
}

/* What @job does is its first word. */
static int fake_run(struct cluster_job *job, void *to)
{
	const char *what = job->words[0];

	if (strcmp(what, "together") == 0)
		wait_for_all(8);
	if (strcmp(what, "pieces") == 0) {
		(void)write_text(to, GUEST_OUT, "a");
		(void)write_text(to, GUEST_ERR, "e1\n");
		(void)write_text(to, GUEST_OUT, "b\nc\n\nd");
	}
	if (strcmp(what, "big") == 0)
		for (unsigned i = 0; i < 3; i++) {
			char buf[CLUSTER_LINE_MAX];

			memset(buf, 'x', sizeof(buf));
			(void)cluster_job_wrote(to, GUEST_OUT, buf,
						sizeof(buf));
		}
	if (strcmp(what, "hang") == 0)
		(void)pause();
	if (strcmp(what, "die") == 0)
		(void)raise(SIGKILL);
	if (strcmp(what, "absent") == 0)
		return diag_fail(&job->diag, ST_NO_AGENT, EIO, "%s: absent",
				 job->vm);
	if (strcmp(what, "gone") == 0)
		return diag_fail(&job->diag, ST_NO_VM, ENOENT, "%s: gone",
				 job->vm);
	job->status = strcmp(what, "three") == 0    ? 3
		      : strcmp(what, "signal") == 0 ? -9
		      : strcmp(what, "third") == 0  ? ++shared->tries < 3
						    : 0;
	if (strcmp(what, "gone-later") == 0 && ++shared->tries > 1)
		return diag_fail(&job->diag, ST_NO_VM, ENOENT, "gone");
	if (strcmp(what, "gone-later") == 0)
		job->status = 1;
	return 0;
}

static void on_line(void *arg, const struct cluster_job *job,
		    enum guest_stream from, const char *line, size_t n)
{
	struct heard *h = arg;

	h->len += (size_t)snprintf(h->text + h->len, sizeof(h->text) - h->len,
				   "%s/%d %.*s|", job->vm, (int)from, (int)n,
				   line);
}

static void on_over(void *arg, const struct cluster_job *job)
{
	(void)job;
	((struct heard *)arg)->over++;
}

static bool on_tick(void *arg)
{
	struct heard *h = arg;

	h->ticks++;
	return !h->stop;
}

static const struct cluster_jobs_ops ops = {
	.run = fake_run, .line = on_line, .over = on_over, .tick = on_tick
};

static struct cluster_job job_of(char **words)
{
	return (struct cluster_job){ .vm = "v", .words = words, .nr_words = 1 };
}

static struct heard *run(struct cluster_job *jobs, unsigned nr)
{
	static struct heard h;
	struct diag d = { .status = ST_OK };

	memset(&h, 0, sizeof(h));
	memset(shared, 0, sizeof(*shared));
	if (cluster_jobs_run(jobs, nr, &ops, &h, &d))
		fail_msg("%s", d.text);
	assert_int_equal(h.over, nr);
	/* No child is left. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	return &h;
}

/* Each waits until all of them run. */
static void all_run_at_once(void **state)
{
	char *words[] = { (char *)"together" };
	struct cluster_job jobs[8];

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		jobs[i] = job_of(words);
	(void)run(jobs, 8);
	assert_int_equal(shared->running, 8);
	for (unsigned i = 0; i < 8; i++)
		assert_true(cluster_job_succeeded(&jobs[i]));
}

static void output_is_cut_into_lines(void **state)
{
	char *words[] = { (char *)"pieces" };
	struct cluster_job job = job_of(words);
	struct heard *h = run(&job, 1);

	(void)state;
	assert_string_equal(h->text, "v/2 e1\n|v/1 ab\n|v/1 c\n|v/1 \n|v/1 d|");
	assert_string_equal(job.last, "d");
}

static void a_long_line_is_cut(void **state)
{
	char *words[] = { (char *)"big" };
	struct cluster_job job = job_of(words);
	struct heard *h = run(&job, 1);

	(void)state;
	assert_int_equal(h->len, 3 * (CLUSTER_LINE_MAX + strlen("v/1 |")));
	assert_int_equal(strlen(job.last), CLUSTER_LAST_MAX - 1);
}

static void ends_are_told_apart(void **state)
{
	static const struct {
		const char *word, *end;
		int status;
	} rows[] = {
		{ "", "0", 0 },
		{ "three", "3", 3 },
		{ "signal", "signal 9", 137 },
		{ "absent", "v: absent", ST_NO_AGENT },
		{ "gone", "v: gone", ST_NO_VM },
		{ "die", "v: ended without an answer", ST_NO_AGENT },
	};
	struct cluster_job jobs[ARRAY_SIZE(rows)];
	char *words[ARRAY_SIZE(rows)], buf[CLUSTER_END_MAX];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		words[i] = (char *)rows[i].word;
		jobs[i] = job_of(&words[i]);
	}
	(void)run(jobs, ARRAY_SIZE(rows));
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_string_equal(cluster_job_end(&jobs[i], buf),
				    rows[i].end);
		assert_int_equal(cluster_job_exit(&jobs[i]), rows[i].status);
		assert_int_equal(cluster_job_succeeded(&jobs[i]), i == 0);
	}
}

static void one_that_hangs_is_ended(void **state)
{
	char *hang[] = { (char *)"hang" }, *ok[] = { (char *)"" };
	struct cluster_job jobs[] = { job_of(hang), job_of(ok) };
	uint64_t begin = clock_now_ns();

	(void)state;
	jobs[0].end_ns = begin + 10000000;
	(void)run(jobs, 2);
	assert_false(jobs[0].ran);
	assert_string_equal(jobs[0].diag.text, "v: was not over in time");
	assert_true(cluster_job_succeeded(&jobs[1]));
}

static void one_is_repeated_until_it_succeeds(void **state)
{
	char *words[] = { (char *)"third" };
	struct cluster_job job = job_of(words);

	(void)state;
	job.repeat = true;
	job.end_ns = wait_end_ns();
	(void)run(&job, 1);
	assert_true(cluster_job_succeeded(&job));
	assert_int_equal(shared->tries, 3);
}

/* With the end of its last try. */
static void one_is_repeated_until_its_time_is_over(void **state)
{
	char *words[] = { (char *)"three" };
	struct cluster_job job = job_of(words);

	(void)state;
	job.repeat = true;
	job.end_ns = clock_now_ns() + 10000000;
	(void)run(&job, 1);
	assert_true(job.ran);
	assert_int_equal(job.status, 3);
}

static void a_vm_that_is_gone_is_not_waited_for(void **state)
{
	char *words[] = { (char *)"gone-later" };
	struct cluster_job job = job_of(words);

	(void)state;
	job.repeat = true;
	job.end_ns = clock_now_ns() + 1000000000000u;
	(void)run(&job, 1);
	assert_int_equal(job.diag.status, ST_NO_VM);
	assert_int_equal(shared->tries, 2);
}

static void all_are_ended_on_request(void **state)
{
	char *words[] = { (char *)"hang" };
	struct cluster_job jobs[] = { job_of(words), job_of(words) };
	struct heard h = { .stop = true };
	struct diag d = { .status = ST_OK };

	(void)state;
	assert_int_equal(cluster_jobs_run(jobs, 2, &ops, &h, &d), 0);
	assert_int_equal(h.over, 2);
	assert_string_equal(jobs[1].diag.text, "v: was interrupted");
}

static void none_is_no_error(void **state)
{
	(void)state;
	assert_int_equal(run(NULL, 0)->len, 0);
}

/* --- which VMs --- */

static json_t *list_of(void)
{
	json_t *list = json_loads(
		"[{\"name\": \"a\", \"state\": \"running\", \"cluster\": \"c\","
		"  \"role\": \"x\", \"vcpus\": 2, \"commands\": 3},"
		" {\"name\": \"b\", \"state\": \"running\", \"cluster\": \"c\","
		"  \"role\": \"y\", \"vcpus\": 8, \"commands\": 4},"
		" {\"name\": \"d\", \"state\": \"ended\", \"cluster\": \"c\","
		"  \"role\": \"y\", \"vcpus\": 8, \"commands\": 0},"
		" {\"name\": \"e\", \"state\": \"running\", \"cluster\": "
		"\"cc\","
		"  \"role\": \"y\", \"vcpus\": 8, \"commands\": 0},"
		" {\"name\": \"f\", \"state\": \"running\", \"cluster\": \"\","
		"  \"role\": \"\", \"vcpus\": 8, \"commands\": 0},"
		" {\"name\": \"g\", \"state\": \"paused\", \"cluster\": \"c\","
		"  \"role\": \"y\", \"vcpus\": 4, \"commands\": 2}]",
		0, NULL);

	assert_non_null(list);
	return list;
}

static void chosen(const char *what, const char *want)
{
	struct cluster_vms v;
	json_t *list = list_of();
	char got[64] = "";

	assert_int_equal(cluster_vms_of(list, what, &v), 0);
	for (unsigned i = 0; i < v.nr; i++)
		(void)strcat(got, v.vms[i].name);
	assert_string_equal(got, want);
	cluster_vms_free(&v);
	json_decref(list);
}

static void vms_of_a_cluster(void **state)
{
	(void)state;
	chosen("c", "abg");
	chosen("c/y", "bg");
	chosen("c/x", "a");
	chosen("c/", "");
	chosen("c/z", "");
	chosen("cc", "e");
	chosen("", "");
	chosen("/y", "");
	chosen("f", "");
}

static void the_least_loaded(void **state)
{
	json_t *list = list_of();
	struct cluster_vms v;

	(void)state;
	assert_int_equal(cluster_vms_of(list, "c", &v), 0);
	/* 3 of 2, 4 of 8, 2 of 4: two are equal, and the turn decides. */
	assert_int_equal(cluster_vms_least(&v, 0), 1);
	assert_int_equal(cluster_vms_least(&v, 1), 1);
	assert_int_equal(cluster_vms_least(&v, 2), 2);
	v.vms[1].commands = 5;
	for (unsigned turn = 0; turn < 7; turn++)
		assert_int_equal(cluster_vms_least(&v, turn), 2);
	cluster_vms_free(&v);
	json_decref(list);
}

static int map_shared(void **state)
{
	(void)state;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return shared == MAP_FAILED ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_run_at_once),
		cmocka_unit_test(output_is_cut_into_lines),
		cmocka_unit_test(a_long_line_is_cut),
		cmocka_unit_test(ends_are_told_apart),
		cmocka_unit_test(one_that_hangs_is_ended),
		cmocka_unit_test(one_is_repeated_until_it_succeeds),
		cmocka_unit_test(one_is_repeated_until_its_time_is_over),
		cmocka_unit_test(a_vm_that_is_gone_is_not_waited_for),
		cmocka_unit_test(all_are_ended_on_request),
		cmocka_unit_test(none_is_no_error),
		cmocka_unit_test(vms_of_a_cluster),
		cmocka_unit_test(the_least_loaded),
	};

	return cmocka_run_group_tests_name("cluster_jobs", tests, map_shared,
					   NULL);
}
