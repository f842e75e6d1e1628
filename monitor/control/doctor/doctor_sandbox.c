/* SPDX-License-Identifier: BSD-2-Clause */
/* Probes: what the worker's sandbox and its I/O can be built of. */
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/io_uring.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>

#include "monitor/control/doctor/doctor.h"
#include "monitor/sandbox/sandbox.h"

static void probe_seccomp(struct check *c)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;

	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0) {
		check_value(c, VERDICT_OK, "filters with kill-process");
		return;
	}
	check_value(c, VERDICT_FAIL, "no filters: %s", strerror(errno));
	check_advice(c, "workers cannot be confined; needs a kernel with "
			"CONFIG_SECCOMP_FILTER");
}

/* In a child, as it cannot be undone. Return: as sandbox_deny_files(). */
static int try_landlock(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
			      ? errno
			      : -sandbox_deny_files());
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -ECHILD;
	return -WEXITSTATUS(status);
}

static void probe_landlock(struct check *c)
{
	int err = try_landlock();

	if (!err) {
		check_value(c, VERDICT_OK, "ABI version %ld",
			    syscall(SYS_landlock_create_ruleset, NULL, 0ul,
				    LANDLOCK_CREATE_RULESET_VERSION));
	} else if (sandbox_files_optional(err)) {
		check_value(c, VERDICT_ABSENT, "%s", strerror(-err));
		check_advice(c, "workers go without it; seccomp and empty "
				"namespaces remain");
	} else {
		check_value(c, VERDICT_FAIL, "%s", strerror(-err));
		check_advice(c, "workers cannot be confined, and do not start");
	}
}

static void probe_io_uring(struct check *c)
{
	struct io_uring_params p;
	long fd;

	memset(&p, 0, sizeof(p));
	fd = syscall(SYS_io_uring_setup, 1u, &p);
	if (fd >= 0) {
		(void)close((int)fd);
		check_value(c, VERDICT_OK, "works, features 0x%x", p.features);
		return;
	}
	check_value(c, errno == ENOSYS ? VERDICT_ABSENT : VERDICT_WARN, "%s",
		    strerror(errno));
	check_advice(c, "disk I/O falls back to plain reads and writes; see "
			"kernel.io_uring_disabled and the container's filter");
}

const struct probe doctor_sandbox_probes[] = {
	{ "seccomp", probe_seccomp },
	{ "landlock", probe_landlock },
	{ "io-uring", probe_io_uring },
	{ NULL, NULL },
};
