/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DISCO_MONITOR_UNPACK_H
#define DISCO_MONITOR_UNPACK_H

#include "disco/diag.h"

/**
 * unpack_main() - `disco unpack KERNEL...`: fill the cache of unpacked kernels
 * @argv: argv[0] is the subcommand
 * @d:    why not, on error; the first kernel that fails ends it
 *
 * Prints a line a kernel. Context: control process; blocks on files.
 * Return: ST_OK; -EINVAL (ST_USAGE); what cache_dir_make() and
 * boot_image_create() return.
 */
MUST_CHECK int unpack_main(int argc, char **argv, struct diag *d);

#endif
