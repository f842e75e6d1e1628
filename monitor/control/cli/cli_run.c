/* SPDX-License-Identifier: BSD-2-Clause */
/* disco run -d, and starting a monitor for it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/cli/cli.h"
#include "monitor/control/cli/http_client.h"
#include "monitor/control/config/config_write.h"
#include "monitor/control/launch/descriptors.h"

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

int cli_need_monitor(struct diag *d)
{
	struct state_dir s;
	int err = state_dir_open(&s, true, d);

	if (!err && !monitor_answers(&s)) {
		err = descriptors_for_monitor(d);
		if (!err)
			err = start_monitor(&s, d);
	}
	state_dir_close(&s);
	return err;
}

int cli_run_detached(const struct run_config *cfg, struct diag *d)
{
	/* The monitor has another working directory. */
	char *dir = getcwd(NULL, 0), *answer = NULL;
	char *text = config_json_write(cfg, dir);
	int err;

	free(dir);
	if (!text)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	err = cli_need_monitor(d);
	if (!err)
		err = http_call("POST", "/v1/vms", text, &answer, d);
	free(text);
	free(answer);
	for (unsigned i = 0; !err && i < cfg->nr_vms; i++)
		printf("%s\n", cfg->vms[i].name);
	return err ? err : ST_OK;
}
