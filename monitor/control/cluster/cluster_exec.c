/* SPDX-License-Identifier: BSD-2-Clause */
/* disco exec: a command in guests, by their guest agents. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/base/state_dir.h"
#include "monitor/control/cli/base64.h"
#include "monitor/control/cli/cli.h"
#include "monitor/control/cli/guest_run.h"
#include "monitor/control/cluster/cluster_cli.h"
#include "monitor/control/cluster/cluster_jobs.h"
#include "monitor/control/cluster/cluster_vms.h"
#include "monitor/ipc/fds.h"

#define EXEC_KEEP_MAX MIB(64) /* of each stream, for --json */

#define EXEC_LOCK "exec.lock" /* in the state directory: --least-loaded */

enum { EXEC_LINES, EXEC_JSON, EXEC_WAIT, EXEC_LEAST };

static const struct option_entry exec_options[] = {
	[EXEC_LINES] = { .name = "lines",
			 .letter = 'n',
			 .arg = "LINES",
			 .help = "print at most LINES lines of output and of "
				 "errors, and how many more there were" },
	[EXEC_JSON] = { .name = "json",
			.help = "print status, output and errors as JSON; exit "
				"with 0 if the command ran" },
	[EXEC_WAIT] = { .name = "wait",
			.arg = "SECONDS",
			.help = "wait for a guest agent that is not there yet, "
				"while the guest boots" },
	[EXEC_LEAST] = { .name = "least-loaded",
			 .help = "in one VM of the cluster or role: the one "
				 "with the fewest commands per virtual CPU" },
	{ .name = NULL },
};

/* What the command has written to one stream. */
struct exec_output {
	uint64_t lines, left_out; /* complete lines shown, and not shown */
	bool cut; /* bytes that are not kept; or a line that is not shown */
	bool open_line; /* one that is not shown has begun */
	char *bytes;	/* kept, for --json */
	size_t len, room;
};

struct exec {
	unsigned most; /* lines; 0: all */
	bool json;
	struct exec_output out[GUEST_STREAMS];
};

static int exec_keep(struct exec_output *o, const char *bytes, size_t n)
{
	size_t room = o->room ? o->room : 65536;
	char *grown;

	if (n > EXEC_KEEP_MAX - o->len) {
		n = EXEC_KEEP_MAX - o->len;
		o->cut = true;
	}
	while (room < o->len + n)
		room *= 2;
	if (room != o->room) {
		grown = realloc(o->bytes, room);
		if (!grown)
			return -ENOMEM;
		o->bytes = grown;
		o->room = room;
	}
	memcpy(o->bytes + o->len, bytes, n);
	o->len += n;
	return 0;
}

/* Return: number of bytes that belong to lines that are shown. */
static size_t exec_count_lines(struct exec_output *o, unsigned most,
			       const char *bytes, size_t n)
{
	size_t shown = 0;

	for (size_t i = 0; i < n; i++) {
		bool end = bytes[i] == '\n';

		if (o->lines < most) {
			shown = i + 1;
			o->lines += end;
			continue;
		}
		o->left_out += end;
		o->open_line = !end;
		o->cut = true;
	}
	return shown;
}

static int exec_got(void *arg, enum guest_stream from, const void *bytes,
		    size_t n)
{
	struct exec *e = arg;
	struct exec_output *o = &e->out[from];

	if (e->most)
		n = exec_count_lines(o, e->most, bytes, n);
	return e->json ? exec_keep(o, bytes, n)
		       : fds_write(from == GUEST_OUT ? STDOUT_FILENO
						     : STDERR_FILENO,
				   bytes, n);
}

static void exec_tell_left_out(const struct exec *e)
{
	static const char *const names[] = {
		[GUEST_OUT] = "output", [GUEST_ERR] = "errors"
	};

	for (unsigned i = GUEST_OUT; i <= GUEST_ERR; i++) {
		const struct exec_output *o = &e->out[i];
		unsigned long long n = o->left_out + o->open_line;

		if (n)
			(void)fprintf(stderr, "disco: %llu more line%s of %s\n",
				      n, n == 1 ? "" : "s", names[i]);
	}
}

/* Text if it is UTF-8, else base64 under another name. */
static void exec_add_stream(json_t *root, const char *name,
			    const struct exec_output *o)
{
	json_t *text = json_stringn(o->bytes ? o->bytes : "", o->len);
	char key[32], *coded;

	(void)snprintf(key, sizeof(key), "%s%s", name, text ? "" : "_base64");
	if (!text) {
		coded = base64_encode(o->bytes, o->len);
		text = coded ? json_string(coded) : NULL;
		free(coded);
	}
	(void)json_object_set_new(root, key, text);
	(void)snprintf(key, sizeof(key), "%s_cut", name);
	(void)json_object_set_new(root, key, json_boolean(o->cut));
}

