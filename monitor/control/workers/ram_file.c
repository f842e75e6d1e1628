/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/workers/ram_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "numa/bind.h"
#include "numa/topology.h"

#define SHMEM_ENABLED "/sys/kernel/mm/transparent_hugepage/shmem_enabled"
#define RESERVE_PIECE MIB(64) /* between two looks at the free memory */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

int ram_file_sealed(const char *name, uint64_t bytes)
{
	int err, fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

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
static int mount_huge(uint64_t bytes, enum huge_pages huge)
{
	char size[24];
	int fs = fsopen("tmpfs", FSOPEN_CLOEXEC), mount = -1;

	if (fs < 0)
		return -1;
	/* Whole huge pages, or the last one would not be one. */
	(void)snprintf(size, sizeof(size), "%llu",
		       (unsigned long long)align_up(bytes, MIB(2)));
	if (fsconfig(fs, FSCONFIG_SET_STRING, "huge",
		     huge == HUGE_THP ? "always" : "advise", 0) == 0 &&
	    fsconfig(fs, FSCONFIG_SET_STRING, "size", size, 0) == 0 &&
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		mount = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	(void)close(fs);
	return mount;
}

/* Return: a descriptor; -1: not here. The mount lives as long as the file. */
static int huge_file(uint64_t bytes, enum huge_pages huge)
{
	int mount = mount_huge(bytes, huge), fd;

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

int ram_file_create(uint64_t bytes, enum huge_pages huge)
{
	int fd = huge == HUGE_OFF ? -1 : huge_file(bytes, huge);

	return fd < 0 ? ram_file_sealed(RAM_NAME, bytes) : fd;
}

bool ram_file_gives_huge(void)
{
	int fd = open(SHMEM_ENABLED, O_RDONLY | O_CLOEXEC), mount;
	char line[128] = "";
	ssize_t n = fd < 0 ? 0 : read(fd, line, sizeof(line) - 1);

	if (fd >= 0)
		(void)close(fd);
	/* No such file: a kernel without them. "deny" is for all mounts. */
	if (n <= 0 || strstr(line, "[deny]"))
		return false;
	if (!strstr(line, "[never]"))
		return true;
	mount = mount_huge(MIB(2), HUGE_AUTO);
	if (mount >= 0)
		(void)close(mount);
	return mount >= 0;
}

/* --- reserving --- */

/* Whoever is killed for memory now, it is this process. */
static void reserve_volunteer(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd >= 0) {
		(void)!write(fd, "1000", 4);
		(void)close(fd);
	}
}

static int reserve_piece(uint8_t *at, uint64_t bytes)
{
	if (madvise(at, bytes, MADV_POPULATE_WRITE) == 0)
		return 0;
	if (errno != EINVAL)
		return errno == EFAULT ? -ENOMEM : -errno;
	/* An older kernel: the pages are zero, and stay so. */
	for (uint64_t i = 0; i < bytes; i += PAGE_BYTES)
		((volatile uint8_t *)at)[i] = 0;
	return 0;
}

static int reserve_all(int fd, uint64_t bytes, nodeid_t node,
		       enum huge_pages huge)
{
	uint8_t *p =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int err;

	if (p == MAP_FAILED)
		return -errno;
	/* In vain where there are none. */
	if (huge != HUGE_OFF)
		(void)madvise(p, bytes, MADV_HUGEPAGE);
	err = node_bind_memory(p, bytes, node, true);
	for (uint64_t at = 0; !err && at < bytes; at += RESERVE_PIECE) {
		uint64_t left = bytes - at;

		if (node_free_bytes(node, left) < left)
			return -ENOMEM;
		err = reserve_piece(p + at, min_u64(left, RESERVE_PIECE));
	}
	return err;
}

int ram_file_reserve(int fd, uint64_t bytes, nodeid_t node,
		     enum huge_pages huge)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		reserve_volunteer();
		_exit(-reserve_all(fd, bytes, node, huge));
	}
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) != pid)
		if (errno != EINTR)
			return -errno;
	/* Killed: for memory, as it had asked for. */
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ENOMEM;
}
