/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Region: shared memory with exactly one writer, enforced by the MMU.
 *
 * A region is a memfd on the writer's node. The writer creates it and maps it
 * read-write; everybody else gets a descriptor that was opened read-only. A
 * writer that cannot create it (a sandbox, a process that does not run yet) is
 * handed one: region_prepare() by whoever starts it, region_take() by itself.
 * Until it was taken the guarantees are void, but for the size.
 *
 * GUARANTEES
 *  1. Through a reader's descriptor nobody maps the region writable, writes
 *     to it, punches it, changes its size or its seals: the kernel refuses.
 *  2. Unless it is REGION_PUNCHED, no new writable mapping of it is ever made,
 *     not even through the writer's own descriptor, and its bytes change
 *     through the writer's first mapping only.
 *  3. Its size never changes, so a reader that attached is never killed by a
 *     page that is gone. A punched page reads as zeroes.
 *  4. Its pages come from the writer's node whoever touches them first.
 *
 * LIMIT: guarantee 1 of a REGION_PUNCHED region ends where a reader can open
 * /proc/self/fd/N anew and its credentials are the writer's. Those who get
 * such regions live without /proc and open(2).
 *
 * What a reader reads is hostile: copy, check, use the copy.
 */
#ifndef DISCO_NUMA_REGION_H
#define DISCO_NUMA_REGION_H

#include "disco/base.h"

/* The writer will punch holes or write by descriptor: guarantee 2 is void. */
#define REGION_PUNCHED 1u

/* The writer's end. All-zero is an empty one. */
struct region {
	void *base; /* read-write; NULL: empty */
	size_t bytes;
	int fd; /* owned; the writer's, never given away */
};

/* A reader's end. All-zero is an empty one. */
struct region_view {
	const void *base; /* read-only; NULL: empty */
	size_t bytes;
};

/**
 * region_create() - make a region and map it for its writer
 * @r:     out; empty on error; release with region_destroy()
 * @name:  shown in /proc/PID/maps as memfd:NAME; not owned
 * @bytes: multiple of PAGE_BYTES, not 0; all zeroes, no page is touched
 * @node:  a node's number, preferred, not strict; NODE_AUTO: wherever it is
 *         touched first
 * @flags: 0 or REGION_PUNCHED
 *
 * Context: any thread; takes mmap_lock.
 * Return:  0; -EINVAL size or flags; -ENOMEM; -EMFILE, -ENFILE; of
 *          node_bind_memory(): -ENOSYS, -EPERM, -ENODEV.
 * Source:  memfd_create(2), F_ADD_SEALS in fcntl(2).
 */
MUST_CHECK int region_create(struct region *r, const char *name, size_t bytes,
			     nodeid_t node, unsigned flags);

/**
 * region_prepare() - make a region for a writer that is another process
 * @name, @bytes, @node: as region_create() has them
 * @fd: out, owned, close-on-exec: for the writer, who calls region_take();
 *      untouched on error
 *
 * The caller maps it at no time for writing.
 *
 * Context: any thread; takes mmap_lock.
 * Return:  0; -EINVAL size; -ENOMEM; -EMFILE, -ENFILE; of node_bind_memory():
 *          -ENOSYS, -EPERM, -ENODEV.
 */
MUST_CHECK int region_prepare(const char *name, size_t bytes, nodeid_t node,
			      int *fd);

/**
 * region_take() - become the writer of a region that was prepared
 * @r:     out; empty on error; release with region_destroy()
 * @fd:    of region_prepare(); owned by @r after success
 * @bytes: as it was prepared with
 *
 * Context: any thread; takes mmap_lock; before any other use of @fd.
 * Return:  0; -EINVAL size; -EPROTO not a region of this size; -EPERM it was
 *          taken before; -EACCES not open for writing; -EBADF; -ENOMEM.
 */
MUST_CHECK int region_take(struct region *r, int fd, size_t bytes);

/**
 * region_reader_fd() - a descriptor to hand to a reader
 * @fd:  the writer's: of a region, or of another memfd
 * @out: owned by the caller, close-on-exec; untouched on error
 *
 * Needs /proc, so it is called before the sandbox closes.
 *
 * Context: any thread.
 * Return:  0; -ENOENT no /proc; -EACCES Landlock or a filter; -EMFILE,
 *          -ENFILE; -ENOMEM.
 */
MUST_CHECK int region_reader_fd(int fd, int *out);

/**
 * region_attach() - map another's region
 * @v:     out; empty on error; release with region_detach()
 * @fd:    from somebody who may be hostile; not owned, may be closed after
 * @bytes: the size it has to have
 *
 * Refuses whatever could take a page away from under the reader: a file that
 * is not an ordinary memfd, or one that could still shrink.
 *
 * Context: any thread; takes mmap_lock.
 * Return:  0; -EINVAL @bytes is 0 or not of pages; -EPROTO not a region, or
 *          not of this size; -EACCES not open for reading; -EBADF; -ENOMEM.
 */
MUST_CHECK int region_attach(struct region_view *v, int fd, size_t bytes);

/* NULL, empty and half-built are fine; leaves it empty. */
void region_destroy(struct region *r);
void region_detach(struct region_view *v);

#endif
