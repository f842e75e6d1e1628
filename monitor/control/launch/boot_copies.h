/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Boot images of running guests: those they were started with, and a copy on
 * each node that a guest was moved to. Guests that started with the same image
 * go on sharing, and guests that are started later, from files that are still
 * the same, share what is there on their node.
 *
 * A copy is made of the image that a worker has, not of the files it once
 * came from: those may have changed. A worker that puts another file in its
 * image's place gets a copy of that, and nobody else does.
 *
 * Not known after a restart of the monitor: the files that the images of
 * adopted guests came from. New guests get new images then.
 */
#ifndef DISCO_MONITOR_BOOT_COPIES_H
#define DISCO_MONITOR_BOOT_COPIES_H

#include <sys/types.h>

#include "disco/base.h"
#include "monitor/boot/boot_image.h"
#include "monitor/boot/boot_key.h"

struct boot_copy;

struct boot_copies {
	struct boot_copy *first;
	uint64_t last_origin;
};

/**
 * boot_copies_started() - a guest was started with this image
 * @key:   what it was made of
 * @image: its descriptor is taken over, success or not
 *
 * Return: its origin, see boot_copies_find(); 0: no memory.
 */
uint64_t boot_copies_started(struct boot_copies *set,
			     const struct boot_key *key, nodeid_t node,
			     const struct boot_image *image);

/**
 * boot_copies_have() - an image of these files on a node
 * @out: its descriptor stays owned by @set
 *
 * Return: whether there is one.
 */
bool boot_copies_have(const struct boot_copies *set, const struct boot_key *key,
		      nodeid_t node, struct boot_image *out);

/**
 * boot_copies_each() - the descriptors
 * @fds: out, room for @max
 *
 * Return: how many there are, which may be more than @max.
 */
unsigned boot_copies_each(const struct boot_copies *set, int *fds,
			  unsigned max);

/**
 * boot_copies_find() - the image a worker has, and its copy on a node
 * @pid:    of the worker
 * @now:    node of the image it has
 * @node:   where a copy is wanted
 * @origin: out: images with the same one hold the same
 * @from:   out: the image it has
 * @to:     out: the copy; -1: there is none, see boot_copies_add()
 *
 * Descriptors stay owned by @set. Return: 0; -EBADF it is no memory file;
 * -ENOMEM; -errno of open().
 */
MUST_CHECK int boot_copies_find(struct boot_copies *set, pid_t pid,
				nodeid_t now, nodeid_t node, uint64_t *origin,
				int *from, int *to);

/* An empty file for a copy; the caller's. Return: a descriptor; -errno. */
MUST_CHECK int boot_copies_new(int from);

/**
 * boot_copies_add() - a copy was filled
 * @fd: of boot_copies_new(); taken over, success or not; sealed
 * @to: out: for readers; owned by @set
 */
MUST_CHECK int boot_copies_add(struct boot_copies *set, uint64_t origin,
			       nodeid_t node, int fd, int *to);

/* Close the copies whose origin @used says nobody has; NULL: all of them. */
void boot_copies_sweep(struct boot_copies *set,
		       bool (*used)(void *arg, uint64_t origin), void *arg);

#endif
