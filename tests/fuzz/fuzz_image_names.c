/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files that an image names, and its format: of any bytes. Checked: names
 * have an end and are not too long, and what is refused says why.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "monitor/control/disks/image_names.h"
#include "tests/must.h"

#define NAME_MAX_BYTES (1u << 20) /* a descriptor has no larger one */

static void check_name(const char *name)
{
	must(!name || strlen(name) <= NAME_MAX_BYTES);
}

static void check_format_of(int fd, size_t n, enum disk_format f)
{
	struct image_names names;
	const char *why = NULL;
	int err = image_names_read(fd, n, f, &names, &why);

	must(err == 0 || err == -EBADMSG);
	must(!err || (why && *why));
	check_name(names.backing);
	check_name(names.data);
	must(names.nr_extents <= IMAGE_MAX_EXTENTS);
	for (unsigned i = 0; !err && i < names.nr_extents; i++)
		check_name(names.extents[i]);
	image_names_free(&names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	enum disk_format found = DISK_FORMAT_RAW;
	int fd = memfd_create("image", MFD_CLOEXEC);

	must(fd >= 0 && write(fd, data, n) == (ssize_t)n);
	must(disk_format_probe(fd, n, &found) == 0);
	must(disk_format_name(found));
	/* Whatever it is found to be. */
	for (enum disk_format f = DISK_FORMAT_RAW; f <= DISK_FORMAT_ZSTD; f++)
		check_format_of(fd, n, f);
	(void)close(fd);
	return 0;
}
