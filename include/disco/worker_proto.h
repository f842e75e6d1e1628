/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages between the control process and a worker (disco-vm), on
 * WORKER_FD_CONTROL: struct worker_request from control to the worker, struct
 * worker_event from the worker to control. monitor/ipc/worker_messages.h sends
 * and receives them, and has the table of their sizes and descriptors.
 *
 * Each side checks what it receives. Control treats every field of an event as
 * hostile, because a guest may have taken over its worker.
 *
 * A worker outlives the control process that started it, so the two may be of
 * different builds. Any change of this file changes WORKER_PROTOCOL; control
 * takes over only workers of its own protocol.
 */
#ifndef DISCO_WORKER_PROTO_H
#define DISCO_WORKER_PROTO_H

#include "disco/limits.h"
#include "disco/message.h"

/* 0 stands for a worker that was built before protocols had numbers. */
#define WORKER_PROTOCOL 11u

/* --- control to worker --- */

enum worker_request_kind {
	/*
	 * Answer: WORKER_STATS, at once or after a survey of memory that takes
	 * milliseconds. One answer may serve several requests; it has the id of
	 * the last one.
	 */
	WORKER_REQ_STATS = 1,
	/*
	 * End the guest, whatever it does. No answer; WORKER_STOPPED at its end.
	 */
	WORKER_REQ_STOP = 2,
	/*
	 * Take all vCPUs out of the guest, or let them run again. A repeated
	 * request is no error. Answer: WORKER_PAUSED.
	 */
	WORKER_REQ_PAUSE = 3,
	WORKER_REQ_RESUME = 4,
	/*
	 * From now on the end of this connection does not end the guest: the
	 * worker waits on WORKER_FD_LISTENER for the next control process.
	 * Requires an adoptable worker. No answer.
	 */
	WORKER_REQ_KEEP = 5,
	/*
	 * .adopt: the first message on a connection to WORKER_FD_LISTENER, and
	 * never a later one. Descriptors: a stream socket and a pipe, which
	 * replace WORKER_FD_CONSOLE and the log. The connection becomes
	 * WORKER_FD_CONTROL. No answer; a worker of another protocol closes the
	 * connection and waits for the next one.
	 */
	WORKER_REQ_ADOPT = 6,
	/* .bind: new guest memory comes from a node. Answer: WORKER_BOUND. */
	WORKER_REQ_BIND = 7,
	/*
	 * .rehome: take program text, boot image and KVM's tables of guest
	 * memory to a node. Descriptors: memory with the program, memory with
	 * the boot image; they are copies of WORKER_FD_CODE and WORKER_FD_BOOT
	 * on that node. Their pages replace the old ones where nothing was
	 * written. Answer: WORKER_REHOMED.
	 */
	WORKER_REQ_REHOME = 8,
	/*
	 * .cache: a disk may use the buffer cache of its image on a node; or
	 * references to another VM's image may be followed there.
	 * Descriptors: the cache's memory and its presence map, for reading,
	 * and a lease map, for writing (cowdisk/cache/cache.h). No answer.
	 */
	WORKER_REQ_CACHE = 9,
	/*
	 * .link: a channel to the agent of a node. From now on blocks are
	 * looked up in the cache of that node first. Descriptors: the worker's
	 * region, the agent's region, a socket that wakes the agent, one that
	 * wakes the worker. No answer.
	 */
	WORKER_REQ_LINK = 10,
	WORKER_REQ_UNLINK = 11, /* the agent of the link is dead; no answer */
	/*
	 * .cache_end: a cache gets no more blocks and loses none. The worker
	 * looks nothing up in it any more, and drops it with the last page that
	 * is shown from it. No answer.
	 */
	WORKER_REQ_CACHE_END = 12,
	/*
	 * .sum, .give, .share: merging of equal pages (monitor/worker/merge.h),
	 * one job at a time; WORKER_MERGED answers each at its end. Descriptors
	 * (monitor/ipc/merge_maps.h): of .sum a prepared region for sums, which
	 * the worker takes; of .give a layer to fill; of .share a layer to
	 * read; after either layer its table.
	 */
	WORKER_REQ_SUM = 13,
	WORKER_REQ_GIVE = 14,
	WORKER_REQ_SHARE = 15,
	/*
	 * As WORKER_REQ_STATS, but all of guest memory is looked at first, which
	 * takes seconds for a large guest. The guest goes on meanwhile.
	 */
	WORKER_REQ_EXACT = 16,
	/*
	 * Press the guest's power button. No answer: whether the guest does
	 * something about it is its own affair.
	 */
	WORKER_REQ_BUTTON = 17,
	/*
	 * .port: connect a port of the virtio console (guest_ports.h).
	 * Descriptor: a stream socket, which takes the place of an earlier one
	 * (monitor/dev/virtio/console_ports.h). No answer.
	 */
	WORKER_REQ_PORT = 18,
	/*
	 * .net_port: another port of a network of the VM is there, or has taken the
	 * place of an older one. Descriptors: its region, for reading, and the
	 * sending end of its wake-ups (vnet/port.h). A repeated request is no
	 * error. No answer.
	 */
	WORKER_REQ_NET_PORT = 19,
	/* .net_port_end: a port has ended; the same. */
	WORKER_REQ_NET_PORT_END = 20,
	/*
	 * .net_dump: send a copy of each frame of a network to a socket
	 * (disco/net_dump.h). Descriptor: that socket, which takes the place of
	 * an earlier one. Ends when its other end is closed. No answer.
	 */
	WORKER_REQ_NET_DUMP = 21,
	/*
	 * .net_publish: to disco-uplink alone (disco/uplink_proto.h): what comes
	 * to a port of the host goes to a port of a station. No answer.
	 */
	WORKER_REQ_NET_PUBLISH = 22,
	/*
	 * .shm_link: a link to the home of a shared segment (memory/replica), in
	 * place of an earlier one. Descriptors: the worker's region, the home's,
	 * a socket that wakes the home, one that wakes the worker; the replicas
	 * of the VM's node, for reading. No answer.
	 */
	WORKER_REQ_SHM_LINK = 23,
	/*
	 * .sample: sample accesses to guest memory by faults, or writes to it by
	 * KVM's dirty log, into the log in the region of figures
	 * (disco/fault_log.h); again: at another rate. A worker that was not
	 * started for this (struct worker_spec) samples nothing. No answer.
	 */
	WORKER_REQ_SAMPLE = 24,
	/*
	 * Who decides about copies of pages for views, in place of an earlier
	 * one; a VM without copies does nothing. Descriptors: of the owner's end
	 * (memory/replica/copies_link.h), the regions of COPIES_LINK_BYTES. No
	 * answer.
	 */
	WORKER_REQ_COPIES = 25,
};

