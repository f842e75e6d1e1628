/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/disks/disk_files.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "monitor/control/disks/cow_files.h"

static void disk_files_describe(const struct disk_config *disk, unsigned nr,
				uint64_t bytes, struct worker_disk *out)
{
	memset(out, 0, sizeof(*out));
	out->bytes = bytes;
	out->read_only = disk->read_only;
	out->pmem = disk->pmem;
	out->queues = disk->queues;
	out->iops = disk->iops;
	out->bps = disk->bps;
	if (disk->cow)
		out->kind = WORKER_DISK_COW;
	else if (disk->snapshot && !disk->pmem)
		out->kind = WORKER_DISK_TEMP;
	if (disk->serial)
		memcpy(out->serial, disk->serial,
		       strnlen(disk->serial, DISK_SERIAL_MAX));
	else
		(void)snprintf(out->serial, sizeof(out->serial), "disk%u", nr);
}

static int open_cow(const struct disk_config *disk, const char *vm,
		    struct cow_pair *p, struct diag *d)
{
	const struct disk_name base = { .vm = vm,
					.path = disk->path,
					.read_only = true,
					.raw = disk->raw };
	int err;

	if (disk->cow)
		return cow_pair_open(vm, disk->path, disk->cow,
				     disk->raw ? COW_PAIR_RAW_BASE : 0, p, d);
	err = cow_base_open(&base, p, d);
	return err ? err : cow_file_make(vm, NULL, p, d);
}

/*
 * Not by its path: it may have none, or another file may be there by now. Not
 * when descriptors become few: a disk is as good without.
 */
static int open_direct(int fd)
{
	struct rlimit lim;
	char path[64];
	int direct;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	direct = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (direct < 0 || getrlimit(RLIMIT_NOFILE, &lim) < 0 ||
	    (rlim_t)direct < lim.rlim_cur / 2)
		return direct;
	(void)close(direct);
	return -1;
}

/* Does nobody else, another VM of this run among them, have it locked? */
static bool is_alone(int fd)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_GETLK, &fl) == 0 && fl.l_type == F_UNLCK;
}

/*
 * What is read with O_DIRECT is in no cache: a base that others read as well is
 * not. Return: how many descriptors more.
 */
static uint32_t open_for_direct(const struct cow_pair *p, int fds[2])
{
	fds[0] = open_direct(p->cow);
	if (fds[0] < 0)
		return 0;
	fds[1] = is_alone(p->base) ? open_direct(p->base) : -1;
	return fds[1] < 0 ? 1 : 2;
}

int disk_file_open(const struct disk_config *disk, const char *vm, unsigned nr,
		   struct worker_disk *out, int fds[DISK_FDS_MAX],
		   struct diag *d)
{
	/* What is written to memory needs no file to be forgotten in. */
	bool forgets = disk->snapshot && disk->pmem;
	const struct disk_name n = { .vm = vm,
				     .path = disk->path,
				     .read_only = disk->read_only || forgets,
				     .raw = disk->raw };
	struct cow_pair p = COW_PAIR_NONE;
	uint64_t bytes = 0;
	int err;

	if (!disk->cow && (!disk->snapshot || forgets)) {
		err = disk_path_open(&n, &bytes, &fds[0], d);
		if (err)
			return err;
		disk_files_describe(disk, nr, bytes, out);
		return 1;
	}
	err = open_cow(disk, vm, &p, d);
	if (err) {
		cow_pair_close(&p);
		return err;
	}
	disk_files_describe(disk, nr, p.now.bytes, out);
	fds[0] = p.base;
	fds[1] = p.cow;
	/* A disk that is memory asks for nothing ahead. */
	out->direct = disk->pmem ? 0 : open_for_direct(&p, &fds[2]);
	return (int)worker_disk_fds(out);
}
