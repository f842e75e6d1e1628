/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/bootdisk/kernel_unpacker.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/boot/bzimage.h"
#include "monitor/boot/elf_image.h"
#include "monitor/boot/kernel_cache.h"
#include "monitor/boot/unpack.h"
#include "monitor/bootdisk/confined_child.h"

#define MEMORY_MAX MIB(768)
#define CPU_MAX_S  240u /* half a minute in the lab */

struct kernel_unpacker {
	const uint8_t *file;
	uint64_t bytes;
	uint8_t *elf; /* BOOT_IMAGE_MAX bytes of a memfd */
	int file_fd, elf_fd;
	struct stat st;
};

struct unpack_reply {
	int32_t err;
	uint64_t used;
};

static int kernel_unpacker_open(struct kernel_unpacker *u, const char *path)
{
	void *at;

	u->file_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (u->file_fd < 0 || fstat(u->file_fd, &u->st) < 0)
		return -errno;
	u->bytes = (uint64_t)u->st.st_size;
	if (u->bytes == 0)
		return -ENODATA;
	at = mmap(NULL, u->bytes, PROT_READ, MAP_SHARED, u->file_fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	u->file = at;
	u->elf_fd = memfd_create("disco-unpack", MFD_CLOEXEC);
	if (u->elf_fd < 0 || ftruncate(u->elf_fd, BOOT_IMAGE_MAX) < 0)
		return -errno;
	at = mmap(NULL, BOOT_IMAGE_MAX, PROT_READ | PROT_WRITE, MAP_SHARED,
		  u->elf_fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	u->elf = at;
	return 0;
}

static void kernel_unpacker_close(struct kernel_unpacker *u)
{
	if (u->file)
		(void)munmap((void *)(uintptr_t)u->file, u->bytes);
	if (u->elf)
		(void)munmap(u->elf, BOOT_IMAGE_MAX);
	if (u->file_fd >= 0)
		(void)close(u->file_fd);
	if (u->elf_fd >= 0)
		(void)close(u->elf_fd);
}

/* In the child, which has both files mapped. */
static void kernel_unpacker_work(void *arg, void *reply)
{
	const struct kernel_unpacker *u = arg;
	struct unpack_reply *r = reply;
	const char *why = "";
	struct elf_image e;
	struct bzimage z;
	size_t used = 0;

	r->err = -ENOTSUP;
	if (!bzimage_is(u->file, u->bytes) ||
	    bzimage_parse(u->file, u->bytes, &z, &why) < 0 ||
	    !z.payload_bytes || !z.entry64)
		return; /* it is looked at, and refused, by boot_image.c */
	r->err = unpack_payload(u->file + z.payload_offset, z.payload_bytes,
				u->elf, BOOT_IMAGE_MAX, &used);
	/* What is no kernel would be unpacked anew by whoever finds it. */
	if (!r->err && elf_parse(u->elf, used, &e, &why) < 0)
		r->err = -EBADMSG;
	r->used = used;
}

static int kernel_unpacker_keep(const struct kernel_unpacker *u,
				const char *dir, uint64_t key,
				const struct unpack_reply *r, struct diag *d)
{
	uint64_t bytes;
	int fd;

	if (r->err == -ENOTSUP)
		return 0;
	if (r->err || r->used == 0 || r->used > BOOT_IMAGE_MAX)
		return diag_fail(d, ST_KERNEL_CUT, EBADMSG,
				 "its kernel is truncated or corrupt, and "
				 "cannot be unpacked; give --kernel");
	kernel_cache_store(dir, key, u->elf, r->used);
	fd = kernel_cache_open(dir, key, &bytes);
	if (fd < 0)
		return 0;
	(void)close(fd);
	return 1;
}

static int kernel_unpacker_fork(struct kernel_unpacker *u, const char *dir,
				uint64_t key, struct diag *d)
{
	const struct confined_job job = {
		.limits = { .memory_bytes = MEMORY_MAX, .cpu_s = CPU_MAX_S },
		.limit_ns = KERNEL_UNPACKER_LIMIT_NS,
		.work = kernel_unpacker_work,
		.arg = u,
		.what = "its kernel",
	};
	struct unpack_reply r = { .err = -EIO };
	int err = confined_child_run(&job, &r, sizeof(r), d);

	return err ? err : kernel_unpacker_keep(u, dir, key, &r, d);
}

int kernel_unpacker_run(const char *dir, const char *path, struct diag *d)
{
	struct kernel_unpacker u = { .file_fd = -1, .elf_fd = -1 };
	uint64_t key, bytes;
	int fd, err = kernel_unpacker_open(&u, path);

	if (err) {
		err = diag_fail(d, ST_HOST, -err, "its kernel: %s",
				strerror(-err));
		goto close;
	}
	key = kernel_cache_key(&u.st, u.file);
	fd = kernel_cache_open(dir, key, &bytes);
	if (fd >= 0)
		(void)close(fd);
	err = fd >= 0 ? 1 : kernel_unpacker_fork(&u, dir, key, d);
close:
	kernel_unpacker_close(&u);
	return err;
}