struct worker_req_adopt {
	uint32_t protocol; /* WORKER_PROTOCOL of the sender */
	uint32_t zero;
};

/*
 * In place of a node's number: spread, as memory of a wide VM is. It is bound by
 * virtual node if these are shown (struct worker_spec, numa_show), else it comes
 * from the node of the vCPU that touches it first.
 */
#define WORKER_NODES_SPREAD (-2)

struct worker_req_bind {
	int32_t node; /* a node's number; NODE_AUTO: any; WORKER_NODES_SPREAD */
	uint32_t zero;
};

struct worker_req_rehome {
	int32_t node; /* the VM was bound to it before; NODE_AUTO: any */
	uint32_t zero;
};

struct worker_req_cache {
	uint64_t image_bytes; /* of the disk's image */
	/*
	 * By what references name the image (vnet/refs.h): the same for each VM
	 * that shares it. 0: frames of this VM have none to it, and none are taken.
	 */
	uint64_t image;
	uint32_t disk; /* 0 .. VM_MAX_CACHED - 1; see VM_MAX_FOREIGN */
	int32_t node;  /* where the cache is */
};

struct worker_req_cache_end {
	uint32_t disk; /* as above */
	int32_t node;
};

struct worker_req_link {
	int32_t node; /* of the agent */
	uint32_t zero;
};

struct worker_req_sum {
	uint64_t ram_bytes; /* from the start of guest memory; whole pages */
};

struct worker_req_give {
	uint64_t ram_bytes; /* as above */
	uint32_t entries;   /* of the table */
	uint32_t zero;
};

