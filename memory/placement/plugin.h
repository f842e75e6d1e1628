/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Policies that are not built in: a shared object for x86-64 that exports one
 * object, "const struct policy disco_policy", and needs nothing.
 *
 * It is loaded by this room's own loader instead of dlopen(3): agents are
 * static programs; and an object that has relocations to the C library, a
 * constructor, or thread-local memory is refused, so that it has no clock, no
 * memory and no system call by a library. memcpy, memmove, memset and memcmp,
 * which compilers call for assignments, are the loader's.
 *
 * That is a check of what a policy is, and no sandbox: a plug-in is code of the
 * operator's, which runs in the process that loads it.
 *
 *	cc -O2 -shared -fPIC -nostdlib -I include -o nearest.so nearest.c
 */
#ifndef DISCO_MEMORY_PLACEMENT_PLUGIN_H
#define DISCO_MEMORY_PLACEMENT_PLUGIN_H

#include "disco/base.h"
#include "disco/diag.h"
#include "disco/policy.h"

#define POLICY_PLUGIN_BYTES MIB(1) /* the file, and what it takes in memory */
#define POLICY_PLUGIN_NAME  "disco_policy"

/* All-zero is an empty one. */
struct policy_plugin {
	const struct policy *policy; /* in base; NULL: empty */
	void *base;
	size_t bytes;
};

/**
 * policy_plugin_load() - load a policy
 * @p:    out; empty on error; release with policy_plugin_unload()
 * @fd:   the file, readable; not owned, its offset stays
 * @name: for @d
 *
 * Context: any thread that may map memory executable. Return: 0; with @d
 * (ST_CONFIG) -EINVAL it is no such object, or its policy is not sound or
 * of another POLICY_ABI; -ENOEXEC it needs what there is not; -E2BIG; -ENOMEM;
 * -EACCES mapping memory executable is denied; errors of pread().
 * Source: ELF-64 Object File Format 1.5; System V ABI, AMD64 supplement 4.4.
 */
MUST_CHECK int policy_plugin_load(struct policy_plugin *p, int fd,
				  const char *name, struct diag *d);

/* An empty one is accepted. No decision by its policy may be under way. */
void policy_plugin_unload(struct policy_plugin *p);

#endif
