/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a worker (disco-vm) is started with. Control forks, puts descriptors at
 * the numbers of enum worker_fd, and executes disco-vm with the VM's name as
 * its only argument. WORKER_FD_SPEC is a sealed memfd that holds one struct
 * worker_spec. Both programs come from the same build; magic, size and protocol
 * are checked so that a mismatch ends with one clear line.
 *
 * From then on the two exchange messages: disco/worker_proto.h.
 */
#ifndef DISCO_WORKER_SPEC_H
#define DISCO_WORKER_SPEC_H

#include "disco/base.h"
#include "disco/boot_layout.h"
#include "disco/limits.h"
#include "disco/worker_proto.h"

#define WORKER_SPEC_MAGIC 0x4f435349445635ull

/*
 * Environment variable of a worker: CPU time in ns that its process had used
 * before it executed disco-vm, for first_run_cpu_ns. Absent: 0.
 */
#define WORKER_ENV_CPU_NS "DISCO_CPU_NS_AT_EXEC"

/* Descriptor numbers in the worker. 0 is /dev/null, 1 and 2 are the log. */
enum worker_fd {
	WORKER_FD_SPEC = 3,
	WORKER_FD_CONTROL = 4,	/* SOCK_SEQPACKET: disco/worker_proto.h */
	WORKER_FD_CONSOLE = 5,	/* stream socket: guest console bytes */
	WORKER_FD_KVM = 6,	/* /dev/kvm, read-write */
	WORKER_FD_RAM = 7,	/* guest RAM memfd, ram_bytes long */
	WORKER_FD_BOOT = 8,	/* boot image memfd, read-only */
	WORKER_FD_LISTENER = 9, /* see adoptable; else /dev/null */
	WORKER_FD_CODE = 10,	/* the program; replaced by WORKER_REQ_REHOME */
	/* a region that the worker writes: monitor/ipc/figures.h */
	WORKER_FD_FIGURES = 11,
	/* disks follow, each with its descriptors; then networks, segments */
	WORKER_FD_DISK0 = 12,
};

#define WORKER_MAX_DISK_FDS (4 * VM_MAX_DISKS)

/* Descriptors of a network; those of all networks follow those of the disks. */
enum worker_net_fd {
	WORKER_NET_REGION = 0, /* prepared, of the worker's port */
	WORKER_NET_WAKE = 1,   /* the receiving end of its wake-ups */
	WORKER_NET_WAKER = 2,  /* the sending end: for the next monitor only */
	WORKER_NET_FDS = 3
};

#define WORKER_MAX_SHM_FDS VM_MAX_SHMS /* one each; they follow the networks */
#define WORKER_MAX_NET_FDS (WORKER_NET_FDS * VM_MAX_NETS)

struct worker_net {
	char net[VM_NAME_MAX + 1]; /* its name */
	uint32_t slot, gen;	   /* vnet/port.h */
	uint8_t mac[6];
	uint8_t ip[4];
	/* vnet/frame.h, struct vnet_plan; the IPv6 prefix is made of the name */
	uint8_t server[4];
	uint8_t bits;
	uint8_t routed; /* 0 or 1, as those that follow */
	uint8_t routed4, planned6;
	/*
	 * Pairs of queues, at most NET_MAX_QUEUES and never more than vCPUs; 0:
	 * as many as there may be. Of a worker's start only: no record has it.
	 */
	uint8_t queues;
};

/* A shared segment: its memfd, opened for this worker alone. */
struct worker_shm {
	char name[VM_NAME_MAX + 1];
	uint64_t bytes;
	int32_t node; /* that it was bound to; NODE_AUTO: none */
	/* 1: written by permission only, from the start: see memory/replica. */
	uint32_t guarded;
};

enum worker_disk_kind {
	WORKER_DISK_RAW = 0,  /* one descriptor */
	WORKER_DISK_COW = 1,  /* base, read-only; COW file; see .direct */
	WORKER_DISK_TEMP = 2, /* the same; the COW file ends with the VM */
};

