/* SPDX-License-Identifier: BSD-2-Clause */
#include "numa/bind.h"

#include <errno.h>
#include <limits.h>
#include <numaif.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LONG_BITS (sizeof(unsigned long) * CHAR_BIT)
#define NODE_BITS (NODE_ID_MAX + 1)
#define CPU_BITS  (UINT16_MAX + 1)
#define BATCH	  NODE_PAGES_MAX /* per system call: 12 KiB of stack */

struct bind_policy {
	int mode;
	unsigned long mask[NODE_BITS / LONG_BITS];
};

static int policy_make(struct bind_policy *p, nodeid_t node, bool strict)
{
	memset(p, 0, sizeof(*p));
	p->mode = MPOL_DEFAULT;
	if (node == NODE_AUTO)
		return 0;
	if (node == NODE_LOCAL) {
		p->mode = MPOL_LOCAL;
		return 0;
	}
	if (node < 0 || node > NODE_ID_MAX)
		return -ENODEV;
	p->mode = strict ? MPOL_BIND : MPOL_PREFERRED;
	p->mask[(size_t)node / LONG_BITS] = 1ul << ((size_t)node % LONG_BITS);
	return 0;
}

/* The default policy and the local one require an empty mask. */
static bool policy_names_node(const struct bind_policy *p)
{
	return p->mode != MPOL_DEFAULT && p->mode != MPOL_LOCAL;
}

/* Linux subtracts one from the given number of bits, hence the + 1. */
static unsigned long policy_bits(const struct bind_policy *p)
{
	return policy_names_node(p) ? NODE_BITS + 1 : 0;
}

static const unsigned long *policy_mask(const struct bind_policy *p)
{
	return policy_names_node(p) ? p->mask : NULL;
}

/*
 * The arguments were checked before. So EINVAL means that the mask is empty
 * after Linux has restricted it to nodes that exist, have memory and are
 * allowed.
 */
static int policy_errno(int err)
{
	if (err == EACCES)
		return -EPERM;
	return err == EINVAL ? -ENODEV : -err;
}

static bool page_range(const void *addr, size_t bytes)
{
	return (uintptr_t)addr % PAGE_BYTES == 0 && bytes % PAGE_BYTES == 0;
}

int node_bind_memory(void *addr, size_t bytes, nodeid_t node, bool strict)
{
	struct bind_policy p;
	int err;

	if (!page_range(addr, bytes) || bytes == 0)
		return -EINVAL;
	err = policy_make(&p, node, strict);
	if (err)
		return err;
	if (mbind(addr, bytes, p.mode, policy_mask(&p), policy_bits(&p), 0) ==
	    0)
		return 0;
	return policy_errno(errno);
}

int node_bind_thread(nodeid_t node, bool strict)
{
	struct bind_policy p;
	int err;

	err = policy_make(&p, node, strict);
	if (err)
		return err;
	if (set_mempolicy(p.mode, policy_mask(&p), policy_bits(&p)) == 0)
		return 0;
	return policy_errno(errno);
}

/* Set the policy that the thread has. */
static int probe_thread(void)
{
	struct bind_policy p;

	if (get_mempolicy(&p.mode, p.mask, NODE_BITS + 1, NULL, 0))
		return policy_errno(errno);
	if (set_mempolicy(p.mode, policy_mask(&p), policy_bits(&p)))
		return policy_errno(errno);
	return 0;
}

int node_bind_probe(nodeid_t node)
{
	void *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err;

	if (page == MAP_FAILED)
		return -errno;
	err = node_bind_memory(page, PAGE_BYTES, node, true);
	if (!err)
		err = node_bind_memory(page, PAGE_BYTES, node, false);
	if (!err)
		err = probe_thread();
	(void)munmap(page, PAGE_BYTES);
	return err;
}

int node_run_on(const uint16_t *cpus, unsigned nr)
{
	return node_run_task_on(0, cpus, nr);
}

int node_run_task_on(int tid, const uint16_t *cpus, unsigned nr)
{
	unsigned long mask[CPU_BITS / LONG_BITS];

	if (nr == 0)
		return 0;
	memset(mask, 0, sizeof(mask));
	for (unsigned i = 0; i < nr; i++)
		mask[cpus[i] / LONG_BITS] |= 1ul << (cpus[i] % LONG_BITS);
	if (syscall(SYS_sched_setaffinity, tid, sizeof(mask), mask) == 0)
		return 0;
	return -errno;
}

/*
 * Count @nr pages, at most BATCH, and add to the counts. An entry that
 * move_pages(2) does not fill in stays -ENOENT and counts as absent.
 */
static int count_pages(int pid, void **pages, size_t nr, nodeid_t node,
		       uint64_t *touched, uint64_t *local)
{
	int where[BATCH];

	for (size_t i = 0; i < nr; i++)
		where[i] = -ENOENT;
	if (move_pages(pid, nr, pages, NULL, where, 0) < 0)
		return -errno;
	for (size_t i = 0; i < nr; i++) {
		*touched += where[i] >= 0;
		*local += where[i] == node;
	}
	return 0;
}

static int count_batch(int pid, char *addr, size_t nr_pages, nodeid_t node,
		       uint64_t *touched, uint64_t *local)
{
	void *pages[BATCH];

	for (size_t i = 0; i < nr_pages; i++)
		pages[i] = addr + i * PAGE_BYTES;
	return count_pages(pid, pages, nr_pages, node, touched, local);
}

void node_counts_add(struct node_counts *c, nodeid_t node, uint64_t pages)
{
	unsigned i = 0;

	while (i < c->nr && c->at[i].node != node)
		i++;
	if (i == MAX_NODES)
		return;
	if (i == c->nr)
		c->at[c->nr++] = (struct node_count){ .node = node };
	c->at[i].pages += pages;
}

uint64_t node_counts_of(const struct node_counts *c, nodeid_t node)
{
	for (unsigned i = 0; i < c->nr; i++)
		if (c->at[i].node == node)
			return c->at[i].pages;
	return 0;
}

uint64_t node_counts_sum(const struct node_counts *c)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < c->nr; i++)
		sum += c->at[i].pages;
	return sum;
}

int node_pages_at(void **pages, unsigned nr, struct node_counts *out)
{
	int where[BATCH];
	unsigned end;

	if (nr > NODE_PAGES_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < nr; i++)
		where[i] = -ENOENT;
	if (move_pages(0, nr, pages, NULL, where, 0) < 0)
		return -errno;
	for (unsigned i = 0; i < nr; i = end) {
		/* Neighbours are often on one node. */
		for (end = i; end < nr && where[end] == where[i]; end++)
			;
		if (where[i] >= 0)
			node_counts_add(out, where[i], end - i);
	}
	return 0;
}

int node_pages_local(void *addr, size_t bytes, nodeid_t node, uint64_t *touched,
		     uint64_t *local)
{
	return node_pages_of(0, addr, bytes, node, touched, local);
}

int node_pages_of(int pid, void *addr, size_t bytes, nodeid_t node,
		  uint64_t *touched, uint64_t *local)
{
	uint64_t nr_touched = 0, nr_local = 0;
	size_t left = bytes / PAGE_BYTES;
	char *at = addr;

	if (!page_range(addr, bytes))
		return -EINVAL;
	if (node < 0 || node > NODE_ID_MAX)
		return -ENODEV;
	while (left) {
		size_t n = left < BATCH ? left : BATCH;
		int err = count_batch(pid, at, n, node, &nr_touched, &nr_local);

		if (err)
			return err;
		at += n * PAGE_BYTES;
		left -= n;
	}
	*touched = nr_touched;
	*local = nr_local;
	return 0;
}
