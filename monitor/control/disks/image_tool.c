/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/disks/image_tool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/landlock.h>

#include "monitor/control/base/progress.h"

#define TOOL	     "qemu-img"
#define NOT_FOUND    127 /* exit status: execvp() found none */
#define NOT_CONFINED 126 /* exit status */
#define FS_READ	     LANDLOCK_ACCESS_FS_READ_FILE
#define FS_WRITE     LANDLOCK_ACCESS_FS_WRITE_FILE
/* All of ABI 1 but EXECUTE and READ_DIR, with which nothing is read. */
#define FS_HANDLED                                                             \
	(((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1) &                            \
	 ~(uint64_t)(LANDLOCK_ACCESS_FS_EXECUTE |                              \
		     LANDLOCK_ACCESS_FS_READ_DIR))

const char *image_tool_path(int fd, char buf[IMAGE_TOOL_PATH_MAX])
{
	(void)snprintf(buf, IMAGE_TOOL_PATH_MAX, "/proc/self/fd/%d", fd);
	return buf;
}

/* --- in the child --- */

struct tool_files {
	const int *reads;
	unsigned nr;
	int out, progress, said;
};

static int allow_file(int rules, int fd, uint64_t rights)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = rights,
						   .parent_fd = fd };

	return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH,
		       &rule, 0) < 0
		       ? -errno
		       : 0;
}

/* What is not there needs no rule. */
static int allow_path(int rules, const char *path, uint64_t rights)
{
	int err, fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return 0;
	err = allow_file(rules, fd, rights);
	(void)close(fd);
	return err;
}

static int allow_all(int rules, const struct tool_files *f)
{
	/* Programs, and the libraries that they load. */
	static const char *const system[] = {
		"/usr",		"/lib",	      "/lib32",	    "/lib64",
		"/opt",		"/nix/store", "/gnu/store", "/etc/ld.so.cache",
		"/dev/urandom",
	};
	int err = allow_file(rules, f->out, FS_READ | FS_WRITE);

	for (unsigned i = 0; i < f->nr && !err; i++)
		err = allow_file(rules, f->reads[i], FS_READ);
	for (size_t i = 0; i < ARRAY_SIZE(system) && !err; i++)
		err = allow_path(rules, system[i], FS_READ);
	if (!err)
		err = allow_path(rules, "/dev/null", FS_READ | FS_WRITE);
	return err;
}

/* A kernel without Landlock: the names were checked, and that is all. */
static int tool_confine(const struct tool_files *f)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = FS_HANDLED };
	int err, rules = (int)syscall(SYS_landlock_create_ruleset, &attr,
				      sizeof(attr), 0);

	if (rules < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
	err = allow_all(rules, f);
	if (!err && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		err = -errno;
	if (!err && syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		err = -errno;
	(void)close(rules);
	return err;
}

static int keep_open(int fd)
{
	return fcntl(fd, F_SETFD, 0) < 0 ? -errno : 0;
}

_Noreturn static void become_tool(char *const argv[],
				  const struct tool_files *f, pid_t parent)
{
	int err = keep_open(f->out);

	for (unsigned i = 0; i < f->nr && !err; i++)
		err = keep_open(f->reads[i]);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (err || getppid() != parent || dup2(f->progress, 1) < 0 ||
	    dup2(f->said, 2) < 0 || tool_confine(f))
		_exit(NOT_CONFINED);
	(void)execvp(argv[0], argv);
	_exit(NOT_FOUND);
}

/* --- its progress and its end --- */

/* "    (12.34/100%)\r": percent are between the bracket and the slash. */
static void show_percent(struct progress *p, const char *text)
{
	const char *open = strrchr(text, '(');

	if (open && strchr(open, '/'))
		progress_show(p, (uint64_t)(strtod(open + 1, NULL) * 100));
}

/* Until qemu-img closes its end. */
static void image_tool_follow(int fd)
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

/*
 * The first line that qemu-img has printed, without its own name and without
 * the tree of JSON that it calls the image by.
 */
static const char *first_line(int said, char *text, size_t size)
{
	static const char own[] = TOOL ": ", tree[] = "Could not open 'json:";
	ssize_t n = pread(said, text, size - 1, 0);
	const char *rest;

	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (strncmp(text, own, sizeof(own) - 1) == 0)
		text += sizeof(own) - 1;
	rest = strncmp(text, tree, sizeof(tree) - 1) == 0 ? strstr(text, "}': ")
							  : NULL;
	return rest ? rest + 4 : text;
}

static int tool_failed(const char *name, int said, int status, struct diag *d)
{
	char buf[8192];
	const char *text = first_line(said, buf, sizeof(buf));
	int err;

	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND)
		return diag_fail(d, ST_TOOL, ENOENT,
				 TOOL " is missing; install it (Debian: "
				      "apt-get install qemu-utils)");
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_CONFINED)
		return diag_fail(d, ST_TOOL, EIO,
				 TOOL " cannot be confined to its files");
	if (WIFSIGNALED(status))
		return diag_fail(d, ST_TOOL, EIO, TOOL " was ended by: %s",
				 strsignal(WTERMSIG(status)));
	/* So that a limit of ours is named. */
	err = strstr(text, "File too large") ? EFBIG : EIO;
	return diag_fail(d, ST_TOOL, err, TOOL ": %.200s: %.200s", name,
			 *text ? text : "failed without a word");
}

static int image_tool_run(char *const argv[], struct tool_files *f, int *status)
{
	pid_t pid, parent = getpid();
	int ends[2], err = 0;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	f->progress = ends[1];
	pid = fork();
	if (pid == 0)
		become_tool(argv, f, parent);
	if (pid < 0)
		err = -errno;
	(void)close(ends[1]);
	if (!err) {
		image_tool_follow(ends[0]);
		while (waitpid(pid, status, 0) < 0 && errno == EINTR)
			;
	}
	(void)close(ends[0]);
	return err;
}

int image_tool_convert(const char *name, const char *source, const int *reads,
		       unsigned nr, int out, struct diag *d)
{
	char tool[] = TOOL, sub[] = "convert", show[] = "-p", to[] = "-O",
	     raw[] = "raw", target[IMAGE_TOOL_PATH_MAX];
	char *src = strdup(source);
	char *const argv[] = { tool, sub, show, to, raw, src, target, NULL };
	struct tool_files f = { .reads = reads, .nr = nr, .out = out };
	int err = -ENOMEM, status = -1;

	(void)image_tool_path(out, target);
	f.said = memfd_create(TOOL, MFD_CLOEXEC);
	if (f.said < 0)
		err = -errno;
	else if (src)
		err = image_tool_run(argv, &f, &status);
	if (err)
		err = diag_fail(d, ST_TOOL, -err, TOOL ": %s", strerror(-err));
	else if (status)
		err = tool_failed(name, f.said, status, d);
	if (f.said >= 0)
		(void)close(f.said);
	free(src);
	return err;
}
