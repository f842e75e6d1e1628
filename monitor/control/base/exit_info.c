/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/base/exit_info.h"

#include <errno.h>
#include <stddef.h>
#include <sys/ioctl.h>

/*
 * struct pidfd_info of linux/pidfd.h in its first version, which every later
 * kernel accepts. Headers before Linux 6.13 do not have it.
 */
struct exit_info {
	uint64_t mask; /* in: what is asked for; out: what was filled */
	uint64_t cgroupid;
	uint32_t ids[11];
	int32_t exit_code;
};

_Static_assert(sizeof(struct exit_info) == 64, "PIDFD_INFO_SIZE_VER0");
_Static_assert(offsetof(struct exit_info, exit_code) == 60, "as the kernel's");

#define EXIT_INFO_GET  _IOWR(0xff, 11, struct exit_info)
#define EXIT_INFO_EXIT (1ull << 3)

int exit_info_get(int pidfd, int *status)
{
	struct exit_info info = { .mask = EXIT_INFO_EXIT };

	/* Kernels that forget a process when it is reaped say ESRCH then. */
	if (ioctl(pidfd, EXIT_INFO_GET, &info) < 0)
		return -ENOSYS;
	if (!(info.mask & EXIT_INFO_EXIT))
		return -EAGAIN;
	*status = info.exit_code;
	return 0;
}
