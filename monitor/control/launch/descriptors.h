/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many descriptors are needed (ulimit -n), so that a limit which is too
 * small is named before anything is opened, not after by one of many steps.
 */
#ifndef DISCO_MONITOR_DESCRIPTORS_H
#define DISCO_MONITOR_DESCRIPTORS_H

#include "disco/config.h"
#include "disco/diag.h"

/* Raise the soft limit to the hard one. */
void descriptors_allow(void);

/**
 * descriptors_for_vms() - check that the VMs of a configuration can be started
 * @d: out on error (ST_HOST): the limit, and the one that suffices
 *
 * Context: the process that will start them. Return: 0; -EMFILE.
 */
MUST_CHECK int descriptors_for_vms(const struct run_config *cfg,
				   struct diag *d);

/**
 * descriptors_for_monitor() - check that a monitor can work
 *
 * It raises its own limit, so this looks at the hard one. Return: 0; -EMFILE.
 */
MUST_CHECK int descriptors_for_monitor(struct diag *d);

#endif
