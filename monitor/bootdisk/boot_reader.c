/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/bootdisk/boot_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/ipc/text_clean.h"
#include "monitor/sandbox/confined.h"

#define READ_MAX   GIB(4) /* of the disk, in all */
#define MEMORY_MAX MIB(512)
#define CPU_MAX_S  25u

/* The child's descriptors. */
enum {
	CHILD_REPLY,
	CHILD_KERNEL,
	CHILD_INITRD,
	CHILD_BASE,
	CHILD_COW,
	CHILD_FDS
};

struct boot_reply {
	struct diag d; /* status ST_OK: @found is valid */
	struct boot_found found;
};

/* --- the child --- */

struct fd_sink {
	struct boot_sink sink;
	int fd;
};

static int fd_sink_put(struct boot_sink *s, const void *data, size_t bytes)
{
	const struct fd_sink *f = container_of(s, struct fd_sink, sink);

	return confined_write(f->fd, data, bytes);
}

static int child_read(const struct disk_volume_files *files, bool copy,
		      struct boot_reply *r)
{
	struct fd_sink kernel = { { fd_sink_put }, CHILD_KERNEL };
	struct fd_sink initrd = { { fd_sink_put }, CHILD_INITRD };
	const struct disk_volume_files mine = {
		.base = CHILD_BASE,
		.cow = files->cow < 0 ? -1 : CHILD_COW,
		.bytes = files->bytes,
		.cow_bytes = files->cow_bytes,
	};
	struct boot_disk *disk = NULL;
	struct disk_volume v;
	const char *why = "";
	int err = disk_volume_open(&mine, READ_MAX, &v, &why);

	if (err)
		return diag_fail(&r->d, ST_COW_FILE, -err, "%s", why);
	err = boot_disk_open(&v.v, &disk, &r->d);
	if (!err)
		err = boot_disk_find(disk, &r->found, &r->d);
	if (!err && copy)
		err = boot_disk_copy(disk, &r->found, &kernel.sink,
				     &initrd.sink, &r->d);
	boot_disk_close(disk);
	disk_volume_close(&v);
	return err;
}

