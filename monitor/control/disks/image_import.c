/* SPDX-License-Identifier: BSD-2-Clause */
/* disco image import: qemu-img converts, we show how far it is. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/control/disks/image.h"
#include "monitor/control/base/progress.h"

/* "    (12.34/100%)\r": percent are between the bracket and the slash. */
static void show_percent(struct progress *p, const char *text)
{
	const char *open = strrchr(text, '(');

	if (open && strchr(open, '/'))
		progress_show(p, (uint64_t)(strtod(open + 1, NULL) * 100));
}

/* Until qemu-img closes its end. */
static void image_import_follow(int fd)
{
	struct progress p;
	char buf[256];
	ssize_t n;

	progress_start(&p, "import", 10000);
	while ((n = read(fd, buf, sizeof(buf) - 1)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		buf[n] = '\0';
		show_percent(&p, buf);
	}
	progress_end(&p);
}

static int image_import_start(char *const argv[], int out, int err_out,
			      pid_t *pid)
{
	posix_spawn_file_actions_t fa;
	int err = posix_spawn_file_actions_init(&fa);

	if (err)
		return -err;
	err = posix_spawn_file_actions_adddup2(&fa, out, STDOUT_FILENO);
	if (err)
		goto destroy;
	err = posix_spawn_file_actions_adddup2(&fa, err_out, STDERR_FILENO);
	if (err)
		goto destroy;
	err = posix_spawnp(pid, argv[0], &fa, NULL, argv, environ);
destroy:
	(void)posix_spawn_file_actions_destroy(&fa);
	return -err;
}

/* What qemu-img had to say: its first line. */
static int tool_failed(int said, struct diag *d)
{
	char text[300];
	ssize_t n = pread(said, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return diag_fail(d, ST_TOOL, EIO, "%s",
			 *text ? text : "qemu-img failed");
}

/* @argv: of qemu-img. @status: out, how it ended. Return: 0; -errno. */
static int image_import_run(char *const argv[], int said, int *status)
{
	int ends[2], err;
	pid_t pid = 0;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	err = image_import_start(argv, ends[1], said, &pid);
	(void)close(ends[1]);
	if (!err) {
		image_import_follow(ends[0]);
		while (waitpid(pid, status, 0) < 0 && errno == EINTR)
			;
	}
	(void)close(ends[0]);
	return err;
}

static int image_import_convert(const struct command_args *a, struct diag *d)
{
	char tool[] = "qemu-img", sub[] = "convert", show[] = "-p", to[] = "-O",
	     raw[] = "raw", end[] = "--";
	char *src = strdup(a->words[0]), *dst = strdup(a->words[1]);
	char *const argv[] = { tool, sub, show, to, raw, end, src, dst, NULL };
	int said = memfd_create("qemu-img", MFD_CLOEXEC);
	int err, status = -1;

	if (said < 0)
		err = -errno;
	else if (!src || !dst)
		err = -ENOMEM;
	else
		err = image_import_run(argv, said, &status);
	if (err == -ENOENT)
		err = diag_fail(d, ST_TOOL, ENOENT,
				"qemu-img is missing; install it (Debian: "
				"apt-get install qemu-utils)");
	else if (err)
		err = diag_fail(d, ST_TOOL, -err, "qemu-img: %s",
				strerror(-err));
	else if (status)
		err = tool_failed(said, d);
	if (said >= 0)
		(void)close(said);
	free(src);
	free(dst);
	return err;
}

int image_import(const struct command_args *a, struct diag *d)
{
	int fd, err;

	if (access(a->words[0], R_OK) < 0)
		return diag_fail(d, ST_DISK, errno, "%.200s: %s", a->words[0],
				 strerror(errno));
	/* Ours from the start: nothing that exists is overwritten. */
	fd = open(a->words[1], O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
	if (fd < 0)
		return diag_fail(d, ST_DISK, errno, "%.200s: %s", a->words[1],
				 strerror(errno));
	err = image_import_convert(a, d);
	if (!err && fsync(fd) < 0)
		err = diag_fail(d, ST_DISK, errno, "%.200s: %s", a->words[1],
				strerror(errno));
	(void)close(fd);
	if (err)
		(void)unlink(a->words[1]);
	return err;
}
