/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The uplink of a network: the real disco-uplink, started by the real nets.c, in
 * a network namespace of this process, where nothing leaves it. The worker of the
 * VM is played by this process: it has the VM's port.
 *
 * SKIP where disco-uplink was not built, or no namespace can be made.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/control/nets/nets_internal.h"
#include "monitor/ipc/worker_messages.h"
#include "tests/must.h"
#include "tests/unit/control/l4.h"
#include "tests/unit/control/net_vms.h"
#include "tests/unit/support.h"
#include "vnet/packet.h"
#include "vnet/reply.h"

#define OUTSIDE "198.51.100.1" /* of the namespace; RFC 5737 */
#define IP	14u
#define L4	34u

static const char *skip_why;
static struct net_vms lan;
static struct vnet_port *port; /* of the first VM */
static uint8_t frame[2048], got[2048];
static uint32_t got_len;

/* --- the namespace --- */

static void name_address(const char *name, const char *ip)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq r = { .ifr_flags = IFF_UP | IFF_LOOPBACK };
	struct sockaddr_in a = { .sin_family = AF_INET };

	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (ip) {
		must(inet_pton(AF_INET, ip, &a.sin_addr) == 1);
		memcpy(&r.ifr_addr, &a, sizeof(a));
		must(ioctl(s, SIOCSIFADDR, &r) == 0);
	} else {
		must(ioctl(s, SIOCSIFFLAGS, &r) == 0);
	}
	(void)close(s);
}

static void find_uplink(const char *self)
{
	if (!net_vms_find_uplink(self))
		skip_why = "disco-uplink was not built";
	if (!skip_why && unshare(CLONE_NEWNET) < 0)
		skip_why = "no network namespace can be made";
	if (skip_why)
		return;
	name_address("lo", NULL);
	name_address("lo:1", OUTSIDE);
}

/* --- the VM's worker --- */

/* Return: true: a frame came, in @got. */
static bool run(void)
{
	return net_vms_run(&lan, 0, got, sizeof(got), &got_len, NULL);
}

static struct vnet_peer *uplink(void)
{
	return vnet_port_by_ip(port, port->plan.server);
}

static int setup(void **state)
{
	(void)state;
	if (skip_why)
		return 0;
	net_vms_create(&lan);
	lan.configs[0].publish =
		(char *)(uintptr_t) "2222:22,198.51.100.1:5353:"
				    "53/udp,5354:4000/udp";
	net_vms_start(&lan, 0, true);
	port = lan.port[0];
	assert_true(port->plan.routed);
	nets_update(lan.nets);
	WAIT_UNTIL((run(), uplink() != NULL));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (!skip_why)
		net_vms_destroy(&lan);
	return 0;
}

/* --- packets --- */

static void ip4(const char *dst, unsigned proto, uint32_t bytes)
{
	struct in_addr to;

	must(inet_pton(AF_INET, dst, &to) == 1);
	memset(frame, 0, IP + IP4_BYTES);
	memcpy(frame, uplink()->station.mac, 6);
	memcpy(frame + ETH_SRC, port->station.mac, 6);
	vnet_put16(frame + ETH_TYPE, ETHERTYPE_IP4);
	frame[IP] = 0x45;
	vnet_put16(frame + IP + IP4_LEN, IP4_BYTES + bytes);
	frame[IP + IP4_TTL] = 64;
	frame[IP + IP4_PROTO] = (uint8_t)proto;
	memcpy(frame + IP + IP4_SRC, port->station.ip, 4);
	memcpy(frame + IP + IP4_DST, &to, 4);
	vnet_put16(frame + IP + IP4_CSUM,
		   vnet_csum_fold(vnet_csum_add(0, frame + IP, IP4_BYTES)));
}

/* With the checksum left to be done, as Linux sends it. */
static void send_l4(uint32_t bytes, unsigned proto, unsigned csum_at)
{
	const struct vnet_hdr h = { .flags = VNET_HDR_NEEDS_CSUM,
				    .csum_start = L4,
				    .csum_offset = (uint16_t)csum_at };
	uint32_t sum = vnet_csum_add(proto + bytes, frame + IP + IP4_SRC, 8);
	struct vnet_buf b;

	vnet_put16(frame + L4 + csum_at, (uint16_t)~vnet_csum_fold(sum));
	assert_int_equal(vnet_port_room(port, uplink(), L4 + bytes), 0);
	vnet_port_begin(port, L4 + bytes, &b);
	memcpy(b.bytes, frame, L4 + bytes);
	*b.hdr = h;
	vnet_port_send(port, &b, uplink(), L4 + bytes, true);
	vnet_port_flush(port);
}

