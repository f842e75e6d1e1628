/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/cluster/cluster_jobs.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/cli/guest_run.h"
#include "monitor/ipc/text_clean.h"

#define JOB_PIECE    8192u	 /* bytes of output per message */
#define JOB_TICK_MS  200	 /* between two calls of tick() */
#define JOB_GRACE_NS 2000000000u /* after end_ns, for the child to say so */
#define JOB_PAUSE_NS 300000000u	 /* between two tries of a repeated job */

/* A message of a child: its kind, and bytes of output or a struct job_end. */
enum job_kind { JOB_OUT = GUEST_OUT, JOB_ERR = GUEST_ERR, JOB_END };

struct job_end {
	bool ran;
	int status;
	struct diag diag;
};

/* A line that has not ended. */
struct job_line {
	char *text; /* CLUSTER_LINE_MAX bytes; NULL: none yet */
	size_t len;
};

struct job_child {
	pid_t pid;  /* 0: none */
	int fd;	    /* the parent's end */
	bool ended; /* its struct job_end has come */
	bool late;
	struct job_line lines[GUEST_STREAMS];
};

struct jobs {
	struct cluster_job *jobs;
	struct job_child *children;
	struct pollfd *polls;
	unsigned nr, nr_left;
	const struct cluster_jobs_ops *ops;
	void *arg;
	bool stopped;
};

/* --- in the child --- */

