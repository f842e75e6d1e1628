/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Boot images of running guests, a copy on each node that a guest was moved
 * to; guests that started with the same image go on sharing.
 *
 * A copy is made of the image that a worker has, not of the files it once
 * came from: those may have changed. A worker that puts another file in its
 * image's place gets a copy of that, and nobody else does.
 */
#ifndef DISCO_MONITOR_BOOT_COPIES_H
#define DISCO_MONITOR_BOOT_COPIES_H

#include <sys/types.h>

#include "disco/base.h"

struct boot_copy;

struct boot_copies {
	struct boot_copy *first;
	uint64_t last_origin;
};

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
