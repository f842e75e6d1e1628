/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a process ended that is not a child of this one: a worker that an earlier
 * monitor has started.
 */
#ifndef DISCO_MONITOR_EXIT_INFO_H
#define DISCO_MONITOR_EXIT_INFO_H

#include "disco/base.h"

/**
 * exit_info_get() - get how a dead process ended
 * @pidfd:  of the process; opened while it ran
 * @status: out, as wait(2) fills it; untouched on error
 *
 * Context: any thread; does not block.
 * Return:  0; -EAGAIN not known yet: its parent has not reaped it; -ENOSYS this
 *          kernel does not tell (before Linux 6.15).
 * Source:  ioctl PIDFD_GET_INFO with PIDFD_INFO_EXIT, linux/pidfd.h.
 */
MUST_CHECK int exit_info_get(int pidfd, int *status);

#endif
