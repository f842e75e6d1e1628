/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/sandbox/sandbox.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "seccomp_filters.h" /* filter_NAME[]: gen_filters.c */

/* Every file system right of Landlock ABI 1: handled, and none granted. */
#define LANDLOCK_ALL_FS ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)

/* Heaps that threads which call malloc() are spread over. */
#define MALLOC_ARENAS 8

bool sandbox_files_optional(int err)
{
	return err == -ENOSYS || err == -EOPNOTSUPP || err == -EPERM ||
	       err == -EACCES;
}

int sandbox_deny_files(void)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs =
						      LANDLOCK_ALL_FS };
	long fd = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		err = -errno;
	(void)close((int)fd);
	return err;
}

int sandbox_drop(void)
{
	int err;

	/* Inherited already; asked for once more, as the filters need it. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	/*
	 * Without a limit of ours, glibc derives one from the number of CPUs
	 * when the ninth thread calls malloc(): it opens a file of /sys, and
	 * the filter of that thread would kill the process.
	 */
	(void)mallopt(M_ARENA_MAX, MALLOC_ARENAS);
	err = sandbox_deny_files();
	/* Seccomp alone keeps files away then. */
	return sandbox_files_optional(err) ? 0 : err;
}

static int sandbox_install(const struct sock_filter *f, size_t n)
{
	struct sock_fprog prog = { .len = (unsigned short)n,
				   .filter =
					   (struct sock_filter *)(uintptr_t)f };

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
		return -errno;
	return 0;
}

int sandbox_enter(enum sandbox_class class)
{
#ifdef DISCO_SANITIZED
	/* A sanitizer's runtime makes system calls of its own. */
	(void)class;
	(void)sandbox_install;
	return 0;
#else
	if (class == SANDBOX_VCPU)
		return sandbox_install(filter_vcpu, ARRAY_SIZE(filter_vcpu));
	if (class == SANDBOX_GHOST)
		return sandbox_install(filter_ghost, ARRAY_SIZE(filter_ghost));
	if (class == SANDBOX_PAGER)
		return sandbox_install(filter_pager, ARRAY_SIZE(filter_pager));
	if (class == SANDBOX_SURVEY)
		return sandbox_install(filter_survey,
				       ARRAY_SIZE(filter_survey));
	if (class == SANDBOX_AGENT)
		return sandbox_install(filter_agent, ARRAY_SIZE(filter_agent));
	if (class == SANDBOX_UPLINK)
		return sandbox_install(filter_uplink,
				       ARRAY_SIZE(filter_uplink));
	if (class == SANDBOX_TRUNK)
		return sandbox_install(filter_trunk, ARRAY_SIZE(filter_trunk));
	if (class == SANDBOX_SEGMENT)
		return sandbox_install(filter_segment,
				       ARRAY_SIZE(filter_segment));
	if (class == SANDBOX_COPIES)
		return sandbox_install(filter_copies,
				       ARRAY_SIZE(filter_copies));
	if (class == SANDBOX_FAULTS)
		return sandbox_install(filter_faults,
				       ARRAY_SIZE(filter_faults));
	if (class == SANDBOX_READER)
		return sandbox_install(filter_reader,
				       ARRAY_SIZE(filter_reader));
	return sandbox_install(filter_io, ARRAY_SIZE(filter_io));
#endif
}
