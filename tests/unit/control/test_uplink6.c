/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IPv6 by the uplink of a network: as test_uplink.c, the real disco-uplink in a
 * network namespace of this process, where nothing leaves it: it has a default route
 * by its loopback device.
 *
 * SKIP where disco-uplink was not built, or no namespace with IPv6 can be made.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <net/route.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/control/nets/nets_internal.h"
#include "tests/must.h"
#include "tests/unit/control/l4.h"
#include "tests/unit/control/net_vms.h"
#include "tests/unit/support.h"
#include "vnet/packet.h"
#include "vnet/reply.h"
#include "vnet/reply6.h"

#define OUTSIDE "2001:db8:5::1" /* of the namespace; RFC 3849 */
#define IP	14u
#define L4	54u

static const char *skip_why;
static struct net_vms lan;
static struct vnet_port *port; /* of the first VM */
static uint8_t mine[16];       /* an address that it has chosen */
static uint8_t frame[16384], got[2048];
static uint32_t got_len;

/* --- the namespace --- */

static const char *make_namespace(void)
{
	struct ifreq up = { .ifr_name = "lo",
			    .ifr_flags = IFF_UP | IFF_LOOPBACK };
	struct in6_ifreq a = { .ifr6_prefixlen = 128 };
	struct in6_rtmsg route = { .rtmsg_flags = RTF_UP, .rtmsg_metric = 1 };
	int s;

	if (unshare(CLONE_NEWNET) < 0)
		return "no network namespace can be made";
	s = socket(AF_INET6, SOCK_DGRAM, 0);
	if (s < 0)
		return "there is no IPv6 here";
	a.ifr6_ifindex = (int)if_nametoindex("lo");
	route.rtmsg_ifindex = a.ifr6_ifindex;
	must(inet_pton(AF_INET6, OUTSIDE, &a.ifr6_addr) == 1);
	must(ioctl(s, SIOCSIFFLAGS, &up) == 0);
	if (ioctl(s, SIOCSIFADDR, &a) < 0 || ioctl(s, SIOCADDRT, &route) < 0)
		return "IPv6 is off here";
	(void)close(s);
	return NULL;
}

static void find_uplink(const char *self)
{
	if (!net_vms_find_uplink(self))
		skip_why = "disco-uplink was not built";
	else
		skip_why = make_namespace();
}

/* --- the VM's worker --- */

static bool run(void)
{
	return net_vms_run(&lan, 0, got, sizeof(got), &got_len, NULL);
}

static struct vnet_peer *uplink(void)
{
	return vnet_port_by_ip(port, port->plan.server);
}

static void own_address(unsigned n, uint8_t ip[16])
{
	memcpy(ip, port->plan.prefix6, 8);
	memcpy(ip + 8, (const uint8_t[8]){ 0x5e, 0x21, 9, 1, 7 }, 8);
	ip[15] = (uint8_t)n;
}

static int setup_with(bool no_ip6)
{
	if (skip_why)
		return 0;
	net_vms_create(&lan);
	lan.configs[0].publish =
		no_ip6 ? NULL
		       : (char *)(uintptr_t) "[::1]:2222:22,[" OUTSIDE
					     "]:5353:53/udp";
	lan.configs[0].nets[0].uplink = true;
	lan.configs[0].nets[0].no_ip6 = no_ip6;
	net_vms_start(&lan, 0, true);
	port = lan.port[0];
	nets_update(lan.nets);
	WAIT_UNTIL((run(), uplink() != NULL));
	own_address(1, mine);
	assert_int_equal(vnet_port_claim(port, mine, 0), 0);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_with(false);
}

static int setup_without(void **state)
{
	(void)state;
	return setup_with(true);
}

static int teardown(void **state)
{
	(void)state;
	if (!skip_why)
		net_vms_destroy(&lan);
	return 0;
}

/* --- packets --- */

