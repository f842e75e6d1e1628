/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/launch/boot_copies.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory/ram_bind.h"
#include "monitor/control/workers/worker_file.h"
#include "monitor/ipc/fds.h"

struct boot_copy {
	struct boot_copy *next;
	uint64_t origin;
	dev_t dev;
	ino_t ino;
	nodeid_t node;
	int fd;
	struct boot_key key;
	struct boot_layout layout; /* when the key is known */
};

/*
 * What is a hole in an image gets memory when a guest reads it, also while that
 * guest is being moved, and so runs on another node already. It comes from the
 * image's node, if the kernel can do that.
 */
static void boot_copy_bind(int fd, uint64_t bytes, nodeid_t node)
{
	const struct ram_view image = { .fd = fd, .bytes = bytes };

	(void)!ram_bind(&image, node, false);
}

static struct boot_copy *boot_copies_append(struct boot_copies *set,
					    uint64_t origin, nodeid_t node,
					    int fd, const struct stat *st)
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
	boot_copy_bind(fd, (uint64_t)st->st_size, node);
	return c;
}

static struct boot_copy *by_inode(const struct boot_copies *set,
				  const struct stat *st)
{
	struct boot_copy *c = set->first;

	while (c && (c->dev != st->st_dev || c->ino != st->st_ino))
		c = c->next;
	return c;
}

/* On any node, from @c on. */
static const struct boot_copy *by_key(const struct boot_copy *c,
				      const struct boot_key *key)
{
	while (c && !boot_key_same(&c->key, key))
		c = c->next;
	return c;
}

uint64_t boot_copies_started(struct boot_copies *set,
			     const struct boot_key *key, nodeid_t node,
			     const struct boot_image *image)
{
	struct stat st = { 0 };
	const struct boot_copy *like = by_key(set->first, key);
	bool known = fstat(image->fd, &st) == 0;
	struct boot_copy *c = known ? by_inode(set, &st) : NULL;

	if (known && !c) {
		c = boot_copies_append(set,
				       like ? like->origin : ++set->last_origin,
				       node, image->fd, &st);
		if (c) {
			c->key = *key;
			c->layout = image->layout;
		}
	}
	if (!c || c->fd != image->fd)
		(void)close(image->fd);
	return c ? c->origin : 0;
}

bool boot_copies_have(const struct boot_copies *set, const struct boot_key *key,
		      nodeid_t node, struct boot_image *out)
{
	const struct boot_copy *c = by_key(set->first, key);

	while (c && c->node != node)
		c = by_key(c->next, key);
	if (c)
		*out = (struct boot_image){ c->fd, c->layout };
	return c;
}

unsigned boot_copies_each(const struct boot_copies *set, int *fds, unsigned max)
{
	unsigned nr = 0;

	for (const struct boot_copy *c = set->first; c; c = c->next, nr++)
		if (nr < max)
			fds[nr] = c->fd;
	return nr;
}

int boot_copies_find(struct boot_copies *set, pid_t pid, nodeid_t now,
		     nodeid_t node, uint64_t *origin, int *from, int *to)
{
	struct stat st = { 0 };
	struct boot_copy *c;
	/* Its inode number is not used again while we have it open. */
	int fd = worker_file_open(pid, WORKER_FD_BOOT, &st);

	if (fd < 0)
		return fd;
	c = by_inode(set, &st);
	if (!c)
		c = boot_copies_append(set, ++set->last_origin, now, fd, &st);
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
	const struct boot_copy *like = set->first;
	struct boot_copy *c;
	struct stat st;

	if (fds_seal_to_read(&fd) || fstat(fd, &st) < 0) {
		(void)close(fd);
		return -EIO;
	}
	c = boot_copies_append(set, origin, node, fd, &st);
	if (!c) {
		(void)close(fd);
		return -ENOMEM;
	}
	while (like && like->origin != origin)
		like = like->next;
	if (like) {
		c->key = like->key;
		c->layout = like->layout;
	}
	*to = fd;
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
