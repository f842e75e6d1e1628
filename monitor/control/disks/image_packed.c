/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The child shares the positions of both files with its parent, which so knows
 * how far it is, and how long the output is.
 */
#include "monitor/control/disks/image_packed.h"

#include <errno.h>
#include <lzma.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "monitor/control/base/progress.h"
#include "monitor/control/disks/cow_files.h"
#include "monitor/sandbox/confined.h"

#define CHUNK	   KIB(256)
#define BLOCK	   4096u
#define MEMORY_MAX MIB(768)
#define LZMA_MAX   MIB(512)
#define SHOW_MS	   200

enum { CHILD_IN, CHILD_OUT, CHILD_REPLY, CHILD_FDS };

/* One direction of a stream. */
struct packed_buffer {
	uint8_t *at;
	size_t bytes, used;
};

struct unpacker {
	struct packed_buffer in, out;
	bool at_end; /* of the input */
	z_stream gzip;
	lzma_stream xz;
	ZSTD_DCtx *zstd;
	/*
	 * Decompress from @in to @out. Return: 1 everything so far is complete;
	 * 0 more is to come; -EBADMSG.
	 */
	int (*step)(struct unpacker *u);
};

/* --- formats --- */

static int gzip_step(struct unpacker *u)
{
	int ret;

	u->gzip.next_in = u->in.at + u->in.used;
	u->gzip.avail_in = (uInt)(u->in.bytes - u->in.used);
	u->gzip.next_out = u->out.at + u->out.used;
	u->gzip.avail_out = (uInt)(u->out.bytes - u->out.used);
	ret = inflate(&u->gzip, Z_NO_FLUSH);
	u->in.used = u->in.bytes - u->gzip.avail_in;
	u->out.used = u->out.bytes - u->gzip.avail_out;
	if (ret == Z_STREAM_END) /* another member may follow */
		return inflateReset(&u->gzip) == Z_OK ? 1 : -EBADMSG;
	return ret == Z_OK || ret == Z_BUF_ERROR ? 0 : -EBADMSG;
}

static int xz_step(struct unpacker *u)
{
	lzma_ret ret;

	u->xz.next_in = u->in.at + u->in.used;
	u->xz.avail_in = u->in.bytes - u->in.used;
	u->xz.next_out = u->out.at + u->out.used;
	u->xz.avail_out = u->out.bytes - u->out.used;
	ret = lzma_code(&u->xz, u->at_end ? LZMA_FINISH : LZMA_RUN);
	u->in.used = u->in.bytes - u->xz.avail_in;
	u->out.used = u->out.bytes - u->xz.avail_out;
	if (ret == LZMA_STREAM_END)
		return 1;
	return ret == LZMA_OK || ret == LZMA_BUF_ERROR ? 0 : -EBADMSG;
}

static int zstd_step(struct unpacker *u)
{
	ZSTD_inBuffer in = { u->in.at, u->in.bytes, u->in.used };
	ZSTD_outBuffer out = { u->out.at, u->out.bytes, u->out.used };
	size_t left = ZSTD_decompressStream(u->zstd, &out, &in);

	u->in.used = in.pos;
	u->out.used = out.pos;
	if (ZSTD_isError(left))
		return -EBADMSG;
	return left == 0;
}

static int unpacker_init(struct unpacker *u, enum disk_format f)
{
	const lzma_stream none = LZMA_STREAM_INIT;

	memset(u, 0, sizeof(*u));
	u->xz = none;
	u->in.at = malloc(CHUNK);
	u->out.at = malloc(CHUNK);
	u->out.bytes = CHUNK;
	if (!u->in.at || !u->out.at)
		return -ENOMEM;
	switch (f) {
	case DISK_FORMAT_GZIP:
		u->step = gzip_step;
		return inflateInit2(&u->gzip, MAX_WBITS + 16) == Z_OK ? 0
								      : -ENOMEM;
	case DISK_FORMAT_XZ:
		u->step = xz_step;
		return lzma_stream_decoder(&u->xz, LZMA_MAX,
					   LZMA_CONCATENATED) == LZMA_OK
			       ? 0
			       : -ENOMEM;
	default:
		u->step = zstd_step;
		u->zstd = ZSTD_createDCtx();
		return u->zstd ? 0 : -ENOMEM;
	}
}

/* --- the child --- */

/* A block of zeroes is a hole. */
static int unpacker_flush(struct unpacker *u)
{
	int err = 0;

	for (size_t at = 0; at < u->out.used && !err; at += BLOCK) {
		const uint8_t *p = u->out.at + at;
		size_t n = min_u64(BLOCK, u->out.used - at);

		if (*p == 0 && memcmp(p, p + 1, n - 1) == 0)
			err = lseek(CHILD_OUT, (off_t)n, SEEK_CUR) < 0 ? -errno
								       : 0;
		else
			err = confined_write(CHILD_OUT, p, n);
	}
	u->out.used = 0;
	return err;
}

