/* SPDX-License-Identifier: BSD-2-Clause */
/* disco run -d, and starting a monitor for it. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/cli/cli.h"
#include "monitor/control/cli/http_client.h"

#define READY_NS 10000000000ull /* from its start to its first answer */

/* --- a monitor --- */

static bool monitor_answers(const struct state_dir *s)
{
	int fd = state_api_connect(s);

	if (fd >= 0)
		(void)close(fd);
	return fd >= 0;
}

/* Its own session, nothing of ours but the log. */
_Noreturn static void become_monitor(const struct state_dir *s)
{
	char *argv[] = { "disco", "monitor", NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log = openat(s->fd, STATE_LOG,
			 O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	(void)setsid();
	if (null >= 0 && log >= 0 && dup2(null, 0) == 0 && dup2(null, 1) == 1 &&
	    dup2(log, 2) == 2)
		(void)execv("/proc/self/exe", argv);
	_exit(127);
}

static int start_monitor(const struct state_dir *s, struct diag *d)
{
	const struct timespec nap = { .tv_nsec = 10000000 };
	uint64_t end = clock_now_ns() + READY_NS;
	pid_t pid = fork();

	if (pid == 0)
		become_monitor(s);
	if (pid < 0)
		return diag_fail(d, ST_HOST, errno, "fork: %s",
				 strerror(errno));
	while (clock_now_ns() < end) {
		if (monitor_answers(s))
			return 0;
		/* Another one may have been faster: then that one answers. */
		if (pid > 0 && waitpid(pid, NULL, WNOHANG) == pid) {
			pid = 0;
			end = min_u64(end, clock_now_ns() + READY_NS / 10);
		}
		(void)nanosleep(&nap, NULL);
	}
	return diag_fail(d, ST_NO_MONITOR, ETIMEDOUT,
			 "a monitor was started and does not answer; "
			 "%.300s/" STATE_LOG " may say why",
			 s->path);
}

static int need_monitor(struct diag *d)
{
	struct state_dir s;
	int err = state_dir_open(&s, true, d);

	if (!err && !monitor_answers(&s))
		err = start_monitor(&s, d);
	state_dir_close(&s);
	return err;
}

/* --- VMs as JSON --- */

/* Return: malloc'ed; NULL: no memory, or no working directory. */
static char *cli_run_absolute(const char *path)
{
	char *dir, *out = NULL;

	if (*path == '/')
		return strdup(path);
	dir = getcwd(NULL, 0);
	if (!dir || asprintf(&out, "%s/%s", dir, path) < 0)
		out = NULL;
	free(dir);
	return out;
}

static int cli_run_set_path(json_t *o, const char *key, const char *path)
{
	char *full = cli_run_absolute(path);
	int err = full ? json_object_set_new(o, key, json_string(full)) : -1;

	free(full);
	return err;
}

/* 0: not given, and no value of it may be. */
static int set_number(json_t *o, const char *key, uint64_t v)
{
	if (v == 0)
		return 0;
	return json_object_set_new(o, key, json_integer((json_int_t)v));
}

static json_t *disk_json(const struct disk_config *disk)
{
	json_t *o = json_pack(
		"{s:b, s:b, s:b, s:b, s:s*}", "ro", (int)disk->read_only,
		"snapshot", (int)disk->snapshot, "cache", (int)!disk->no_cache,
		"pmem", (int)disk->pmem, "serial", disk->serial);

	if (o && cli_run_set_path(o, "path", disk->path) == 0 &&
	    (!disk->cow || cli_run_set_path(o, "cow", disk->cow) == 0) &&
	    set_number(o, "queues", disk->queues) == 0 &&
	    set_number(o, "iops", disk->iops) == 0 &&
	    set_number(o, "bps", disk->bps) == 0)
		return o;
	json_decref(o);
	return NULL;
}

static json_t *vm_json(const struct vm_config *vm)
{
	json_t *disks = json_array();
	json_t *o = json_pack(
		"{s:s, s:b, s:s*, s:s*, s:i, s:I, s:b, s:b, s:s, s:o}", "name",
		vm->name, "unpack", (int)!vm->keep_packed, "cmdline",
		vm->cmdline, "group", vm->group, "cpus", (int)vm->nr_vcpus,
		"memory", (json_int_t)vm->memory_bytes, "strict",
		(int)vm->strict, "merge", (int)vm->merge, "huge",
		vm->huge_thp ? "thp" : "off", "disks", disks);
	int err = o ? cli_run_set_path(o, "kernel", vm->kernel) : -1;

	if (!err && vm->initrd)
		err = cli_run_set_path(o, "initrd", vm->initrd);
	if (!err && vm->node != NODE_AUTO)
		err = json_object_set_new(o, "node", json_integer(vm->node));
	for (unsigned i = 0; !err && i < vm->nr_disks; i++)
		err = json_array_append_new(disks, disk_json(&vm->disks[i]));
	if (!err)
		return o;
	json_decref(o);
	return NULL;
}

static char *config_text(const struct run_config *cfg)
{
	json_t *list = json_array(), *root;
	char *text = NULL;
	int err = 0;

	for (unsigned i = 0; !err && i < cfg->nr_vms; i++)
		err = json_array_append_new(list, vm_json(&cfg->vms[i]));
	root = json_pack("{s:o}", "vms", list);
	if (!err && root)
		text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	return text;
}

int cli_run_detached(const struct run_config *cfg, struct diag *d)
{
	char *text = config_text(cfg), *answer = NULL;
	int err;

	if (!text)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	err = need_monitor(d);
	if (!err)
		err = http_call("POST", "/v1/vms", text, &answer, d);
	free(text);
	free(answer);
	for (unsigned i = 0; !err && i < cfg->nr_vms; i++)
		printf("%s\n", cfg->vms[i].name);
	return err ? err : ST_OK;
}
