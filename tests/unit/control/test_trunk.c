/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The trunk of a network: the real disco-uplink, started by the real nets.c, with
 * a real tap device in a network namespace of this process. What is behind the
 * device is played by a packet socket, the workers of the VMs by this process.
 *
 * SKIP where disco-uplink was not built, or there is no namespace or tap device.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "monitor/control/nets/net_tap.h"
#include "monitor/control/nets/nets_internal.h"
#include "tests/must.h"
#include "tests/unit/control/net_vms.h"
#include "tests/unit/support.h"
#include "vnet/packet.h"
#include "vnet/reply.h"

#define TAP  "tap-test"
#define IP   14u
#define L4   34u
#define BIG  4000u /* bytes of a frame that is left to be segmented */
#define MARK 0x5a

static const char *skip_why;
static struct net_vms lan;
static int outside; /* a socket at the device; frames with headers */
static const uint8_t foreign[6] = { 0x02, 0xee, 0, 0, 0, 9 };
static uint8_t frame[8192], got[8192];
static uint32_t got_len;
static struct vnet_hdr got_hdr;

/* --- the device --- */

static int tap_ioctl(const char *name, unsigned long request, int persist)
{
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC), err = -ENODEV;

	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (fd < 0)
		return err;
	err = ioctl(fd, TUNSETIFF, &r) < 0 || ioctl(fd, request, persist) < 0
		      ? -errno
		      : 0;
	(void)close(fd);
	return err;
}

static void link_up(const char *name)
{
	struct ifreq r = { .ifr_flags = IFF_UP };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	must(ioctl(s, SIOCSIFFLAGS, &r) == 0);
	(void)close(s);
}

/* Also while a process has it: as "ip link del". */
static void link_delete(const char *name)
{
	struct {
		struct nlmsghdr n;
		struct ifinfomsg i;
	} m = { .n = { .nlmsg_len = sizeof(m),
		       .nlmsg_type = RTM_DELLINK,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.i = { .ifi_index = (int)if_nametoindex(name) } };
	struct {
		struct nlmsghdr n;
		struct nlmsgerr e;
		struct nlmsghdr more;
	} answer;
	int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	must(send(s, &m, sizeof(m), 0) == (ssize_t)sizeof(m));
	must(recv(s, &answer, sizeof(answer), 0) > 0);
	must(answer.e.error == 0);
	(void)close(s);
}

static int link_socket(const char *name)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htobe16(ETH_P_ALL),
				  .sll_ifindex = (int)if_nametoindex(name) };
	int s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;

	must(s >= 0);
	must(setsockopt(s, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ==
	     0);
	must(bind(s, (struct sockaddr *)&at, sizeof(at)) == 0);
	return s;
}

static void device_make(void)
{
	must(tap_ioctl(TAP, TUNSETPERSIST, 1) == 0);
	link_up(TAP);
	outside = link_socket(TAP);
}

static void find_trunk(const char *self)
{
	static const char path[] = "/proc/sys/net/ipv6/conf/default/"
				   "disable_ipv6";
	int fd;

	if (!net_vms_find_uplink(self))
		skip_why = "disco-uplink was not built";
	else if (unshare(CLONE_NEWNET) < 0)
		skip_why = "no network namespace can be made";
	else if (tap_ioctl("tap-probe", TUNSETPERSIST, 0))
		skip_why = "no tap device can be made";
	if (skip_why)
		return;
	/* The kernel itself has nothing to say there. */
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!write(fd, "1", 1);
		(void)close(fd);
	}
}

/* --- frames --- */

static const struct vnet_station *station(unsigned i)
{
	return &lan.port[i]->station;
}

/* UDP of @bytes in all. */
static void make_ip4(const uint8_t *dst, const uint8_t *src,
		     const uint8_t *from, uint32_t bytes)
{
	static const uint8_t to[4] = { 10, 9, 9, 9 };

	memset(frame, MARK, bytes);
	memcpy(frame, dst, 6);
	memcpy(frame + ETH_SRC, src, 6);
	vnet_put16(frame + ETH_TYPE, ETHERTYPE_IP4);
	memset(frame + IP, 0, IP4_BYTES + UDP_BYTES);
	frame[IP] = 0x45;
	vnet_put16(frame + IP + IP4_LEN, bytes - IP);
	frame[IP + IP4_TTL] = 64;
	frame[IP + IP4_PROTO] = PROTO_UDP;
	memcpy(frame + IP + IP4_SRC, from, 4);
	memcpy(frame + IP + IP4_DST, to, 4);
	vnet_put16(frame + L4 + UDP_DPORT, 7);
	vnet_put16(frame + L4 + UDP_LEN, bytes - L4);
}

