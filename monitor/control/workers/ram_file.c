/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/workers/ram_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

static int sealed_memfd(uint64_t bytes)
{
	int err, fd = memfd_create(RAM_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)bytes) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) ==
		    0)
		return fd;
	err = -errno;
	(void)close(fd);
	return err;
}

/* Return: a mount that nobody else sees; -1. */
static int mount_huge(uint64_t bytes)
{
	char size[24];
	int fs = fsopen("tmpfs", FSOPEN_CLOEXEC), mount = -1;

	if (fs < 0)
		return -1;
	/* Whole huge pages, or the last one would not be one. */
	(void)snprintf(size, sizeof(size), "%llu",
		       (unsigned long long)align_up(bytes, MIB(2)));
	if (fsconfig(fs, FSCONFIG_SET_STRING, "huge", "always", 0) == 0 &&
	    fsconfig(fs, FSCONFIG_SET_STRING, "size", size, 0) == 0 &&
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		mount = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	(void)close(fs);
	return mount;
}

/* Return: a descriptor; -1: not here. The mount lives as long as the file. */
static int huge_file(uint64_t bytes)
{
	int mount = mount_huge(bytes), fd;

	if (mount < 0)
		return -1;
	fd = openat(mount, RAM_FILE_NAME, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC,
		    0600);
	(void)close(mount);
	if (fd >= 0 && ftruncate(fd, (off_t)bytes) < 0) {
		(void)close(fd);
		fd = -1;
	}
	return fd;
}

int ram_file_create(uint64_t bytes, bool huge)
{
	int fd = huge ? huge_file(bytes) : -1;

	return fd < 0 ? sealed_memfd(bytes) : fd;
}
