/* SPDX-License-Identifier: BSD-2-Clause */
/* The setters of config_draft.h: what a single value may be. */
#include "monitor/control/config/config_draft.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/control/base/size.h"
#include "numa/bind.h"

#define ALNUM                                                                  \
	"abcdefghijklmnopqrstuvwxyz"                                           \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

int config_fail(const struct config_at *at, int err, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return diag_fail(at->d, at->status, err, "%s: %s", at->where, text);
}

static int set_text(char **slot, const char *text, const struct config_at *at)
{
	char *copy = strdup(text);

	if (!copy)
		return diag_fail(at->d, ST_HOST, ENOMEM, "out of memory");
	free(*slot);
	*slot = copy;
	return 0;
}

static int config_set_path(char **slot, const char *dir, const char *path,
			   const struct config_at *at)
{
	char *joined;
	int err;

	if (!*path)
		return config_fail(at, EINVAL, "an empty path");
	if (strlen(path) >= PATH_MAX)
		return config_fail(at, EINVAL, "a path longer than %d bytes",
				   PATH_MAX - 1);
	if (!dir || *path == '/')
		return set_text(slot, path, at);
	if (asprintf(&joined, "%s/%s", dir, path) < 0)
		return diag_fail(at->d, ST_HOST, ENOMEM, "out of memory");
	err = set_text(slot, joined, at);
	free(joined);
	return err;
}

static int set_name(char **slot, const char *name, const struct config_at *at)
{
	size_t len = strlen(name);

	if (len == 0 || len > VM_NAME_MAX)
		return config_fail(at, EINVAL, "a name has 1 to %d characters",
				   VM_NAME_MAX);
	if (strspn(name, ALNUM "._-") != len || strspn(name, ALNUM) == 0)
		return config_fail(at, EINVAL,
				   "'%s' is not a name: letters, digits and "
				   "'._-', a letter or digit first",
				   name);
	return set_text(slot, name, at);
}

int vm_set_name(struct vm_config *vm, const char *name,
		const struct config_at *at)
{
	return set_name(&vm->name, name, at);
}

int vm_set_group(struct vm_config *vm, const char *name,
		 const struct config_at *at)
{
	return set_name(&vm->group, name, at);
}

int vm_set_kernel(struct vm_config *vm, const char *dir, const char *path,
		  const struct config_at *at)
{
	return config_set_path(&vm->kernel, dir, path, at);
}

int vm_set_initrd(struct vm_config *vm, const char *dir, const char *path,
		  const struct config_at *at)
{
	return config_set_path(&vm->initrd, dir, path, at);
}

int vm_set_cmdline(struct vm_config *vm, const char *text,
		   const struct config_at *at)
{
	if (strlen(text) > CMDLINE_MAX)
		return config_fail(at, EINVAL, "longer than %d bytes",
				   CMDLINE_MAX);
	return set_text(&vm->cmdline, text, at);
}

int vm_set_cpus(struct vm_config *vm, int64_t nr, const struct config_at *at)
{
	if (nr < 1 || nr > VM_MAX_VCPUS)
		return config_fail(at, EINVAL,
				   "a VM has 1 to %d CPUs, not %lld",
				   VM_MAX_VCPUS, (long long)nr);
	vm->nr_vcpus = (unsigned)nr;
	return 0;
}

int vm_set_memory(struct vm_config *vm, uint64_t bytes,
		  const struct config_at *at)
{
	char min[SIZE_TEXT_MAX], max[SIZE_TEXT_MAX], is[SIZE_TEXT_MAX];

	if (bytes < VM_MIN_MEMORY || bytes > VM_MAX_MEMORY)
		return config_fail(
			at, EINVAL, "a VM has %s to %s of memory, not %s",
			size_text(VM_MIN_MEMORY, min),
			size_text(VM_MAX_MEMORY, max), size_text(bytes, is));
	if (bytes % PAGE_BYTES)
		return config_fail(at, EINVAL,
				   "%s is not a multiple of the page size, %u",
				   size_text(bytes, is), PAGE_BYTES);
	vm->memory_bytes = bytes;
	return 0;
}

int vm_set_node(struct vm_config *vm, int64_t node, const struct config_at *at)
{
	if (node < 0 || node > NODE_ID_MAX)
		return config_fail(at, EINVAL,
				   "must be 'auto' or a node's number, 0 to %d",
				   NODE_ID_MAX);
	vm->node = (nodeid_t)node;
	return 0;
}

