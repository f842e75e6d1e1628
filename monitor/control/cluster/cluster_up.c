/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disco up: the VMs of a cluster, all or nothing.
 *
 *	1. VMs that run already, and are of this cluster, are left as they are.
 *	2. COW files that are not there are made; the other VMs are started, by
 *	   one call of the monitor, which starts all of them or none.
 *	3. All guest agents answer. A VM that was booted since its start commands
 *	   were last run is fresh.
 *	4. The shared directory is exported, then mounted by the fresh VMs.
 *	5. Role after role: start commands in fresh VMs, health of all, mark.
 *
 * What fails, or SIGINT, ends the VMs that were started in step 2, and removes
 * the COW files that were made.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/cli/cli.h"
#include "monitor/control/cli/http_client.h"
#include "monitor/control/cluster/cluster_cli.h"
#include "monitor/control/cluster/cluster_jobs.h"
#include "monitor/control/cluster/cluster_scripts.h"
#include "monitor/control/cluster/cluster_vms.h"
#include "monitor/control/config/config_write.h"
#include "monitor/control/disks/cow_files.h"

#define UP_STOP_S 20u /* for VMs of a cluster that did not come up */

struct up_vm {
	bool started; /* by us */
	bool fresh;   /* its start commands are to be run */
};

struct up {
	struct cluster c;
	struct up_vm *vms;	  /* as c.cfg.vms */
	struct cluster_job *jobs; /* of the step, as many at most */
	struct cluster_words *words;
	unsigned *of; /* the VM of each job */
	unsigned nr_jobs, nr_over;
	char **made; /* COW files, owned */
	unsigned nr_made;
	uint64_t begin_ns;
	const char *step;
	bool drawn;   /* there is a line of progress on the terminal */
	bool started; /* some VMs were */
	struct diag *d;
};

static volatile sig_atomic_t up_stopped;

static void up_on_signal(int sig)
{
	(void)sig;
	up_stopped = 1;
}

static int up_no_memory(struct diag *d)
{
	return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
}

/* --- progress --- */

static double up_seconds(const struct up *u)
{
	return (double)(clock_now_ns() - u->begin_ns) / 1e9;
}

static void up_erase(struct up *u)
{
	if (u->drawn)
		(void)fprintf(stderr, "\r\033[K");
	u->drawn = false;
}

/* A line that stays. */
PRINTF(2, 3)
static void up_say(struct up *u, const char *fmt, ...)
{
	va_list ap;

	up_erase(u);
	(void)fprintf(stderr, "%s: ", u->c.name);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, " (%.1f s)\n", up_seconds(u));
}

static bool up_tick(void *arg)
{
	struct up *u = arg;

	if (isatty(STDERR_FILENO) && u->nr_over < u->nr_jobs) {
		(void)fprintf(stderr, "\r\033[K%s: %s: %u of %u VMs (%.0f s)",
			      u->c.name, u->step, u->nr_over, u->nr_jobs,
			      up_seconds(u));
		(void)fflush(stderr);
		u->drawn = true;
	}
	return !up_stopped;
}

static void up_job_over(void *arg, const struct cluster_job *job)
{
	struct up *u = arg;

	(void)job;
	u->nr_over++;
}

/* --- commands in VMs --- */

static void up_clear_jobs(struct up *u, const char *step)
{
	u->nr_jobs = u->nr_over = 0;
	u->step = step;
}

/* The words of the job that is added; the caller fills them in. */
static struct cluster_words *up_add_job(struct up *u, unsigned vm)
{
	u->of[u->nr_jobs] = vm;
	return &u->words[u->nr_jobs++];
}

static uint64_t up_end_ns(const struct up *u, unsigned vm)
{
	return u->begin_ns +
	       (uint64_t)cluster_role_of(&u->c, vm)->deadline_s * 1000000000u;
}

/* The jobs that were added. What fails is in the jobs. */
static int up_run_jobs(struct up *u, bool repeat)
{
	static const struct cluster_jobs_ops ops = { .tick = up_tick,
						     .over = up_job_over };
	uint64_t now = clock_now_ns();

	for (unsigned i = 0; i < u->nr_jobs; i++) {
		uint64_t end = up_end_ns(u, u->of[i]);

		u->jobs[i] = (struct cluster_job){
			.vm = u->c.cfg.vms[u->of[i]].name,
			.words = u->words[i].words,
			.nr_words = u->words[i].nr,
			.end_ns = end,
			.wait_s = end > now ? (double)(end - now) / 1e9 : 0,
			.repeat = repeat,
		};
	}
	return cluster_jobs_run(u->jobs, u->nr_jobs, &ops, u, u->d);
}