static void make_arp(const uint8_t *dst, const uint8_t *src, const uint8_t *sha,
		     const uint8_t *spa)
{
	static const uint8_t kind[] = { 0, 1, 8, 0, 6, 4, 0, ARP_WHO };

	memset(frame, 0, 60);
	memcpy(frame, dst, 6);
	memcpy(frame + ETH_SRC, src, 6);
	vnet_put16(frame + ETH_TYPE, ETHERTYPE_ARP);
	memcpy(frame + IP, kind, sizeof(kind));
	memcpy(frame + IP + ARP_SHA, sha, 6);
	memcpy(frame + IP + ARP_SPA, spa, 4);
}

/* A TCP segment of BIG bytes, to be cut into pieces of 1000. */
static const struct vnet_hdr cut = { .flags = VNET_HDR_NEEDS_CSUM,
				     .gso_type = VNET_GSO_TCPV4,
				     .hdr_len = L4 + 20,
				     .gso_size = 1000,
				     .csum_start = L4,
				     .csum_offset = 16 };

static void make_tcp(const uint8_t *dst, const uint8_t *src,
		     const uint8_t *from)
{
	make_ip4(dst, src, from, BIG);
	frame[IP + IP4_PROTO] = 6;
	vnet_put16(frame + IP + IP4_CSUM,
		   vnet_csum_fold(vnet_csum_add(0, frame + IP, IP4_BYTES)));
	memset(frame + L4, 0, 20);
	frame[L4 + 12] = 0x50;
	frame[L4 + 13] = 16; /* ACK */
}

static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
static const uint8_t elsewhere[4] = { 10, 9, 9, 8 };

/* --- both sides --- */

static void outside_send(const struct vnet_hdr *h, uint32_t bytes)
{
	static const struct vnet_hdr none;
	const struct iovec iov[] = {
		{ (void *)(uintptr_t)(h ? h : &none), sizeof(none) },
		{ frame, bytes },
	};

	must(writev(outside, iov, 2) == (ssize_t)(sizeof(none) + bytes));
}

/* Return: true: a frame came out of the network, in @got. */
static bool outside_got(void)
{
	struct sockaddr_ll from;
	struct iovec iov[] = { { &got_hdr, sizeof(got_hdr) },
			       { got, sizeof(got) } };
	struct msghdr m = { .msg_name = &from,
			    .msg_namelen = sizeof(from),
			    .msg_iov = iov,
			    .msg_iovlen = 2 };
	ssize_t n = recvmsg(outside, &m, 0);

	/* What this side sends itself is not among them. */
	got_len = n > 0 ? (uint32_t)((size_t)n - sizeof(got_hdr)) : 0;
	return n > 0;
}

static bool vm_got(unsigned i)
{
	return net_vms_run(&lan, i, got, sizeof(got), &got_len, &got_hdr);
}

/* A frame of a VM's worker to the trunk, whatever its addresses are. */
static void vm_send(unsigned i, const struct vnet_hdr *h, uint32_t bytes)
{
	struct vnet_port *p = lan.port[i];
	struct vnet_buf b;

	assert_int_equal(vnet_port_room(p, vnet_port_trunk(p), bytes), 0);
	vnet_port_begin(p, bytes, &b);
	memcpy(b.bytes, frame, bytes);
	if (h)
		*b.hdr = *h;
	vnet_port_send(p, &b, vnet_port_trunk(p), bytes, h);
	vnet_port_flush(p);
}

/* --- the tests' frame --- */

