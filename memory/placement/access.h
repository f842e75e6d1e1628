/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accesses of guests to their memory, and where knowledge of them comes from.
 *
 * Sources differ in what they know and in what an access of theirs is worth. So
 * each record has its source's class, and records of different classes are never
 * added up: a cache miss is stronger evidence than a bit in a page table.
 */
#ifndef DISCO_MEMORY_PLACEMENT_ACCESS_H
#define DISCO_MEMORY_PLACEMENT_ACCESS_H

#include "disco/base.h"
#include "disco/policy.h"

enum access_class {
	ACCESS_MISS,  /* a cache miss, or weight of them: who and what */
	ACCESS_FAULT, /* a fault: who and what, of the first access only */
	/*
	 * These two say what, not who: .node is that of all vCPUs of the VM, if
	 * they are on one, else ACCESS_NO_NODE.
	 */
	ACCESS_BIT,   /* an accessed bit */
	ACCESS_DIRTY, /* a written page */
	/*
	 * No access, but what the guest says: .kind is enum hints_kind, .weight
	 * pages from .page on, .node the home of .vcpu (hinted.h).
	 */
	ACCESS_HINT,
	ACCESS_NR_CLASSES,
};

#define ACCESS_NO_NODE UINT8_MAX
#define ACCESS_NO_VCPU UINT16_MAX

/* One access. Nodes are indexes of the topology, as policies have them. */
struct access_record {
	uint64_t time_ns; /* CLOCK_MONOTONIC; in a lab, flash_clock_read() */
	uint64_t page;	  /* of the VM: a gfn */
	uint32_t vm;	  /* the VM's number, its owner's choice */
	uint32_t weight;  /* accesses that it stands for, 1 or more */
	uint16_t vcpu;	  /* ACCESS_NO_VCPU */
	uint8_t node;	  /* of the CPU; ACCESS_NO_NODE */
	uint8_t home;	  /* of the page, when it was accessed; as node */
	uint8_t kind;	  /* enum policy_kind */
	uint8_t class;	  /* enum access_class */
	/* 1: weight accesses were counted; 0: one was sampled of about as many */
	uint8_t counted;
	uint8_t page_flags; /* POLICY_PAGE_*, as its owner knows of the page */
};

_Static_assert(sizeof(struct access_record) == 32, "two per cache line");

struct access_source;

/* What a source is; each of them has one of these, constant. */
struct access_source_ops {
	const char *name;
	enum access_class class;
	/*
	 * Fill @out with at most @max records, oldest first. Does not wait.
	 * Return: how many; -errno: the source is of no use any more.
	 */
	int (*read)(struct access_source *s, struct access_record *out,
		    unsigned max);
	void (*destroy)(struct access_source *s); /* and free */
};

/* The first member of every source. */
struct access_source {
	const struct access_source_ops *ops; /* [I] */
	uint64_t lost;	  /* records that did not fit, or were damaged */
	uint64_t strange; /* accesses to what is no page of a known VM */
};

MUST_CHECK static inline int
access_read(struct access_source *s, struct access_record *out, unsigned max)
{
	return s->ops->read(s, out, max);
}

/* NULL is accepted. */
static inline void access_destroy(struct access_source *s)
{
	if (s)
		s->ops->destroy(s);
}

#endif