static void send_udp(const char *dst, unsigned dport, const char *text)
{
	uint32_t bytes = l4_udp(frame + L4, 4000, dport, text);

	ip4(dst, PROTO_UDP, bytes);
	send_l4(bytes, PROTO_UDP, UDP_CSUM);
}

static void send_tcp(const char *dst, unsigned sport, unsigned dport,
		     uint32_t seq, uint32_t ack, unsigned flags,
		     const char *text)
{
	uint32_t bytes = 20 + (uint32_t)strlen(text);
	uint8_t *t = frame + L4;

	ip4(dst, PROTO_TCP, bytes);
	l4_tcp(t, sport, dport, seq, ack, flags);
	memcpy(t + 20, text, strlen(text));
	send_l4(bytes, PROTO_TCP, 16);
}

static bool got_is(unsigned proto, unsigned dport)
{
	return got_len >= L4 + 4 && got[IP + IP4_PROTO] == proto &&
	       vnet_get16(got + L4 + 2) == dport;
}

static int host_socket(int type, const char *ip, unsigned tcp_port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)tcp_port) };

	must(inet_pton(AF_INET, ip, &a.sin_addr) == 1);
	return l4_socket(type, (const struct sockaddr *)&a, sizeof(a));
}

/* --- tests --- */

#define NEEDS_UPLINK()                                                         \
	do {                                                                   \
		(void)state;                                                   \
		if (skip_why)                                                  \
			SKIP("%s", skip_why);                                  \
	} while (0)

static void udp_goes_out_and_back(void **state)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char text[64];
	int s;

	NEEDS_UPLINK();
	s = host_socket(SOCK_DGRAM, OUTSIDE, 7);
	send_udp(OUTSIDE, 7, "question");
	WAIT_UNTIL((run(),
		    recvfrom(s, text, sizeof(text), MSG_PEEK, NULL, NULL) > 0));
	assert_int_equal(recvfrom(s, text, sizeof(text), 0,
				  (struct sockaddr *)&from, &len),
			 8);
	assert_memory_equal(text, "question", 8);
	assert_int_equal(
		sendto(s, "answer", 6, 0, (struct sockaddr *)&from, len), 6);
	WAIT_UNTIL(run() && got_is(PROTO_UDP, 4000));
	assert_memory_equal(got, port->station.mac, 6);
	assert_memory_equal(got + ETH_SRC, uplink()->station.mac, 6);
	/* From 4.8 on libslirp pads frames to the least length of Ethernet. */
	assert_true(got_len == L4 + UDP_BYTES + 6 || got_len == 60);
	assert_memory_equal(got + L4 + UDP_BYTES, "answer", 6);
	(void)close(s);
}

static void tcp_goes_out(void **state)
{
	char text[64] = "";
	uint32_t theirs_seq;
	int s, c = -1;

	NEEDS_UPLINK();
	s = host_socket(SOCK_STREAM, OUTSIDE, 80);
	send_tcp(OUTSIDE, 4001, 80, 1000, 0, SYN, "");
	WAIT_UNTIL(run() && got_is(PROTO_TCP, 4001));
	assert_int_equal(got[L4 + 13], SYN | ACK);
	theirs_seq = l4_get32(got + L4 + 4) + 1;
	send_tcp(OUTSIDE, 4001, 80, 1001, theirs_seq, ACK, "");
	send_tcp(OUTSIDE, 4001, 80, 1001, theirs_seq, ACK | PSH, "GET /");
	WAIT_UNTIL((run(), c = c < 0 ? accept(s, NULL, NULL) : c,
		    c >= 0 && recv(c, text, sizeof(text), MSG_DONTWAIT) > 0));
	assert_string_equal(text, "GET /");
	(void)close(c);
	(void)close(s);
}

/*
 * The checksum is to be written where the first word of the destination is, and is
 * made to be that of 127.0.0.1.
 */
