/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Region: shared memory with exactly one writer, enforced by the MMU.
 *
 * A region is a memfd on the writer's node. The writer creates it and maps it
 * read-write; every other process gets a descriptor that was opened read-only.
 * A writer that cannot create its region (because it is sandboxed, or does not
 * run yet) receives one: the process that starts it calls region_prepare(), and
 * the writer itself calls region_take(). Before region_take(), only guarantee 3
 * holds.
 *
 * GUARANTEES
 *  1. Through a reader's descriptor, no process can map the region writable,
 *     write to it, punch it, or change its size or its seals: the kernel
 *     refuses.
 *  2. Unless it is REGION_PUNCHED, no new writable mapping of it is ever made,
 *     not even through the writer's own descriptor, and its bytes change
 *     through the writer's first mapping only.
 *  3. Its size never changes, so an attached reader is never killed because a
 *     page is gone. A punched page reads as zeroes.
 *  4. Its pages come from the writer's node, whichever process touches them
 *     first.
 *
 * LIMIT: guarantee 1 of a REGION_PUNCHED region is void for a reader that can
 * open /proc/self/fd/N anew and has the writer's credentials. Processes that
 * get such regions live without /proc and open(2).
 *
 * What a reader reads is hostile: copy, check, then use the copy.
 */
#ifndef DISCO_NUMA_REGION_H
#define DISCO_NUMA_REGION_H

#include "disco/base.h"

/* The writer will punch holes or write by descriptor; guarantee 2 is void. */
#define REGION_PUNCHED 1u

/* The writer's end. All-zero is an empty one. */
struct region {
	void *base; /* read-write; NULL: empty */
	size_t bytes;
	int fd; /* owned; the writer's, never passed to another process */
};

/* A reader's end. All-zero is an empty one. */
struct region_view {
	const void *base; /* read-only; NULL: empty */
	size_t bytes;
};

/**
 * region_create() - create a region and map it for its writer
 * @r:     out; empty on error; release with region_destroy()
 * @name:  shown in /proc/PID/maps as memfd:NAME; not owned
 * @bytes: multiple of PAGE_BYTES, not 0; all zeroes, no page is touched
 * @node:  a node's number, preferred, not strict; NODE_AUTO, and any node where
 *         this host forbids binding (node_bind_optional()): the node of the
 *         thread that touches a page first
 * @flags: 0 or REGION_PUNCHED
 *
 * Context: any thread; takes mmap_lock.
 * Return:  0; -EINVAL size or flags; -ENOMEM; -EMFILE, -ENFILE; -ENODEV of
 *          node_bind_memory().
 * Source:  memfd_create(2), F_ADD_SEALS in fcntl(2).
 */
MUST_CHECK int region_create(struct region *r, const char *name, size_t bytes,
			     nodeid_t node, unsigned flags);

/**
 * region_prepare() - create a region for a writer that is another process
 * @name, @bytes, @node: as for region_create()
 * @fd: out, owned by the caller, close-on-exec; for the writer, which calls
 *      region_take(); untouched on error
 *
 * The caller never maps the region writable.
 *
 * Context: any thread; takes mmap_lock.
 * Return:  0; -EINVAL size; -ENOMEM; -EMFILE, -ENFILE; -ENODEV of
 *          node_bind_memory().
 */
MUST_CHECK int region_prepare(const char *name, size_t bytes, nodeid_t node,
			      int *fd);

/**
 * region_take() - become the writer of a prepared region
 * @r:     out; empty on error; release with region_destroy()
 * @fd:    from region_prepare(); owned by @r after success
 * @bytes: the size that it was prepared with
 *
 * Context: any thread; takes mmap_lock; before any other use of @fd.
 * Return:  0; -EINVAL size; -EPROTO not a region of this size; -EPERM it was
 *          taken before; -EACCES @fd is not open for writing; -EBADF; -ENOMEM.
 */
MUST_CHECK int region_take(struct region *r, int fd, size_t bytes);

/*
 * region_take() for a writer that gives pages of the region back
 * (REGION_PUNCHED). Context and errors are as there.
 */
MUST_CHECK int region_take_punched(struct region *r, int fd, size_t bytes);

/**
 * region_reader_fd() - open a descriptor for a reader
 * @fd:  the writer's, of a region or of another memfd
 * @out: owned by the caller, close-on-exec; untouched on error
 *
 * Requires /proc, so it is called before the sandbox closes.
 *
 * Context: any thread.
 * Return:  0; -ENOENT no /proc; -EACCES Landlock or a filter; -EMFILE,
 *          -ENFILE; -ENOMEM.
 */
MUST_CHECK int region_reader_fd(int fd, int *out);

/**
 * region_prepare_pair() - region_prepare(), and region_reader_fd() of it
 * @rw: out: for the writer, who calls region_take() or maps it
 * @ro: out: for readers; the caller owns both; untouched on error
 *
 * Context and errors: as of these two.
 */
MUST_CHECK int region_prepare_pair(const char *name, size_t bytes,
				   nodeid_t node, int *rw, int *ro);

/**
 * region_attach() - map another process's region for reading
 * @v:     out; empty on error; release with region_detach()
 * @fd:    from a process that may be hostile; not owned, may be closed after
 * @bytes: the size that the region must have
 *
 * Refuses a file whose pages could vanish under the reader: one that is not an
 * ordinary memfd, or that could still shrink.
 *
 * Context: any thread; takes mmap_lock.
 * Return:  0; -EINVAL @bytes is 0 or not a multiple of PAGE_BYTES; -EPROTO not
 *          a region, or not of this size; -EACCES not open for reading; -EBADF;
 *          -ENOMEM.
 */
MUST_CHECK int region_attach(struct region_view *v, int fd, size_t bytes);

/* NULL, empty and half-built are accepted; leaves the object empty. */
void region_destroy(struct region *r);
void region_detach(struct region_view *v);

#endif
