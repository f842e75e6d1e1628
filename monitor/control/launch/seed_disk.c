/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/launch/seed_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/control/launch/fat_image.h"
#include "monitor/ipc/fds.h"

#define FILE_MAX MIB(8)
#define SERIAL	 "cidata"

enum { SEED_USER, SEED_META, SEED_NETWORK, SEED_FILES };

struct seed_files {
	struct fat_file files[SEED_FILES]; /* data: malloc'ed */
	unsigned nr;
};

static int seed_no_memory(struct diag *d)
{
	return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
}

static int seed_fail(const char *path, const char *why, int err, struct diag *d)
{
	return diag_fail(d, ST_FILE, err, "cloud-init %.300s: %s", path, why);
}

/* One byte more than there may be is seen. */
static int seed_read(int fd, char *buf, size_t *bytes)
{
	size_t n = 0;

	for (;;) {
		ssize_t got = read(fd, buf + n, FILE_MAX + 1 - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		n += (size_t)got;
		if (n > FILE_MAX)
			return -EFBIG;
	}
	*bytes = n;
	return 0;
}

static int seed_add_file(struct seed_files *s, const char *name,
			 const char *path, struct diag *d)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *buf = malloc(FILE_MAX + 1);
	struct stat st;
	size_t bytes = 0;
	int err = 0;

	if (!buf)
		err = seed_no_memory(d);
	else if (fd < 0 || fstat(fd, &st) < 0)
		err = seed_fail(path, strerror(errno), errno, d);
	else if (!S_ISREG(st.st_mode))
		err = seed_fail(path, "is not a regular file", EINVAL, d);
	else if ((err = seed_read(fd, buf, &bytes)))
		err = seed_fail(path,
				err == -EFBIG ? "is larger than 8 MiB"
					      : strerror(-err),
				err == -EFBIG ? E2BIG : -err, d);
	if (fd >= 0)
		(void)close(fd);
	if (err) {
		free(buf);
		return err;
	}
	/* Its room is not touched beyond what was read. */
	s->files[s->nr++] = (struct fat_file){ name, buf, bytes };
	return 0;
}

static int seed_add_meta(struct seed_files *s, const struct vm_config *vm,
			 struct diag *d)
{
	uint64_t crc = 0;
	char *text;
	int n;

	for (unsigned i = 0; i < s->nr; i++)
		crc = lzma_crc64(s->files[i].data, s->files[i].bytes, crc);
	n = asprintf(&text,
		     "instance-id: %s-%016" PRIx64 "\nlocal-hostname: %s\n",
		     vm->name, crc, vm->name);
	if (n < 0)
		return seed_no_memory(d);
	s->files[s->nr++] = (struct fat_file){ "meta-data", text, (size_t)n };
	return 0;
}

static int seed_add_all(struct seed_files *s, const struct vm_config *vm,
			struct diag *d)
{
	int err = seed_add_file(s, "user-data", vm->cloud_init, d);

	if (!err && vm->network_config)
		err = seed_add_file(s, "network-config", vm->network_config, d);
	if (err)
		return err;
	if (vm->meta_data)
		return seed_add_file(s, "meta-data", vm->meta_data, d);
	return seed_add_meta(s, vm, d);
}

static int seed_write(const struct seed_files *s, struct worker_disk *out,
		      int *fd)
{
	int err, file = memfd_create("disco-seed",
				     MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct stat st;

	if (file < 0)
		return -errno;
	err = fat_image_write(file, "CIDATA", 0x44697363, s->files, s->nr);
	if (!err && fstat(file, &st) < 0)
		err = -errno;
	if (!err)
		err = fds_seal_to_read(&file);
	if (err) {
		(void)close(file);
		return err;
	}
	*out = (struct worker_disk){ .bytes = (uint64_t)st.st_size,
				     .read_only = true,
				     .kind = WORKER_DISK_RAW,
				     .serial = SERIAL,
				     .queues = 1 };
	*fd = file;
	return 0;
}

int seed_disk_make(const struct vm_config *vm, struct worker_disk *out, int *fd,
		   struct diag *d)
{
	struct seed_files s = { .nr = 0 };
	int err = seed_add_all(&s, vm, d);

	if (!err) {
		err = seed_write(&s, out, fd);
		if (err)
			err = diag_fail(d, ST_HOST, -err,
					"%s: cannot make its seed: %s",
					vm->name, strerror(-err));
	}
	while (s.nr)
		free((void *)(uintptr_t)s.files[--s.nr].data);
	return err;
}
