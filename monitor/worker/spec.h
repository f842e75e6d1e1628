/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading the specification a worker was started with.
 */
#ifndef DISCO_MONITOR_SPEC_H
#define DISCO_MONITOR_SPEC_H

#include "disco/worker_spec.h"

/**
 * spec_load() - read and check
 * Return: 0; -EPROTO not from this build; -EINVAL a figure out of range;
 * -errno of read.
 */
MUST_CHECK int spec_load(int fd, struct worker_spec *s);

#endif
