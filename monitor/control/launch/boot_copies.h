/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The boot images of running guests: those that they were started with, and a
 * copy on each node that a guest was moved to. Guests that started with the
 * same image continue to share it. Guests that are started later, from files
 * that are still the same, share the image on their node.
 *
 * A copy is made of the image that a worker has, not of the files that the
 * image came from, which may have changed. A worker that puts another file in
 * its image's place gets a copy of that file, and no other worker gets it.
 *
 * After a restart of the monitor it is not known which files the images of
 * adopted guests came from. New guests then get new images.
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
 * boot_copies_started() - record that a guest was started with an image
 * @key:   of the files that the image was made of
 * @image: its descriptor is owned by @set, also on error
 *
 * Return: its origin, see boot_copies_find(); 0: no memory.
 */
uint64_t boot_copies_started(struct boot_copies *set,
			     const struct boot_key *key, nodeid_t node,
			     const struct boot_image *image);

/**
 * boot_copies_have() - find an image of these files on a node
 * @out: its descriptor stays owned by @set
 *
 * Return: whether there is one.
 */
bool boot_copies_have(const struct boot_copies *set, const struct boot_key *key,
		      nodeid_t node, struct boot_image *out);

/**
 * boot_copies_each() - list the descriptors
 * @fds: out, room for @max; they stay owned by @set
 *
 * Return: their number, which may be more than @max.
 */
unsigned boot_copies_each(const struct boot_copies *set, int *fds,
			  unsigned max);

/**
 * boot_copies_find() - find a worker's image, and its copy on a node
 * @pid:    process id of the worker
 * @now:    node of the image that it has
 * @node:   where a copy is wanted
 * @origin: out: images with the same origin have the same contents
 * @from:   out: the image that it has
 * @to:     out: the copy; -1: there is none, see boot_copies_add()
 *
 * Descriptors stay owned by @set. Return: 0; -EBADF the worker's file is no
 * memory file; -ENOMEM; -errno of open().
 */
MUST_CHECK int boot_copies_find(struct boot_copies *set, pid_t pid,
				nodeid_t now, nodeid_t node, uint64_t *origin,
				int *from, int *to);

/*
 * Create an empty file for a copy of @from. Return: a descriptor, owned by the
 * caller; -errno.
 */
MUST_CHECK int boot_copies_new(int from);

/**
 * boot_copies_add() - add a copy that was filled
 * @fd: from boot_copies_new(); owned by @set, also on error; gets sealed
 * @to: out: a descriptor for readers; owned by @set
 */
MUST_CHECK int boot_copies_add(struct boot_copies *set, uint64_t origin,
			       nodeid_t node, int fd, int *to);

/* Close the copies whose origin is not @used any more; NULL: all copies. */
void boot_copies_sweep(struct boot_copies *set,
		       bool (*used)(void *arg, uint64_t origin), void *arg);

#endif
