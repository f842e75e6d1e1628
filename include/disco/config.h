/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the operator asked for, after the command line and the JSON file were
 * read and checked. monitor/control/config fills it by the tables of options,
 * which have one entry per field (config/vm_options.h); the rooms above read
 * it. Owned by the control process. Strings are malloc'ed and owned by the
 * struct that they are in. Other programs use disco/limits.h only.
 */
#ifndef DISCO_CONFIG_H
#define DISCO_CONFIG_H

#include "disco/base.h"
#include "disco/huge.h"
#include "disco/limits.h"

struct disk_config {
	char *path;
	char *cow;    /* NULL: none; the disk's writes go here, not to path */
	char *serial; /* NULL: "disk0", "disk1", ... */
	bool read_only;
	bool snapshot; /* as cow, in a file that ends with the VM */
	bool raw;      /* path is a disk even if it looks like another format */
	bool no_cache; /* do not read path through the buffer cache */
	bool pmem;     /* memory of the guest, not a block device */
	unsigned queues; /* 1 .. DISK_MAX_QUEUES; 0: one per vCPU */
	uint64_t iops;	 /* limit on requests per second; 0: none */
	uint64_t bps;	 /* limit on bytes per second; 0: none */
};

/* Return: true if the VM writes to the file at path. */
static inline bool disk_writes_path(const struct disk_config *d)
{
	return !d->read_only && !d->cow && !d->snapshot;
}

/* After which ends the monitor starts a VM again; see restart_rule.h. */
enum restart_policy {
	RESTART_NO = 0, /* the order of the words of --restart */
	RESTART_ON_FAILURE,
	RESTART_ALWAYS,
};

struct net_config {
	char *name;	 /* of the network */
	char *mac;	 /* "02:00:00:00:00:01"; NULL: made from its address */
	char *ip;	 /* "10.1.0.5"; NULL: chosen */
	bool uplink;	 /* it leads to the host's network, too */
	bool no_ip6;	 /* but to none of its IPv6 addresses */
	bool planned;	 /* guests have no IPv6 addresses of their own choice */
	char *tap;	 /* device that leads further, "tap0"; NULL: none */
	unsigned queues; /* pairs, 1 .. NET_MAX_QUEUES; 0: one per vCPU */
	char *subnet;	 /* of the network, "10.1.0.0/24"; NULL: as it is */
};

struct shm_config {
	char *name;	/* of the segment */
	uint64_t bytes; /* a multiple of SHM_MIN_BYTES */
	nodeid_t node;	/* of its memory; NODE_AUTO: of the first VM */
};

struct vm_config {
	char *name;
	char *kernel;	  /* NULL: of the boot entry of the first disk */
	char *initrd;	  /* NULL: none */
	char *cmdline;	  /* NULL: the entry's, or "console=ttyS0" */
	char *cloud_init; /* user-data of a seed for cloud-init; NULL: none */
	char *meta_data;  /* of the seed; NULL: it is made */
	char *network_config; /* of the seed; NULL: none */
	char *group;	      /* VMs that may share pages; NULL: "default" */
	char *policy;	      /* of placement of its pages; NULL: standard */
	char *cluster;	      /* that it belongs to; NULL: none */
	char *role;	      /* in its cluster; NULL: none */
	bool keep_packed;  /* kernel=...,unpack=off: the guest decompresses */
	unsigned nr_vcpus; /* 1 .. VM_MAX_VCPUS */
	uint64_t memory_bytes; /* multiple of PAGE_BYTES */
	nodeid_t node;	       /* NODE_AUTO or a node's number */
	char *nodes;	/* spread over them; NULL: on one (node_list.h) */
	bool numa_show; /* the guest is told of its nodes */
	bool views;	/* a KVM VM for each of its nodes */
	uint64_t copies_bytes; /* of pages, per view; 0: none */
	bool strict;	       /* all memory is on the node, or no start */
	bool overcommit;       /* strict memory is not reserved at the start */
	unsigned huge;	       /* enum huge_pages */
	bool keep_panicked;    /* on-panic=keep */
	bool no_hints;	       /* hints=off */
	unsigned restart;      /* enum restart_policy */
	bool merge;	       /* share equal pages within the group */
	struct disk_config disks[VM_MAX_DISKS];
	unsigned nr_disks;
	struct net_config nets[VM_MAX_NETS];
	unsigned nr_nets;
	char *publish; /* ports of the host, "2222:22,53:53/udp"; NULL: none */
	struct shm_config shms[VM_MAX_SHMS];
	unsigned nr_shms;
	unsigned count; /* VMs like this one; 1 once they are expanded */
};

struct run_config {
	struct vm_config *vms; /* array, after -n was expanded */
	unsigned nr_vms;
	bool detach;  /* -d: hand them to the monitor */
	bool dry_run; /* print the plan, and start nothing */
	bool summary; /* --summary: a table at the end */
	char *report; /* --report FILE: JSON at the end; NULL: none */
	char *mark;   /* --mark TEXT: time of the first console line with it */
};

#endif