static int setup(void **state)
{
	(void)state;
	if (skip_why)
		return 0;
	device_make();
	net_vms_create(&lan);
	/* The third one has no tap device. */
	for (unsigned i = 0; i < 2; i++)
		lan.configs[i].nets[0].tap = (char *)(uintptr_t)TAP;
	for (unsigned i = 0; i < NET_VMS; i++)
		net_vms_start(&lan, i, true);
	nets_update(lan.nets);
	for (unsigned i = 0; i < 2; i++)
		WAIT_UNTIL((vm_got(i), vnet_port_trunk(lan.port[i])));
	/* Until the process knows both, as frames arrive. */
	make_ip4(station(1)->mac, foreign, elsewhere, 61);
	WAIT_UNTIL((outside_send(NULL, 61), vm_got(1)));
	make_ip4(station(0)->mac, foreign, elsewhere, 61);
	WAIT_UNTIL((outside_send(NULL, 61), vm_got(0)));
	/* More of them may be under way, and before what is sent from now on. */
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (skip_why)
		return 0;
	net_vms_destroy(&lan);
	(void)close(outside);
	if (if_nametoindex(TAP))
		link_delete(TAP);
	return 0;
}

#define NEEDS_TRUNK()                                                          \
	do {                                                                   \
		(void)state;                                                   \
		if (skip_why)                                                  \
			SKIP("%s", skip_why);                                  \
	} while (0)

/* The frame that setup() sends, of 61 bytes, is none that a test waits for. */
#define VM_GETS(i, bytes) WAIT_UNTIL(vm_got(i) && got_len == (bytes))

static void frames_go_out(void **state)
{
	NEEDS_TRUNK();
	for (unsigned i = 0; i < 2; i++) {
		make_ip4(foreign, station(i)->mac, station(i)->ip, 100);
		vm_send(i, NULL, 100);
		WAIT_UNTIL(outside_got());
		assert_int_equal(got_len, 100);
		assert_memory_equal(got, frame, 100);
	}
	/* A question for an address, and an answer. */
	make_arp(all, station(0)->mac, station(0)->mac, station(0)->ip);
	vm_send(0, NULL, 60);
	WAIT_UNTIL(outside_got());
	assert_memory_equal(got, frame, 60);
}

static void frames_come_in(void **state)
{
	NEEDS_TRUNK();
	for (unsigned i = 0; i < 2; i++) {
		make_ip4(station(i)->mac, foreign, elsewhere, 100);
		outside_send(NULL, 100);
		VM_GETS(i, 100);
		assert_memory_equal(got, frame, 100);
	}
	/* To all: to both, like at a bridge. */
	make_arp(all, foreign, foreign, elsewhere);
	outside_send(NULL, 60);
	for (unsigned i = 0; i < 2; i++) {
		VM_GETS(i, 60);
		assert_memory_equal(got, frame, 60);
	}
}

static void one_that_ends_leaves_the_others(void **state)
{
	uint32_t gen;

	NEEDS_TRUNK();
	gen = vnet_port_trunk(lan.port[0])->gen;
	nets_release(lan.ports[1].of);
	for (unsigned bytes = 100; bytes < 110; bytes++) {
		make_ip4(station(0)->mac, foreign, elsewhere, bytes);
		outside_send(NULL, bytes);
		VM_GETS(0, bytes);
	}
	assert_int_equal(vnet_port_trunk(lan.port[0])->gen, gen);
	/* With the last one it ends, and lets go of the device. */
	nets_release(lan.ports[0].of);
	WAIT_UNTIL(tap_ioctl(TAP, TUNSETPERSIST, 1) == 0);
}

/* 64 KiB in one piece, as far as both sides can. */
static void segmentation_is_left_to_others(void **state)
{
	NEEDS_TRUNK();
	make_tcp(foreign, station(0)->mac, station(0)->ip);
	vm_send(0, &cut, BIG);
	WAIT_UNTIL(outside_got());
	assert_int_equal(got_len, BIG);
	assert_int_equal(got_hdr.gso_type, VNET_GSO_TCPV4);
	assert_int_equal(got_hdr.gso_size, cut.gso_size);
	assert_true(got_hdr.flags & VNET_HDR_NEEDS_CSUM);
	make_tcp(station(1)->mac, foreign, elsewhere);
	outside_send(&cut, BIG);
	VM_GETS(1, BIG);
	assert_int_equal(got_hdr.gso_type, VNET_GSO_TCPV4);
	assert_int_equal(got_hdr.gso_size, cut.gso_size);
	assert_true(got_hdr.flags & VNET_HDR_NEEDS_CSUM);
}

