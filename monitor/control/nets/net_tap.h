/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opens a tap device that the operator made, for a network's trunk
 * (monitor/uplink/trunk.h). None is made here: a name that was mistyped is an
 * error, and the operator decides who may use a device (ip tuntap add ... user).
 */
#ifndef DISCO_MONITOR_NET_TAP_H
#define DISCO_MONITOR_NET_TAP_H

#include "disco/base.h"

/**
 * net_tap_open() - open a tap device, with headers of offloads before its frames
 * @name: of the device, in the network namespace of this process
 * @fd:   out, owned by the caller: non-blocking, close-on-exec; a read or write
 *        is a struct vnet_hdr and a frame
 *
 * Context: any thread; does not wait. Return: 0; -ENODEV there is no such device,
 * -EINVAL it is no tap device, or one with several queues; -EPERM this user may
 * not use it; -EBUSY somebody else does; -ENOENT no /dev/net/tun, -EACCES it may
 * not be opened; -EMFILE, -ENFILE no descriptor is left; -errno.
 * Source: Documentation/networking/tuntap.rst; drivers/net/tun.c.
 */
MUST_CHECK int net_tap_open(const char *name, int *fd);

/* Why net_tap_open() failed, as the end of a line. @err: negative. */
const char *net_tap_error(int err);

#endif
