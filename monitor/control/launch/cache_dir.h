/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The directory for unpacked kernels is the first of: $DISCO_CACHE_DIR,
 * $XDG_CACHE_HOME/disco (if absolute), /var/cache/disco for root,
 * $HOME/.cache/disco.
 */
#ifndef DISCO_MONITOR_CACHE_DIR_H
#define DISCO_MONITOR_CACHE_DIR_H

#include "disco/base.h"
#include "disco/diag.h"

/**
 * cache_dir_path() - get the name of the cache directory
 * @out: malloc'ed; the caller frees it
 *
 * Context: one thread (getenv); accesses no files. Return: 0; -ENOENT none of
 * the rules gives a name; -ENOMEM.
 */
MUST_CHECK int cache_dir_path(char **out);

/**
 * cache_dir_make() - cache_dir_path(), and create missing directories
 * @d: out on error: ST_HOST; names the directory and $DISCO_CACHE_DIR
 *
 * New directories have mode 0755 for root, 0700 for others. Return: as
 * cache_dir_path(); -errno of mkdir.
 */
MUST_CHECK int cache_dir_make(char **out, struct diag *d);

#endif