static void ip6(const char *dst, unsigned proto, uint32_t bytes)
{
	memset(frame, 0, L4);
	memcpy(frame, uplink()->station.mac, 6);
	memcpy(frame + ETH_SRC, port->station.mac, 6);
	vnet_put16(frame + ETH_TYPE, ETHERTYPE_IP6);
	frame[IP] = 0x60;
	vnet_put16(frame + IP + IP6_LEN, bytes);
	frame[IP + IP6_NEXT] = (uint8_t)proto;
	frame[IP + IP6_HOPS] = 64;
	memcpy(frame + IP + IP6_SRC, mine, 16);
	must(inet_pton(AF_INET6, dst, frame + IP + IP6_DST) == 1);
}

static void send_with(const struct vnet_hdr *h, uint32_t len)
{
	struct vnet_buf b;

	assert_int_equal(vnet_port_room(port, uplink(), len), 0);
	vnet_port_begin(port, len, &b);
	memcpy(b.bytes, frame, len);
	*b.hdr = *h;
	vnet_port_send(port, &b, uplink(), len, true);
	vnet_port_flush(port);
}

/* With the checksum left to be done; @gso: bytes of a segment, 0: none. */
static void send_l4(uint32_t bytes, unsigned proto, unsigned csum_at,
		    unsigned gso)
{
	const struct vnet_hdr h = { .flags = VNET_HDR_NEEDS_CSUM,
				    .gso_type = gso ? VNET_GSO_TCPV6 : 0,
				    .gso_size = (uint16_t)gso,
				    .csum_start = L4,
				    .csum_offset = (uint16_t)csum_at };
	uint32_t sum = vnet_csum_add(proto + bytes, frame + IP + IP6_SRC, 32);

	vnet_put16(frame + L4 + csum_at, (uint16_t)~vnet_csum_fold(sum));
	send_with(&h, L4 + bytes);
}

static void udp(const char *dst, unsigned sport, unsigned dport,
		const char *text)
{
	ip6(dst, PROTO_UDP, l4_udp(frame + L4, sport, dport, text));
}

static void send_udp(const char *dst, unsigned sport, unsigned dport,
		     const char *text)
{
	udp(dst, sport, dport, text);
	send_l4(UDP_BYTES + (uint32_t)strlen(text), PROTO_UDP, UDP_CSUM, 0);
}

static void send_tcp(const char *dst, unsigned sport, unsigned dport,
		     uint32_t seq, uint32_t ack, unsigned flags, uint32_t bytes,
		     unsigned gso)
{
	uint8_t *t = frame + L4;

	ip6(dst, PROTO_TCP, 20 + bytes);
	l4_tcp(t, sport, dport, seq, ack, flags);
	for (uint32_t i = 0; i < bytes; i++)
		t[20 + i] = (uint8_t)(i * 7 + i / 251);
	send_l4(20 + bytes, PROTO_TCP, 16, gso);
}

static bool got_is(unsigned proto, unsigned dport)
{
	return got_len >= L4 + 8 &&
	       vnet_get16(got + ETH_TYPE) == ETHERTYPE_IP6 &&
	       got[IP + IP6_NEXT] == proto && vnet_get16(got + L4 + 2) == dport;
}

static bool got_advert(unsigned *seconds)
{
	if (got_len != VNET_ADVERT_BYTES || got[IP + IP6_NEXT] != PROTO_ICMP6 ||
	    got[L4] != ICMP6_ROUTER_ANSWER)
		return false;
	*seconds = vnet_get16(got + L4 + 6);
	return true;
}

static int host_socket(int type, const char *ip, unsigned at)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6,
				  .sin6_port = htons((uint16_t)at) };

	must(inet_pton(AF_INET6, ip, &a.sin6_addr) == 1);
	return l4_socket(type, (const struct sockaddr *)&a, sizeof(a));
}

/* --- tests --- */

#define NEEDS_UPLINK()                                                         \
	do {                                                                   \
		(void)state;                                                   \
		if (skip_why)                                                  \
			SKIP("%s", skip_why);                                  \
	} while (0)