static void exec_print_json(const struct exec *e, int status)
{
	json_t *root = json_object();

	(void)json_object_set_new(root, "exit_status",
				  status < 0 ? json_null()
					     : json_integer(status));
	(void)json_object_set_new(root, "signal",
				  status < 0 ? json_integer(-status)
					     : json_null());
	exec_add_stream(root, "stdout", &e->out[GUEST_OUT]);
	exec_add_stream(root, "stderr", &e->out[GUEST_ERR]);
	cli_print_json(root);
	json_decref(root);
}

static int exec_in(struct exec *e, struct agent_link *l,
		   const struct command_args *a, struct diag *d)
{
	const struct guest_run r = {
		.words = a->words + 1,
		.nr_words = a->nr_words - 1,
		.in = guest_run_is_empty(STDIN_FILENO) ? -1 : STDIN_FILENO,
		.got = exec_got,
		.arg = e,
	};
	int status = 0, err = guest_run(l, &r, &status, d);

	if (err)
		return diag_fail(d, ST_HOST, -err,
				 "cannot write what the "
				 "command wrote: %s",
				 strerror(-err));
	if (e->json) {
		exec_print_json(e, status);
		return ST_OK;
	}
	exec_tell_left_out(e);
	return status < 0 ? 128 - status : status;
}

/* --- in one VM of a cluster --- */

/*
 * One command at a time chooses, and has a session with the agent when the next
 * one counts: many that start together do not all go to the same VM.
 * Return: a descriptor, owned by the caller; -errno with @d filled.
 */
static int exec_lock(struct diag *d)
{
	struct state_dir s;
	int fd = -1, err = state_dir_open(&s, false, d);

	if (!err) {
		fd = openat(s.fd, EXEC_LOCK, O_RDWR | O_CREAT | O_CLOEXEC,
			    0600);
		while (fd >= 0 && flock(fd, LOCK_EX) < 0 && errno == EINTR)
			;
		if (fd < 0)
			err = diag_fail(d, ST_HOST, errno, "%.300s/%s: %s",
					s.path, EXEC_LOCK, strerror(errno));
	}
	state_dir_close(&s);
	return err ? err : fd;
}

/* A session with the least loaded of them, whose name goes to @vm. */
static int exec_choose(const char *what, char vm[VM_NAME_MAX + 1], double wait,
		       struct agent_link *l, struct diag *d)
{
	struct cluster_vms v = { .nr = 0 };
	int err, lock = exec_lock(d);

	*l = AGENT_LINK_NONE;
	if (lock < 0)
		return lock;
	err = cluster_vms_get(what, &v, d);
	if (!err) {
		unsigned i = cluster_vms_least(&v, (unsigned)getpid());

		(void)snprintf(vm, VM_NAME_MAX + 1, "%s", v.vms[i].name);
		err = agent_link_open(l, vm, 0, d);
	}
	cluster_vms_free(&v);
	(void)close(lock);
	return err ? err : wait > 0 ? agent_link_wait(l, wait, d) : 0;
}

static int exec_least(struct exec *e, const struct command_args *a, double wait,
		      struct diag *d)
{
	char vm[VM_NAME_MAX + 1];
	struct agent_link l;
	int ret = exec_choose(a->words[0], vm, wait, &l, d);

	if (!ret)
		ret = exec_in(e, &l, a, d);
	agent_link_close(&l);
	return ret;
}

/* --- in all VMs of a cluster --- */

struct exec_all {
	unsigned most; /* lines of each stream of a VM; 0: all */
	struct cluster_job *jobs;
	unsigned *lines; /* shown: GUEST_STREAMS per job */
	int width;	 /* of the longest name */
	int err;	 /* of writing */
};

static void exec_all_line(void *arg, const struct cluster_job *job,
			  enum guest_stream from, const char *line, size_t n)
{
	struct exec_all *e = arg;
	unsigned *shown =
		&e->lines[(size_t)(job - e->jobs) * GUEST_STREAMS + from];
	FILE *out = from == GUEST_OUT ? stdout : stderr;

	if (e->most && ++*shown > e->most)
		return;
	(void)fprintf(out, "%-*s | ", e->width, job->vm);
	(void)fwrite(line, 1, n, out);
	if (line[n - 1] != '\n')
		(void)fputc('\n', out);
	if (fflush(out))
		e->err = -errno;
}

static bool exec_all_goes_on(void *arg)
{
	const struct exec_all *e = arg;

	return !e->err;
}

