/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file that is a guest's memory. Private to spawn.c, but for its name.
 */
#ifndef DISCO_MONITOR_RAM_FILE_H
#define DISCO_MONITOR_RAM_FILE_H

#include "disco/base.h"

/* What /proc/PID/maps says of either kind, "/" before it: see move_map.h. */
#define RAM_NAME      "disco-ram"
#define RAM_FILE_NAME "memfd:" RAM_NAME

/**
 * ram_file_create() - memory for a guest, not bound to a node yet
 * @bytes: a multiple of PAGE_BYTES
 * @huge:  transparent huge pages, where the kernel gives any
 *
 * Without @huge: a memfd that can neither grow nor shrink. With: a
 * file of a tmpfs of its own, mounted huge=always and nowhere visible, since
 * the pages of a memfd are as large as one setting for the whole machine says
 * (shmem_enabled, default "never"). That takes CAP_SYS_ADMIN; without it a
 * memfd, on which the worker's madvise() may still help.
 *
 * Return: a descriptor (>= 0), close-on-exec, owned; -EMFILE, -ENOMEM,
 * -ENOSPC. Source: fsopen(2), Documentation/filesystems/tmpfs.rst.
 */
MUST_CHECK int ram_file_create(uint64_t bytes, bool huge);

#endif
