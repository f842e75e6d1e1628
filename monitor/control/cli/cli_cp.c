/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disco cp: a file from a guest or into one, by a command in the guest whose
 * output or input is the file (guest_run.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/control/base/new_file.h"
#include "monitor/control/base/progress.h"
#include "monitor/control/base/state_dir.h"
#include "monitor/control/cli/cli.h"
#include "monitor/control/cli/guest_run.h"
#include "monitor/ipc/fds.h"
#include "monitor/ipc/text_clean.h"

enum { CP_WAIT };

static const struct option_entry cp_options[] = {
	[CP_WAIT] = { .name = "wait",
		      .arg = "SECONDS",
		      .help = "wait for a guest agent that is not there yet, "
			      "while the guest boots" },
	{ .name = NULL },
};

/* Into the guest: $1 the path, $2 the name in a directory, $3 a mode or "". */
static const char put_script[] =
	"p=$1; if [ -d \"$p\" ]; then p=$p/$2; fi\n"
	"cat >\"$p\" || exit\n"
	"if [ -n \"$3\" ]; then chmod \"$3\" \"$p\" || exit; fi\n"
	"if [ -f \"$p\" ]; then wc -c <\"$p\"; fi\n";

/* From the guest: its size in a line, then its bytes. */
static const char get_script[] =
	"if [ -d \"$1\" ]; then echo \"$1: is a directory\" >&2; exit 1; fi\n"
	"stat -L -c %s -- \"$1\" || exit\n"
	"exec cat -- \"$1\"\n";

#define CP_TEXT 512u

struct cp {
	const char *vm, *inside; /* the path in the guest */
	const char *outside;	 /* the path here; "-": standard streams */
	struct progress progress;
	uint64_t done, total; /* bytes; total 0: not known */
	char first[32];	      /* line of output: a size */
	size_t first_len;
	bool has_first;
	char why[CP_TEXT]; /* what was written to errors */
	size_t why_len;
	/* From the guest. */
	int fd;
	char *path, *temp; /* owned; temp NULL: @fd is the file itself */
};

static void cp_keep_why(struct cp *c, const char *bytes, size_t n)
{
	n = min_u64(n, sizeof(c->why) - 1 - c->why_len);
	memcpy(c->why + c->why_len, bytes, n);
	c->why_len += n;
}

/* The first line of output. Return: number of bytes that belong to it. */
static size_t cp_take_first(struct cp *c, const char *bytes, size_t n)
{
	size_t at = 0;

	while (at < n && !c->has_first) {
		char b = bytes[at++];

		c->has_first = b == '\n';
		if (c->first_len < sizeof(c->first) - 1 && b != '\n')
			c->first[c->first_len++] = b;
	}
	return at;
}

/* --- into the guest --- */

static int cp_put_got(void *arg, enum guest_stream from, const void *bytes,
		      size_t n)
{
	struct cp *c = arg;

	if (from == GUEST_ERR)
		cp_keep_why(c, bytes, n);
	else
		(void)cp_take_first(c, bytes, n);
	return 0;
}

static void cp_put_sent(void *arg, size_t n)
{
	struct cp *c = arg;

	c->done += n;
	if (c->total)
		progress_show(&c->progress, c->done);
}

static int cp_open_source(struct cp *c, char mode[8], struct diag *d)
{
	struct stat st;

	c->fd = strcmp(c->outside, "-") == 0
			? dup(STDIN_FILENO)
			: open(c->outside, O_RDONLY | O_CLOEXEC);
	if (c->fd < 0 || fstat(c->fd, &st) < 0)
		return diag_fail(d, ST_FILE, errno, "%.300s: %s", c->outside,
				 strerror(errno));
	if (S_ISDIR(st.st_mode))
		return diag_fail(d, ST_FILE, EISDIR,
				 "%.300s: is a directory; 'tar c DIR | disco "
				 "exec VM -- tar x' copies one",
				 c->outside);
	mode[0] = '\0';
	if (S_ISREG(st.st_mode)) {
		c->total = (uint64_t)st.st_size;
		(void)snprintf(mode, 8, "%04o", st.st_mode & 0777u);
	}
	return 0;
}

static int cp_check(struct cp *c, int status, struct diag *d)
{
	if (status == 0)
		return 0;
	c->why[strcspn(c->why, "\n")] = '\0';
	text_clean(c->why, sizeof(c->why));
	return diag_fail(d, ST_FILE, EREMOTEIO, "%s: %.300s", c->vm,
			 c->why[0] ? c->why : "the copy in the guest failed");
}

static int cp_put(struct cp *c, struct agent_link *l, struct diag *d)
{
	char sh[] = "/bin/sh", opt[] = "-c", mode[8] = "", *name;
	char *words[] = { sh,
			  opt,
			  (char *)(uintptr_t)put_script,
			  sh,
			  (char *)(uintptr_t)c->inside,
			  NULL,
			  mode };
	struct guest_run r = { .words = words,
			       .nr_words = ARRAY_SIZE(words),
			       .got = cp_put_got,
			       .sent = cp_put_sent,
			       .arg = c };
	int status = 0, err = cp_open_source(c, mode, d);

	name = strdup(c->outside);
	if (!err && !name)
		err = diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	if (!err) {
		words[5] = basename(name);
		r.in = c->fd;
		progress_start(&c->progress, c->outside, c->total);
		err = guest_run(l, &r, &status, d);
		progress_end(&c->progress);
	}
	free(name);
	if (!err)
		err = cp_check(c, status, d);
	/* A regular file has to be as long as what was sent. */
	if (!err && c->first_len && strtoull(c->first, NULL, 10) != c->done)
		err = diag_fail(d, ST_FILE, EIO,
				"%s:%.200s: %.31s bytes arrived of %llu", c->vm,
				c->inside, c->first,
				(unsigned long long)c->done);
	return err;
}

/* --- from the guest --- */

static int cp_open_target(struct cp *c)
{
	struct stat st;
	int err;

	if (!c->path) {
		c->fd = dup(STDOUT_FILENO);
		return c->fd < 0 ? -errno : 0;
	}
	if (stat(c->path, &st) == 0 && !S_ISREG(st.st_mode)) {
		c->fd = open(c->path, O_WRONLY | O_CLOEXEC);
		return c->fd < 0 ? -errno : 0;
	}
	c->fd = new_file_temp(c->path, &c->temp);
	if (c->fd < 0)
		return c->fd;
	new_file_guard(c->temp);
	err = new_file_share(c->fd);
	return err < 0 ? err : 0;
}

static int cp_write(struct cp *c, const char *bytes, size_t n)
{
	int err = fds_write(c->fd, bytes, n);

	if (err)
		return err;
	c->done += n;
	if (c->total)
		progress_show(&c->progress, c->done);
	return 0;
}

static int cp_get_got(void *arg, enum guest_stream from, const void *bytes,
		      size_t n)
{
	struct cp *c = arg;
	size_t used = 0;
	int err;

	if (from == GUEST_ERR) {
		cp_keep_why(c, bytes, n);
		return 0;
	}
	if (!c->has_first) {
		used = cp_take_first(c, bytes, n);
		if (!c->has_first)
			return 0;
		c->total = strtoull(c->first, NULL, 10);
		progress_start(&c->progress, c->inside, c->total);
		err = cp_open_target(c);
		if (err)
			return err;
	}
	return cp_write(c, (const char *)bytes + used, n - used);
}

/* A directory here gets a file of the same name. */
static int cp_name_target(struct cp *c)
{
	struct stat st;
	char *name;
	int n = -1;

	if (strcmp(c->outside, "-") == 0)
		return 0;
	name = strdup(c->inside);
	if (name && stat(c->outside, &st) == 0 && S_ISDIR(st.st_mode))
		n = asprintf(&c->path, "%s/%s", c->outside, basename(name));
	else if (name)
		n = asprintf(&c->path, "%s", c->outside);
	free(name);
	if (n >= 0)
		return 0;
	c->path = NULL;
	return -ENOMEM;
}

static int cp_publish(struct cp *c, struct diag *d)
{
	if (!c->has_first)
		return diag_fail(d, ST_FILE, EIO, "%s:%.300s: nothing came",
				 c->vm, c->inside);
	if (c->done < c->total)
		return diag_fail(d, ST_FILE, EIO,
				 "%s:%.300s: %llu bytes came of %llu", c->vm,
				 c->inside, (unsigned long long)c->done,
				 (unsigned long long)c->total);
	if (!c->temp)
		return 0;
	if (rename(c->temp, c->path) < 0)
		return diag_fail(d, ST_FILE, errno, "%.300s: %s", c->path,
				 strerror(errno));
	new_file_guard(NULL);
	free(c->temp);
	c->temp = NULL;
	return 0;
}

static int cp_get(struct cp *c, struct agent_link *l, struct diag *d)
{
	char sh[] = "/bin/sh", opt[] = "-c";
	char *words[] = { sh, opt, (char *)(uintptr_t)get_script, sh,
			  (char *)(uintptr_t)c->inside };
	const struct guest_run r = { .words = words,
				     .nr_words = ARRAY_SIZE(words),
				     .in = -1,
				     .got = cp_get_got,
				     .arg = c };
	int status = 0, err = cp_name_target(c);

	if (!err)
		err = guest_run(l, &r, &status, d);
	progress_end(&c->progress);
	if (err)
		return diag_fail(d, ST_FILE, -err, "%.300s: %s", c->outside,
				 strerror(-err));
	err = cp_check(c, status, d);
	return err ? err : cp_publish(c, d);
}

/* --- both --- */

/* Return: the path after "VM:", with @vm filled; NULL: it is a path here. */
static const char *cp_split(const char *word, char vm[VM_NAME_MAX + 1])
{
	size_t n = strcspn(word, ":/");

	if (word[n] != ':' || n > VM_NAME_MAX)
		return NULL;
	memcpy(vm, word, n);
	vm[n] = '\0';
	return vm_name_valid(vm) ? word + n + 1 : NULL;
}

static int cp_parse(const struct command_args *a, struct cp *c,
		    char vm[VM_NAME_MAX + 1], bool *get, struct diag *d)
{
	char other[VM_NAME_MAX + 1];
	const char *from = cp_split(a->words[0], vm), *to;

	to = cp_split(a->words[1], from ? other : vm);
	if (!from == !to)
		return diag_fail(d, ST_USAGE, EINVAL,
				 "one of the two has to be VM:PATH, and the "
				 "other a path here ('./a:b' for one with a "
				 "colon)");
	*get = from != NULL;
	c->vm = vm;
	c->inside = from ? from : to;
	c->outside = a->words[from ? 1 : 0];
	if (!*c->inside || !*c->outside)
		return diag_fail(d, ST_USAGE, EINVAL, "a path is empty");
	return 0;
}

static int cli_cp_run(const struct command_args *a, struct diag *d)
{
	struct agent_link l = AGENT_LINK_NONE;
	struct cp c = { .inside = "", .outside = "", .fd = -1 };
	char vm[VM_NAME_MAX + 1];
	double wait = 0;
	bool get = false;
	int err = cp_parse(a, &c, vm, &get, d);

	if (!err && a->given[CP_WAIT])
		err = cli_number(a->value[CP_WAIT], 0, &wait, d);
	if (!err)
		err = agent_link_open(&l, vm, wait, d);
	if (!err)
		err = get ? cp_get(&c, &l, d) : cp_put(&c, &l, d);
	agent_link_close(&l);
	fds_drop(&c.fd);
	if (c.temp)
		(void)unlink(c.temp);
	new_file_guard(NULL);
	free(c.temp);
	free(c.path);
	return err;
}

const struct command cli_cp = {
	.name = "cp",
	.brief = "copy a file from a VM or into it, by its guest agent",
	.words = "FROM TO",
	.help = "Copy a file of any size. One of FROM and TO is VM:PATH, the "
		"other a path here, or '-' for standard input or output. A "
		"directory gets a file of the same name. A file in the guest "
		"gets the mode of the file here.",
	.min_words = 2,
	.max_words = 2,
	.options = { cp_options },
	.run = cli_cp_run,
};
