/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bounds of virtual machines and of their disks, common to all programs:
 * control checks the operator's values against them (monitor/control/config),
 * workers and agents size their tables by them.
 */
#ifndef DISCO_LIMITS_H
#define DISCO_LIMITS_H

#include "disco/base.h"

#define VM_NAME_MAX  63 /* bytes, [A-Za-z0-9._-], starts alphanumeric */
#define VM_MAX_DISKS 16
/*
 * Images of other VMs' disks in whose caches a worker finds blocks that frames
 * refer to (vnet/refs.h). They are numbered after its own disks.
 */
#define VM_MAX_FOREIGN	8
#define VM_MAX_CACHED	(VM_MAX_DISKS + VM_MAX_FOREIGN)
#define VM_MAX_VCPUS	64
#define VM_MAX_NETS	4	/* networks that a VM is in */
#define NET_TAP_MAX	15	/* bytes of a network interface's name */
#define VM_MAX_SHMS	4	/* shared segments that a VM maps */
#define VM_MAX_VIEWS	16	/* nodes of a VM with views */
#define VM_MAX_COPIED	GIB(64) /* memory of a VM whose pages have copies */
#define VM_MIN_MEMORY	MIB(1)
#define VM_MAX_MEMORY	GIB(1024)
#define DISK_SERIAL_MAX 20	    /* bytes, virtio 1.2 section 5.2.6.1 */
#define DISK_MAX_QUEUES 8	    /* request queues */
#define NET_MAX_QUEUES	8	    /* pairs of queues of a network */
#define DISK_MAX_IOPS	1000000000u /* requests per second */
#define DISK_MIN_BPS	512u	    /* bytes per second */
#define DISK_MAX_BPS	GIB(1024)
/*
 * A disk that is memory of the guest: where it may begin, a section of Linux's
 * memory map; and its largest size. KVM's slots have less than 2^31 pages, and
 * regions a multiple of 2 MiB.
 */
#define PMEM_REGION_ALIGN MIB(128)
#define PMEM_MAX_BYTES	  (GIB(8192) - MIB(2))
/* A shared segment: its size, a multiple of its least one. */
#define SHM_MIN_BYTES MIB(2)
#define SHM_MAX_BYTES GIB(1024)
#define GROUP_DEFAULT "default"
#define VM_POLICY_MAX 256u /* bytes of a policy of its pages, with NUL */
#define CMDLINE_MAX   2047 /* bytes, x86 COMMAND_LINE_SIZE less the NUL */
/* What a worker puts before the command line of a guest with views. */
#define CMDLINE_CLOCK	  "tsc_early_khz=%d tsc=reliable "
#define CMDLINE_CLOCK_MAX 40 /* bytes, with any rate */

#endif
