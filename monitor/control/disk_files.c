/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/disk_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fs.h>

#define SECTOR_BYTES 512u

struct disk_file {
	const struct disk_config *cfg;
	const char *vm;
	struct diag *d;
};

static int fail(const struct disk_file *f, int err, const char *text)
{
	return diag_fail(f->d, ST_DISK, err, "%s: disk %.200s: %s", f->vm,
			 f->cfg->path, text);
}

static int fail_open(const struct disk_file *f, int err)
{
	if (err == EISDIR)
		return fail(f, err,
			    "is a directory; give a raw image file or a block "
			    "device");
	if ((err == EACCES || err == EROFS || err == EPERM) &&
	    !f->cfg->read_only)
		return fail(f, err,
			    "not writable; add ',ro' or change its rights");
	return fail(f, err, strerror(err));
}

/* O_NONBLOCK: a FIFO must not make us wait for its other end. */
static int open_path(const struct disk_file *f)
{
	int flags = (f->cfg->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC;
	int fd = open(f->cfg->path, flags | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return fail_open(f, errno);
	if (fcntl(fd, F_SETFL, flags & ~O_CLOEXEC) == 0)
		return fd;
	(void)close(fd);
	return fail(f, EIO, "cannot set its flags");
}

static int size_of(const struct disk_file *f, int fd, uint64_t *bytes)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail(f, errno, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return fail_open(f, EISDIR);
	if (S_ISBLK(st.st_mode)) {
		if (ioctl(fd, BLKGETSIZE64, bytes) < 0)
			return fail(f, errno, strerror(errno));
	} else if (S_ISREG(st.st_mode)) {
		*bytes = (uint64_t)st.st_size;
	} else {
		return fail(f, EINVAL,
			    "is neither a regular file nor a block device");
	}
	if (*bytes == 0)
		return fail(f, EINVAL, "is empty");
	if (*bytes % SECTOR_BYTES)
		return fail(f, EINVAL,
			    "its size is not a multiple of 512 bytes; a raw "
			    "image is expected");
	return 0;
}

static int lock(const struct disk_file *f, int fd)
{
	struct flock fl = { .l_type = f->cfg->read_only ? F_RDLCK : F_WRLCK,
			    .l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_SETLK, &fl) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return fail(
			f, EBUSY,
			f->cfg->read_only
				? "in use: another program writes to it"
				: "in use by another program or guest; stop "
				  "it, or add ',ro' to every user");
	return fail(f, errno, strerror(errno));
}

static void describe(const struct disk_config *disk, unsigned nr,
		     uint64_t bytes, struct worker_disk *out)
{
	memset(out, 0, sizeof(*out));
	out->bytes = bytes;
	out->read_only = disk->read_only;
	if (disk->serial)
		memcpy(out->serial, disk->serial,
		       strnlen(disk->serial, DISK_SERIAL_MAX));
	else
		(void)snprintf(out->serial, sizeof(out->serial), "disk%u", nr);
}

int disk_file_open(const struct disk_config *disk, const char *vm, unsigned nr,
		   struct worker_disk *out, int *fd, struct diag *d)
{
	const struct disk_file f = { .cfg = disk, .vm = vm, .d = d };
	uint64_t bytes = 0;
	int err, file = open_path(&f);

	if (file < 0)
		return file;
	err = size_of(&f, file, &bytes);
	if (!err)
		err = lock(&f, file);
	if (err) {
		(void)close(file);
		return err;
	}
	describe(disk, nr, bytes, out);
	*fd = file;
	return 0;
}
