/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/sandbox/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * The bounding set first: dropping from it takes CAP_SETPCAP, so an
 * unprivileged process cannot, and has nothing to drop. By system call:
 * libcap-ng drags in getpwuid().
 */
int privileges_drop(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct none[2] = { 0 };

	for (unsigned long cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0;
	     cap++)
		;
	/* EINVAL: past the last one there is. */
	if (errno != EINVAL && errno != EPERM)
		return -errno;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
	    syscall(SYS_capset, &head, none) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return 0;
}
