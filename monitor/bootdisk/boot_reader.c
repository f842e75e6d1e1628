/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/bootdisk/boot_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "monitor/bootdisk/confined_child.h"
#include "monitor/ipc/text_clean.h"

#define READ_MAX   GIB(4) /* of the disk, in all */
#define MEMORY_MAX MIB(512)
#define CPU_MAX_S  60u

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

struct reader_job {
	const struct disk_volume_files *files;
	bool copy;
};

static void reader_work(void *arg, void *reply)
{
	const struct reader_job *job = arg;

	(void)child_read(job->files, job->copy, reply);
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
	struct reader_job mine = { .files = files, .copy = to };
	const int fds[CHILD_FDS - 1] = {
		[CHILD_KERNEL - 1] = to ? to->kernel : -1,
		[CHILD_INITRD - 1] = to ? to->initrd : -1,
		[CHILD_BASE - 1] = reader_reopen(files->base),
		[CHILD_COW - 1] = reader_reopen(files->cow),
	};
	const struct confined_job job = {
		.limits = { .memory_bytes = MEMORY_MAX,
			    .file_bytes = BOOT_INITRD_MAX,
			    .cpu_s = CPU_MAX_S },
		.limit_ns = BOOT_READER_LIMIT_NS,
		.work = reader_work,
		.arg = &mine,
		.fds = fds,
		.nr_fds = ARRAY_SIZE(fds),
		.what = "its boot files",
	};
	int base = fds[CHILD_BASE - 1], cow = fds[CHILD_COW - 1], err;
	struct boot_reply r;

	memset(&r, 0, sizeof(r));
	if (base < 0 || (files->cow >= 0 && cow < 0))
		err = diag_fail(d, ST_HOST, EIO,
				"cannot be opened by the "
				"reader of its boot files");
	else
		err = confined_child_run(&job, &r, sizeof(r), d);
	if (base >= 0)
		(void)close(base);
	if (cow >= 0)
		(void)close(cow);
	return err ? err : reply_take(&r, out, d);
}
