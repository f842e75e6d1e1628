/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest RAM as KVM VMs show it: one mapping in all of them, or, in a guest whose
 * pages may have copies (memory=...,copies=SIZE), a mapping for each view.
 *
 * WHO WRITES GUEST RAM, other than vCPUs, and how a copy is collapsed first:
 *
 *	the worker's threads	they fault: the host's mapping is protected, too
 *	read(2) and the like	the same, in the kernel
 *	KVM (its own pages of	the same, through the view's mapping
 *	the guest, emulation)
 *	disk requests, which	ram_view.change() marks the pages before, for each
 *	pin pages		buffer that a device may write (ram_buffer())
 *	punched holes (balloon,	the same (pmap.c)
 *	hints)
 *
 * Overlays, boot pages and merging are not for such guests: their pages would be
 * replaced in the host's mapping alone. The budget of the pmap is 0, and the
 * boot image is copied.
 */
#ifndef DISCO_MONITOR_VIEWS_VIEW_RAM_H
#define DISCO_MONITOR_VIEWS_VIEW_RAM_H

#include "memory/guest_ram.h"
#include "memory/replica/ram_copies.h"
#include "monitor/worker/views/kvms.h"

struct worker_spec;
struct worker_usage;

/**
 * view_ram_create() - a mapping of RAM for each view
 * @s:      with .wide.copies_bytes; outlives the result
 * @ram:    its change() and views are set; outlives the result
 * @failed: see ram_copies_spec.failed; also if a thread cannot be confined
 * @out:    see ram_copies_create()
 *
 * Context: start of the worker. Return: as ram_copies_create().
 */
MUST_CHECK int view_ram_create(const struct worker_spec *s,
			       struct ram_view *ram,
			       void (*failed)(void *arg, int err), void *arg,
			       struct ram_copies **out);

/**
 * view_ram_set_slots() - set the memory slots of RAM in all KVM VMs
 * @c:     NULL: all show @ram
 * @there: false: remove them
 *
 * Return: 0; -errno of KVM.
 */
MUST_CHECK int view_ram_set_slots(const struct kvms *k,
				  const struct ram_view *ram,
				  const struct ram_copies *c, bool there);

#endif
