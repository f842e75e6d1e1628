/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/disks/disk_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <linux/fs.h>

#include "disco/clock.h"
#include "monitor/control/disks/cow_files.h"

#define SECTOR_BYTES  512u
#define LOCK_WAIT_NS  2000000000ull
#define LOCK_RETRY_NS 10000000

int disk_fail(const struct disk_name *n, enum exit_status status, int err,
	      const char *text, struct diag *d)
{
	if (!n->vm)
		return diag_fail(d, status, err, "%.200s: %s", n->path, text);
	return diag_fail(d, status, err, "%s: disk %.200s: %s", n->vm, n->path,
			 text);
}

static int disk_files_fail(const struct disk_name *n, int err, const char *text,
			   struct diag *d)
{
	return disk_fail(n, ST_DISK, err, text, d);
}

static int disk_files_fail_open(const struct disk_name *n, int err,
				struct diag *d)
{
	if (err == EISDIR)
		return disk_files_fail(
			n, err,
			"is a directory; give a raw image file or a block "
			"device",
			d);
	if ((err == EACCES || err == EROFS || err == EPERM) && !n->read_only)
		return disk_files_fail(
			n, err,
			n->vm ? "not writable; add ',ro' or change its "
				"rights"
			      : "not writable; change its rights",
			d);
	return disk_files_fail(n, err, strerror(err), d);
}

