/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Capabilities and no_new_privs: given up for good, through exec. The control
 * process's child does it before it becomes a worker, so that not one
 * instruction of a worker runs with a privilege.
 */
#ifndef DISCO_MONITOR_PRIVILEGES_H
#define DISCO_MONITOR_PRIVILEGES_H

#include "disco/base.h"

/**
 * privileges_drop() - empty every capability set, forbid getting any back
 *
 * Context: single-threaded; async-signal-safe.
 * Return:  0; -errno of prctl() or capset().
 * Source:  capabilities(7).
 */
MUST_CHECK int privileges_drop(void);

#endif
