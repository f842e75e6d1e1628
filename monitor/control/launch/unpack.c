/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/launch/unpack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/boot/boot_image.h"
#include "monitor/control/launch/cache_dir.h"

static const char usage[] =
	"Usage: disco unpack KERNEL...\n"
	"Decompress kernels into the cache, so that their first guest need "
	"not wait for it.\n";

static uint64_t loaded_bytes(const struct boot_layout *l)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < l->nr_extents; i++)
		sum += l->extents[i].bytes;
	return sum;
}

static int unpack_one(const char *kernel, const char *cache_dir, struct diag *d)
{
	struct boot_source src = {
		.kernel = kernel,
		.cache_dir = cache_dir,
		.node = NODE_AUTO,
	};
	struct boot_image img;
	int err;

	err = boot_image_create(&src, &img, d);
	if (err)
		return err;
	printf("%s: %.1f MiB, %s entry, in %s\n", kernel,
	       (double)loaded_bytes(&img.layout) / (double)MIB(1),
	       img.layout.entry_kind == BOOT_PVH ? "PVH" : "Linux 64-bit",
	       cache_dir);
	boot_image_destroy(&img);
	return 0;
}

int unpack_main(int argc, char **argv, struct diag *d)
{
	char *dir = NULL;
	int err = 0;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		(void)fputs(usage, stdout);
		return ST_OK;
	}
	if (argc < 2)
		return diag_fail(d, ST_USAGE, EINVAL,
				 "no kernel; usage: disco unpack KERNEL...");
	for (int i = 1; i < argc; i++)
		if (argv[i][0] == '-')
			return diag_fail(d, ST_USAGE, EINVAL,
					 "unrecognized option '%s'; write "
					 "'./%s' for a file of that name",
					 argv[i], argv[i]);
	err = cache_dir_make(&dir, d);
	for (int i = 1; i < argc && !err; i++)
		err = unpack_one(argv[i], dir, d);
	free(dir);
	return err;
}
