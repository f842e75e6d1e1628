/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * userfaultfd: pages of this process that are missing are somebody's work
 * here, not the kernel's.
 *
 * All of it is for private mappings of a memfd. Registered for both kinds of
 * faults, no page of the file is ever mapped but by uffd_continue(): neither
 * one that is a hole (missing) nor one that is there (minor), nor a neighbour
 * of one that is touched (the kernel does not fault around in such mappings).
 *
 * Threads: any.
 * Source: userfaultfd(2), ioctl_userfaultfd(2); Linux mm/userfaultfd.c.
 */
#ifndef DISCO_MEMORY_UFFD_H
#define DISCO_MEMORY_UFFD_H

#include "disco/base.h"

/**
 * uffd_open() - a descriptor, the best that can be had
 * @flags: O_CLOEXEC, O_NONBLOCK
 * @how:   out, the way that worked; NULL: faults of user mode only, so that
 *         those of KVM are not told
 *
 * Context: while files can be opened. Return: it; -errno of userfaultfd(2).
 */
MUST_CHECK int uffd_open(int flags, const char **how);

/**
 * uffd_enable() - say which features are going to be used
 * @features: UFFD_FEATURE_*, ORed; 0: none
 * @have:     out: what the kernel has
 *
 * Return: 0; -EINVAL it lacks one of them; -errno of UFFDIO_API.
 */
MUST_CHECK int uffd_enable(int fd, uint64_t features, uint64_t *have);

/* Return: 0; -errno of UFFDIO_REGISTER: missing and minor faults. */
MUST_CHECK int uffd_register(int fd, void *at, uint64_t bytes);

/**
 * uffd_continue() - map what the file has
 * @at, @bytes: pages of one mapping, registered; who waits for them goes on
 * @pages:      added to: those mapped by this call
 *
 * Pages that were mapped already, or copied, stay as they are.
 *
 * Return: 0: all are there now; -EFAULT a hole; -ENOENT not registered, or
 * not one mapping; -errno of UFFDIO_CONTINUE.
 */
MUST_CHECK int uffd_continue(int fd, void *at, uint64_t bytes, uint64_t *pages);

/**
 * uffd_copy() - a page of this process alone
 * @from: page aligned
 * Return: 0, and who waits for it goes on; -EEXIST there is one; -ENOENT not
 * registered; -errno of UFFDIO_COPY.
 */
MUST_CHECK int uffd_copy(int fd, void *at, const void *from);

/* Who waits for the page tries anew. */
void uffd_wake(int fd, void *at);

#endif