static void stations_have_a_route(void **state)
{
	unsigned seconds = 0;

	NEEDS_UPLINK();
	/* All are told; and who asks, by its own worker. */
	WAIT_UNTIL(run() && got_advert(&seconds) && seconds > 0);
	assert_int_equal(seconds, VNET_ROUTER_SECONDS);
	assert_memory_equal(got, port->station.mac, 6);
	assert_memory_equal(got + ETH_SRC, uplink()->station.mac, 6);
	assert_int_equal(vnet_icmp6_sum(got + IP, got_len - L4), 0);
	assert_true(vnet_port_routes6(port));
}

static void udp_goes_out_and_back(void **state)
{
	struct sockaddr_in6 from;
	socklen_t len = sizeof(from);
	char text[64];
	int s;

	NEEDS_UPLINK();
	s = host_socket(SOCK_DGRAM, OUTSIDE, 7);
	send_udp(OUTSIDE, 4000, 7, "question");
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
	assert_memory_equal(got + IP + IP6_DST, mine, 16);
	assert_memory_equal(got + L4 + UDP_BYTES, "answer", 6);
	(void)close(s);
}

#define WHOLE 9000u

/* Segments that were left to be cut are cut: libslirp takes no larger packets. */
static void tcp_goes_out(void **state)
{
	static uint8_t text[WHOLE + 1];
	uint32_t theirs, n = 0;
	int s, c = -1;

	NEEDS_UPLINK();
	s = host_socket(SOCK_STREAM, OUTSIDE, 80);
	send_tcp(OUTSIDE, 4001, 80, 1000, 0, SYN, 0, 0);
	WAIT_UNTIL(run() && got_is(PROTO_TCP, 4001));
	assert_int_equal(got[L4 + 13], SYN | ACK);
	theirs = l4_get32(got + L4 + 4) + 1;
	send_tcp(OUTSIDE, 4001, 80, 1001, theirs, ACK, 0, 0);
	send_tcp(OUTSIDE, 4001, 80, 1001, theirs, ACK | PSH, WHOLE, 1400);
	WAIT_UNTIL((run(), c = c < 0 ? accept(s, NULL, NULL) : c, c >= 0));
	while (n < WHOLE) {
		ssize_t more = 0;

		WAIT_UNTIL((run(),
			    more = recv(c, text + n, sizeof(text) - n,
					MSG_DONTWAIT),
			    more > 0));
		n += (uint32_t)more;
	}
	assert_int_equal(n, WHOLE);
	for (uint32_t i = 0; i < WHOLE; i++)
		must(text[i] == (uint8_t)(i * 7 + i / 251));
	(void)close(c);
	(void)close(s);
}

/*
 * The checksum is to be written where the first word of the destination is, and is
 * made to be that of the prefix: an address outside would become one of the network,
 * which libslirp takes for the host's own.
 */
static void send_disguised(void)
{
	const struct vnet_hdr h = { .flags = VNET_HDR_NEEDS_CSUM,
				    .csum_start = IP,
				    .csum_offset = IP6_DST };
	uint32_t bytes = UDP_BYTES + 4, sum;
	uint16_t want = vnet_get16(port->plan.prefix6);

	udp("::5", 4002, 9, "last");
	memcpy(frame + IP + IP6_DST, port->plan.prefix6, VNET_PREFIX6);
	/* The checksum of UDP is the right one for that. */
	sum = vnet_csum_add(PROTO_UDP + bytes, frame + IP + IP6_SRC, 32);
	sum = vnet_csum_add(sum, frame + L4, bytes);
	vnet_put16(frame + L4 + UDP_CSUM, vnet_csum_fold(sum));
	vnet_put16(frame + IP + IP6_DST, 0x2001);
	/* The flow label, which no other checksum covers, does the rest. */
	sum = vnet_csum_add(0, frame + IP, L4 - IP + bytes);
	sum = (uint32_t)(uint16_t)~want + vnet_csum_fold(sum);
	vnet_put16(frame + IP + 2, (uint16_t)~vnet_csum_fold(sum));
	sum = vnet_csum_add(0, frame + IP, L4 - IP + bytes);
	assert_int_equal(vnet_csum_fold(sum), want);
	send_with(&h, L4 + bytes);
}

