/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ioctl(2) in place of the C library's, for a program of one test: the test
 * defines fake_ioctl(), which gets every call.
 */
#ifndef TESTS_UNIT_FAKE_IOCTL_H
#define TESTS_UNIT_FAKE_IOCTL_H

#include <stdarg.h>
#include <sys/ioctl.h>

int fake_ioctl(int fd, unsigned long request, void *arg);

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	return fake_ioctl(fd, request, arg);
}

#endif