/* A checksum alone; what a sender states of headers that have none is dropped. */
static void checksums_are_left_to_others(void **state)
{
	struct vnet_hdr h = { .flags = VNET_HDR_NEEDS_CSUM,
			      .csum_start = L4,
			      .csum_offset = UDP_CSUM };

	NEEDS_TRUNK();
	make_ip4(foreign, station(0)->mac, station(0)->ip, 100);
	vm_send(0, &h, 100);
	WAIT_UNTIL(outside_got());
	assert_true(got_hdr.flags & VNET_HDR_NEEDS_CSUM);
	assert_int_equal(got_hdr.csum_start, L4);
	make_ip4(station(0)->mac, foreign, elsewhere, 100);
	outside_send(&h, 100);
	VM_GETS(0, 100);
	assert_int_equal(got_hdr.flags, VNET_HDR_NEEDS_CSUM);
	assert_int_equal(got_hdr.csum_offset, UDP_CSUM);
}

/* All of these, then a good one: that alone arrives. */
static void what_is_not_foreign_does_not_come_in(void **state)
{
	const struct vnet_station *a, *b;
	uint8_t *server;
	unsigned n = 0;

	NEEDS_TRUNK();
	a = station(0);
	b = station(1);
	server = lan.port[0]->plan.server;
#define BAD(bytes)                                                             \
	do {                                                                   \
		outside_send(NULL, bytes);                                     \
		n++;                                                           \
	} while (0)
	make_ip4(a->mac, b->mac, elsewhere, 101); /* a station's MAC */
	BAD(101);
	make_ip4(a->mac, all, elsewhere, 102); /* a group's */
	BAD(102);
	make_ip4(a->mac, foreign, b->ip, 103); /* a station's IP */
	BAD(103);
	make_ip4(a->mac, foreign, server, 104); /* the network's own */
	BAD(104);
	make_ip4(a->mac, foreign, elsewhere, 105); /* of no kind */
	vnet_put16(frame + ETH_TYPE, 0x88cc);
	BAD(105);
	make_ip4(a->mac, foreign, elsewhere, 106); /* no IPv4 */
	frame[IP] = 0x65;
	BAD(106);
	make_ip4(a->mac, foreign, elsewhere, 107);
	BAD(20);				   /* cut off in its header */
	make_ip4(foreign, a->mac, elsewhere, 108); /* to nobody here */
	memcpy(frame + ETH_SRC, "\x02\xee\0\0\0\x08", 6);
	BAD(108);
	make_arp(all, foreign, foreign, b->ip); /* "I have its address" */
	BAD(62);
	make_arp(all, foreign, b->mac, elsewhere);
	BAD(63);
	make_arp(all, foreign, foreign, server);
	BAD(64);
	make_ip4(a->mac, foreign, elsewhere, 109); /* IPv6 of a station */
	vnet_put16(frame + ETH_TYPE, ETHERTYPE_IP6);
	frame[IP] = 0x60;
	vnet_ip6(NULL, b->mac, frame + IP + IP6_SRC);
	BAD(109);
	make_ip4(a->mac, foreign, elsewhere, 110);
	outside_send(NULL, 110);
	assert_int_equal(n, 12);
	for (;;) {
		WAIT_UNTIL(vm_got(0));
		if (got_len == 110)
			break;
		assert_int_equal(got_len, 61); /* of setup() */
	}
}

static void what_may_not_go_out_does_not(void **state)
{
	const struct vnet_station *a;

	NEEDS_TRUNK();
	a = station(0);
	make_ip4(foreign, station(1)->mac, a->ip, 101);
	vm_send(0, NULL, 101);
	make_ip4(foreign, a->mac, station(1)->ip, 102);
	vm_send(0, NULL, 102);
	make_ip4(foreign, a->mac, a->ip, 103); /* to the network itself */
	memcpy(frame + IP + IP4_DST, lan.port[0]->plan.server, 4);
	vm_send(0, NULL, 103);
	make_ip4(all, a->mac, a->ip, 104); /* to its DHCP */
	vnet_put16(frame + L4 + UDP_DPORT, 67);
	vm_send(0, NULL, 104);
	make_arp(all, a->mac, a->mac, station(1)->ip);
	vm_send(0, NULL, 60);
	make_ip4(foreign, a->mac, a->ip, 110);
	vm_send(0, NULL, 110);
	WAIT_UNTIL(outside_got());
	assert_int_equal(got_len, 110);
}

