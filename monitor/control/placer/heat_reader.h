/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads what DAMON knows of VMs (memory/sampling/damon.h). Asking DAMON blocks for
 * as long as an aggregation takes, so a process of its own does: the reader, a
 * child of the monitor, which keeps the monitor's privileges, has no descriptors
 * but standard error and a socket, and parses nothing but files of the kernel.
 *
 *	monitor -> reader	struct heat_order: look at a VM, or no more
 *	reader -> monitor	struct heat_answer: a part of a snapshot, or a line
 *				of what went wrong
 *
 * It ends when the monitor closes the socket or dies, and then stops its kdamonds.
 * If it is killed itself, they are recognized and removed by the next one, and
 * end with their workers anyhow.
 *
 * BUDGET. A kdamond that has used more than its share of a CPU is stopped until
 * that is paid for. The reader's own time is counted to the VM that it is for.
 *
 * Context of all functions: the monitor's thread.
 */
#ifndef DISCO_MONITOR_HEAT_READER_H
#define DISCO_MONITOR_HEAT_READER_H

#include <sys/types.h>

#include "disco/agent_proto.h"
#include "disco/diag.h"
#include "memory/sampling/damon.h"
#include "monitor/control/base/loop.h"

#define HEAT_EVERY_NS 1000000000ull /* between two snapshots of a VM */

struct heat_reader;

struct heat_order {
	uint64_t vm;
	uint64_t ram_bytes;
	int32_t pid; /* of its worker; 0: no more */
	uint32_t zero;
};

struct heat_answer {
	struct agent_req_heat heat; /* of use if .text is "" */
	char text[256];
};

struct heat_reader_config {
	const char *root; /* DAMON_ROOT; outlives it */
	struct damon_limits limits;
	uint32_t share; /* of a CPU and VM, in permille; not 0 */
	/* Checked: at most AGENT_HEAT_REGIONS. */
	void (*heat)(void *arg, const struct agent_req_heat *r);
	/* One line, without its end. */
	void (*failed)(void *arg, const char *text);
	void *arg;
};

/**
 * heat_reader_create() - start the reader
 * @loop: outlives it
 * @c:	  copied
 * @out:  released with heat_reader_destroy()
 *
 * Return: 0; -ENOMEM; -errno of socketpair() and fork().
 */
MUST_CHECK int heat_reader_create(struct heat_reader **out, struct loop *loop,
				  const struct heat_reader_config *c);

/* Waits for its end for HEAT_END_MS at most. NULL is accepted. */
void heat_reader_destroy(struct heat_reader *h);

/*
 * Look at a VM from now on, or (@pid 0) no more. What cannot be sent is reported
 * by failed().
 */
void heat_reader_order(struct heat_reader *h, uint64_t vm, pid_t pid,
		       uint64_t ram_bytes);

/**
 * heat_child_run() - be the reader
 * @sock: the other end; @c: of the same
 *
 * Context: a process of its own, or of a test. Returns when the socket has ended,
 * or when DAMON is of no use any more.
 */
void heat_child_run(int sock, const struct heat_reader_config *c);

/**
 * heat_find_ram() - where a worker has mapped its guest's RAM
 * @maps:  text of /proc/PID/maps
 * @bytes: of RAM
 * @start: out
 *
 * Parts of the mapping may show other files. Return: whether it is there.
 */
bool heat_find_ram(FILE *maps, uint64_t bytes, uint64_t *start);

#endif
