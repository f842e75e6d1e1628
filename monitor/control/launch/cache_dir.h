/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where unpacked kernels are kept, first of: $DISCO_CACHE_DIR,
 * $XDG_CACHE_HOME/disco (when absolute), /var/cache/disco for root,
 * $HOME/.cache/disco.
 */
#ifndef DISCO_MONITOR_CACHE_DIR_H
#define DISCO_MONITOR_CACHE_DIR_H

#include "disco/base.h"
#include "disco/diag.h"

/**
 * cache_dir_path() - name of the cache directory
 * @out: malloc'ed; the caller frees it
 *
 * Context: one thread (getenv); no files touched. Return: 0; -ENOENT none of
 * the rules gives one; -ENOMEM.
 */
MUST_CHECK int cache_dir_path(char **out);

/**
 * cache_dir_make() - the same, created with its parents when missing
 * @d: ST_HOST; names the directory and $DISCO_CACHE_DIR
 *
 * New directories are mode 0755 for root, 0700 for others. Return: as above;
 * the errno of mkdir.
 */
MUST_CHECK int cache_dir_make(char **out, struct diag *d);

#endif
