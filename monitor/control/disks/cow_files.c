/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/disks/cow_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/control/base/new_file.h"
#include "monitor/control/base/unnamed_file.h"

enum exit_status cow_status_of(int err)
{
	return err == -ENOSPC || err == -EDQUOT || err == -EFBIG ? ST_NO_SPACE
								 : ST_DISK;
}

static int fail_errno(const struct disk_name *n, int err, struct diag *d)
{
	return disk_fail(n, cow_status_of(err), -err, strerror(-err), d);
}

static void cow_files_set_io(struct cow_pair *p)
{
	io_fd_init(&p->io, p->base, p->cow);
}

void cow_pair_close(struct cow_pair *p)
{
	if (p->base >= 0)
		(void)close(p->base);
	if (p->cow >= 0)
		(void)close(p->cow);
	p->base = p->cow = -1;
}

int cow_base_look(const struct disk_name *base, struct cow_pair *p,
		  struct diag *d)
{
	struct stat st;
	int err;

	cow_files_set_io(p);
	if (fstat(p->base, &st) < 0)
		return fail_errno(base, -errno, d);
	p->now.mtime_ns = 0;
	if (S_ISREG(st.st_mode))
		p->now.mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 +
				  st.st_mtim.tv_nsec;
	err = cow_base_content(&p->io.io, p->now.bytes, &p->now.content);
	return err ? fail_errno(base, err, d) : 0;
}

int cow_base_open(const struct disk_name *base, struct cow_pair *p,
		  struct diag *d)
{
	struct cow_layout l;
	int err = disk_path_open(base, &p->now.bytes, &p->base, d);

	if (err)
		return err;
	if (cow_layout_of(p->now.bytes, &l))
		return disk_fail(base, ST_DISK, EFBIG,
				 "too large to be a base: 16 TiB at most", d);
	return cow_base_look(base, p, d);
}

static int explain_open(const struct disk_name *cow, int err, struct diag *d)
{
	if (err == ENOENT)
		return disk_fail(cow, ST_DISK, err,
				 "no such copy-on-write file; make it by "
				 "'disco image create BASE FILE'",
				 d);
	return disk_fail(cow, ST_DISK, err, strerror(err), d);
}

int cow_file_open(const struct disk_name *cow, struct cow_pair *p,
		  struct diag *d)
{
	int flags = cow->read_only ? O_RDONLY : O_RDWR;
	const char *why = "";
	struct stat st;
	int err;

	p->cow = open(cow->path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (p->cow < 0)
		return explain_open(cow, errno, d);
	err = disk_lock(cow, p->cow, d);
	if (err)
		return err;
	if (fstat(p->cow, &st) < 0)
		return fail_errno(cow, -errno, d);
	if (!S_ISREG(st.st_mode))
		return disk_fail(cow, ST_COW_FILE, EBADMSG,
				 "not a copy-on-write file", d);
	p->cow_bytes = (uint64_t)st.st_size;
	err = disk_check_limit(cow, p->cow_bytes, d);
	if (err)
		return err;
	cow_files_set_io(p);
	err = cow_header_read(&p->io.io, p->cow_bytes, &p->header, &why);
	return err ? disk_fail(cow, ST_COW_FILE, -err, why, d) : 0;
}

static int cow_files_compare(const struct disk_name *cow,
			     const struct cow_pair *p, struct diag *d)
{
	const char *why = "";
	char text[160];
	int err;

	if (p->header.committing)
		return disk_fail(cow, ST_COW_BASE, EUCLEAN,
				 "a commit of it has not ended; give the same "
				 "'disco image commit' again",
				 d);
	err = cow_base_check(&p->header, &p->now, &why);
	if (!err)
		return 0;
	(void)snprintf(text, sizeof(text),
		       "%s; name the right base, or see 'disco image rebase'",
		       why);
	return disk_fail(cow, ST_COW_BASE, -err, text, d);
}

int cow_pair_open(const char *vm, const char *base, const char *cow,
		  unsigned flags, struct cow_pair *p, struct diag *d)
{
	const struct disk_name b = { .vm = vm,
				     .path = base,
				     .read_only =
					     !(flags & COW_PAIR_WRITE_BASE),
				     .raw = flags & COW_PAIR_RAW_BASE };
	const struct disk_name c = { .vm = vm,
				     .path = cow,
				     .read_only = flags & COW_PAIR_READ };
	int err;

	*p = COW_PAIR_NONE;
	err = cow_base_open(&b, p, d);
	if (err)
		return err;
	err = cow_file_open(&c, p, d);
	if (err || flags & COW_PAIR_ANY_BASE)
		return err;
	return cow_files_compare(&c, p, d);
}

/* A file without a name. Return: descriptor; -errno. */
static int open_unnamed(void)
{
	const char *dir = getenv("TMPDIR");
	char path[4096];
	int fd;

	if (!dir || !*dir)
		dir = "/var/tmp";
	fd = unnamed_file_open(dir, O_EXCL, 0600);
	if (fd != -EOPNOTSUPP)
		return fd;
	if (snprintf(path, sizeof(path), "%s/disco.XXXXXX", dir) >=
	    (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	(void)unlink(path);
	return fd;
}

/* Room for the bitmap is taken now: a full disk refuses blocks, not bits. */
static int cow_files_fill(struct cow_pair *p)
{
	struct cow_layout l;
	int err = cow_layout_of(p->now.bytes, &l);

	if (err)
		return err;
	cow_files_set_io(p);
	p->cow_bytes = l.file_bytes;
	p->header = (struct cow_header){ .base = p->now };
	if (ftruncate(p->cow, (off_t)l.file_bytes) < 0)
		return -errno;
	if (fallocate(p->cow, FALLOC_FL_KEEP_SIZE, COW_HEADER_BYTES,
		      (off_t)l.map_bytes) < 0 &&
	    errno != EOPNOTSUPP)
		return -errno;
	return cow_format(&p->io.io, &p->now);
}

static int make_named(const char *path, struct cow_pair *p)
{
	struct new_file f;
	int err = new_file_create(&f, path);

	p->cow = f.fd;
	if (!err)
		err = cow_files_fill(p);
	if (!err)
		err = new_file_publish(&f);
	if (!err)
		f.fd = -1; /* p->cow has it */
	new_file_close(&f);
	return err;
}

static int make_unnamed(struct cow_pair *p)
{
	int err, fd = open_unnamed();

	if (fd < 0)
		return fd;
	p->cow = fd;
	err = cow_files_fill(p);
	if (err)
		(void)close(fd);
	return err;
}

int cow_file_make(const char *vm, const char *path, struct cow_pair *p,
		  struct diag *d)
{
	const struct disk_name n = { .vm = vm,
				     .path = path ? path : "temporary file" };
	int err = path ? make_named(path, p) : make_unnamed(p);

	if (!err)
		return 0;
	p->cow = -1;
	return fail_errno(&n, err, d);
}
