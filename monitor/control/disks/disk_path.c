/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/disks/disk_path.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <linux/fs.h>

#include "disco/clock.h"
#include "monitor/control/disks/disk_format.h"
#include "monitor/control/disks/disk_locks.h"

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

static int disk_path_fail(const struct disk_name *n, int err, const char *text,
			  struct diag *d)
{
	return disk_fail(n, ST_DISK, err, text, d);
}

static int disk_path_fail_open(const struct disk_name *n, int err,
			       struct diag *d)
{
	if (err == EISDIR)
		return disk_path_fail(
			n, err,
			"is a directory; give a raw image file or a block "
			"device",
			d);
	if ((err == EACCES || err == EROFS || err == EPERM) && !n->read_only)
		return disk_path_fail(
			n, err,
			n->vm ? "not writable; add ',ro' or change its "
				"rights"
			      : "not writable; change its rights",
			d);
	return disk_path_fail(n, err, strerror(err), d);
}

/* O_NONBLOCK: a FIFO must not make us wait for its other end. */
static int open_path(const struct disk_name *n, struct diag *d)
{
	int flags = (n->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC;
	int fd = open(n->path, flags | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return disk_path_fail_open(n, errno, d);
	if (fcntl(fd, F_SETFL, flags & ~O_CLOEXEC) == 0)
		return fd;
	(void)close(fd);
	return disk_path_fail(n, EIO, "cannot set its flags", d);
}

/* A name that a shell takes as it is, and that is not too long for a line. */
static bool is_plain(const char *path)
{
	size_t n = strspn(path, "abcdefghijklmnopqrstuvwxyz0123456789"
				"ABCDEFGHIJKLMNOPQRSTUVWXYZ/._-+,:=@%");

	return *path != '-' && !path[n] && n <= 100;
}

static int fail_format(const struct disk_name *n, enum disk_format f,
		       struct diag *d)
{
	const char *path = is_plain(n->path) ? n->path : "FILE";
	const char *insist = n->vm ? "add ',format=raw'" : "give --format=raw";
	char text[400];

	if (f == DISK_FORMAT_COW)
		(void)snprintf(text, sizeof(text),
			       "is a copy-on-write file, not raw; name its "
			       "base%s, or make a raw file by 'disco image "
			       "export BASE %s OUT'",
			       n->vm ? ", and this one as 'cow=FILE'" : "",
			       path);
	else
		(void)snprintf(text, sizeof(text),
			       "is a %s image, not raw; make a raw file of it "
			       "by 'disco image import %s OUT', or %s to use "
			       "its bytes as they are",
			       disk_format_name(f), path, insist);
	return disk_path_fail(n, EMEDIUMTYPE, text, d);
}

/*
 * The guest would see the image's header and tables as its disk, and what it
 * writes there would destroy the image.
 */
static int check_format(const struct disk_name *n, int fd, uint64_t bytes,
			struct diag *d)
{
	enum disk_format f = DISK_FORMAT_RAW;
	int err;

	if (n->raw)
		return 0;
	err = disk_format_probe(fd, bytes, &f);
	if (err)
		return disk_path_fail(n, -err, strerror(-err), d);
	return f == DISK_FORMAT_RAW ? 0 : fail_format(n, f, d);
}

int disk_check_limit(const struct disk_name *n, uint64_t bytes, struct diag *d)
{
	struct rlimit lim;

	if (n->read_only || getrlimit(RLIMIT_FSIZE, &lim) < 0 ||
	    lim.rlim_cur == RLIM_INFINITY || bytes <= lim.rlim_cur)
		return 0;
	return disk_path_fail(n, EFBIG, "cannot be written to its end", d);
}

static int size_of(const struct disk_name *n, int fd, uint64_t *bytes,
		   struct diag *d)
{
	struct stat st;
	int err;

	if (fstat(fd, &st) < 0)
		return disk_path_fail(n, errno, strerror(errno), d);
	if (S_ISDIR(st.st_mode))
		return disk_path_fail_open(n, EISDIR, d);
	if (S_ISBLK(st.st_mode)) {
		if (ioctl(fd, BLKGETSIZE64, bytes) < 0)
			return disk_path_fail(n, errno, strerror(errno), d);
	} else if (S_ISREG(st.st_mode)) {
		*bytes = (uint64_t)st.st_size;
	} else {
		return disk_path_fail(
			n, EINVAL,
			"is neither a regular file nor a block device", d);
	}
	if (*bytes == 0)
		return disk_path_fail(n, EINVAL, "is empty", d);
	err = check_format(n, fd, *bytes, d);
	if (err)
		return err;
	err = S_ISREG(st.st_mode) ? disk_check_limit(n, *bytes, d) : 0;
	if (err)
		return err;
	if (*bytes % SECTOR_BYTES)
		return disk_path_fail(
			n, EINVAL,
			"its size is not a multiple of 512 bytes; a raw "
			"image is expected",
			d);
	return 0;
}

/*
 * The byte by which disk_locks.c knows this description again. Where it cannot
 * be locked, the end of the lock is not waited for.
 */
static void lock_own_byte(int fd)
{
	struct flock fl = { .l_type = F_RDLCK,
			    .l_whence = SEEK_SET,
			    .l_len = 1 };
	uint64_t id = 0;

	if (getrandom(&id, sizeof(id), GRND_NONBLOCK) != (ssize_t)sizeof(id))
		return;
	fl.l_start = (off_t)(DISK_LOCK_ID + id % (DISK_LOCK_ID - 1));
	(void)fcntl(fd, F_OFD_SETLK, &fl);
}

/* Return: 0; -EBUSY; -errno. */
static int lock_within(int fd, short type, uint64_t wait_ns)
{
	const struct timespec pause = { .tv_nsec = LOCK_RETRY_NS };
	struct flock fl = { .l_type = type,
			    .l_whence = SEEK_SET,
			    .l_len = (off_t)DISK_LOCK_ID };
	uint64_t end = clock_now_ns() + wait_ns;

	while (fcntl(fd, F_OFD_SETLK, &fl) < 0) {
		if (errno != EAGAIN && errno != EACCES)
			return -errno;
		if (clock_now_ns() >= end)
			return -EBUSY;
		(void)nanosleep(&pause, NULL);
	}
	lock_own_byte(fd);
	return 0;
}

/*
 * An image command waits for a guest that was killed by somebody else, as the
 * kernel gives up the locks of a worker a moment after its end. Of a guest whose
 * end disco has reported, the disks are free (disk_locks.h).
 */
int disk_lock(const struct disk_name *n, int fd, struct diag *d)
{
	int err = lock_within(fd, n->read_only ? F_RDLCK : F_WRLCK,
			      n->vm ? 0 : LOCK_WAIT_NS);

	if (err != -EBUSY)
		return err ? disk_path_fail(n, -err, strerror(-err), d) : 0;
	if (!n->vm)
		return disk_path_fail(n, EBUSY,
				      "in use by another program or guest", d);
	return disk_path_fail(
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