struct worker_disk {
	uint64_t bytes; /* multiple of 512 */
	uint32_t read_only;
	uint32_t kind; /* enum worker_disk_kind */
	/*
	 * 1: a region of guest memory. The first descriptor is read-only, and
	 * what the guest writes to a RAW disk is discarded when the VM ends.
	 */
	uint32_t pmem;
	/*
	 * 0, 1 or 2: further descriptors, opened with O_DIRECT for reading: of
	 * the COW file (1), and also of the base (2). Not for RAW or pmem.
	 */
	uint32_t direct;
	char serial[DISK_SERIAL_MAX + 1];
	uint32_t queues; /* at most DISK_MAX_QUEUES; 0: one per vCPU */
	uint64_t iops;	 /* limit on requests per second; 0: none */
	uint64_t bps;	 /* limit on bytes per second; 0: none */
};

/* Number of descriptors of a disk. */
static inline unsigned worker_disk_fds(const struct worker_disk *d)
{
	return d->kind == WORKER_DISK_RAW ? 1 : 2 + d->direct;
}

#define WORKER_WIDE_CPUS 4096u

/*
 * A VM that is spread over several nodes. Its virtual nodes are numbered from 0,
 * in the order in which the operator has named nodes; the first one is its home.
 */
struct worker_wide {
	uint32_t nr_nodes; /* 0: it is not wide; else 2 .. MAX_NODES */
	uint32_t show;	   /* the guest is told of its virtual nodes */
	uint32_t views;	   /* a KVM VM per virtual node, at most VM_MAX_VIEWS */
	/*
	 * Each view has a mapping of RAM of its own, and at most so many bytes of
	 * copies of pages; a multiple of PAGE_BYTES. 0: they share one mapping.
	 */
	uint64_t copies_bytes;
	int32_t nodes[MAX_NODES];	 /* NODE_AUTO: memory is not bound */
	uint8_t vcpu_node[VM_MAX_VCPUS]; /* virtual node of each vCPU */
	uint8_t distance[MAX_NODES][MAX_NODES]; /* as of the ACPI SLIT */
	/*
	 * Host CPUs that vCPUs may run on: of virtual node i, node_cpus[i] of
	 * them, after those of the nodes before it. 0: not pinned.
	 */
	uint16_t node_cpus[MAX_NODES];
	uint16_t cpus[WORKER_WIDE_CPUS];
};

struct worker_spec {
	uint64_t magic;
	uint64_t size;	   /* sizeof(struct worker_spec) */
	uint32_t protocol; /* WORKER_PROTOCOL */
	char name[VM_NAME_MAX + 1];
	uint32_t nr_vcpus;
	int32_t node; /* NODE_AUTO: not bound */
	uint32_t strict;
	/* All of RAM is there at the start, and stays: none is given back. */
	uint32_t reserved;
	uint32_t nr_cpus;    /* entries of cpus; 0: not pinned */
	uint16_t cpus[1024]; /* host CPUs that the worker may run on */
	uint64_t ram_bytes;
	uint32_t huge;		/* enum huge_pages */
	uint32_t huge_given;	/* the kernel gives huge pages for guest RAM */
	uint32_t keep_panicked; /* a panic does not end the guest */
	uint32_t no_hints;	/* there is no device for the guest's hints */
	uint32_t
		sampled; /* enum worker_sample: WORKER_REQ_SAMPLE may ask for it */
	/* What the guest may know of the machine: the ACPI SLIT, by number. */
	uint32_t nr_nodes;
	uint8_t distances[MAX_NODES * MAX_NODES]; /* [nr_nodes * nr_nodes] */
	uint32_t adoptable; /* WORKER_FD_LISTENER: SOCK_SEQPACKET, listening */
	uint32_t nr_disks;
	struct worker_disk disks[VM_MAX_DISKS];
	uint32_t nr_nets;
	struct worker_net nets[VM_MAX_NETS];
	struct worker_wide wide;
	uint32_t nr_shms;
	struct worker_shm shms[VM_MAX_SHMS];
	struct boot_layout boot;
	char cmdline[CMDLINE_MAX + 1];
};

/* The first descriptor of network @net, 0 .. nr_nets - 1. */
static inline int worker_net_fd(const struct worker_spec *s, unsigned net)
{
	unsigned fd = WORKER_FD_DISK0;

	for (uint32_t i = 0; i < s->nr_disks; i++)
		fd += worker_disk_fds(&s->disks[i]);
	return (int)(fd + WORKER_NET_FDS * net);
}

/* The descriptor of segment @shm, 0 .. nr_shms - 1. */
static inline int worker_shm_fd(const struct worker_spec *s, unsigned shm)
{
	return worker_net_fd(s, s->nr_nets) + (int)shm;
}

#endif
