/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What outlives the monitor: a directory of mode 0700, the first of
 * $DISCO_STATE_DIR, /run/disco for root, $XDG_RUNTIME_DIR/disco.
 *
 *	lock		held by the running monitor
 *	api.sock	the socket of its API
 *	monitor.log	messages of a monitor that `disco run -d` started
 *	vms/NAME.json	one per VM, struct vm_record
 *	vms/NAME.conf	its configuration, as disco.json(5) has it
 *	vms/NAME.sock	where the VM's worker waits for the next monitor
 *
 * Sockets are reached through /proc/self/fd, so that the directory's name may
 * be longer than a socket address.
 */
#ifndef DISCO_MONITOR_STATE_DIR_H
#define DISCO_MONITOR_STATE_DIR_H

#include <sys/types.h>

#include "disco/limits.h"
#include "disco/diag.h"
#include "disco/worker_spec.h"
#include "numa/node_list.h"

#define STATE_LOG "monitor.log"

struct state_dir {
	char *path; /* owned */
	int fd;	    /* the directory; -1: not open */
	int vms;    /* its subdirectory vms/ */
	int lock;   /* -1: not held */
};

/* A disk whose image is read through the buffer cache. */
struct vm_cached {
	unsigned disk; /* number in its VM */
	int fd;	       /* number of the image's descriptor in the worker */
};

/* What the next monitor has to know of a VM to find it again. */
struct vm_record {
	char name[VM_NAME_MAX + 1];
	pid_t pid;
	uint64_t pid_start; /* of /proc/PID/stat: detects a reused pid */
	nodeid_t node;
	bool fixed;  /* node=N or strict: moved on request only */
	bool strict; /* its memory is promised to be on the node */
	bool copies; /* its views have copies of pages */
	bool merge;  /* shares equal pages with its group; not in the file */
	uint32_t protocol; /* of its worker (WORKER_PROTOCOL); 0: not said */
	unsigned nr_vcpus;
	nodeid_t vcpu_nodes[VM_MAX_VCPUS]; /* of one node: that, for each */
	uint64_t memory_bytes;
	uint64_t start_ns;	       /* CLOCK_MONOTONIC */
	unsigned restarts;	       /* how often it was started again */
	char kernel[256];	       /* for display; cut if longer */
	char group[VM_NAME_MAX + 1];   /* shares cached blocks with it */
	char policy[VM_POLICY_MAX];    /* of its pages; "": the standard one */
	char cluster[VM_NAME_MAX + 1]; /* that it belongs to; "": none */
	char role[VM_NAME_MAX + 1];    /* in it; "": none */
	unsigned nr_cached;
	struct vm_cached cached[VM_MAX_DISKS];
	unsigned nr_nets;
	struct worker_net nets[VM_MAX_NETS];
	/* As in struct net_config; "": none. */
	char taps[VM_MAX_NETS][NET_TAP_MAX + 1];
	char publish[256]; /* ports of the first one, as in vm_config */
	int net_fd; /* number of the first network's descriptor in the worker */
	unsigned nr_shms;
	struct worker_shm shms[VM_MAX_SHMS];
	int shm_fd; /* the same of the first segment */
};

/* Return: true for a wide VM: a vCPU is on another node than its home. */
bool state_vm_is_wide(const struct vm_record *r);

/* The nodes that its vCPUs are on, ascending. */
void state_vm_nodes(const struct vm_record *r, struct node_list *out);

/* All of its vCPUs are on its home from now on. */
void state_vm_gather(struct vm_record *r);

#define STATE_DIR_NONE ((struct state_dir){ .fd = -1, .vms = -1, .lock = -1 })

/**
 * state_dir_open() - open the directory and vms/ in it
 * @s:      filled, also on error; release with state_dir_close()
 * @create: make what is missing, mode 0700
 * @d:      out on error: ST_HOST; without @create a missing directory is
 *          ST_NO_MONITOR
 *
 * A directory that belongs to another user, or that others may enter, is
 * refused.
 *
 * Context: one thread (getenv). Return: 0; -ENOENT; -EPERM; -errno of mkdir()
 * and open(); -ENOMEM.
 */
MUST_CHECK int state_dir_open(struct state_dir *s, bool create, struct diag *d);

/* Releases the lock as well. NULL and STATE_DIR_NONE are accepted. */
void state_dir_close(struct state_dir *s);

/**
 * state_dir_lock() - become the monitor of this directory
 *
 * Context: does not block. Return: 0; -EWOULDBLOCK another one runs
 * (ST_HOST); -errno of open().
 */
MUST_CHECK int state_dir_lock(struct state_dir *s, struct diag *d);

/**
 * state_api_listen() - create the API's socket, mode 0600, replacing an old one
 *
 * Context: the lock is held. Return: a descriptor, owned by the caller; -errno.
 */
MUST_CHECK int state_api_listen(const struct state_dir *s);

/* Return: a connected descriptor, blocking; -errno of socket(), connect(). */
MUST_CHECK int state_api_connect(const struct state_dir *s);

/*
 * The same for the socket of a VM's worker; both descriptors are non-blocking.
 * @name: a checked VM name.
 */
MUST_CHECK int state_vm_listen(const struct state_dir *s, const char *name);
MUST_CHECK int state_vm_connect(const struct state_dir *s, const char *name);

/* Is it one that can be used: texts that end, numbers in range? */
bool state_vm_sane(const struct vm_record *r);

/**
 * state_vm_save() - write or replace a VM's record, as a whole
 * Return: 0; -ENOMEM; -errno of open(), write and rename.
 */
MUST_CHECK int state_vm_save(const struct state_dir *s,
			     const struct vm_record *r);

/*
 * Write or replace the configuration of a VM, or read it: *@text is malloc'ed,
 * at most STATE_CONFIG_MAX bytes. Return: 0; -ENOENT; -E2BIG; -ENOMEM; -errno.
 */
#define STATE_CONFIG_MAX MIB(1)
MUST_CHECK int state_vm_save_config(const struct state_dir *s, const char *name,
				    const char *text);
MUST_CHECK int state_vm_load_config(const struct state_dir *s, const char *name,
				    char **text);

/* Remove the record, the configuration and the socket of a VM. */
void state_vm_remove(const struct state_dir *s, const char *name);

/**
 * state_vm_load() - read a record
 * @out: checked: name equals @name, numbers are in range; untouched on error
 *
 * Return: 0; -ENOENT; -EBADMSG the file is not a valid record; -ESTALE it is
 * from another boot of this machine; -ENOMEM.
 */
MUST_CHECK int state_vm_load(const struct state_dir *s, const char *name,
			     struct vm_record *out);

/**
 * state_vm_each() - call @each with the name of every record
 *
 * Return: 0; -errno of opening the directory.
 */
MUST_CHECK int state_vm_each(const struct state_dir *s,
			     void (*each)(void *arg, const char *name),
			     void *arg);

/* Has @name 1 .. VM_NAME_MAX bytes of [A-Za-z0-9._-], alphanumeric first? */
bool vm_name_valid(const char *name);

#endif
