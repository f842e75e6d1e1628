/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `disco image`: copy-on-write files from the command line. image.c has the
 * table of subcommands, image_*.c do them.
 */
#ifndef DISCO_MONITOR_IMAGE_H
#define DISCO_MONITOR_IMAGE_H

#include "disco/diag.h"

/**
 * image_main() - `disco image create|info|check|commit|export|import|rebase`
 * @argv: argv[0] is the subcommand of disco, argv[1] that of image
 * @d:    why not, on error
 *
 * Context: control process; blocks on files. Return: ST_OK, or the status
 * `check --json` has printed; -errno with @d filled.
 */
MUST_CHECK int image_main(int argc, char **argv, struct diag *d);

/* What image.c has taken from the command line. */
struct image_args {
	const char *files[3]; /* as many as the subcommand needs */
	unsigned nr;
	bool json;
	const char *from; /* rebase --from; NULL */
};

/* One of them each. Return: an exit status; -errno with @d filled. */
MUST_CHECK int image_create(const struct image_args *a, struct diag *d);
MUST_CHECK int image_info(const struct image_args *a, struct diag *d);
MUST_CHECK int image_check(const struct image_args *a, struct diag *d);
MUST_CHECK int image_commit(const struct image_args *a, struct diag *d);
MUST_CHECK int image_export(const struct image_args *a, struct diag *d);
MUST_CHECK int image_import(const struct image_args *a, struct diag *d);
MUST_CHECK int image_rebase(const struct image_args *a, struct diag *d);

#endif
