/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a worker does about its guest's hints: the device
 * (monitor/dev/platform/hints_pci.h), and the VM's memory behind it.
 *
 *	FREE	the pages become holes of the RAM memfd, as by the balloon
 *	ZERO	the same; where memory is reserved, they are written
 *	COLD	madvise(MADV_COLD), and as MERGE
 *	MERGE	the next scan for equal pages takes the frames without waiting
 *		for a second scan that finds them unchanged
 *
 * The others are records in the region of figures.
 */
#ifndef DISCO_MONITOR_HINTING_H
#define DISCO_MONITOR_HINTING_H

#include "monitor/dev/platform/hints_pci.h"

struct merge;
struct vm;

struct hinting {
	struct hints_pci dev;
	struct vm *vm;	     /* [I] NULL: the VM has no such device */
	struct merge *merge; /* [I] */
};

/**
 * hinting_create() - add the device to the VM's bus, unless it is not wanted
 * @g:     zeroed
 * @vm:    made by vm_create(); outlives it
 * @merge: the VM's; outlives it, may be initialised later
 *
 * Context: start of the worker. Return: 0; errors of hints_pci_init() and
 * pci_add().
 */
MUST_CHECK int hinting_create(struct hinting *g, struct vm *vm,
			      struct merge *merge);

/* The VM is at home at another node. Context: I/O thread. */
void hinting_moved(struct hinting *g, nodeid_t node);

#endif