_Noreturn static void child_run(const struct disk_volume_files *files,
				bool copy, int fds[CHILD_FDS])
{
	const struct confined_limits limits = { .memory_bytes = MEMORY_MAX,
						.file_bytes = BOOT_INITRD_MAX,
						.cpu_s = CPU_MAX_S };
	struct boot_reply r = { .d.status = ST_OK };
	int err = confined_enter(fds, CHILD_FDS, &limits);

	if (err)
		(void)diag_fail(&r.d, ST_HOST, -err,
				"its reader cannot be confined: %s",
				strerror(-err));
	else
		(void)child_read(files, copy, &r);
	err = confined_write(CHILD_REPLY, &r, sizeof(r));
	_exit(err ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* --- its reply --- */

static bool reply_ends(const char *text, size_t size)
{
	return memchr(text, '\0', size);
}

/* Control characters could end a line, or do things to a terminal. */
static bool is_line(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static bool reply_is_valid(const struct boot_found *f)
{
	const struct boot_item *item = &f->item;

	if (f->kind > BOOT_FROM_LINKS || item->nr_initrds > BOOT_MAX_INITRDS ||
	    f->kernel_bytes > BOOT_KERNEL_MAX ||
	    f->initrd_bytes > BOOT_INITRD_MAX ||
	    !reply_ends(f->entry, sizeof(f->entry)) ||
	    !reply_ends(f->fs_uuid, sizeof(f->fs_uuid)) ||
	    !reply_ends(item->title, sizeof(item->title)) ||
	    !reply_ends(item->device, sizeof(item->device)) ||
	    !reply_ends(item->kernel, sizeof(item->kernel)) ||
	    !reply_ends(item->cmdline, sizeof(item->cmdline)))
		return false;
	for (unsigned i = 0; i < item->nr_initrds; i++)
		if (!reply_ends(item->initrds[i], BOOT_PATH_MAX))
			return false;
	return is_line(item->cmdline);
}

/* The guest gets the command line as it is; the rest is for people. */
static void reply_clean(struct boot_found *f)
{
	struct boot_item *item = &f->item;

	text_clean(f->entry, sizeof(f->entry));
	text_clean(f->fs_uuid, sizeof(f->fs_uuid));
	text_clean(item->title, sizeof(item->title));
	text_clean(item->device, sizeof(item->device));
	text_clean(item->kernel, sizeof(item->kernel));
	for (unsigned i = 0; i < item->nr_initrds; i++)
		text_clean(item->initrds[i], BOOT_PATH_MAX);
}

static int reply_fail(struct boot_reply *r, struct diag *d)
{
	enum exit_status s = r->d.status;

	text_clean(r->d.text, sizeof(r->d.text));
	if (s != ST_DISK && s != ST_HOST && s != ST_COW_FILE &&
	    s != ST_INTERNAL)
		s = ST_BOOT;
	return diag_fail(d, s, EINVAL, "%s", r->d.text);
}

static int reply_take(struct boot_reply *r, struct boot_found *out,
		      struct diag *d)
{
	if (r->d.status != ST_OK)
		return reply_fail(r, d);
	if (!reply_is_valid(&r->found))
		return diag_fail(d, ST_BOOT, EBADMSG,
				 "its boot entry has characters that no "
				 "command line has; give --kernel");
	reply_clean(&r->found);
	*out = r->found;
	return 0;
}

/* --- the parent --- */

/* Return: bytes read; fewer than it has: the child has ended, or is late. */
static size_t reader_receive(int fd, struct boot_reply *r)
{
	uint64_t end = clock_now_ns() + BOOT_READER_LIMIT_NS;
	size_t have = 0;

	while (have < sizeof(*r)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t now = clock_now_ns();
		ssize_t n;

		if (now >= end)
			break;
		if (poll(&p, 1, (int)((end - now) / 1000000 + 1)) <= 0)
			continue;
		n = read(fd, (char *)r + have, sizeof(*r) - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	return have;
}

static int reader_died(int status, struct diag *d)
{
	int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	if (sig == SIGXCPU || sig == SIGKILL)
		return diag_fail(d, ST_BOOT, ETIME,
				 "reading its boot files takes too long; give "
				 "--kernel");
	return diag_fail(d, ST_BOOT, EIO,
			 "the reader of its boot files was ended by: %s; give "
			 "--kernel",
			 sig ? strsignal(sig) : "itself");
}

static int reader_wait(pid_t pid, int fd, struct boot_found *out,
		       struct diag *d)
{
	struct boot_reply r;
	bool whole = reader_receive(fd, &r) == sizeof(r);
	int status = 0;

	/* Whatever it still does, it is of no use. */
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return whole ? reply_take(&r, out, d) : reader_died(status, d);
}

/* A worker's descriptors can be written to; the child's cannot. */
static int reader_reopen(int fd)
{
	char path[32];

	if (fd < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

int boot_reader_run(const struct disk_volume_files *files,
		    const struct boot_files_out *to, struct boot_found *out,
		    struct diag *d)
{
	int base = reader_reopen(files->base), cow = reader_reopen(files->cow);
	int fds[CHILD_FDS] = {
		[CHILD_KERNEL] = to ? to->kernel : -1,
		[CHILD_INITRD] = to ? to->initrd : -1,
		[CHILD_BASE] = base,
		[CHILD_COW] = cow,
	};
	int ends[2] = { -1, -1 }, err = 0;
	pid_t pid = -1;

	if (base < 0 || (files->cow >= 0 && cow < 0) ||
	    pipe2(ends, O_CLOEXEC) < 0)
		err = -errno;
	fds[CHILD_REPLY] = ends[1];
	if (!err)
		pid = fork();
	if (pid == 0)
		child_run(files, to, fds);
	if (!err && pid < 0)
		err = -errno;
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (i != CHILD_KERNEL && i != CHILD_INITRD && fds[i] >= 0)
			(void)close(fds[i]);
	err = err ? diag_fail(d, ST_HOST, -err, "cannot start its reader: %s",
			      strerror(-err))
		  : reader_wait(pid, ends[0], out, d);
	if (ends[0] >= 0)
		(void)close(ends[0]);
	return err;
}
