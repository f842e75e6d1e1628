/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/sampling/page_idle.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define WORD_BITS   64u
#define FRAMES_MOST (1ull << 52) /* that offsets of the file can be of */

static off_t page_idle_at(uint64_t frame)
{
	return (off_t)(frame / WORD_BITS * sizeof(uint64_t));
}

/* ENXIO: beyond the last frame. */
static int page_idle_error(ssize_t n)
{
	int err = n < 0				   ? -errno
		  : n == (ssize_t)sizeof(uint64_t) ? 0
						   : -EBADMSG;

	return err == -ENXIO ? -EBADMSG : err;
}

static int page_idle_read(int fd, uint64_t frame, uint64_t *word)
{
	return page_idle_error(
		pread(fd, word, sizeof(*word), page_idle_at(frame)));
}

int page_idle_open(const char *path, struct diag *d)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW), err;
	uint64_t word;

	err = fd < 0 ? -errno : page_idle_read(fd, 0, &word);
	if (!err)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return diag_fail(d, ST_HOST, -err, "%s: %s", path,
			 err == -ENOENT ? "this kernel has none "
					  "(CONFIG_IDLE_PAGE_TRACKING)"
			 : err == -EACCES || err == -EPERM ? "for root alone"
			 : err == -EBADMSG		   ? "it is cut"
							   : strerror(-err));
}

int page_idle_mark(int fd, uint64_t frame)
{
	uint64_t word = 1ull << frame % WORD_BITS;
	int err;

	if (frame >= FRAMES_MOST)
		return -EBADMSG;
	err = page_idle_error(
		pwrite(fd, &word, sizeof(word), page_idle_at(frame)));
	if (!err)
		err = page_idle_accessed(fd, frame);
	return err < 0 ? err : !err;
}

int page_idle_accessed(int fd, uint64_t frame)
{
	uint64_t word;
	int err = frame < FRAMES_MOST ? page_idle_read(fd, frame, &word)
				      : -EBADMSG;

	return err ? err : !(word >> frame % WORD_BITS & 1);
}
