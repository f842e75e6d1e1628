/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Gives up capabilities for good, through exec (no_new_privs). The child of the
 * control process does so before it becomes a worker, so that no instruction of
 * a worker runs with a privilege.
 */
#ifndef DISCO_MONITOR_PRIVILEGES_H
#define DISCO_MONITOR_PRIVILEGES_H

#include "disco/base.h"

/**
 * privileges_drop() - empty every capability set, and forbid regaining any
 *
 * Context: single-threaded; async-signal-safe.
 * Return:  0; -errno of prctl() or capset().
 * Source:  capabilities(7).
 */
MUST_CHECK int privileges_drop(void);

#endif
