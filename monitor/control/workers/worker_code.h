/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program of workers, or of agents, with a copy on each node (DESIGN 1,
 * code replication): the processes of a node run text that is in their own
 * memory.
 */
#ifndef DISCO_MONITOR_WORKER_CODE_H
#define DISCO_MONITOR_WORKER_CODE_H

#include "disco/base.h"
#include "disco/diag.h"

struct worker_code {
	const char *program; /* its name */
	int file;	     /* the program on disk, read-only; -1: closed */
	char path[512];	     /* where it was found, for messages */
	int copy[MAX_NODES]; /* memfd; -1: not made yet */
	nodeid_t node[MAX_NODES];
	unsigned nr;
};

/**
 * worker_code_create() - find a program
 * @program: its name, not copied
 * @env:     environment variable that may hold its path
 * @d:       out on error: the reason (ST_HOST)
 *
 * The path is $@env if set, else @program in the directory of disco itself.
 *
 * Context: control process, one thread (getenv). Return: 0; -ENOENT, -EACCES
 * and other errnos of open(); -ENAMETOOLONG.
 */
MUST_CHECK int worker_code_create(struct worker_code *code, const char *program,
				  const char *env, struct diag *d);

#define WORKER_PROGRAM "disco-vm", "DISCO_VM"
#define AGENT_PROGRAM  "disco-agent", "DISCO_AGENT"

/* Running workers keep their copy. NULL and half-built are accepted. */
void worker_code_destroy(struct worker_code *code);

/**
 * worker_code_get() - get the copy for a node, which the first call makes
 * @node: NODE_AUTO: a copy that is not bound
 * @fd:   out, for fexecve(); owned by @code; untouched on error
 * @d:    out on error: the reason (ST_HOST)
 *
 * On a host that forbids binding the copy is unbound: locality is lost, but the
 * guest runs. The copy is sealed: nothing can change a running program.
 *
 * Return: 0; -errno of memfd_create(), mmap() or read(); -ENOSPC for more
 * than MAX_NODES nodes.
 */
MUST_CHECK int worker_code_get(struct worker_code *code, nodeid_t node, int *fd,
			       struct diag *d);

#endif