struct worker_req_share {
	uint64_t ram_bytes; /* as above */
	uint32_t entries;   /* of the table */
	uint32_t layer;	    /* its number, the same whenever it is sent */
};

struct worker_req_port {
	uint32_t port; /* GUEST_PORT_AGENT .. GUEST_NR_PORTS - 1 */
	uint32_t zero;
};

struct worker_req_net_port {
	uint32_t net; /* which of the VM's networks: 0 .. VM_MAX_NETS - 1 */
	uint32_t slot, gen;
	uint8_t mac[6];
	uint8_t ip[4];
	uint8_t shares;	 /* 1: their VMs share memory (struct vnet_station) */
	uint8_t routed4; /* 1: the uplink leads it further by IPv4 alone */
	char name[VM_NAME_MAX + 1]; /* of its VM */
};

struct worker_req_net_port_end {
	uint32_t net, slot;
	uint32_t gen; /* 0: whichever port has the slot */
	uint32_t zero;
};

struct worker_req_net_dump {
	uint32_t net;  /* which of the VM's networks */
	uint32_t most; /* bytes of a frame; at least 1 */
};

struct worker_req_net_publish {
	uint32_t on;  /* 1: from now on; 0: no more */
	uint32_t udp; /* 1: UDP; 0: TCP */
	uint32_t ip6; /* 1: host_ip is of IPv6; 0: its first 4 bytes, of IPv4 */
	uint8_t host_ip[16];
	uint8_t guest_ip[4]; /* by which the station is known, also with ip6 */
	uint16_t host_port, guest_port; /* not 0 */
};

struct worker_req_shm_link {
	uint32_t shm; /* which of the VM's segments */
	uint32_t zero;
};

enum worker_sample {
	WORKER_SAMPLE_NONE = 0,
	WORKER_SAMPLE_FAULTS = 1, /* memory/sampling/page_traps.h */
	WORKER_SAMPLE_WRITES = 2, /* memory/sampling/dirty_log.h */
};

struct worker_req_sample {
	uint32_t rate;	/* pages per second; 0: none from now on */
	uint32_t share; /* of a CPU at most, in permille; at least 1 */
	uint32_t how;	/* enum worker_sample; of no meaning if the rate is 0 */
	uint32_t zero;
};

struct worker_request {
	uint32_t kind; /* enum worker_request_kind */
	uint32_t zero;
	uint64_t id; /* see struct message_head */
	union {
		struct worker_req_adopt adopt;
		struct worker_req_bind bind;
		struct worker_req_rehome rehome;
		struct worker_req_cache cache;
		struct worker_req_cache_end cache_end;
		struct worker_req_link link;
		struct worker_req_sum sum;
		struct worker_req_give give;
		struct worker_req_share share;
		struct worker_req_port port;
		struct worker_req_net_port net_port;
		struct worker_req_net_port_end net_port_end;
		struct worker_req_net_dump net_dump;
		struct worker_req_net_publish net_publish;
		struct worker_req_shm_link shm_link;
		struct worker_req_sample sample;
	};
};

/* --- worker to control; no event has descriptors --- */

enum worker_event_kind {
	WORKER_STARTED = 1, /* about to enter KVM_RUN for the first time */
	WORKER_STOPPED = 2, /* .stopped: the last event; the worker exits */
	WORKER_STATS = 3,   /* .stats: answers _STATS and _EXACT */
	WORKER_PAUSED = 4,  /* .paused: answers WORKER_REQ_PAUSE and _RESUME */
	WORKER_BOUND = 5,   /* .bound: answers WORKER_REQ_BIND */
	WORKER_REHOMED = 6, /* .rehomed: answers WORKER_REQ_REHOME */
	WORKER_MERGED = 7,  /* .merged: answers _SUM, _GIVE and _SHARE */
};

enum worker_stop {
	STOP_POWEROFF = 1,
	STOP_RESET = 2,
	STOP_PANIC = 3,	 /* reported by pvpanic */
	STOP_CRASH = 4,	 /* triple fault, KVM_EXIT_INTERNAL_ERROR, ... */
	STOP_FAILED = 5, /* the worker's own failure; text has the reason */
	STOP_ASKED = 6,	 /* WORKER_REQ_STOP */
};

