/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that is given back, without the module. The host drops the contents of
 * the frames that it is told, so a frame must not have become another page's
 * before it does: the pages are held by a pipe (vmsplice(2)) from before their
 * frames are looked up until the host has taken the hint. The kernel moves,
 * swaps and merges no page that something else holds.
 *
 * Only anonymous pages that nobody else has mapped are given: what a file or
 * another process has is left alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "guest-hints/guest/internal.h"

#define PM_EXCLUSIVE (1ull << 56)
#define PM_FILE	     (1ull << 61)
#define PIPE_BYTES   (2u << 20)
#define PIPE_LEAST   (16u * HINT_PAGE) /* what every pipe holds */

struct hint_holder {
	int pipe[2], sink;
	size_t room; /* bytes */
};

static void holder_close(struct hint_holder *p)
{
	for (unsigned i = 0; i < 2; i++)
		if (p->pipe[i] >= 0)
			(void)close(p->pipe[i]);
	if (p->sink >= 0)
		(void)close(p->sink);
}

/* A pipe has a place for each page; root may have a larger one than others. */
static int holder_open(struct hint_holder *p)
{
	int bytes;

	p->sink = -1;
	p->pipe[0] = p->pipe[1] = -1;
	if (pipe2(p->pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	p->sink = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (p->sink < 0)
		return -errno;
	bytes = fcntl(p->pipe[1], F_SETPIPE_SZ, PIPE_BYTES);
	p->room = bytes > 0 ? (size_t)bytes : PIPE_LEAST;
	return 0;
}

/* Return: bytes that are held, whole pages; -errno. */
static int64_t holder_hold(struct hint_holder *p, uint64_t start,
			   uint64_t bytes)
{
	struct iovec v = { (void *)(uintptr_t)start,
			   bytes < p->room ? (size_t)bytes : p->room };
	ssize_t n;

	do
		n = vmsplice(p->pipe[1], &v, 1, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n - n % (ssize_t)HINT_PAGE;
}

static int holder_release(struct hint_holder *p)
{
	ssize_t n;

	do
		n = splice(p->pipe[0], NULL, p->sink, NULL, PIPE_BYTES, 0);
	while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 && errno != EAGAIN ? -errno : 0;
}

static int64_t discard_some(struct disco_hint *h, struct hint_holder *p,
			    struct hint_run *r, uint64_t start, uint64_t bytes)
{
	int64_t held = holder_hold(p, start, bytes);
	int err, end;

	if (held <= 0)
		return held ? held : -EIO;
	err = hint_pages(r, -1, start, (uint64_t)held, PM_EXCLUSIVE, PM_FILE);
	end = hint_run_end(r);
	if (!err)
		err = end;
	/* Also after an error: what was pushed is under way. */
	end = hint_ring_flush(h);
	if (!err)
		err = end;
	/*
	 * A host that does not take hints may take them later: then the pages
	 * stay held, with the pipe, until the process ends.
	 */
	if (end == -ETIMEDOUT)
		p->pipe[0] = p->pipe[1] = -1;
	else if (!err)
		err = holder_release(p);
	return err ? err : held;
}

int64_t hint_discard(struct disco_hint *h, uint64_t start, uint64_t bytes,
		     int kind)
{
	struct hint_holder p;
	struct hint_run r;
	int64_t n = holder_open(&p);
	uint64_t at = 0;

	hint_run_init(&r, h, kind, 0);
	while (n >= 0 && at < bytes) {
		n = discard_some(h, &p, &r, start + at, bytes - at);
		if (n > 0)
			at += (uint64_t)n;
	}
	holder_close(&p);
	return n < 0 ? n : (int64_t)r.pages;
}
