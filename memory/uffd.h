/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * userfaultfd: this process itself, not the kernel, provides its missing pages.
 *
 * All functions but those of traps are for private mappings of a memfd. After
 * such a mapping was registered for both kinds of faults, only uffd_continue()
 * maps pages of the file: a hole causes a missing fault, an existing page causes
 * a minor fault, and the kernel does not map neighbours of a touched page in such
 * mappings (no fault-around).
 *
 * Context: any thread.
 * Source: userfaultfd(2), ioctl_userfaultfd(2); Linux mm/userfaultfd.c.
 */
#ifndef DISCO_MEMORY_UFFD_H
#define DISCO_MEMORY_UFFD_H

#include "disco/base.h"

/**
 * uffd_open() - open the best userfaultfd that this process may have
 * @flags: O_CLOEXEC, O_NONBLOCK
 * @how:   out, the way that worked; NULL: the descriptor reports faults of user
 *         mode only, and so none of KVM's
 *
 * Context: while files can be opened. Return: the descriptor; -errno of
 * userfaultfd(2).
 */
MUST_CHECK int uffd_open(int flags, const char **how);

/*
 * Whether that way is open to this process by a capability alone (CAP_SYS_PTRACE):
 * it is closed to workers then, which have none.
 */
MUST_CHECK bool uffd_by_capability(const char *how);

/**
 * uffd_enable() - choose the features to be used
 * @features: UFFD_FEATURE_* bits; 0: none
 * @have:     out: the features that the kernel supports
 *
 * Return: 0; -EINVAL the kernel lacks one of @features; -errno of UFFDIO_API.
 */
MUST_CHECK int uffd_enable(int fd, uint64_t features, uint64_t *have);

/*
 * Register a mapping for missing and minor faults. Return: 0; -errno of
 * UFFDIO_REGISTER.
 */
MUST_CHECK int uffd_register(int fd, void *at, uint64_t bytes);

/**
 * uffd_continue() - map pages that the file has
 * @at, @bytes: whole pages of one registered mapping; threads that wait for one
 *              of them go on
 * @pages:      increased by the number of pages that this call mapped
 *
 * Pages that were already mapped or copied are unchanged.
 *
 * Return: 0 all pages are mapped now; -EFAULT there is a hole; -ENOENT not
 * registered, or not one mapping; -errno of UFFDIO_CONTINUE.
 */
MUST_CHECK int uffd_continue(int fd, void *at, uint64_t bytes, uint64_t *pages);

/**
 * uffd_copy() - install a page that belongs to this process alone
 * @from: page-aligned address of its contents
 *
 * Return: 0, and threads that wait for the page go on; -EEXIST there is a page
 * already; -ENOENT not registered; -errno of UFFDIO_COPY.
 */
MUST_CHECK int uffd_copy(int fd, void *at, const void *from);

/* Make the threads that wait for the page at @at retry their access. */
void uffd_wake(int fd, void *at);

/**
 * uffd_trap() - unmap a page of a shared mapping, and report its next access
 * @at: page-aligned; the caller knows that a shared mapping of a memfd is there,
 *      and that nobody maps anything else there meanwhile
 *
 * The page stays in its file: nothing is lost, and no device that has pinned it
 * notices. If the file has no page there, the next access is not reported.
 *
 * Return: 0; -errno of UFFDIO_REGISTER (-ENOMEM: too many mappings) or
 * madvise(): the page is not trapped.
 */
MUST_CHECK int uffd_trap(int fd, void *at);

/**
 * uffd_untrap() - map the page again, and report its accesses no more
 *
 * Threads that wait for it go on, whatever is mapped there by now. A page that is
 * not mapped again would be overlooked by whoever goes by page tables: by
 * move_pages(2), for one.
 *
 * Return: 0; -errno of UFFDIO_UNREGISTER: it could not split a mapping any more
 * (-ENOMEM, vm.max_map_count). The page is mapped all the same; should it be
 * unmapped by somebody else, its next access is reported.
 */
int uffd_untrap(int fd, void *at);

#endif