static void others_know_nothing_of_it(void **state)
{
	NEEDS_TRUNK();
	WAIT_UNTIL((vm_got(2), lan.told[2] == 2));
	assert_null(vnet_port_trunk(lan.port[2]));
	/* The process has no way to the third one. */
	make_ip4(station(2)->mac, foreign, elsewhere, 100);
	outside_send(NULL, 100);
	make_arp(all, foreign, foreign, elsewhere);
	outside_send(NULL, 60);
	VM_GETS(0, 60);
	assert_false(vm_got(2));
}

/* One line; and one when it is back, with frames. */
static void a_deleted_device_is_a_trunk_that_ends(void **state)
{

	NEEDS_TRUNK();
	net_vms_log(&lan);
	link_delete(TAP);
	(void)close(outside);
	WAIT_UNTIL((vm_got(0), !vnet_port_trunk(lan.port[0])));
	WAIT_UNTIL((vm_got(1), !vnet_port_trunk(lan.port[1])));
	/* It is tried again, and nothing is said of that. */
	for (unsigned tries = 0; tries < 2; tries++) {
		uint64_t last = lan.nets->list->trunk.died_ns;

		WAIT_UNTIL((vm_got(0), lan.nets->list->trunk.died_ns != last));
	}
	assert_string_equal(
		net_vms_said(&lan),
		"disco: network 'lan': tap device 'tap-test': it is "
		"gone; nothing goes there until it is back\n");
	device_make();
	WAIT_UNTIL((vm_got(0), vnet_port_trunk(lan.port[0])));
	make_ip4(foreign, station(0)->mac, station(0)->ip, 100);
	WAIT_UNTIL((vm_send(0, NULL, 100), vm_got(0), outside_got()));
	assert_int_equal(got_len, 100);
	assert_string_equal(
		net_vms_said(&lan),
		"disco: network 'lan': tap device 'tap-test': it is "
		"gone; nothing goes there until it is back\n"
		"disco: network 'lan': tap device 'tap-test': it is "
		"back\n");
	net_vms_log_end(&lan);
}

/* It opens the device when the earlier one's process has closed it. */
static void the_next_monitor_keeps_it(void **state)
{
	struct vm_record r = { .name = "vm-0", .net_fd = 200 };
	const struct net_port *old;
	struct net_ports ports;
	struct nets *next;
	uint32_t gen;
	int self;

	NEEDS_TRUNK();
	old = lan.ports[0].of[0];
	gen = vnet_port_trunk(lan.port[0])->gen;
	self = pidfd_open(getpid(), 0);
	must(self >= 0);
	nets_record(lan.ports[0].of, &r);
	assert_string_equal(r.taps[0], TAP);
	/* As its worker has them: one behind the other. */
	must(dup2(lan.port[0]->own.fd, 200) == 200);
	must(dup2(lan.port[0]->wake_fd, 201) == 201);
	must(dup2(old->wake_tx, 202) == 202);
	assert_int_equal(nets_create(&next), 0);
	assert_int_equal(nets_adopt(next, &r, self, ports.of), 0);
	net_vms_log(&lan);
	nets_detach_all(lan.nets);
	for (unsigned i = 0; i < NET_VMS; i++)
		nets_release(lan.ports[i].of);
	nets_destroy(lan.nets);
	lan.nets = next;
	lan.ports[0] = ports;
	nets_attach(lan.ports[0].of, &lan.vms[0]);
	nets_update(lan.nets);
	WAIT_UNTIL(
		(vm_got(0), vnet_port_trunk(lan.port[0]) &&
				    vnet_port_trunk(lan.port[0])->gen > gen));
	make_ip4(foreign, station(0)->mac, station(0)->ip, 100);
	WAIT_UNTIL((vm_send(0, NULL, 100), vm_got(0), outside_got()));
	assert_string_equal(net_vms_said(&lan), "");
	net_vms_log_end(&lan);
	(void)close(self);
	for (int fd = 200; fd < 203; fd++)
		(void)close(fd);
}