static void what_may_not_go_out_does_not(void **state)
{
	uint8_t keep[16], server_ip[16];
	char text[64], server[INET6_ADDRSTRLEN];
	int local, outside, tcp, mapped;

	NEEDS_UPLINK();
	local = host_socket(SOCK_DGRAM, "::1", 9);
	outside = host_socket(SOCK_DGRAM, OUTSIDE, 9);
	tcp = host_socket(SOCK_STREAM, "::1", 9);
	mapped = host_socket(SOCK_DGRAM, "::ffff:127.0.0.1", 9);
	vnet_ip6(port->plan.prefix6, uplink()->station.mac, server_ip);
	must(inet_ntop(AF_INET6, server_ip, server, sizeof(server)) != NULL);
	send_udp("::1", 4000, 9, "loop");
	send_udp("::", 4000, 9, "zero");
	send_udp("::ffff:127.0.0.1", 4000, 9, "mapped");
	send_udp("::127.0.0.1", 4000, 9, "compatible");
	send_udp("64:ff9b::7f00:1", 4000, 9, "translated");
	send_udp(server, 4000, 9, "server");
	send_tcp(server, 4000, 9, 1, 0, SYN, 0, 0);
	server[strlen(server) - 1] ^= 1;
	send_udp(server, 4000, 9, "prefix");
	send_udp("ff02::1", 4000, 9, "all");
	send_udp("fe80::1", 4000, 9, "link");
	send_disguised();
	/* From an address that it does not have. */
	memcpy(keep, mine, sizeof(keep));
	mine[15] ^= 0x40;
	send_udp(OUTSIDE, 4000, 9, "foreign");
	vnet_ip6(NULL, port->station.mac, mine);
	send_udp(OUTSIDE, 4000, 9, "from the link");
	memcpy(mine, keep, sizeof(keep));
	/* Behind another header; longer or shorter than it says. */
	udp(OUTSIDE, 4000, 9, "options");
	frame[IP + IP6_NEXT] = IP6_DST_OPTIONS;
	send_with(&(struct vnet_hdr){ 0 }, L4 + 20);
	udp(OUTSIDE, 4000, 9, "cut off");
	send_with(&(struct vnet_hdr){ 0 }, L4 + 4);
	udp(OUTSIDE, 4000, 9, "no hops");
	frame[IP + IP6_HOPS] = 0;
	send_with(&(struct vnet_hdr){ 0 }, L4 + 15);
	send_udp(OUTSIDE, 4000, 9, "good");
	WAIT_UNTIL((run(), recv(outside, text, sizeof(text), MSG_PEEK) > 0));
	/* What was sent before it would have come before it. */
	assert_int_equal(recv(outside, text, sizeof(text), 0), 4);
	assert_memory_equal(text, "good", 4);
	assert_int_equal(recv(local, text, sizeof(text), 0), -1);
	assert_int_equal(recv(mapped, text, sizeof(text), 0), -1);
	assert_int_equal(accept(tcp, NULL, NULL), -1);
	(void)close(local);
	(void)close(outside);
	(void)close(tcp);
	(void)close(mapped);
}

static bool connects_to(const uint8_t *ip)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6,
				  .sin6_port = htons(2222),
				  .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int s = socket(AF_INET6, SOCK_STREAM, 0);
	bool is = false;

	must(s >= 0);
	if (connect(s, (struct sockaddr *)&a, sizeof(a)) == 0)
		for (unsigned i = 0; i < 50 && !is; i++)
			is = run() && got_is(PROTO_TCP, 22) &&
			     memcmp(got + IP + IP6_DST, ip, 16) == 0;
	(void)close(s);
	return is;
}

