/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The trunk of a network: a tap device that the operator made, with which the
 * network is one more port of a bridge of the host, or of a tunnel to another
 * machine. Frames go through unchanged, each after a header of offloads
 * (IFF_VNET_HDR), so checksums and segmentation are left to whoever needs them:
 * to the host's kernel on the way out, and to the workers of guests that cannot
 * take them on the way in.
 *
 * Both sides are hostile. Checked is, of a frame
 *
 *	to the device	what a station may send (vnet_filter()), as the worker
 *			that wrote it is not trusted either; and IPv4 for the
 *			network's own address, or to its DHCP, stays here
 *	from it		header, length, IPv4, ARP or IPv6, and that neither its
 *			MAC nor its IPv4 or IPv6 address is that of a station
 *			that this port knows, or of the network itself; nor an
 *			address that it claims by a neighbour advertisement
 *
 * What a station does not take at once is lost, as on a wire: the other ones,
 * and the device, are not held up.
 *
 * Context of all functions: one thread.
 */
#ifndef DISCO_MONITOR_UPLINK_TRUNK_H
#define DISCO_MONITOR_UPLINK_TRUNK_H

#include "vnet/port.h"

struct trunk;

/*
 * @port: not owned, outlives it. @fd: not owned; of net_tap_open(), or anything
 * that carries frames in the same way, non-blocking. Return: 0; -ENOMEM.
 */
MUST_CHECK int trunk_create(struct vnet_port *port, int fd, struct trunk **out);
void trunk_destroy(struct trunk *t); /* Accepts NULL. */

/*
 * Pass frames on, at most a batch: of the network to the device, and the other
 * way. Return: there may be more.
 */
bool trunk_send_frames(struct trunk *t);
bool trunk_take_frames(struct trunk *t);

/* The device does not exist any more. */
bool trunk_is_gone(const struct trunk *t);

#endif