static int job_send(int fd, enum job_kind kind, const void *bytes, size_t n)
{
	char msg[1 + JOB_PIECE];

	msg[0] = (char)kind;
	memcpy(msg + 1, bytes, n);
	while (send(fd, msg, n + 1, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

int cluster_job_wrote(void *to, enum guest_stream from, const void *bytes,
		      size_t n)
{
	const char *at = bytes;
	int err = 0;

	while (!err && n) {
		size_t piece = min_u64(n, JOB_PIECE);

		err = job_send(*(const int *)to, (enum job_kind)from, at,
			       piece);
		at += piece;
		n -= piece;
	}
	return err;
}

/* By the guest agent of its VM. */
static int job_run(struct cluster_job *job, void *to)
{
	const struct guest_run r = { .words = job->words,
				     .nr_words = job->nr_words,
				     .in = -1,
				     .got = cluster_job_wrote,
				     .arg = to };
	struct agent_link l;
	int err = agent_link_open(&l, job->vm, job->wait_s, &job->diag);

	if (!err)
		err = guest_run(&l, &r, &job->status, &job->diag);
	agent_link_close(&l);
	return err;
}

static void job_pause(void)
{
	const struct timespec pause = { .tv_nsec = JOB_PAUSE_NS };

	(void)nanosleep(&pause, NULL);
}

static void job_try(struct cluster_job *job, int fd,
		    const struct cluster_jobs_ops *ops)
{
	for (;;) {
		job->diag = (struct diag){ .status = ST_OK };
		job->ran = (ops->run ? ops->run : job_run)(job, &fd) == 0;
		if (!job->repeat || cluster_job_succeeded(job) ||
		    clock_now_ns() >= job->end_ns)
			return;
		/* A VM that is gone, or a monitor, does not come back. */
		if (!job->ran && job->diag.status != ST_NO_AGENT)
			return;
		job_pause();
	}
}

_Noreturn static void job_child_main(struct cluster_job *job, int fd,
				     const struct cluster_jobs_ops *ops)
{
	struct job_end end;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* What a terminal sends to all is the parent's to decide about. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_DFL);
	job_try(job, fd, ops);
	memset(&end, 0, sizeof(end));
	end.ran = job->ran;
	end.status = job->status;
	end.diag = job->diag;
	(void)job_send(fd, JOB_END, &end, sizeof(end));
	_exit(0);
}

/* --- lines --- */

static void job_say(struct jobs *s, unsigned i, enum guest_stream from)
{
	struct job_line *line = &s->children[i].lines[from];
	struct cluster_job *job = &s->jobs[i];
	size_t n = line->len;

	if (!n)
		return;
	if (s->ops->line)
		s->ops->line(s->arg, job, from, line->text, n);
	line->len = 0;
	n -= line->text[n - 1] == '\n';
	if (!n)
		return;
	n = min_u64(n, sizeof(job->last) - 1);
	memcpy(job->last, line->text, n);
	job->last[n] = '\0';
	text_clean(job->last, sizeof(job->last));
}

static int job_output(struct jobs *s, unsigned i, enum guest_stream from,
		      const char *bytes, size_t n)
{
	struct job_line *line = &s->children[i].lines[from];

	if (!line->text)
		line->text = malloc(CLUSTER_LINE_MAX);
	if (!line->text)
		return -ENOMEM;
	for (size_t k = 0; k < n; k++) {
		line->text[line->len++] = bytes[k];
		if (bytes[k] == '\n' || line->len == CLUSTER_LINE_MAX)
			job_say(s, i, from);
	}
	return 0;
}

/* --- in the parent --- */

static void job_ended(struct jobs *s, unsigned i, const char *why)
{
	struct job_child *child = &s->children[i];
	struct cluster_job *job = &s->jobs[i];

	for (unsigned k = 0; k < GUEST_STREAMS; k++) {
		job_say(s, i, (enum guest_stream)k);
		free(child->lines[k].text);
		child->lines[k].text = NULL;
	}
	if (!child->ended) {
		job->ran = false;
		job->diag = (struct diag){ .status = ST_OK };
		(void)diag_fail(&job->diag, ST_NO_AGENT, ETIMEDOUT, "%s: %s",
				job->vm, why);
	}
	(void)kill(child->pid, SIGKILL);
	while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
		;
	(void)close(child->fd);
	child->pid = 0;
	child->fd = -1;
	s->nr_left--;
	if (s->ops->over)
		s->ops->over(s->arg, job);
}

static const char *job_why(const struct jobs *s, const struct job_child *child)
{
	return s->stopped    ? "was interrupted"
	       : child->late ? "was not over in time"
			     : "ended without an answer";
}

/* What a child has sent. */
static int job_receive(struct jobs *s, unsigned i)
{
	struct job_child *child = &s->children[i];
	struct job_end end;
	char msg[1 + JOB_PIECE];
	ssize_t n = recv(child->fd, msg, sizeof(msg), MSG_DONTWAIT);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0) {
		job_ended(s, i, job_why(s, child));
		return 0;
	}
	if (msg[0] != JOB_END)
		return job_output(s, i, (enum guest_stream)msg[0], msg + 1,
				  (size_t)n - 1);
	memcpy(&end, msg + 1, sizeof(end));
	s->jobs[i].ran = end.ran;
	s->jobs[i].status = end.status;
	s->jobs[i].diag = end.diag;
	child->ended = true;
	job_ended(s, i, "");
	return 0;
}

/* Return: false: the job's time is over, and that of its child, too. */
static bool job_in_time(const struct cluster_job *job)
{
	return !job->end_ns || clock_now_ns() < job->end_ns + JOB_GRACE_NS;
}

static int jobs_turn(struct jobs *s)
{
	int err = 0;

	for (unsigned i = 0; i < s->nr; i++)
		s->polls[i] = (struct pollfd){ .fd = s->children[i].fd,
					       .events = POLLIN };
	if (poll(s->polls, s->nr, JOB_TICK_MS) < 0)
		return errno == EINTR ? 0 : -errno;
	for (unsigned i = 0; !err && i < s->nr; i++)
		if (s->children[i].pid && s->polls[i].revents)
			err = job_receive(s, i);
	for (unsigned i = 0; i < s->nr; i++)
		if (s->children[i].pid && !job_in_time(&s->jobs[i])) {
			s->children[i].late = true;
			job_ended(s, i, job_why(s, &s->children[i]));
		}
	return err;
}

static int jobs_fork(struct jobs *s, unsigned i)
{
	struct job_child *child = &s->children[i];
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	/* What is in the buffers must not be printed twice. */
	(void)fflush(NULL);
	child->pid = fork();
	if (child->pid == 0) {
		for (unsigned k = 0; k < i; k++)
			if (s->children[k].fd >= 0)
				(void)close(s->children[k].fd);
		(void)close(pair[0]);
		job_child_main(&s->jobs[i], pair[1], s->ops);
	}
	(void)close(pair[1]);
	if (child->pid < 0) {
		child->pid = 0;
		(void)close(pair[0]);
		return -EAGAIN;
	}
	child->fd = pair[0];
	s->nr_left++;
	return 0;
}

static void jobs_end_all(struct jobs *s)
{
	for (unsigned i = 0; i < s->nr; i++)
		if (s->children[i].pid)
			job_ended(s, i, job_why(s, &s->children[i]));
}

static int jobs_run_all(struct jobs *s)
{
	int err = 0;

	for (unsigned i = 0; i < s->nr; i++)
		s->children[i].fd = -1;
	for (unsigned i = 0; !err && i < s->nr; i++) {
		s->jobs[i].ran = false;
		s->jobs[i].status = 0;
		s->jobs[i].diag = (struct diag){ .status = ST_OK };
		s->jobs[i].last[0] = '\0';
		err = jobs_fork(s, i);
	}
	while (!err && s->nr_left && !s->stopped) {
		err = jobs_turn(s);
		s->stopped = s->ops->tick && !s->ops->tick(s->arg);
	}
	jobs_end_all(s);
	return err;
}

int cluster_jobs_run(struct cluster_job *jobs, unsigned nr,
		     const struct cluster_jobs_ops *ops, void *arg,
		     struct diag *d)
{
	struct jobs s = { .jobs = jobs, .nr = nr, .ops = ops, .arg = arg };
	int err = -ENOMEM;

	s.children = calloc(nr + 1, sizeof(*s.children));
	s.polls = calloc(nr + 1, sizeof(*s.polls));
	if (s.children && s.polls)
		err = jobs_run_all(&s);
	free(s.children);
	free(s.polls);
	return err ? diag_fail(d, ST_HOST, -err,
			       "cannot run commands in %u VMs: %s", nr,
			       strerror(-err))
		   : 0;
}

/* --- how one ended --- */

const char *cluster_job_end(const struct cluster_job *job,
			    char buf[CLUSTER_END_MAX])
{
	if (!job->ran)
		(void)snprintf(buf, CLUSTER_END_MAX, "%s", job->diag.text);
	else if (job->status < 0)
		(void)snprintf(buf, CLUSTER_END_MAX, "signal %d", -job->status);
	else
		(void)snprintf(buf, CLUSTER_END_MAX, "%d", job->status);
	return buf;
}

int cluster_job_exit(const struct cluster_job *job)
{
	if (!job->ran)
		return (int)job->diag.status;
	return job->status < 0 ? 128 - job->status : job->status;
}
