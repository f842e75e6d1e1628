/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the specification that a worker is started with.
 */
#ifndef DISCO_MONITOR_SPEC_H
#define DISCO_MONITOR_SPEC_H

#include "disco/worker_spec.h"

/**
 * spec_load() - read and check a specification
 *
 * Return: 0; -EPROTO it comes from another build; -EINVAL a value is out of
 * range; -errno of read.
 */
MUST_CHECK int spec_load(int fd, struct worker_spec *s);

#endif
