/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/nets/net_tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vnet/frame.h"

/* Attach to it; if it did not exist, the kernel would make one. */
static int net_tap_attach(int fd, const char *name)
{
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int hdr_bytes = sizeof(struct vnet_hdr);

	memcpy(r.ifr_name, name, strlen(name) + 1);
	if (ioctl(fd, TUNSETIFF, &r) < 0 ||
	    ioctl(fd, TUNSETVNETHDRSZ, &hdr_bytes) < 0)
		return -errno;
	/*
	 * What may be left to guests: their workers do it for those that cannot
	 * (virtio_net.c). A kernel that refuses it does all of it itself.
	 */
	if (ioctl(fd, TUNSETOFFLOAD,
		  TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN) < 0)
		(void)ioctl(fd, TUNSETOFFLOAD, 0);
	return 0;
}

/*
 * Is there such a device? Not by if_nametoindex(3), which returns ENOENT, or
 * whatever the last family of sockets gave it, when there is no descriptor left.
 * Return: 0; -ENODEV; -errno of socket().
 */
static int net_tap_find(const char *name)
{
	struct ifreq r = { .ifr_flags = 0 };
	int err = 0, sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (sock < 0)
		return -errno;
	memcpy(r.ifr_name, name, strlen(name) + 1);
	if (ioctl(sock, SIOCGIFINDEX, &r) < 0)
		err = -errno;
	(void)close(sock);
	return err;
}

int net_tap_open(const char *name, int *fd)
{
	int tun, err;

	if (strlen(name) >= IFNAMSIZ)
		return -ENODEV;
	err = net_tap_find(name);
	if (err)
		return err;
	tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tun < 0)
		return errno == EPERM ? -EACCES : -errno;
	err = net_tap_attach(tun, name);
	if (err)
		(void)close(tun);
	else
		*fd = tun;
	return err;
}

const char *net_tap_error(int err)
{
	switch (err) {
	case -ENODEV:
		return "there is no such device";
	case -EINVAL:
		return "it is no tap device, or one with several queues";
	case -EPERM:
		return "it belongs to another user: make it with 'ip tuntap "
		       "add ... user', for the one who runs this";
	case -EACCES:
		return "this user, or container, may not open /dev/net/tun";
	case -EBUSY:
		return "another program uses it";
	case -ENOENT:
		return "there is no /dev/net/tun: is the module tun loaded?";
	default:
		return strerror(-err);
	}
}
