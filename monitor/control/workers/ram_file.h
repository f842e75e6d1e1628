/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file that holds a guest's memory. Private to spawn.c, except its name.
 */
#ifndef DISCO_MONITOR_RAM_FILE_H
#define DISCO_MONITOR_RAM_FILE_H

#include "disco/base.h"

/* Its name in /proc/PID/maps, for both kinds, after a "/": see move_map.h. */
#define RAM_NAME      "disco-ram"
#define RAM_FILE_NAME "memfd:" RAM_NAME

/**
 * ram_file_create() - create memory for a guest, not bound to a node yet
 * @bytes: a multiple of PAGE_BYTES
 * @huge:  transparent huge pages, where the kernel gives any
 *
 * Without @huge it is a memfd that can neither grow nor shrink. The size of a
 * memfd's pages follows one setting for the whole machine (shmem_enabled,
 * default "never"). So with @huge it is a file of a private tmpfs, which is
 * mounted huge=always and visible nowhere. That requires CAP_SYS_ADMIN; without
 * it, it is a memfd, for which the worker's madvise() may still help.
 *
 * Return: a descriptor (>= 0), close-on-exec, owned; -EMFILE, -ENOMEM,
 * -ENOSPC. Source: fsopen(2), Documentation/filesystems/tmpfs.rst.
 */
MUST_CHECK int ram_file_create(uint64_t bytes, bool huge);

#endif