int vm_set_huge(struct vm_config *vm, const char *text,
		const struct config_at *at)
{
	if (strcmp(text, "thp") != 0 && strcmp(text, "off") != 0)
		return config_fail(at, EINVAL, "must be 'thp' or 'off'");
	vm->huge_thp = *text == 't';
	return 0;
}

int vm_draft_set_count(struct vm_draft *draft, int64_t nr,
		       const struct config_at *at)
{
	if (nr < 1 || nr > CONFIG_MAX_VMS)
		return config_fail(at, EINVAL, "1 to %d VMs, not %lld",
				   CONFIG_MAX_VMS, (long long)nr);
	draft->count = (unsigned)nr;
	return 0;
}

int vm_add_disk(struct vm_config *vm, struct disk_config **out,
		const struct config_at *at)
{
	if (vm->nr_disks == VM_MAX_DISKS)
		return config_fail(at, EINVAL, "a VM has at most %d disks",
				   VM_MAX_DISKS);
	*out = &vm->disks[vm->nr_disks++];
	return 0;
}

int disk_set_path(struct disk_config *disk, const char *dir, const char *path,
		  const struct config_at *at)
{
	return config_set_path(&disk->path, dir, path, at);
}

int disk_set_cow(struct disk_config *disk, const char *dir, const char *path,
		 const struct config_at *at)
{
	return config_set_path(&disk->cow, dir, path, at);
}

int disk_check(const struct disk_config *disk, const struct config_at *at)
{
	if (disk->cow && disk->snapshot)
		return config_fail(at, EINVAL,
				   "'cow' keeps what the guest writes, "
				   "'snapshot' forgets it: give one of them");
	if (disk->read_only && (disk->cow || disk->snapshot))
		return config_fail(at, EINVAL,
				   "'ro' leaves nothing to write for '%s'",
				   disk->cow ? "cow" : "snapshot");
	if (disk->cow && disk->path && strcmp(disk->cow, disk->path) == 0)
		return config_fail(at, EINVAL,
				   "'cow' and 'path' are the same file");
	if (disk->pmem && disk_writes_path(disk))
		return config_fail(at, EINVAL,
				   "'pmem' never writes to 'path': add 'ro', "
				   "'snapshot' or 'cow=FILE'");
	if (disk->pmem && disk->serial)
		return config_fail(at, EINVAL, "'pmem' disks have no 'serial'");
	return 0;
}

int disk_set_serial(struct disk_config *disk, const char *text,
		    const struct config_at *at)
{
	size_t len = strlen(text);

	if (len == 0 || len > DISK_SERIAL_MAX)
		return config_fail(at, EINVAL,
				   "a serial has 1 to %d characters",
				   DISK_SERIAL_MAX);
	for (const char *s = text; *s; s++)
		if (*s <= ' ' || *s > '~')
			return config_fail(at, EINVAL,
					   "a serial is printable ASCII "
					   "without blanks");
	return set_text(&disk->serial, text, at);
}

int disk_set_queues(struct disk_config *disk, int64_t nr,
		    const struct config_at *at)
{
	if (nr < 1 || nr > DISK_MAX_QUEUES)
		return config_fail(at, EINVAL,
				   "a disk has 1 to %d queues, not %lld",
				   DISK_MAX_QUEUES, (long long)nr);
	disk->queues = (unsigned)nr;
	return 0;
}

int disk_set_iops(struct disk_config *disk, int64_t nr,
		  const struct config_at *at)
{
	if (nr < 1 || nr > DISK_MAX_IOPS)
		return config_fail(at, EINVAL,
				   "1 to %u requests a second, not %lld",
				   DISK_MAX_IOPS, (long long)nr);
	disk->iops = (uint64_t)nr;
	return 0;
}

int disk_set_bps(struct disk_config *disk, uint64_t bytes,
		 const struct config_at *at)
{
	char min[SIZE_TEXT_MAX], max[SIZE_TEXT_MAX], is[SIZE_TEXT_MAX];

	if (bytes < DISK_MIN_BPS || bytes > DISK_MAX_BPS)
		return config_fail(at, EINVAL, "%s to %s a second, not %s",
				   size_text(DISK_MIN_BPS, min),
				   size_text(DISK_MAX_BPS, max),
				   size_text(bytes, is));
	disk->bps = bytes;
	return 0;
}
