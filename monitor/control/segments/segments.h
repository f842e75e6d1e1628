/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shared segments of one control process: memory that several VMs map.
 *
 * A segment is a memfd of a fixed, sealed size. It is made for the first VM that
 * names it, and is gone with the last one. Each VM gets a descriptor of its own
 * (a separate open file), so only VMs that name a segment reach it. Its pages
 * come from the node that was named for it, or else from the node of the VM that
 * touches them first.
 *
 * The next monitor finds the segments in its VMs' records, and takes them from
 * the workers: segments of the same name must be the same file.
 *
 * REPLICAS. In a monitor whose host has userfaultfd for faults of KVM, segments
 * are guarded: the agent of the segment's home node (the one that was named, or
 * that of its first VM) is its home (memory/replica/home.h), and each worker its
 * holder. Control makes their links and the memory of the replicas, kills the
 * VMs that an agent reports as late, and tells the next agent everything again
 * (segment_links.c).
 *
 * Context of all functions: control's thread.
 */
#ifndef DISCO_MONITOR_SEGMENTS_H
#define DISCO_MONITOR_SEGMENTS_H

#include "disco/config.h"
#include "disco/worker_spec.h"
#include "monitor/control/base/state_dir.h"
#include "monitor/control/workers/agents.h"
#include "monitor/control/workers/vm_watch.h"
#include "numa/region.h"
#include "numa/topology.h"

struct segment_use;
struct shm_segment;

struct segments {
	struct shm_segment *list;
	/* NULL: no replicas here. */
	struct agents *agents;
	const struct topology *t;
	struct sink *err;
	uint64_t last_id;
};

struct shm_segment {
	struct shm_segment *next;
	char name[VM_NAME_MAX + 1];
	uint64_t bytes;
	nodeid_t node; /* that was named; NODE_AUTO: none */
	int fd;	       /* owned */
	/* Its replicas: see segment_links.c. */
	uint64_t id;   /* its number for agents; 0: it has no home now */
	nodeid_t home; /* node of that agent; NODE_AUTO: not chosen yet */
	bool ready;    /* the agent knows of all views */
	int replicas[MAX_NODES];    /* owned, by index of the node; -1: none */
	struct region_view figures; /* disco/segment_figures.h; hostile */
	struct segment_use *uses;   /* by the names of their VMs */
};

/* A VM's. Read by others; written by segments.c. */
struct segment_use {
	struct segments *all;
	struct shm_segment *segment;
	struct segment_use *next;   /* in its segment */
	char name[VM_NAME_MAX + 1]; /* of the VM */
	unsigned index;		    /* which of the VM's segments */
	nodeid_t node;		    /* of the VM, when it is attached */
	int fd;			    /* for its worker; -1: the worker has it */
	struct vm_watch *vm;	    /* NULL: does not run yet */
	char policy[VM_POLICY_MAX]; /* of the VM; "": the standard one */
	bool guarded;		    /* its worker was started so */
	bool linked;		    /* to the home that there is now */
	unsigned view; /* its number there: unique in its segment */
};

/* Of one VM: the first ones; the others are NULL. */
struct segment_uses {
	struct segment_use *of[VM_MAX_SHMS];
};

MUST_CHECK int segments_create(struct segments **out); /* Return: 0; -ENOMEM. */
/* All uses were released. NULL is accepted. */
void segments_destroy(struct segments *s);

/**
 * segments_reserve() - make or find the segments of a VM that is going to start
 * @vm:   checked
 * @uses: out, vm->nr_shms entries, until segments_release(); all others, and all
 *        on error, are NULL
 *
 * Return: 0; -EEXIST another VM has the segment with another size (ST_CONFIG);
 * -ENODEV its node has no memory (ST_CONFIG); -errno of memfds (ST_HOST).
 */
MUST_CHECK int segments_reserve(struct segments *s, const struct vm_config *vm,
				struct segment_uses *uses, struct diag *d);

/*
 * Their worker is dead, or was not started, or control goes and the worker
 * stays. Entries may be NULL; set to NULL.
 */
void segments_release(struct segment_uses *uses);

/*
 * Their worker runs on @node, and is watched by @vm until segments_release().
 * @policy: of the VM's pages; that of a segment's first VM is the segment's.
 */
void segments_attach(struct segment_uses *uses, struct vm_watch *vm,
		     nodeid_t node, const char *policy);

/* --- replicas: segment_links.c --- */

/*
 * Guard the segments of VMs that start from now on, if this host can. All of
 * @agents, @t and @err outlive the segments; @agents may be created later.
 */
void segments_guard(struct segments *s, struct agents *agents,
		    const struct topology *t, struct sink *err);

/* After all VMs of a start, or all that are adopted, were attached. */
void segments_update(struct segments *s);

/* Of struct agents_ops; segments_agent_said() gets AGENT_VIEW_LATE. */
void segments_agent_started(struct segments *s, struct agent *a);
void segments_agent_died(struct segments *s, const struct agent *a);
void segments_agent_said(struct segments *s, const struct agent *a,
			 const struct agent_answer *answer);

/* A VM has another home node. */
void segments_moved(struct segment_uses *uses, nodeid_t node);

/**
 * segments_do() - an operator's request for a whole segment
 * @what: enum agent_segment_what
 *
 * Return: 0, it is under way; -ENOENT; -ENOTSUP it has no home: it is not
 * guarded, or its agent does not run; errors of agent_ask().
 */
MUST_CHECK int segments_do(struct segments *s, const char *name, uint32_t what);

/* For segments.c: a use is released; the last one of its segment, too. */
void segment_links_leave(struct segment_use *u);
void segment_links_end(struct segments *s, struct shm_segment *g);

/* What a worker is started with. */
void segment_use_spec(const struct segment_use *use, struct worker_shm *out);

/* Descriptors that workers get: at most VM_MAX_SHMS. Return: their number. */
unsigned segments_descriptors(const struct segment_uses *uses, int *out);

/*
 * segments_record() - write what segments_adopt() needs into a VM's record
 *
 * Return: 0; -EEXIST a segment of this name is another file; -EPROTO it has not
 * the size of the record; -errno of pidfd_getfd(): the VM shares no segment with
 * VMs of this monitor.
 */
void segments_record(const struct segment_uses *uses, struct vm_record *r);
MUST_CHECK int segments_adopt(struct segments *s, const struct vm_record *r,
			      int pidfd, struct segment_uses *uses);

/* Return: the first one; the others by ->next. NULL: there are none. */
struct shm_segment *segments_first(const struct segments *s);
/* Return: NULL: there is none of that name. */
struct shm_segment *segments_find(const struct segments *s, const char *name);

#endif