/* A guest that has ended: how, as the monitor says. Return: -errno; 0: no. */
static int up_has_ended(struct up *u, const char *vm)
{
	struct diag ignored = { .status = ST_OK };
	const char *message = "", *state = "";
	json_t *root = NULL;
	int status = 0, err = 0;
	char path[CLI_PATH_MAX];

	(void)snprintf(path, sizeof(path), "/v1/vms/%s", vm);
	if (http_json("GET", path, NULL, &root, &ignored))
		return 0;
	if (json_unpack(root, "{s:s, s:i, s:s}", "state", &state, "status",
			&status, "message", &message) == 0 &&
	    strcmp(state, "ended") == 0)
		err = diag_fail(u->d,
				status ? (enum exit_status)status : ST_CLUSTER,
				ECHILD, "%s: %s", vm,
				*message ? message : "has powered off");
	json_decref(root);
	return err;
}

/* The first job that failed, if one did. @what: was done. */
static int up_check_jobs(struct up *u, const char *what)
{
	char end[CLUSTER_END_MAX];

	for (unsigned i = 0; i < u->nr_jobs; i++) {
		const struct cluster_job *job = &u->jobs[i];
		int err;

		if (cluster_job_succeeded(job))
			continue;
		if (up_stopped)
			return diag_fail(u->d, ST_STOPPED, EINTR,
					 "interrupted");
		err = up_has_ended(u, job->vm);
		if (err)
			return err;
		if (!job->ran)
			return diag_fail(u->d, job->diag.status, EIO, "%s",
					 job->diag.text);
		return diag_fail(u->d, ST_CLUSTER, EIO,
				 "%s: %s: exit status %s%s%s", job->vm, what,
				 cluster_job_end(job, end),
				 *job->last ? ": " : "", job->last);
	}
	return 0;
}

/* --- 1: what runs already --- */

static int up_look(struct up *u)
{
	json_t *root = NULL, *list;
	int err = http_json("GET", "/v1/vms", NULL, &root, u->d);

	if (err)
		return err;
	list = json_object_get(root, "vms");
	for (unsigned i = 0; !err && i < u->c.cfg.nr_vms; i++) {
		const struct vm_config *vm = &u->c.cfg.vms[i];
		const json_t *now = cli_find_vm(list, vm->name);
		const char *cluster =
			json_string_value(json_object_get(now, "cluster"));

		u->vms[i].started = !cluster_vm_runs(now);
		if (!u->vms[i].started &&
		    (!cluster || strcmp(cluster, u->c.name) != 0))
			err = diag_fail(u->d, ST_CONFIG, EEXIST,
					"a VM named '%s' runs already, and is "
					"not of cluster '%s'",
					vm->name, u->c.name);
	}
	json_decref(root);
	return err;
}

/* --- 2: start --- */

static int up_make_cow(struct up *u, const struct disk_config *disk)
{
	const struct disk_name base = { .path = disk->path,
					.read_only = true,
					.raw = disk->raw };
	struct cow_pair p = COW_PAIR_NONE;
	char *path = strdup(disk->cow);
	char **made = reallocarray(u->made, u->nr_made + 1, sizeof(*made));
	int err = 0;

	if (made)
		u->made = made;
	if (!path || !made)
		err = up_no_memory(u->d);
	if (!err)
		err = cow_base_open(&base, &p, u->d);
	if (!err)
		err = cow_file_make(NULL, path, &p, u->d);
	cow_pair_close(&p);
	if (err)
		free(path);
	else
		u->made[u->nr_made++] = path;
	return err;
}

static int up_make_cows(struct up *u, const struct vm_config *vm)
{
	struct stat st;
	int err = 0;

	for (unsigned i = 0; !err && i < vm->nr_disks; i++)
		if (vm->disks[i].cow && stat(vm->disks[i].cow, &st) < 0 &&
		    errno == ENOENT)
			err = up_make_cow(u, &vm->disks[i]);
	return err;
}