/* O_NONBLOCK: a FIFO must not make us wait for its other end. */
static int open_path(const struct disk_name *n, struct diag *d)
{
	int flags = (n->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC;
	int fd = open(n->path, flags | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return disk_files_fail_open(n, errno, d);
	if (fcntl(fd, F_SETFL, flags & ~O_CLOEXEC) == 0)
		return fd;
	(void)close(fd);
	return disk_files_fail(n, EIO, "cannot set its flags", d);
}

static int size_of(const struct disk_name *n, int fd, uint64_t *bytes,
		   struct diag *d)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return disk_files_fail(n, errno, strerror(errno), d);
	if (S_ISDIR(st.st_mode))
		return disk_files_fail_open(n, EISDIR, d);
	if (S_ISBLK(st.st_mode)) {
		if (ioctl(fd, BLKGETSIZE64, bytes) < 0)
			return disk_files_fail(n, errno, strerror(errno), d);
	} else if (S_ISREG(st.st_mode)) {
		*bytes = (uint64_t)st.st_size;
	} else {
		return disk_files_fail(
			n, EINVAL,
			"is neither a regular file nor a block device", d);
	}
	if (*bytes == 0)
		return disk_files_fail(n, EINVAL, "is empty", d);
	if (*bytes % SECTOR_BYTES)
		return disk_files_fail(
			n, EINVAL,
			"its size is not a multiple of 512 bytes; a raw "
			"image is expected",
			d);
	return 0;
}

/* Return: 0; -EBUSY; -errno. */
static int lock_within(int fd, short type, uint64_t wait_ns)
{
	const struct timespec pause = { .tv_nsec = LOCK_RETRY_NS };
	struct flock fl = { .l_type = type, .l_whence = SEEK_SET };
	uint64_t end = clock_now_ns() + wait_ns;

	while (fcntl(fd, F_OFD_SETLK, &fl) < 0) {
		if (errno != EAGAIN && errno != EACCES)
			return -errno;
		if (clock_now_ns() >= end)
			return -EBUSY;
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

/*
 * An image command waits: the kernel closes the files of a worker's ring, so
 * gives up their locks, a moment after the worker has ended.
 */
int disk_lock(const struct disk_name *n, int fd, struct diag *d)
{
	int err = lock_within(fd, n->read_only ? F_RDLCK : F_WRLCK,
			      n->vm ? 0 : LOCK_WAIT_NS);

	if (err != -EBUSY)
		return err ? disk_files_fail(n, -err, strerror(-err), d) : 0;
	if (!n->vm)
		return disk_files_fail(n, EBUSY,
				       "in use by another program or guest", d);
	return disk_files_fail(
		n, EBUSY,
		n->read_only ? "in use: another program writes to it"
			     : "in use by another program or guest; stop "
			       "it, or add ',ro' to every user",
		d);
}

int disk_path_open(const struct disk_name *n, uint64_t *bytes, int *fd,
		   struct diag *d)
{
	uint64_t size = 0;
	int err, file = open_path(n, d);

	if (file < 0)
		return file;
	err = disk_lock(n, file, d);
	if (!err) /* not before: who had it may have changed it */
		err = size_of(n, file, &size, d);
	if (err) {
		(void)close(file);
		return err;
	}
	*bytes = size;
	*fd = file;
	return 0;
}

static void disk_files_describe(const struct disk_config *disk, unsigned nr,
				uint64_t bytes, struct worker_disk *out)
{
	memset(out, 0, sizeof(*out));
	out->bytes = bytes;
	out->read_only = disk->read_only;
	out->pmem = disk->pmem;
	out->queues = disk->queues;
	out->iops = disk->iops;
	out->bps = disk->bps;
	if (disk->cow)
		out->kind = WORKER_DISK_COW;
	else if (disk->snapshot && !disk->pmem)
		out->kind = WORKER_DISK_TEMP;
	if (disk->serial)
		memcpy(out->serial, disk->serial,
		       strnlen(disk->serial, DISK_SERIAL_MAX));
	else
		(void)snprintf(out->serial, sizeof(out->serial), "disk%u", nr);
}

static int open_cow(const struct disk_config *disk, const char *vm,
		    struct cow_pair *p, struct diag *d)
{
	const struct disk_name base = { vm, disk->path, true };
	int err;

	if (disk->cow)
		return cow_pair_open(vm, disk->path, disk->cow, 0, p, d);
	err = cow_base_open(&base, p, d);
	return err ? err : cow_file_make(vm, NULL, p, d);
}

/*
 * Not by its path: it may have none, or another file may be there by now. Not
 * when descriptors become few: a disk is as good without.
 */
static int open_direct(int fd)
{
	struct rlimit lim;
	char path[64];
	int direct;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	direct = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (direct < 0 || getrlimit(RLIMIT_NOFILE, &lim) < 0 ||
	    (rlim_t)direct < lim.rlim_cur / 2)
		return direct;
	(void)close(direct);
	return -1;
}

/* Does nobody else, another VM of this run among them, have it locked? */
static bool is_alone(int fd)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_GETLK, &fl) == 0 && fl.l_type == F_UNLCK;
}

/*
 * What is read with O_DIRECT is in no cache: a base that others read as well is
 * not. Return: how many descriptors more.
 */
static uint32_t open_for_direct(const struct cow_pair *p, int fds[2])
{
	fds[0] = open_direct(p->cow);
	if (fds[0] < 0)
		return 0;
	fds[1] = is_alone(p->base) ? open_direct(p->base) : -1;
	return fds[1] < 0 ? 1 : 2;
}

int disk_file_open(const struct disk_config *disk, const char *vm, unsigned nr,
		   struct worker_disk *out, int fds[DISK_FDS_MAX],
		   struct diag *d)
{
	/* What is written to memory needs no file to be forgotten in. */
	bool forgets = disk->snapshot && disk->pmem;
	const struct disk_name n = { vm, disk->path,
				     disk->read_only || forgets };
	struct cow_pair p = COW_PAIR_NONE;
	uint64_t bytes = 0;
	int err;

	if (!disk->cow && (!disk->snapshot || forgets)) {
		err = disk_path_open(&n, &bytes, &fds[0], d);
		if (err)
			return err;
		disk_files_describe(disk, nr, bytes, out);
		return 1;
	}
	err = open_cow(disk, vm, &p, d);
	if (err) {
		cow_pair_close(&p);
		return err;
	}
	disk_files_describe(disk, nr, p.now.bytes, out);
	fds[0] = p.base;
	fds[1] = p.cow;
	/* A disk that is memory asks for nothing ahead. */
	out->direct = disk->pmem ? 0 : open_for_direct(&p, &fds[2]);
	return (int)worker_disk_fds(out);
}