/* On standard error: what the commands wrote stands alone. */
static int exec_all_report(const struct exec_all *e, unsigned nr)
{
	char end[CLUSTER_END_MAX];
	int status = 0;

	(void)fflush(stdout);
	(void)fprintf(stderr, "%-*s   EXIT STATUS\n", e->width, "VM");
	for (unsigned i = 0; i < nr; i++) {
		int one = cluster_job_exit(&e->jobs[i]);

		(void)fprintf(stderr, "%-*s   %s\n", e->width, e->jobs[i].vm,
			      cluster_job_end(&e->jobs[i], end));
		status = status ? status : one;
	}
	return status;
}

static int exec_all_run(struct exec_all *e, const struct cluster_vms *v,
			const struct command_args *a, double wait,
			struct diag *d)
{
	const struct cluster_jobs_ops ops = { .line = exec_all_line,
					      .tick = exec_all_goes_on };
	int err;

	e->width = 2;
	for (unsigned i = 0; i < v->nr; i++) {
		int len = (int)strlen(v->vms[i].name);

		e->width = len > e->width ? len : e->width;
		e->jobs[i] = (struct cluster_job){ .vm = v->vms[i].name,
						   .words = a->words + 1,
						   .nr_words = a->nr_words - 1,
						   .wait_s = wait };
	}
	err = cluster_jobs_run(e->jobs, v->nr, &ops, e, d);
	if (!err && e->err)
		err = diag_fail(d, ST_HOST, -e->err,
				"cannot write what the commands wrote: %s",
				strerror(-e->err));
	return err ? err : exec_all_report(e, v->nr);
}

static int exec_all(const struct exec *one, const struct command_args *a,
		    double wait, struct diag *d)
{
	struct exec_all e = { .most = one->most };
	struct cluster_vms v;
	int ret = cluster_vms_get(a->words[0], &v, d);

	if (ret)
		return ret;
	if (one->json) {
		cluster_vms_free(&v);
		return diag_fail(d, ST_USAGE, EINVAL,
				 "--json is of one VM; '%.64s' is a cluster",
				 a->words[0]);
	}
	e.jobs = calloc(v.nr, sizeof(*e.jobs));
	e.lines = calloc(v.nr * GUEST_STREAMS, sizeof(*e.lines));
	ret = e.jobs && e.lines
		      ? exec_all_run(&e, &v, a, wait, d)
		      : diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	free(e.jobs);
	free(e.lines);
	cluster_vms_free(&v);
	return ret;
}

/* --- which of these --- */

/* A VM goes before a cluster of its name. */
static int exec_somewhere(struct exec *e, const struct command_args *a,
			  double wait, struct diag *d)
{
	struct agent_link l = AGENT_LINK_NONE;
	int ret;

	if (a->given[EXEC_LEAST])
		return exec_least(e, a, wait, d);
	if (strchr(a->words[0], '/'))
		return exec_all(e, a, wait, d);
	ret = agent_link_open(&l, a->words[0], wait, d);
	if (!ret)
		ret = exec_in(e, &l, a, d);
	agent_link_close(&l);
	if (ret >= 0 || d->status != ST_NO_VM)
		return ret;
	*d = (struct diag){ .status = ST_OK };
	return exec_all(e, a, wait, d);
}

static int cluster_exec_run(const struct command_args *a, struct diag *d)
{
	struct exec e = { .json = a->given[EXEC_JSON] };
	double wait = 0;
	int ret = 0;

	if (a->given[EXEC_LINES])
		ret = cli_whole(a->value[EXEC_LINES], 1, &e.most, d);
	if (!ret && a->given[EXEC_WAIT])
		ret = cli_number(a->value[EXEC_WAIT], 0, &wait, d);
	if (!ret)
		ret = exec_somewhere(&e, a, wait, d);
	for (unsigned i = 0; i < GUEST_STREAMS; i++)
		free(e.out[i].bytes);
	return ret;
}

const struct command cluster_exec = {
	.name = "exec",
	.brief = "run a command in VMs, by their guest agents",
	.words = "VM|CLUSTER[/ROLE] -- COMMAND...",
	.help = "Run a command in a virtual machine. Standard input, output, "
		"errors and the exit status pass through. In a cluster, or in "
		"all VMs of one of its roles, the command runs at the same "
		"time in each VM, without input; each line of output begins "
		"with the name of its VM, and a table of the exit statuses "
		"follows on standard error. The guest needs the QEMU guest "
		"agent (package qemu-guest-agent) and a shell.",
	.more = "An exit status N of 128 and more: the command was killed by "
		"signal N - 128. Of several VMs, the exit status is the first "
		"one that is not 0. disco(1) has the exit statuses of disco "
		"itself.",
	.min_words = 2,
	.max_words = COMMAND_MAX_WORDS,
	.options = { exec_options },
	.run = cluster_exec_run,
};
