/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What monitor/worker/merge.c needs of a machine: vCPUs that are parked, disks
 * that rest, a loop that is turned by hand.
 */
#ifndef TESTS_MERGE_HOST_H
#define TESTS_MERGE_HOST_H

#include "monitor/worker/machine.h"

extern bool merge_disks_rest;		     /* they do; true at first */
extern unsigned merge_parks;		     /* how often vCPUs were parked */
extern bool merge_parked;		     /* they are */
extern void (*merge_when_parked)(void *arg); /* called then; may be NULL */
extern void *merge_when_parked_arg;

/* Wait for the timer, and do one step. Returns at once without a job. */
void merge_step(struct merge *g);

#endif