static void send_disguised(void)
{
	const struct vnet_hdr h = { .flags = VNET_HDR_NEEDS_CSUM,
				    .csum_start = IP,
				    .csum_offset = IP4_DST };
	uint32_t bytes = UDP_BYTES + 4, sum;
	const uint16_t want = 0x7f00;
	struct vnet_buf b;

	ip4("127.0.0.1", PROTO_UDP, bytes);
	memset(frame + L4, 0, bytes);
	vnet_put16(frame + L4 + UDP_SPORT, 4002);
	vnet_put16(frame + L4 + UDP_DPORT, 9);
	vnet_put16(frame + L4 + UDP_LEN, bytes);
	vnet_put16(frame + IP + IP4_DST, 0xc633);
	/* UDP without a checksum: the payload does the rest. */
	sum = vnet_csum_add(0, frame + IP, L4 - IP + bytes);
	sum = (uint32_t)(uint16_t)~want + vnet_csum_fold(sum);
	vnet_put16(frame + L4 + UDP_BYTES, (uint16_t)~vnet_csum_fold(sum));
	assert_int_equal(vnet_port_room(port, uplink(), L4 + bytes), 0);
	vnet_port_begin(port, L4 + bytes, &b);
	memcpy(b.bytes, frame, L4 + bytes);
	*b.hdr = h;
	vnet_port_send(port, &b, uplink(), L4 + bytes, true);
	vnet_port_flush(port);
}

/* To the host itself, from a foreign address, to the subnet: nothing arrives. */
static void what_may_not_go_out_does_not(void **state)
{
	char text[64];
	int local, outside;

	NEEDS_UPLINK();
	local = host_socket(SOCK_DGRAM, "127.0.0.1", 9);
	outside = host_socket(SOCK_DGRAM, OUTSIDE, 9);
	send_udp("127.0.0.1", 9, "loop");
	send_udp("127.1.2.3", 9, "loop");
	send_udp("0.0.0.0", 9, "zero");
	send_disguised();
	{
		uint8_t last = port->station.ip[3];

		port->station.ip[3] ^= 0x40;
		send_udp(OUTSIDE, 9, "spoofed");
		port->station.ip[3] = last;
	}
	send_udp(OUTSIDE, 9, "good");
	WAIT_UNTIL((run(), recv(outside, text, sizeof(text), MSG_PEEK) > 0));
	/* What was sent before it would have come before it. */
	assert_int_equal(recv(outside, text, sizeof(text), 0), 4);
	assert_memory_equal(text, "good", 4);
	assert_int_equal(recv(local, text, sizeof(text), 0), -1);
	(void)close(local);
	(void)close(outside);
}

static void published_ports_lead_to_the_vm(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(5353) };
	int s, t;

	NEEDS_UPLINK();
	s = host_socket(SOCK_DGRAM, OUTSIDE, 6000);
	must(inet_pton(AF_INET, OUTSIDE, &a.sin_addr) == 1);
	WAIT_UNTIL((run(), sendto(s, "dns", 3, 0, (struct sockaddr *)&a,
				  sizeof(a)) == 3 &&
				   run() && got_is(PROTO_UDP, 53)));
	assert_memory_equal(got + L4 + UDP_BYTES, "dns", 3);
	assert_memory_equal(got + IP + IP4_DST, port->station.ip, 4);
	/* By default on 127.0.0.1 alone. */
	a.sin_port = htons(2222);
	t = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(t, (struct sockaddr *)&a, sizeof(a)), -1);
	(void)close(t);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	t = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(t, (struct sockaddr *)&a, sizeof(a)), 0);
	WAIT_UNTIL(run() && got_is(PROTO_TCP, 22));
	assert_int_equal(got[L4 + 13], SYN);
	(void)close(t);
	(void)close(s);
}

/* Where the host's 127.0.0.1 is for libslirp. */
static const char *own_address(void)
{
	static char text[INET_ADDRSTRLEN];

	(void)inet_ntop(AF_INET, port->plan.server, text, sizeof(text));
	return text;
}

