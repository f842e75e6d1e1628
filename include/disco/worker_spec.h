/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What passes between the control process and a worker (disco-vm).
 *
 * Start: control forks, puts the descriptors below at the numbers below and
 * executes disco-vm without arguments but the VM's name. WORKER_FD_SPEC is a
 * sealed memfd that holds one struct worker_spec. Both come from the same
 * build; magic and size are checked so that a mismatch is one clear line.
 *
 * Run: WORKER_FD_CONTROL is a SOCK_SEQPACKET socket; one message is one
 * struct worker_request (control -> worker) or struct worker_event (worker ->
 * control). Control treats what it reads as hostile.
 */
#ifndef DISCO_WORKER_SPEC_H
#define DISCO_WORKER_SPEC_H

#include "disco/base.h"
#include "disco/boot_layout.h"
#include "disco/config.h"

#define WORKER_SPEC_MAGIC 0x4f435349445633ull

/* Environment of a worker: CPU ns its process had used when it was executed,
 * for first_run_cpu_ns. Absent: 0. */
#define WORKER_ENV_CPU_NS "DISCO_CPU_NS_AT_EXEC"

/* Descriptor numbers in the worker. 0 is /dev/null, 1 and 2 are the log. */
enum worker_fd {
	WORKER_FD_SPEC = 3,
	WORKER_FD_CONTROL = 4,
	WORKER_FD_CONSOLE = 5,	/* stream socket: guest console bytes */
	WORKER_FD_KVM = 6,	/* /dev/kvm, read-write */
	WORKER_FD_RAM = 7,	/* guest RAM memfd, ram_bytes long */
	WORKER_FD_BOOT = 8,	/* boot image memfd, read-only */
	WORKER_FD_LISTENER = 9, /* see adoptable; else /dev/null */
	WORKER_FD_CODE = 10,	/* the program; replaced by WORKER_REQ_REHOME */
	WORKER_FD_FIGURES =
		11,	      /* region that the worker writes: ipc/figures.h */
	WORKER_FD_DISK0 = 12, /* disks follow, each with its descriptors */
};

#define WORKER_MAX_DISK_FDS (4 * VM_MAX_DISKS)

enum worker_disk_kind {
	WORKER_DISK_RAW = 0,  /* one descriptor */
	WORKER_DISK_COW = 1,  /* base, read-only; COW file; see .direct */
	WORKER_DISK_TEMP = 2, /* the same; the COW file goes with the VM */
};

struct worker_disk {
	uint64_t bytes; /* multiple of 512 */
	uint32_t read_only;
	uint32_t kind; /* enum worker_disk_kind */
	/* 1: a region of guest memory; the first descriptor is read-only, and
	 * what the guest writes to a RAW one goes with the VM */
	uint32_t pmem;
	/* Not RAW, not pmem: descriptors more, for reads with O_DIRECT: of the
	 * COW file (1), and of the base (2) */
	uint32_t direct;
	char serial[DISK_SERIAL_MAX + 1];
	uint32_t queues; /* at most DISK_MAX_QUEUES; 0: one a vCPU */
	uint64_t iops;	 /* requests a second, at most; 0: no limit */
	uint64_t bps;	 /* bytes a second, the same */
};

/* How many descriptors it has. */
static inline unsigned worker_disk_fds(const struct worker_disk *d)
{
	return d->kind == WORKER_DISK_RAW ? 1 : 2 + d->direct;
}

struct worker_spec {
	uint64_t magic;
	uint64_t size; /* sizeof(struct worker_spec) */
	char name[VM_NAME_MAX + 1];
	uint32_t nr_vcpus;
	int32_t node; /* NODE_AUTO: not bound */
	uint32_t strict;
	uint32_t nr_cpus;    /* entries of cpus; 0: not pinned */
	uint16_t cpus[1024]; /* host CPUs the worker may run on */
	uint64_t ram_bytes;
	uint32_t huge_thp;
	uint32_t adoptable; /* WORKER_FD_LISTENER: SOCK_SEQPACKET, listening */
	uint32_t nr_disks;
	struct worker_disk disks[VM_MAX_DISKS];
	struct boot_layout boot;
	char cmdline[CMDLINE_MAX + 1];
};

enum worker_event_kind {
	WORKER_STARTED = 1, /* about to enter KVM_RUN for the first time */
	WORKER_STOPPED = 2, /* the last event; the worker exits next */
	WORKER_STATS = 3,   /* answer to WORKER_REQ_STATS */
	WORKER_PAUSED = 4,  /* answer to _PAUSE and _RESUME: see paused */
	WORKER_BOUND = 5,   /* answer to WORKER_REQ_BIND: see error */
	WORKER_REHOMED = 6, /* answer to WORKER_REQ_REHOME: see error */
	WORKER_MERGED = 7,  /* answer to _SUM, _GIVE and _SHARE: see error */
};