/* Not at once: an earlier trunk may be about to end. */
static void a_device_in_use_is_waited_for(void **state)
{
	int fd;

	NEEDS_TRUNK();
	for (unsigned i = 0; i < 2; i++)
		nets_release(lan.ports[i].of);
	WAIT_UNTIL(net_tap_open(TAP, &fd) == 0);
	vnet_port_destroy(lan.port[0]);
	lan.port[0] = NULL;
	net_vms_start(&lan, 0, true);
	net_vms_log(&lan);
	nets_update(lan.nets);
	WAIT_UNTIL((vm_got(0), *net_vms_said(&lan)));
	assert_string_equal(net_vms_said(&lan),
			    "disco: network 'lan': tap device 'tap-test': "
			    "another program uses it\n");
	(void)close(fd);
	WAIT_UNTIL((vm_got(0), vnet_port_trunk(lan.port[0])));
	net_vms_log_end(&lan);
}

static void a_killed_process_is_started_again(void **state)
{

	NEEDS_TRUNK();
	net_vms_log(&lan);
	(void)kill(net_vms_child(), SIGKILL);
	WAIT_UNTIL((vm_got(0), strstr(net_vms_said(&lan), "it is back")));
	assert_string_equal(
		net_vms_said(&lan),
		"disco: network 'lan': tap device 'tap-test': its "
		"process has died, and is started again\n"
		"disco: network 'lan': tap device 'tap-test': it is "
		"back\n");
	WAIT_UNTIL((vm_got(0), vnet_port_trunk(lan.port[0])));
	net_vms_log_end(&lan);
}

static void run(void)
{
	(void)vm_got(0);
}

/* No two lines per second. */
static void one_that_cannot_live_is_reported_once(void **state)
{
	NEEDS_TRUNK();
	net_vms_log(&lan);
	net_vms_fail(run, &lan.nets->list->trunk.died_ns);
	assert_string_equal(
		net_vms_said(&lan),
		"disco: network 'lan': tap device 'tap-test': its "
		"process has died, and is started again\n"
		"disco: network 'lan': tap device 'tap-test': it is "
		"back\n");
	net_vms_log_end(&lan);
}

static void refused(const char *tap, int err, const char *why)
{
	struct net_ports ports;
	struct vm_config c = { .name = (char *)(uintptr_t) "other",
			       .nr_nets = 1 };
	struct diag d = { .status = ST_OK };

	c.nets[0].name = (char *)(uintptr_t) "lan";
	c.nets[0].tap = (char *)(uintptr_t)tap;
	assert_int_equal(nets_reserve(lan.nets, &c, ports.of, &d), err);
	if (!strstr(d.text, why))
		fail_msg("'%s', not '%s'", d.text, why);
}

static void other_devices_are_refused(void **state)
{
	NEEDS_TRUNK();
	refused("tap-other", -EEXIST,
		"other: network 'lan' has VMs with the tap device 'tap-test'");
	nets_release(lan.ports[0].of);
	nets_release(lan.ports[1].of);
	refused("tap-none", -ENODEV, "'tap-none': there is no such device");
	refused("lo", -EINVAL, "'lo': it is no tap device");
	assert_int_equal(if_nametoindex("tap-none"), 0);
}

int main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(frames_go_out),
		T(frames_come_in),
		T(one_that_ends_leaves_the_others),
		T(segmentation_is_left_to_others),
		T(checksums_are_left_to_others),
		T(what_is_not_foreign_does_not_come_in),
		T(what_may_not_go_out_does_not),
		T(others_know_nothing_of_it),
		T(a_deleted_device_is_a_trunk_that_ends),
		T(the_next_monitor_keeps_it),
		T(a_device_in_use_is_waited_for),
		T(a_killed_process_is_started_again),
		T(one_that_cannot_live_is_reported_once),
		T(other_devices_are_refused),
	};

	(void)argc;
	find_trunk(argv[0]);
	return cmocka_run_group_tests_name("trunk", tests, NULL, NULL);
}