/* From the host itself, by UDP and TCP, and answered. */
static void published_ports_answer(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(5354),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char text[64] = "";
	unsigned sport;
	int s, t;

	NEEDS_UPLINK();
	s = host_socket(SOCK_DGRAM, "127.0.0.1", 6001);
	WAIT_UNTIL((run(), sendto(s, "knock", 5, 0, (struct sockaddr *)&a,
				  sizeof(a)) == 5 &&
				   run() && got_is(PROTO_UDP, 4000)));
	assert_memory_equal(got + IP + IP4_SRC, port->plan.server, 4);
	sport = vnet_get16(got + L4 + UDP_SPORT);
	send_udp(own_address(), sport, "here");
	WAIT_UNTIL((run(), recv(s, text, sizeof(text), 0) > 0));
	assert_string_equal(text, "here");
	a.sin_port = htons(2222);
	t = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	(void)connect(t, (struct sockaddr *)&a, sizeof(a));
	WAIT_UNTIL(run() && got_is(PROTO_TCP, 22));
	sport = vnet_get16(got + L4);
	send_tcp(own_address(), 22, sport, 77, l4_get32(got + L4 + 4) + 1,
		 SYN | ACK, "");
	send_tcp(own_address(), 22, sport, 78, l4_get32(got + L4 + 4) + 1,
		 ACK | PSH, "hello");
	memset(text, 0, sizeof(text));
	WAIT_UNTIL((run(), recv(t, text, sizeof(text), 0) > 0));
	assert_string_equal(text, "hello");
	(void)close(t);
	(void)close(s);
}

/* What was not asked for does not get to the host itself. */
static void nothing_begins_at_the_host_itself(void **state)
{
	int udp, tcp, outside;
	char text[64];

	NEEDS_UPLINK();
	udp = host_socket(SOCK_DGRAM, "127.0.0.1", 9);
	tcp = host_socket(SOCK_STREAM, "127.0.0.1", 9);
	outside = host_socket(SOCK_DGRAM, OUTSIDE, 9);
	send_udp(own_address(), 9, "loop");
	send_tcp(own_address(), 4002, 9, 1, 0, SYN, "");
	send_tcp(own_address(), 4003, 9, 1, 0, SYN | PSH, "");
	send_udp(OUTSIDE, 9, "good");
	WAIT_UNTIL((run(), recv(outside, text, sizeof(text), 0) > 0));
	assert_int_equal(recv(udp, text, sizeof(text), 0), -1);
	assert_int_equal(accept(tcp, NULL, NULL), -1);
	(void)close(udp);
	(void)close(tcp);
	(void)close(outside);
}

static void one_that_dies_is_started_again(void **state)
{
	uint32_t gen;
	pid_t pid;

	NEEDS_UPLINK();
	gen = uplink()->gen;
	pid = net_vms_child();
	assert_true(pid > 0);
	(void)kill(pid, SIGKILL);
	WAIT_UNTIL((run(), uplink() && uplink()->gen > gen));
	(void)waitpid(pid, NULL, 0);
	udp_goes_out_and_back(state);
	published_ports_lead_to_the_vm(state);
}

/* The network is the only one. */
static struct uplink *the_uplink(void)
{
	return &lan.nets->list->uplink;
}

/* A line for each, and not one for the first alone. */
static void each_death_is_reported(void **state)
{
	static const char line[] = "disco: network 'lan': uplink: it has died, "
				   "and is started again\n";
	char want[1024] = "";

	NEEDS_UPLINK();
	net_vms_log(&lan);
	for (unsigned i = 0; i < 2; i++) {
		uint32_t gen = uplink()->gen;
		pid_t pid = net_vms_child();

		/* It has lived for a while. */
		the_uplink()->begun_ns -= 10000000000ull;
		(void)kill(pid, SIGKILL);
		WAIT_UNTIL((run(), uplink() && uplink()->gen > gen));
		(void)waitpid(pid, NULL, 0);
		(void)strcat(want, line);
	}
	assert_string_equal(net_vms_said(&lan), want);
	net_vms_log_end(&lan);
}

/* No descriptor was left for it, for a while. */
static void one_that_cannot_be_started_is_tried_again(void **state)
{
	struct rlimit before, none;
	uint64_t last;
	uint32_t gen;

	NEEDS_UPLINK();
	net_vms_log(&lan);
	gen = uplink()->gen;
	last = the_uplink()->died_ns;
	(void)kill(net_vms_child(), SIGKILL);
	WAIT_UNTIL((run(), the_uplink()->died_ns != last));
	last = the_uplink()->died_ns;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){ 0, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	WAIT_UNTIL((run(), the_uplink()->died_ns != last));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_null(the_uplink()->port);
	WAIT_UNTIL((run(), uplink() && uplink()->gen > gen));
	assert_string_equal(net_vms_said(&lan),
			    "disco: network 'lan': uplink: it has died, and is "
			    "started again\n"
			    "disco: network 'lan': uplink: Too many open "
			    "files\n");
	net_vms_log_end(&lan);
}