/* The VMs that do not run, as one configuration; it owns nothing. */
static int up_start_them(struct up *u, const struct run_config *cfg)
{
	/* The monitor has another working directory. */
	char *dir = getcwd(NULL, 0), *answer = NULL;
	char *text = config_json_write(cfg, dir);
	int err;

	free(dir);
	if (!text)
		return up_no_memory(u->d);
	err = http_call("POST", "/v1/vms", text, &answer, u->d);
	free(text);
	free(answer);
	u->started = !err;
	if (!err)
		up_say(u, "%u of %u VMs were started", cfg->nr_vms,
		       u->c.cfg.nr_vms);
	return err;
}

static int up_start(struct up *u)
{
	struct run_config cfg = { .nr_vms = 0 };
	int err = 0;

	cfg.vms = calloc(u->c.cfg.nr_vms, sizeof(*cfg.vms));
	if (!cfg.vms)
		return up_no_memory(u->d);
	for (unsigned i = 0; !err && i < u->c.cfg.nr_vms; i++) {
		if (!u->vms[i].started)
			continue;
		err = up_make_cows(u, &u->c.cfg.vms[i]);
		cfg.vms[cfg.nr_vms++] = u->c.cfg.vms[i];
	}
	if (!err && cfg.nr_vms)
		err = up_start_them(u, &cfg);
	free(cfg.vms);
	return err;
}

/* --- 3: agents --- */

/* The first command in each VM: exit status 1 of one that is fresh. */
static int up_find_fresh(struct up *u)
{
	int err;

	up_clear_jobs(u, "booting");
	for (unsigned i = 0; i < u->c.cfg.nr_vms; i++)
		cluster_words_is_marked(up_add_job(u, i), &u->c);
	err = up_run_jobs(u, false);
	for (unsigned i = 0; i < u->nr_jobs; i++) {
		u->vms[i].fresh = u->jobs[i].ran && u->jobs[i].status == 1;
		if (u->vms[i].fresh)
			u->jobs[i].status = 0;
	}
	if (!err)
		err = up_check_jobs(u, "the first command");
	if (!err)
		up_say(u, "%u guest agents answer", u->nr_jobs);
	return err;
}

/* --- 4: the shared directory --- */

static int up_export(struct up *u, unsigned server)
{
	int err;

	up_clear_jobs(u, "nfs server");
	cluster_words_export(up_add_job(u, server), &u->c);
	err = up_run_jobs(u, false);
	return err ? err : up_check_jobs(u, "nfs: export");
}

static int up_mount(struct up *u, unsigned server)
{
	int err;

	up_clear_jobs(u, "nfs clients");
	for (unsigned i = 0; i < u->c.cfg.nr_vms; i++)
		if (u->vms[i].fresh && i != server)
			cluster_words_mount(up_add_job(u, i), &u->c);
	/* Until the server's name is known, and it serves. */
	err = up_run_jobs(u, true);
	return err ? err : up_check_jobs(u, "nfs: mount");
}

static int up_share(struct up *u)
{
	unsigned server;
	int err = 0;

	if (!u->c.nfs.role)
		return 0;
	server = cluster_role_find(&u->c, u->c.nfs.role)->first;
	if (u->vms[server].fresh)
		err = up_export(u, server);
	if (!err)
		err = up_mount(u, server);
	if (!err)
		up_say(u, "%u VMs have mounted %s of %s", u->nr_jobs,
		       u->c.nfs.path, u->c.cfg.vms[server].name);
	return err;
}

/* --- 5: roles --- */

static int up_run_in_role(struct up *u, const struct cluster_role *role,
			  const char *text, bool is_health)
{
	char what[96];
	int err;

	up_clear_jobs(u, is_health ? "health" : "start commands");
	for (unsigned i = role->first; i < role->first + role->nr; i++)
		if (is_health || u->vms[i].fresh)
			cluster_words_command(up_add_job(u, i), &u->c, i, text);
	err = up_run_jobs(u, is_health);
	if (err)
		return err;
	(void)snprintf(what, sizeof(what), "%s '%.*s%s'",
		       is_health ? "health check" : "start command",
		       (int)min_u64(strcspn(text, "\n"), 60), text,
		       strcspn(text, "\n") > 60 ? "..." : "");
	return up_check_jobs(u, what);
}

