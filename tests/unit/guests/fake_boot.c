/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/guests/fake_boot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int kvm_open(int *fd, struct diag *d)
{
	(void)d;
	*fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	return 0;
}

int boot_image_create(const struct boot_source *src, struct boot_image *out,
		      struct diag *d)
{
	if (strcmp(src->kernel, "/missing") == 0)
		return diag_fail(d, ST_FILE, ENOENT, "kernel /missing: gone");
	if (strcmp(src->kernel, "/slow") == 0)
		(void)pause();
	memset(out, 0, sizeof(*out));
	out->fd = memfd_create("boot", MFD_CLOEXEC);
	out->layout.end = MIB(8);
	out->layout.cmdline_max = 20;
	return 0;
}

void boot_image_destroy(struct boot_image *img)
{
	if (img && img->fd > 0)
		(void)close(img->fd);
}
