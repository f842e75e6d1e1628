/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/launch/disk_boot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/boot/kernel_cache.h"
#include "monitor/bootdisk/boot_reader.h"
#include "monitor/bootdisk/kernel_unpacker.h"
#include "monitor/control/disks/disk_path.h"

enum { BOOT_KERNEL, BOOT_INITRD, BOOT_FILES };

static int disk_boot_no_memory(struct diag *d)
{
	return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
}

static int disk_boot_make_files(struct disk_boot *b, struct diag *d)
{
	for (unsigned i = 0; i < BOOT_FILES; i++) {
		b->fds[i] = memfd_create("disco-disk-boot", MFD_CLOEXEC);
		if (b->fds[i] < 0)
			return diag_fail(d, ST_HOST, errno,
					 "no memory for boot files: %s",
					 strerror(errno));
	}
	return 0;
}

/* Errors of the reader follow the name of the disk. */
static int disk_boot_read(const struct vm_config *vm,
			  const struct disk_volume_files *files,
			  struct disk_boot *b, struct boot_found *found,
			  struct diag *d)
{
	const struct disk_name n = { .vm = vm->name,
				     .path = vm->disks[0].path };
	const struct boot_files_out to = { b->fds[BOOT_KERNEL],
					   b->fds[BOOT_INITRD] };
	struct diag inner = { .status = ST_OK };
	int err = boot_reader_run(files, &to, found, &inner);

	if (!err)
		return 0;
	return disk_fail(&n, inner.status, -err, inner.text, d);
}

/*
 * A path by which the file can be opened. Without a cache, or where it cannot be
 * written to, that of the open file. Return: malloc'ed; NULL.
 */
static char *disk_boot_keep(const char *dir, int *fd)
{
	char name[KERNEL_CACHE_NAME_MAX], *path = NULL;

	if (dir && kernel_cache_keep(dir, *fd, name) == 0) {
		if (asprintf(&path, "%s/%s", dir, name) < 0)
			return NULL;
		(void)close(*fd);
		*fd = -1;
		return path;
	}
	return asprintf(&path, "/proc/self/fd/%d", *fd) < 0 ? NULL : path;
}

/*
 * A kernel of a disk is not unpacked here: what the child could not put into the
 * cache, the guest unpacks itself.
 */
static int disk_boot_unpack(const struct vm_config *vm, const char *dir,
			    struct disk_boot *b, struct diag *d)
{
	const struct disk_name n = { .vm = vm->name,
				     .path = vm->disks[0].path };
	bool is_kept = b->fds[BOOT_KERNEL] < 0;
	struct diag inner = { .status = ST_OK };
	int got = 0;

	if (!vm->keep_packed && is_kept)
		got = kernel_unpacker_run(dir, b->kernel, &inner);
	if (got < 0)
		return disk_fail(&n, inner.status, -got, inner.text, d);
	b->vm.keep_packed = got == 0;
	return 0;
}

static int disk_boot_set(const struct vm_config *vm,
			 const struct boot_found *found, const char *dir,
			 struct disk_boot *b, struct diag *d)
{
	const struct boot_item *item = &found->item;

	if (asprintf(&b->from, "%s:%s", vm->disks[0].path, item->kernel) < 0)
		b->from = NULL;
	b->kernel = disk_boot_keep(dir, &b->fds[BOOT_KERNEL]);
	if (item->nr_initrds)
		b->initrd = disk_boot_keep(dir, &b->fds[BOOT_INITRD]);
	b->cmdline = strdup(vm->cmdline ? vm->cmdline : item->cmdline);
	if (!b->from || !b->kernel || !b->cmdline ||
	    (item->nr_initrds && !b->initrd))
		return disk_boot_no_memory(d);
	b->vm = *vm;
	b->vm.kernel = b->kernel;
	b->vm.initrd = b->initrd;
	b->vm.cmdline = b->cmdline;
	return disk_boot_unpack(vm, dir, b, d);
}

int disk_boot_find(const struct vm_config *vm, const struct worker_disk *disk,
		   const int *fds, const char *cache_dir, struct disk_boot *out,
		   struct diag *d)
{
	struct disk_volume_files files = { .base = fds[0],
					   .cow = -1,
					   .bytes = disk->bytes };
	struct boot_found *found;
	struct stat st;
	int err;

	/* The file of a snapshot is empty, and needs no look. */
	if (disk->kind == WORKER_DISK_COW && fstat(fds[1], &st) == 0) {
		files.cow = fds[1];
		files.cow_bytes = (uint64_t)st.st_size;
	}
	found = calloc(1, sizeof(*found));
	if (!found)
		return disk_boot_no_memory(d);
	err = disk_boot_make_files(out, d);
	if (!err)
		err = disk_boot_read(vm, &files, out, found, d);
	if (!err)
		err = disk_boot_set(vm, found, cache_dir, out, d);
	free(found);
	return err;
}

void disk_boot_destroy(struct disk_boot *b)
{
	for (unsigned i = 0; i < BOOT_FILES; i++)
		if (b->fds[i] > 0) /* 0: all-zero */
			(void)close(b->fds[i]);
	free(b->from);
	free(b->kernel);
	free(b->initrd);
	free(b->cmdline);
	*b = DISK_BOOT_NONE;
}