enum worker_stop {
	STOP_POWEROFF = 1,
	STOP_RESET = 2,
	STOP_PANIC = 3,	 /* pvpanic said so */
	STOP_CRASH = 4,	 /* triple fault, KVM_EXIT_INTERNAL_ERROR, ... */
	STOP_FAILED = 5, /* the worker's own failure; text says why */
	STOP_ASKED = 6,	 /* WORKER_REQ_STOP */
};

struct worker_event {
	uint32_t kind;		   /* enum worker_event_kind */
	uint32_t stop;		   /* enum worker_stop, with WORKER_STOPPED */
	uint64_t cpu_ns;	   /* CPU time the worker has used */
	uint64_t ram_pages;	   /* touched pages of guest RAM */
	uint64_t ram_pages_local;  /* ... that are on the worker's node */
	uint64_t private_bytes;	   /* worker memory that is not guest RAM */
	uint64_t first_run_cpu_ns; /* CPU time from exec to the first KVM_RUN;
				    * 0: not there yet */
	uint64_t exits;		   /* KVM_RUN returns, all vCPUs */
	uint64_t paused;	   /* 1: WORKER_REQ_PAUSE is in force */
	int64_t node;		   /* the worker's; NODE_AUTO: not bound */
	uint64_t text_pages;	   /* mapped pages of its program, read-only */
	uint64_t text_pages_local; /* ... that are on the worker's node */
	union {
		uint64_t stall_ns; /* WORKER_REHOMED: vCPUs were parked */
		uint64_t pages;	   /* _MERGED: shown from the layer now */
	};
	uint64_t error; /* _BOUND, _REHOMED, _MERGED: errno */
	char text[256]; /* one line, NUL-terminated, may be empty */
};

_Static_assert(sizeof(struct worker_event) == 360,
	       "a monitor of another build adopts it");

enum worker_request_kind {
	WORKER_REQ_STATS = 1,
	WORKER_REQ_STOP = 2,
	WORKER_REQ_PAUSE = 3,  /* again: no error */
	WORKER_REQ_RESUME = 4, /* again: no error */
	/*
	 * From now on the end of this connection is not the guest's end: the
	 * worker waits on WORKER_FD_LISTENER for the next control process.
	 * Needs an adoptable worker.
	 */
	WORKER_REQ_KEEP = 5,
	/*
	 * The first message on a connection to WORKER_FD_LISTENER; with two
	 * descriptors (SCM_RIGHTS) that take the places of WORKER_FD_CONSOLE
	 * and of the log. This connection becomes WORKER_FD_CONTROL.
	 */
	WORKER_REQ_ADOPT = 6,
	/* From now on new guest memory comes from @node. */
	WORKER_REQ_BIND = 7,
	/*
	 * With two descriptors, of the program and of the boot image: copies
	 * of WORKER_FD_CODE and WORKER_FD_BOOT that are on @node. Their pages
	 * take the place of the old ones where nothing was written, and KVM's
	 * tables of guest memory are made anew. ESTALE in the answer: the
	 * program is another one; the rest was done.
	 */
	WORKER_REQ_REHOME = 8,
	/*
	 * The buffer cache of disk @disk on @node, whose image has @bytes. With
	 * three descriptors: memory, presence map, lease map (cowdisk/cache/cache.h).
	 * Not answered.
	 */
	WORKER_REQ_CACHE = 9,
	/*
	 * A link to the agent of @node, which is looked in first from now on.
	 * With four descriptors: the worker's region, the agent's, to wake the
	 * agent, to be woken. Not answered.
	 */
	WORKER_REQ_LINK = 10,
	WORKER_REQ_UNLINK = 11, /* its agent is dead */
	/* The cache of disk @disk on @node gets no more blocks, and loses none:
	 * it is not looked in any more, and gone with the last page shown. */
	WORKER_REQ_CACHE_END = 12,
	/*
	 * The merging of equal pages (monitor/worker/merge.h), of the frames
	 * of the first @bytes of guest memory; each is answered by
	 * WORKER_MERGED, and they come one at a time. Descriptors
	 * (monitor/ipc/merge_maps.h): of _SUM a region for sums, prepared, to
	 * be taken; of _GIVE and _SHARE a layer, for writing or for reading,
	 * and a table of @entries: which of its frames. A layer that comes
	 * again has the same number (@disk).
	 */
	WORKER_REQ_SUM = 13,
	WORKER_REQ_GIVE = 14,
	WORKER_REQ_SHARE = 15,
};

struct worker_request {
	uint32_t kind;	  /* enum worker_request_kind */
	int32_t node;	  /* _BIND, _REHOME, _CACHE, _LINK: a node's number */
	uint32_t disk;	  /* _CACHE; _SHARE: the layer's number */
	uint32_t entries; /* _GIVE, _SHARE */
	uint64_t bytes;	  /* _CACHE, _SUM, _GIVE, _SHARE */
};

#endif
