/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The holder of a guarded segment in its worker: its two threads, and its link to
 * the segment's home.
 *
 *	faults	read the userfaultfd, pass pages on by a pipe
 *	holder	the messages of the home, those pages, and new links
 *
 * Neither of them waits for the I/O thread, or for a vCPU: these may themselves
 * wait for a page.
 */
#ifndef DISCO_MONITOR_WORKER_SHM_HOLDER_H
#define DISCO_MONITOR_WORKER_SHM_HOLDER_H

#include "memory/replica/segment_map.h"

#define SHM_HOLDER_FDS 5u /* in the order of WORKER_REQ_SHM_LINK */

struct shm_holder;
struct vm;

/**
 * shm_holder_create() - what cannot be created in the sandbox
 * @map, @vm: outlive it
 * @out:      lives until the process ends
 *
 * Return: 0; -ENOMEM; -errno of pipe2() and eventfd().
 */
MUST_CHECK int shm_holder_create(struct segment_map *map, struct vm *vm,
				 struct shm_holder **out);

/* Start the threads. Return: 0; -errno. */
MUST_CHECK int shm_holder_start(struct shm_holder *h);

/* A new link, in place of the one there is. @fds: owned by it. I/O thread. */
void shm_holder_link(struct shm_holder *h, const int *fds);

/* See shms_cut(). Context: I/O thread; waits until it is done. */
void shm_holder_cut(struct shm_holder *h);

#endif