static int unpacker_fill(struct unpacker *u)
{
	ssize_t n;

	do
		n = read(CHILD_IN, u->in.at, CHUNK);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	u->in.bytes = (size_t)n;
	u->in.used = 0;
	u->at_end = n == 0;
	return 0;
}

/*
 * A step that neither takes nor gives anything at the end of the input ends it:
 * well, if what came before was complete.
 */
static int unpacker_run(struct unpacker *u)
{
	bool complete = false;
	int err = 0;

	while (!err) {
		size_t in, out;
		int got;

		if (u->in.used == u->in.bytes && !u->at_end)
			err = unpacker_fill(u);
		if (err)
			break;
		in = u->in.used;
		out = u->out.used;
		if (u->at_end && complete)
			return unpacker_flush(u);
		got = u->step(u);
		if (got < 0)
			return got;
		if (u->in.used != in || u->out.used != out || got)
			complete = got > 0;
		else if (u->at_end)
			return -EBADMSG;
		if (u->out.used == u->out.bytes)
			err = unpacker_flush(u);
	}
	return err;
}

_Noreturn static void packed_child(enum disk_format f, int fds[CHILD_FDS])
{
	const struct confined_limits limits = { .memory_bytes = MEMORY_MAX };
	struct unpacker u;
	int err = unpacker_init(&u, f);

	if (!err)
		err = confined_enter(fds, CHILD_FDS, &limits);
	if (!err)
		err = unpacker_run(&u);
	_exit(confined_write(CHILD_REPLY, &err, sizeof(err)) ? EXIT_FAILURE
							     : EXIT_SUCCESS);
}

/* --- the parent --- */

static void packed_follow(pid_t pid, int fd, uint64_t bytes)
{
	int pidfd = pidfd_open(pid, 0);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	struct progress bar;

	progress_start(&bar, "import", bytes);
	while (pidfd >= 0 && poll(&p, 1, SHOW_MS) == 0) {
		off_t at = lseek(fd, 0, SEEK_CUR);

		if (at >= 0)
			progress_show(&bar, (uint64_t)at);
	}
	progress_end(&bar);
	if (pidfd >= 0)
		(void)close(pidfd);
}

static int packed_failed(const char *name, int err, struct diag *d)
{
	if (err == -EBADMSG)
		return diag_fail(d, ST_DISK, EBADMSG,
				 "%.200s: is truncated or corrupt, and cannot "
				 "be decompressed; copy it again",
				 name);
	if (err == -ENOMEM)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	return diag_fail(d, cow_status_of(err), -err, "%.200s: %s", name,
			 strerror(-err));
}

/* What the child says; -EIO: it said nothing. */
static int packed_result(pid_t pid, int reply)
{
	int err = -EIO, status;

	if (read(reply, &err, sizeof(err)) != sizeof(err) || err > 0)
		err = -EIO;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return err;
}

static int packed_run(int fd, uint64_t bytes, enum disk_format f, int out)
{
	int reply[2], err;
	pid_t pid;

	if (pipe2(reply, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		int fds[CHILD_FDS] = { fd, out, reply[1] };

		packed_child(f, fds);
	}
	err = pid < 0 ? -errno : 0;
	(void)close(reply[1]);
	if (!err) {
		packed_follow(pid, fd, bytes);
		err = packed_result(pid, reply[0]);
	}
	(void)close(reply[0]);
	return err;
}

bool image_packed_is(enum disk_format f)
{
	return f == DISK_FORMAT_GZIP || f == DISK_FORMAT_XZ ||
	       f == DISK_FORMAT_ZSTD;
}

int image_packed_unpack(const char *name, int fd, uint64_t bytes,
			enum disk_format f, int out, struct diag *d)
{
	enum disk_format inner = DISK_FORMAT_RAW;
	off_t end;
	int err;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return packed_failed(name, -errno, d);
	err = packed_run(fd, bytes, f, out);
	end = err ? 0 : lseek(out, 0, SEEK_CUR);
	if (!err && (end < 0 || ftruncate(out, end) < 0))
		err = -errno;
	if (!err)
		err = disk_format_probe(out, (uint64_t)end, &inner);
	if (err)
		return packed_failed(name, err, d);
	if (inner == DISK_FORMAT_RAW)
		return 0;
	return diag_fail(d, ST_DISK, EMEDIUMTYPE,
			 "%.200s: what is compressed is not raw, but a %s "
			 "image; decompress it, and import that",
			 name, disk_format_name(inner));
}
