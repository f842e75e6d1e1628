/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/boot_copies.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/control/worker_file.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

struct boot_copy {
	struct boot_copy *next;
	uint64_t origin;
	dev_t dev;
	ino_t ino;
	nodeid_t node;
	int fd;
};

static struct boot_copy *add(struct boot_copies *set, uint64_t origin,
			     nodeid_t node, int fd, const struct stat *st)
{
	struct boot_copy *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	*c = (struct boot_copy){ .next = set->first,
				 .origin = origin,
				 .dev = st->st_dev,
				 .ino = st->st_ino,
				 .node = node,
				 .fd = fd };
	set->first = c;
	return c;
}

int boot_copies_find(struct boot_copies *set, pid_t pid, nodeid_t now,
		     nodeid_t node, uint64_t *origin, int *from, int *to)
{
	struct boot_copy *c = set->first;
	struct stat st = { 0 };
	/* Its inode number is not used again while we have it open. */
	int fd = worker_file_open(pid, WORKER_FD_BOOT, &st);

	if (fd < 0)
		return fd;
	while (c && (c->dev != st.st_dev || c->ino != st.st_ino))
		c = c->next;
	if (!c)
		c = add(set, ++set->last_origin, now, fd, &st);
	if (!c || c->fd != fd)
		(void)close(fd);
	if (!c)
		return -ENOMEM;
	*origin = c->origin;
	*from = c->fd;
	*to = -1;
	for (c = set->first; c; c = c->next)
		if (c->origin == *origin && c->node == node)
			*to = c->fd;
	return 0;
}

int boot_copies_new(int from)
{
	int fd = memfd_create("disco-boot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(from, &st) == 0 && ftruncate(fd, st.st_size) == 0)
		return fd;
	(void)close(fd);
	return -EIO;
}

int boot_copies_add(struct boot_copies *set, uint64_t origin, nodeid_t node,
		    int fd, int *to)
{
	struct boot_copy *c = NULL;
	struct stat st;
	char path[64];
	int ro;

	if (fcntl(fd, F_ADD_SEALS, SEALS) < 0 || fstat(fd, &st) < 0) {
		(void)close(fd);
		return -EIO;
	}
	/* For readers; the seals alone would do. */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	(void)close(fd);
	if (ro >= 0)
		c = add(set, origin, node, ro, &st);
	if (!c) {
		if (ro >= 0)
			(void)close(ro);
		return -ENOMEM;
	}
	*to = ro;
	return 0;
}

void boot_copies_sweep(struct boot_copies *set,
		       bool (*used)(void *arg, uint64_t origin), void *arg)
{
	struct boot_copy **at = &set->first;

	while (*at) {
		struct boot_copy *c = *at;

		if (used && used(arg, c->origin)) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		(void)close(c->fd);
		free(c);
	}
}
