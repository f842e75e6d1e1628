/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMs of one network, by the real nets.c, in one process: it plays their workers,
 * which have the VMs' ports.
 */
#ifndef TESTS_UNIT_CONTROL_NET_VMS_H
#define TESTS_UNIT_CONTROL_NET_VMS_H

#include "monitor/control/nets/nets.h"
#include "vnet/port.h"

#define NET_VMS 3u

struct net_vms {
	struct watcher watcher;
	struct nets *nets;
	struct vm_config configs[NET_VMS]; /* network "lan", to be changed */
	char names[NET_VMS][8];
	struct net_ports ports[NET_VMS];
	struct vm_watch vms[NET_VMS];
	int theirs[NET_VMS];		 /* the workers' ends */
	struct vnet_port *port[NET_VMS]; /* NULL: not opened */
	unsigned told[NET_VMS];		 /* ports that it got to know */
	int log;			 /* between net_vms_log() and its end */
	struct diag d;
};

/* Sets DISCO_UPLINK. @self: of the test. Return: false: it was not built. */
bool net_vms_find_uplink(const char *self);

/* A failure fails the test. */
void net_vms_create(struct net_vms *v);
/* All ends, processes of networks as well, which are waited for. */
void net_vms_destroy(struct net_vms *v);

/* Start a VM: reserve, open its port if @open, attach; nets_update() is next. */
void net_vms_start(struct net_vms *v, unsigned i, bool open);

/*
 * A turn of control's loop, and of an open worker: what it is told, and the next
 * frame. Return: true: a frame came, in @frame, cut off at @size.
 */
bool net_vms_run(struct net_vms *v, unsigned i, uint8_t *frame, size_t size,
		 uint32_t *len, struct vnet_hdr *hdr);

/*
 * Keep what control reports from now on, until the end. A test that fails in
 * between leaves the log to the end of the process.
 */
void net_vms_log(struct net_vms *v);
void net_vms_log_end(struct net_vms *v);
/* All of it so far. Return: static; until the next call. */
const char *net_vms_said(const struct net_vms *v);

/*
 * Have the process of a network die, and each next one as soon as it starts,
 * until three have. @run: a turn; @died_ns: when the last one has died.
 */
void net_vms_fail(void (*run)(void), const uint64_t *died_ns);

/* The first child of this process, as a network has one; 0: there is none. */
pid_t net_vms_child(void);

#endif
