/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/launch/unpack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/boot/boot_image.h"
#include "monitor/control/launch/cache_dir.h"

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
	static const char *const entry_names[] = {
		[BOOT_LINUX64] = "Linux 64-bit",
		[BOOT_LINUX32] = "Linux 32-bit",
		[BOOT_PVH] = "PVH",
	};
	struct boot_image img;
	int err;

	err = boot_image_create(&src, &img, d);
	if (err)
		return err;
	printf("%s: %.1f MiB, %s entry, in %s\n", kernel,
	       (double)loaded_bytes(&img.layout) / (double)MIB(1),
	       entry_names[img.layout.entry_kind], cache_dir);
	boot_image_destroy(&img);
	return 0;
}

static int unpack_run(const struct command_args *a, struct diag *d)
{
	char *dir = NULL;
	int err = cache_dir_make(&dir, d);

	for (unsigned i = 0; i < a->nr_words && !err; i++)
		err = unpack_one(a->words[i], dir, d);
	free(dir);
	return err;
}

const struct command unpack_command = {
	.name = "unpack",
	.brief = "decompress kernels into the cache",
	.words = "KERNEL...",
	.help = "Decompress kernels into the cache, so that their first guest "
		"need not wait for it.",
	.min_words = 1,
	.max_words = COMMAND_MAX_WORDS,
	.run = unpack_run,
};
