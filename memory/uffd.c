/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

#define UFFD_BY_CALL "system call"

int uffd_open(int flags, const char **how)
{
	int dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	int fd = -1;

	if (dev >= 0) {
		fd = ioctl(dev, USERFAULTFD_IOC_NEW, flags);
		(void)close(dev);
		*how = "/dev/userfaultfd";
	}
	if (fd < 0) {
		fd = (int)syscall(SYS_userfaultfd, flags);
		*how = UFFD_BY_CALL;
	}
	if (fd < 0 && errno == EPERM) {
		fd = (int)syscall(SYS_userfaultfd, flags | UFFD_USER_MODE_ONLY);
		*how = NULL;
	}
	return fd < 0 ? -errno : fd;
}

bool uffd_by_capability(const char *how)
{
	char may = '1'; /* as before Linux 5.2, which has no such file */
	int fd;

	if (!how || strcmp(how, UFFD_BY_CALL) != 0)
		return false;
	fd = open("/proc/sys/vm/unprivileged_userfaultfd",
		  O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!read(fd, &may, 1);
		(void)close(fd);
	}
	return may != '1';
}

int uffd_enable(int fd, uint64_t features, uint64_t *have)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };

	if (ioctl(fd, UFFDIO_API, &api) < 0)
		return -errno;
	*have = api.features;
	return 0;
}

static struct uffdio_range uffd_range_of(const void *at, uint64_t bytes)
{
	return (struct uffdio_range){ (uintptr_t)at, bytes };
}

int uffd_register(int fd, void *at, uint64_t bytes)
{
	struct uffdio_register r = { .range = uffd_range_of(at, bytes),
				     .mode = UFFDIO_REGISTER_MODE_MISSING |
					     UFFDIO_REGISTER_MODE_MINOR };

	return ioctl(fd, UFFDIO_REGISTER, &r) < 0 ? -errno : 0;
}

/* Return: number of bytes mapped; -errno: none. */
static int64_t continue_some(int fd, const uint8_t *at, uint64_t bytes)
{
	struct uffdio_continue c = { .range = uffd_range_of(at, bytes) };

	if (ioctl(fd, UFFDIO_CONTINUE, &c) == 0)
		return (int64_t)bytes;
	/*
	 * EAGAIN: a part was mapped, or the mappings are being changed by
	 * another thread; then c.mapped is a negative errno.
	 */
	if (c.mapped > 0)
		return c.mapped;
	return -errno;
}

int uffd_continue(int fd, void *at, uint64_t bytes, uint64_t *pages)
{
	uint8_t *p = at, *end = p + bytes;

	while (p < end) {
		int64_t n = continue_some(fd, p, (uint64_t)(end - p));

		/* EEXIST: this page is mapped or copied already; skip it. */
		if (n < 0 && n != -EEXIST)
			return (int)n;
		if (n > 0)
			*pages += (uint64_t)n / PAGE_BYTES;
		p += n > 0 ? n : (int64_t)PAGE_BYTES;
	}
	return 0;
}

int uffd_copy(int fd, void *at, const void *from)
{
	struct uffdio_copy c = { .dst = (uintptr_t)at,
				 .src = (uintptr_t)from,
				 .len = PAGE_BYTES };

	return ioctl(fd, UFFDIO_COPY, &c) < 0 ? -errno : 0;
}

void uffd_wake(int fd, void *at)
{
	struct uffdio_range r = uffd_range_of(at, PAGE_BYTES);

	/* Fails for an address that is no page of this process. */
	(void)ioctl(fd, UFFDIO_WAKE, &r);
}

int uffd_trap(int fd, void *at)
{
	struct uffdio_register r = { .range = uffd_range_of(at, PAGE_BYTES),
				     .mode = UFFDIO_REGISTER_MODE_MINOR };
	int err;

	if (ioctl(fd, UFFDIO_REGISTER, &r) < 0)
		return -errno;
	/* Registered first: an access in between finds the page as it was. */
	if (madvise(at, PAGE_BYTES, MADV_DONTNEED) == 0)
		return 0;
	err = -errno;
	(void)uffd_untrap(fd, at);
	return err;
}

int uffd_untrap(int fd, void *at)
{
	struct uffdio_range r = uffd_range_of(at, PAGE_BYTES);
	uint64_t pages = 0;
	int err;

	/* It may be no trap any more, and its page may be gone: no matter. */
	(void)!uffd_continue(fd, at, PAGE_BYTES, &pages);
	err = ioctl(fd, UFFDIO_UNREGISTER, &r) < 0 ? -errno : 0;
	/*
	 * The other two wake only who waits for a mapping that is registered: not
	 * one who waits for what was mapped there before.
	 */
	uffd_wake(fd, at);
	return err;
}