static void turn(void)
{
	(void)run();
}

/* As where a library is missing: no line per second. */
static void one_that_cannot_live_is_reported_once(void **state)
{
	NEEDS_UPLINK();
	net_vms_log(&lan);
	net_vms_fail(turn, &the_uplink()->died_ns);
	assert_string_equal(net_vms_said(&lan),
			    "disco: network 'lan': uplink: it has died, "
			    "and is started again\n");
	net_vms_log_end(&lan);
}

static void only_vms_with_an_uplink_know_it(void **state)
{
	struct worker_request r;
	int fds[FDS_MAX];
	unsigned nr = 0;

	NEEDS_UPLINK();
	net_vms_start(&lan, 1, false);
	nets_update(lan.nets);
	while (worker_request_receive(lan.theirs[1], &r, fds) == 0) {
		assert_int_equal(r.kind, WORKER_REQ_NET_PORT);
		assert_int_equal(r.net_port.slot, lan.ports[0].of[0]->slot);
		fds_close(fds, FDS_MAX);
		nr++;
	}
	assert_int_equal(nr, 1);
	WAIT_UNTIL((run(), lan.told[0] == 2));
}

static void lists_of_ports_are_parsed(void **state)
{
	static const char *const wrong[] = {
		"22",	     "22:",  ":22",	      "0:22",	    "22:0",
		"65536:1",   "1:2,", "1:2/sctp",      "1:2;3:4",    "1.2.3:1:2",
		"1.2.3.4:1", "a:b",  "1:2/udpx",      " 1:2",	    "+1:2",
		"[::1]:1",   "[::1", "[::1]1:2",      "[]:1:2",	    "::1:1:2",
		"[::g]:1:2", "[",    "[1.2.3.4]:1:2", "[::1]]:1:2",
	};
	static const uint8_t any6[16], one6[16] = { [15] = 1 };
	const char *text = "2222:22,0.0.0.0:53:54/udp,[::1]:7:8,"
			   "[::]:53:54/udp,1:65535/tcp";
	struct net_publish p;

	(void)state;
	assert_int_equal(net_publish_next(&text, &p), 1);
	assert_true(p.host_port == 2222 && p.guest_port == 22 && !p.udp);
	assert_memory_equal(p.host_ip, "\x7f\0\0\1", 4);
	assert_int_equal(net_publish_next(&text, &p), 1);
	assert_true(p.host_port == 53 && p.guest_port == 54 && p.udp);
	assert_memory_equal(p.host_ip, "\0\0\0\0", 4);
	assert_false(p.ip6);
	assert_int_equal(net_publish_next(&text, &p), 1);
	assert_true(p.host_port == 7 && p.guest_port == 8 && !p.udp && p.ip6);
	assert_memory_equal(p.host_ip, one6, 16);
	assert_int_equal(net_publish_next(&text, &p), 1);
	assert_true(p.host_port == 53 && p.udp && p.ip6);
	assert_memory_equal(p.host_ip, any6, 16);
	assert_int_equal(net_publish_next(&text, &p), 1);
	assert_int_equal(p.guest_port, 65535);
	assert_int_equal(net_publish_next(&text, &p), 0);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		int n = 1;

		text = wrong[i];
		while (n > 0)
			n = net_publish_next(&text, &p);
		if (n != -EINVAL)
			fail_msg("'%s' was taken", wrong[i]);
	}
}

int main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_of_ports_are_parsed),
		T(udp_goes_out_and_back),
		T(tcp_goes_out),
		T(what_may_not_go_out_does_not),
		T(published_ports_lead_to_the_vm),
		T(published_ports_answer),
		T(nothing_begins_at_the_host_itself),
		T(one_that_dies_is_started_again),
		T(each_death_is_reported),
		T(one_that_cannot_be_started_is_tried_again),
		T(one_that_cannot_live_is_reported_once),
		T(only_vms_with_an_uplink_know_it),
	};

	(void)argc;
	find_uplink(argv[0]);
	return cmocka_run_group_tests_name("uplink", tests, NULL, NULL);
}