/* They lead to the address that the station has, also when that changes. */
static void published_ports_lead_to_the_vm(void **state)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6,
				  .sin6_port = htons(5353) };
	uint8_t planned[16], server[16];
	int s;

	NEEDS_UPLINK();
	s = host_socket(SOCK_DGRAM, OUTSIDE, 6000);
	must(inet_pton(AF_INET6, OUTSIDE, &a.sin6_addr) == 1);
	WAIT_UNTIL((run(), sendto(s, "dns", 3, 0, (struct sockaddr *)&a,
				  sizeof(a)) == 3 &&
				   run() && got_is(PROTO_UDP, 53)));
	assert_memory_equal(got + L4 + UDP_BYTES, "dns", 3);
	assert_memory_equal(got + IP + IP6_DST, mine, 16);
	WAIT_UNTIL(connects_to(mine));
	assert_int_equal(got[L4 + 13], SYN);
	vnet_ip6(port->plan.prefix6, uplink()->station.mac, server);
	assert_memory_equal(got + IP + IP6_SRC, server, 16);
	/* Now it has the planned one, as after another boot. */
	vnet_port_forget(port);
	vnet_ip6(port->plan.prefix6, port->station.mac, planned);
	WAIT_UNTIL(connects_to(planned));
	(void)close(s);
}

/* By UDP, of the host itself: a station answers whoever has asked it. */
static void published_ports_answer(void **state)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6,
				  .sin6_port = htons(5353) };
	char text[16], server[INET6_ADDRSTRLEN];
	unsigned sport;
	int s;

	NEEDS_UPLINK();
	s = host_socket(SOCK_DGRAM, OUTSIDE, 6001);
	must(inet_pton(AF_INET6, OUTSIDE, &a.sin6_addr) == 1);
	WAIT_UNTIL((run(), sendto(s, "dns", 3, 0, (struct sockaddr *)&a,
				  sizeof(a)) == 3 &&
				   run() && got_is(PROTO_UDP, 53)));
	sport = vnet_get16(got + L4);
	must(inet_ntop(AF_INET6, got + IP + IP6_SRC, server, sizeof(server)) !=
	     NULL);
	send_udp(server, 53, sport, "reply");
	WAIT_UNTIL((run(), recv(s, text, sizeof(text), MSG_PEEK) > 0));
	assert_int_equal(recv(s, text, sizeof(text), 0), 5);
	assert_memory_equal(text, "reply", 5);
	(void)close(s);
}

/* Another VM of the network has it. */
static void a_vm_may_be_without(void **state)
{
	unsigned seconds = 0;
	char text[16];
	int outside;

	NEEDS_UPLINK();
	assert_true(lan.ports[0].of[0]->routed4);
	outside = host_socket(SOCK_DGRAM, OUTSIDE, 9);
	send_udp(OUTSIDE, 4000, 9, "six");
	lan.configs[1].nets[0].uplink = true;
	net_vms_start(&lan, 1, true);
	nets_update(lan.nets);
	WAIT_UNTIL((assert_false(run() && got_advert(&seconds)),
		    net_vms_run(&lan, 1, got, sizeof(got), &got_len, NULL) &&
			    got_advert(&seconds) && seconds > 0));
	while (run())
		assert_false(got_advert(&seconds));
	assert_int_equal(recv(outside, text, sizeof(text), 0), -1);
	port->plan.routed4 = true;
	assert_false(vnet_port_routes6(port));
	(void)close(outside);
}

int main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(stations_have_a_route),
		T(udp_goes_out_and_back),
		T(tcp_goes_out),
		T(what_may_not_go_out_does_not),
		T(published_ports_lead_to_the_vm),
		T(published_ports_answer),
		cmocka_unit_test_setup_teardown(a_vm_may_be_without,
						setup_without, teardown),
	};

	(void)argc;
	find_uplink(argv[0]);
	return cmocka_run_group_tests_name("uplink6", tests, NULL, NULL);
}
