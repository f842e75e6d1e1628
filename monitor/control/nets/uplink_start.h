/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts the process that is a network's way out (disco/uplink_proto.h). It is a
 * child of control; it ends by itself when its socket is closed.
 */
#ifndef DISCO_MONITOR_UPLINK_START_H
#define DISCO_MONITOR_UPLINK_START_H

#include <sys/types.h>

#include "disco/uplink_proto.h"

/**
 * uplink_start() - start disco-uplink, which is beside this program
 * @net:     of its port
 * @region:  of its port; @wake: the receiving end of its wake-ups; not owned
 * @tap:     of net_tap_open(), not owned: it is a trunk; -1: it is none
 * @control: out: its socket, owned by the caller
 * @pid:     out: whoever reaps children of this process reaps it
 *
 * It has no capability, is in the network of this process, and says on standard
 * error what it cannot do. Return: 0; -ENOENT there is no such program; -errno of
 * the step that failed.
 */
MUST_CHECK int uplink_start(const struct worker_net *net, int region, int wake,
			    int tap, int *control, pid_t *pid);

#endif