static int up_mark(struct up *u, const struct cluster_role *role)
{
	int err;

	up_clear_jobs(u, "marks");
	for (unsigned i = role->first; i < role->first + role->nr; i++)
		if (u->vms[i].fresh)
			cluster_words_mark(up_add_job(u, i), &u->c);
	err = up_run_jobs(u, false);
	return err ? err : up_check_jobs(u, "the last command");
}

static int up_role(struct up *u, const struct cluster_role *role)
{
	int err = 0;

	for (unsigned i = 0; !err && i < role->start.nr; i++)
		err = up_run_in_role(u, role, role->start.text[i], false);
	for (unsigned i = 0; !err && i < role->health.nr; i++)
		err = up_run_in_role(u, role, role->health.text[i], true);
	if (!err)
		err = up_mark(u, role);
	if (!err)
		up_say(u, "role %s is up: %u VM%s", role->name, role->nr,
		       role->nr == 1 ? "" : "s");
	return err;
}

/* --- all of it --- */

/* Of the VMs that were started here. Return: how many. */
static unsigned up_stop_started(struct up *u)
{
	char **names = calloc(u->c.cfg.nr_vms, sizeof(*names));
	struct diag ignored = { .status = ST_OK };
	unsigned nr = 0;

	for (unsigned i = u->c.cfg.nr_vms; names && i--;)
		if (u->vms[i].started)
			names[nr++] = u->c.cfg.vms[i].name;
	if (nr)
		(void)cli_stop_vms(names, nr, UP_STOP_S, &ignored);
	free(names);
	return nr;
}

static void up_undo(struct up *u)
{
	char why[sizeof(u->d->text)];
	unsigned nr = 0;

	up_erase(u);
	if (u->started)
		nr = up_stop_started(u);
	for (unsigned i = 0; i < u->nr_made; i++)
		(void)unlink(u->made[i]);
	memcpy(why, u->d->text, sizeof(why));
	(void)snprintf(u->d->text, sizeof(u->d->text),
		       "cluster %.63s is not up: %.*s%s", u->c.name, 360, why,
		       !nr ? "" : "; the VMs that were started are stopped");
}

static int up_run_steps(struct up *u)
{
	int err = up_look(u);

	if (!err)
		err = up_start(u);
	if (!err)
		err = up_find_fresh(u);
	if (!err)
		err = up_share(u);
	for (unsigned i = 0; !err && i < u->c.nr_roles; i++)
		err = up_role(u, &u->c.roles[i]);
	return err;
}

static int up_cluster(struct up *u)
{
	const struct sigaction on = { .sa_handler = up_on_signal };
	unsigned nr = u->c.cfg.nr_vms;
	int err;

	u->vms = calloc(nr, sizeof(*u->vms));
	u->jobs = calloc(nr, sizeof(*u->jobs));
	u->words = calloc(nr, sizeof(*u->words));
	u->of = calloc(nr, sizeof(*u->of));
	if (!u->vms || !u->jobs || !u->words || !u->of)
		return up_no_memory(u->d);
	err = cli_need_monitor(u->d);
	if (err)
		return err;
	(void)sigaction(SIGINT, &on, NULL);
	(void)sigaction(SIGTERM, &on, NULL);
	u->begin_ns = clock_now_ns();
	err = up_run_steps(u);
	if (err)
		up_undo(u);
	return err;
}

static void up_free(struct up *u)
{
	for (unsigned i = 0; i < u->nr_made; i++)
		free(u->made[i]);
	free(u->made);
	free(u->vms);
	free(u->jobs);
	free(u->words);
	free(u->of);
	cluster_destroy(&u->c);
}

static int cluster_up_run(const struct command_args *a, struct diag *d)
{
	struct up u = { .d = d };
	int err = cluster_load(a->words[0], &u.c, d);

	if (!err)
		err = up_cluster(&u);
	up_free(&u);
	return err ? err : ST_OK;
}

const struct command cluster_up = {
	.name = "up",
	.brief = "bring a cluster up",
	.words = "FILE.json",
	.help = "Start the VMs of a cluster, run its start commands in them, "
		"and wait until all are healthy; start a monitor if none runs. "
		"VMs of the cluster that run already are left as they are. If "
		"a VM does not come up, the VMs that this command has started "
		"are stopped again.",
	.more = "disco.json(5) describes the file.",
	.min_words = 1,
	.max_words = 1,
	.run = cluster_up_run,
};
