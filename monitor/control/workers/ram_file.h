/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file that holds a guest's memory. Private to spawn.c, except its name, and
 * whether it can have huge pages.
 */
#ifndef DISCO_MONITOR_RAM_FILE_H
#define DISCO_MONITOR_RAM_FILE_H

#include "disco/agent_proto.h"
#include "disco/base.h"
#include "disco/huge.h"

/* Its name in /proc/PID/maps, for both kinds, after a "/": see move_map.h. */
#define RAM_NAME      AGENT_RAM_NAME
#define RAM_FILE_NAME "memfd:" RAM_NAME

/**
 * ram_file_create() - create memory for a guest, not bound to a node yet
 * @bytes: a multiple of PAGE_BYTES
 * @huge:  which of its pages are to be huge, where the kernel gives any
 *
 * With HUGE_OFF it is a memfd that can neither grow nor shrink. The size of a
 * memfd's pages follows one setting for the whole machine (shmem_enabled,
 * default "never"). So else it is a file of a private tmpfs, which is visible
 * nowhere, and mounted huge=always (HUGE_THP) or huge=advise (HUGE_AUTO: the
 * worker says where). That requires CAP_SYS_ADMIN; without it, it is a memfd, for
 * which the worker's madvise() may still help.
 *
 * Return: a descriptor (>= 0), close-on-exec, owned; -EMFILE, -ENOMEM,
 * -ENOSPC. Source: fsopen(2), Documentation/filesystems/tmpfs.rst.
 */
MUST_CHECK int ram_file_create(uint64_t bytes, enum huge_pages huge);

/*
 * Whether the kernel gives huge pages for such a file to this process: it may
 * mount a tmpfs, or shmem_enabled says so. Context: blocks for some 100 us.
 */
bool ram_file_gives_huge(void);

/* A memfd that can neither grow nor shrink. Return: as ram_file_create(). */
MUST_CHECK int ram_file_sealed(const char *name, uint64_t bytes);

/**
 * ram_file_reserve() - take all memory of a guest from a node now
 * @fd:    of ram_file_create(), empty; its policy becomes strict
 * @bytes: its length
 * @node:  a node's number
 * @huge:  as for ram_file_create()
 *
 * The node's free memory is looked at before each piece. As others may take it
 * at the same time, a child does the work, which the kernel's OOM killer prefers
 * to any other process. On error a part of the memory may have been taken;
 * closing the file gives it back.
 *
 * Context: control process, no other threads; blocks for as long as the kernel
 * needs to clear the memory (about 1 s for 1 to 4 GiB).
 * Return:  0; -ENOMEM the node has not enough free memory; -errno of fork() and
 *          mmap(); errors of node_bind_memory().
 */
MUST_CHECK int ram_file_reserve(int fd, uint64_t bytes, nodeid_t node,
				enum huge_pages huge);

#endif
