/* SPDX-License-Identifier: BSD-2-Clause */
/* The device by its kernel module, /dev/disco-hints. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "guest-hints/abi/hints_ioctl.h"
#include "guest-hints/guest/internal.h"

int hint_driver_open(struct disco_hint *h)
{
	(void)snprintf(h->path, sizeof(h->path), "/dev/%s", HINTS_DEVICE_NAME);
	h->fd = open(h->path, O_RDWR | O_CLOEXEC);
	if (h->fd < 0)
		return -errno;
	h->backend = &hint_driver_backend;
	return 0;
}

/* Return: bytes that were looked at; -errno. */
static int64_t driver_ask(struct disco_hint *h, unsigned long what,
			  struct hints_request *r)
{
	if (ioctl(h->fd, what, r) < 0)
		return -errno;
	return (int64_t)r->done;
}

static int driver_range(struct disco_hint *h, pid_t pid, uint64_t start,
			uint64_t bytes, int kind, unsigned vcpu)
{
	struct hints_request r = { .start = start,
				   .bytes = bytes,
				   .fd = -1,
				   .kind = (uint16_t)kind,
				   .vcpu = (uint16_t)vcpu };
	int64_t n;

	/* The module finds the caller's memory alone. */
	if (pid && pid != getpid())
		return hint_pages_range(h, pid, start, bytes, kind, vcpu);
	n = driver_ask(h, HINTS_IOC_RANGE, &r);
	return n < 0 ? (int)n : 0;
}

static int driver_file(struct disco_hint *h, int fd, uint64_t offset,
		       uint64_t bytes, int kind)
{
	struct hints_request r = { .start = offset,
				   .bytes = bytes,
				   .fd = fd,
				   .kind = (uint16_t)kind };
	int64_t n = driver_ask(h, HINTS_IOC_FILE, &r);

	return n < 0 ? (int)n : 0;
}

static int64_t driver_discard(struct disco_hint *h, uint64_t start,
			      uint64_t bytes, int kind)
{
	struct hints_request r = {
		.start = start, .bytes = bytes, .fd = -1, .kind = (uint16_t)kind
	};
	int64_t n = driver_ask(h, HINTS_IOC_RANGE, &r);

	return n < 0 ? n : n / HINT_PAGE;
}

static int driver_phase(struct disco_hint *h, uint64_t phase, int kind)
{
	struct hints_request r = { .arg = phase,
				   .fd = -1,
				   .kind = (uint16_t)kind };

	return ioctl(h->fd, HINTS_IOC_PHASE, &r) < 0 ? -errno : 0;
}

static int64_t driver_bulk(struct disco_hint *h, int what, uint64_t pages)
{
	struct hints_bulk b = { .what = (uint32_t)what, .most_pages = pages };

	if (ioctl(h->fd, HINTS_IOC_BULK, &b) < 0)
		return -errno;
	return (int64_t)b.pages;
}

static int driver_push(struct disco_hint *h, const struct hints_entry *e,
		       unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		struct hints_request r = { .start = e[i].page * HINT_PAGE,
					   .bytes = (uint64_t)e[i].pages *
						    HINT_PAGE,
					   .fd = -1,
					   .kind = e[i].kind,
					   .vcpu = e[i].vcpu };

		if (ioctl(h->fd, HINTS_IOC_FRAMES, &r) < 0)
			return -errno;
	}
	return 0;
}

static int driver_flush(struct disco_hint *h)
{
	return ioctl(h->fd, HINTS_IOC_FLUSH) < 0 ? -errno : 0;
}

static int driver_info(struct disco_hint *h, uint32_t at, void *to,
		       size_t bytes)
{
	ssize_t n = pread(h->fd, to, bytes, (off_t)(at - HINTS_INFO_AT));

	if (n < 0)
		return -errno;
	return n == (ssize_t)bytes ? 0 : -EPROTO;
}

const struct disco_hint_backend hint_driver_backend = {
	.range = driver_range,
	.file = driver_file,
	.discard = driver_discard,
	.phase = driver_phase,
	.bulk = driver_bulk,
	.push = driver_push,
	.flush = driver_flush,
	.info = driver_info,
};