#define WORKER_TEXT_BYTES 256u

struct worker_node_pages {
	int32_t node; /* a node's number */
	uint32_t zero;
	uint64_t pages; /* 0: the entry counts nothing */
};

/* What goes from one view of a guest to another (monitor/worker/views). */
enum worker_sent {
	WORKER_SENT_NOTHING = 0, /* wake-ups that were for nothing */
	WORKER_SENT_VECTORS,
	WORKER_SENT_NMIS,
	WORKER_SENT_INITS,
	WORKER_SENT_STARTUPS,
	WORKER_NR_SENT
};

/* Copies of pages that a view shows (memory/replica/ram_copies.h). */
struct worker_copies {
	uint64_t now;	  /* pages */
	uint64_t made;	  /* in total */
	uint64_t dropped; /* in total: collapsed, or reclaimed */
	uint64_t waits;	  /* writes of its vCPUs that waited, in total */
};

/* What a worker uses; 0: not known. */
struct worker_usage {
	uint64_t cpu_ns;	   /* CPU time since exec */
	uint64_t first_run_cpu_ns; /* CPU time before the first KVM_RUN */
	uint64_t exits;		   /* KVM_RUN returns, all vCPUs */
	/*
	 * Guest memory and the figures below it, as they were when the last
	 * survey of them began.
	 */
	uint64_t ram_age_ns;	  /* since then; 0: there was no survey */
	uint64_t ram_exact;	  /* 1: all pages were looked at; 0: some */
	uint64_t ram_pages;	  /* touched pages of guest RAM */
	uint64_t ram_pages_local; /* those of them on the worker's node */
	struct worker_node_pages ram_on[MAX_NODES]; /* all of them, by node */
	uint64_t private_bytes;	   /* worker memory that is not guest RAM */
	uint64_t text_pages;	   /* mapped pages of its program, read-only */
	uint64_t text_pages_local; /* those of them on the worker's node */
	uint64_t nr_views;	   /* of the guest; 0: it has no views */
	uint64_t sent[WORKER_NR_SENT]; /* between them, in total */
	uint64_t copies_limit;	       /* pages per view; 0: no copies */
	struct worker_copies copies[VM_MAX_VIEWS];
	uint64_t copied_pages; /* of the guest, that have copies now */
	uint64_t collapsed;    /* of them, by a write, in total */
	uint64_t device_waits; /* writes of devices that waited, in total */
};

struct worker_ev_stopped {
	uint32_t stop; /* enum worker_stop */
	uint32_t zero;
	struct worker_usage usage;
	char text[WORKER_TEXT_BYTES]; /* one line, NUL-terminated; or empty */
};

struct worker_ev_stats {
	struct worker_usage usage;
	uint32_t paused; /* 1: WORKER_REQ_PAUSE is in force */
	uint32_t zero;
};

struct worker_ev_paused {
	uint32_t paused; /* as above */
	uint32_t zero;
};

struct worker_ev_bound {
	uint32_t error; /* errno; 0: bound */
	uint32_t zero;
};

struct worker_ev_rehomed {
	/*
	 * errno; 0: all was done. ESTALE: the program that was sent is not the
	 * one that runs, so the text stays where it is; the rest was done.
	 */
	uint32_t error;
	uint32_t zero;
	uint64_t stall_ns; /* time that the vCPUs were parked */
};

struct worker_ev_merged {
	uint32_t error; /* errno; 0: the job is done */
	uint32_t zero;
	uint64_t pages; /* that the job now shows from its layer */
};

struct worker_event {
	uint32_t kind; /* enum worker_event_kind */
	uint32_t zero;
	uint64_t id; /* see struct message_head */
	union {
		struct worker_ev_stopped stopped;
		struct worker_ev_stats stats;
		struct worker_ev_paused paused;
		struct worker_ev_bound bound;
		struct worker_ev_rehomed rehomed;
		struct worker_ev_merged merged;
	};
};

_Static_assert(WORKER_PROTOCOL == 11 && sizeof(struct worker_request) == 104 &&
		       sizeof(struct worker_event) == 1976,
	       "a control process of another build takes workers over: other "
	       "messages are another WORKER_PROTOCOL");

#endif
