/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which worker is told of which port, and when. Workers are played by the other
 * ends of their control sockets.
 */
#include <errno.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "disco/clock.h"
#include "monitor/control/nets/net_tap.h"
#include "monitor/control/nets/nets_internal.h"
#include "monitor/ipc/worker_messages.h"
#include "numa/region.h"
#include "tests/unit/support.h"
#include "vnet/port.h"

#define VMS 4u

static struct nets *nets;
static struct watcher watcher;
static struct vm_config configs[VMS];
static struct net_ports ports[VMS];
static struct vm_watch vms[VMS];
static int theirs[VMS];
static struct diag d;

static void config(unsigned i, const char *net, const char *second)
{
	static char names[VMS][8];
	struct vm_config *c = &configs[i];

	(void)snprintf(names[i], sizeof(names[i]), "vm-%u", i);
	c->name = names[i];
	c->nets[0].name = (char *)(uintptr_t)net;
	c->nets[1].name = (char *)(uintptr_t)second;
	c->nr_nets = second ? 2 : 1;
}

static int setup(void **state)
{
	(void)state;
	memset(configs, 0, sizeof(configs));
	memset(ports, 0, sizeof(ports));
	memset(vms, 0, sizeof(vms));
	memset(&d, 0, sizeof(d));
	assert_int_equal(loop_create(&watcher.loop), 0);
	assert_int_equal(nets_create(&nets), 0);
	for (unsigned i = 0; i < VMS; i++) {
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX,
					    SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
					    pair),
				 0);
		vms[i].watcher = &watcher;
		vms[i].worker = WORKER_NONE;
		vms[i].worker.control = pair[0];
		theirs[i] = pair[1];
		config(i, "lan", NULL);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	nets_detach_all(nets);
	for (unsigned i = 0; i < VMS; i++) {
		nets_release(ports[i].of);
		(void)close(vms[i].worker.control);
		(void)close(theirs[i]);
	}
	nets_destroy(nets);
	loop_destroy(&watcher.loop);
	return 0;
}

static void reserve(unsigned i)
{
	if (nets_reserve(nets, &configs[i], ports[i].of, &d))
		fail_msg("%s", d.text);
}

static void start(unsigned first, unsigned end)
{
	for (unsigned i = first; i < end; i++) {
		reserve(i);
		nets_attach(ports[i].of, &vms[i]);
	}
	nets_update(nets);
}

/* The next request to a worker. Return: false: there is none. */
static bool told(unsigned i, struct worker_request *r)
{
	int fds[FDS_MAX], err = worker_request_receive(theirs[i], r, fds);
	struct region_view v;

	if (err) {
		assert_int_equal(err, -EAGAIN);
		return false;
	}
	if (r->kind == WORKER_REQ_NET_PORT) {
		assert_int_equal(
			region_attach(&v, fds[0], sizeof(struct vnet_shared)),
			0);
		region_detach(&v);
		(void)close(fds[0]);
		(void)close(fds[1]);
	}
	return true;
}

static void told_port(unsigned i, unsigned of, uint32_t net)
{
	const struct net_port *p = ports[of].of[0];
	struct worker_request r;

	assert_true(told(i, &r));
	assert_int_equal(r.kind, WORKER_REQ_NET_PORT);
	assert_int_equal(r.net_port.net, net);
	assert_int_equal(r.net_port.slot, p->slot);
	assert_int_equal(r.net_port.gen, p->gen);
	assert_string_equal(r.net_port.name, configs[of].name);
	assert_memory_equal(r.net_port.mac, p->station.mac, 6);
	assert_memory_equal(r.net_port.ip, p->station.ip, 4);
}

static void told_end(unsigned i, uint32_t slot)
{
	struct worker_request r;

	assert_true(told(i, &r));
	assert_int_equal(r.kind, WORKER_REQ_NET_PORT_END);
	assert_int_equal(r.net_port_end.slot, slot);
}

static void told_nothing(unsigned i)
{
	struct worker_request r;

	assert_false(told(i, &r));
}

static void each_is_told_of_all_others(void **state)
{
	(void)state;
	start(0, 3);
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned k = 0; k < 3; k++)
			if (k != i)
				told_port(i, k, 0);
		told_nothing(i);
	}
	start(3, 4);
	for (unsigned k = 0; k < 3; k++)
		told_port(3, k, 0);
	for (unsigned i = 0; i < 3; i++) {
		told_port(i, 3, 0);
		told_nothing(i);
	}
}

static void the_end_is_told(void **state)
{
	uint32_t slot, gen;

	(void)state;
	start(0, 3);
	for (unsigned i = 0; i < 3; i++)
		for (unsigned k = 0; k < 2; k++)
			told_port(i, k < i ? k : k + 1, 0);
	slot = ports[1].of[0]->slot;
	gen = ports[1].of[0]->gen;
	nets_release(ports[1].of);
	assert_null(ports[1].of[0]);
	told_end(0, slot);
	told_end(2, slot);
	told_nothing(0);
	/* Its slot is used again, by a newer generation. */
	start(1, 2);
	assert_int_equal(ports[1].of[0]->slot, slot);
	assert_true(ports[1].of[0]->gen > gen);
	told_port(0, 1, 0);
	told_port(2, 1, 0);
}

static void networks_are_apart(void **state)
{
	(void)state;
	config(1, "other", NULL);
	config(2, "wan", "lan");
	start(0, 3);
	told_nothing(1);
	told_nothing(3);
	/* The second network of vm-2 is the one of vm-0. */
	told_port(2, 0, 1);
	told_nothing(2);
	assert_ptr_equal(ports[0].of[0]->net, ports[2].of[1]->net);
	assert_memory_not_equal(ports[0].of[0]->station.ip,
				ports[1].of[0]->station.ip, 3);
	assert_memory_not_equal(ports[0].of[0]->station.ip,
				ports[2].of[0]->station.ip, 3);
}

/* A worker that does not read; the others are told meanwhile. */
static void a_full_socket_is_tried_again(void **state)
{
	struct worker_request r = { .kind = WORKER_REQ_STATS };
	unsigned nr = 0;

	(void)state;
	start(0, 1);
	while (vm_watch_send(&vms[0], &r, NULL) == 0)
		nr++;
	start(1, 3);
	told_port(1, 0, 0);
	told_port(2, 0, 0);
	while (nr--) {
		assert_true(told(0, &r));
		assert_int_equal(r.kind, WORKER_REQ_STATS);
	}
	told_nothing(0);
	WAIT_UNTIL((!loop_turn(&watcher.loop, 10) &&
		    recv(theirs[0], &r, 1, MSG_PEEK | MSG_DONTWAIT) > 0));
	told_port(0, 1, 0);
	told_port(0, 2, 0);
}

/* Soon, also if something else is to be tried again much later. */
static void the_earlier_retry_counts(void **state)
{
	struct worker_request r = { .kind = WORKER_REQ_STATS };
	uint64_t now = clock_now_ns(), later = now + 100 * NETS_RETRY_NS;

	(void)state;
	start(0, 1);
	nets_retry_in(nets, 100 * NETS_RETRY_NS);
	assert_true(nets->retry.at_ns >= later);
	while (vm_watch_send(&vms[0], &r, NULL) == 0)
		;
	start(1, 2);
	assert_true(nets->retry.at_ns < later);
	/* And is not put off by it. */
	now = nets->retry.at_ns;
	nets_retry_in(nets, 100 * NETS_RETRY_NS);
	assert_int_equal(nets->retry.at_ns, now);
}

static void addresses_are_unique(void **state)
{
	char text[NET_TEXT_MAX];

	(void)state;
	configs[1].nets[0].mac = (char *)(uintptr_t) "02:AA:00:00:00:01";
	configs[2].nets[0].mac = (char *)(uintptr_t) "02:aa:00:00:00:01";
	start(0, 2);
	assert_string_equal(net_mac_text(ports[1].of[0]->station.mac, text),
			    "02:aa:00:00:00:01");
	assert_int_equal(ports[0].of[0]->station.ip[3], 2);
	assert_int_equal(ports[1].of[0]->station.ip[3], 3);
	assert_int_equal(nets_reserve(nets, &configs[2], ports[2].of, &d),
			 -EEXIST);
	assert_non_null(strstr(d.text, "02:aa:00:00:00:01"));
	assert_null(ports[2].of[0]);
	/* The same again, after all have gone: the same subnet. */
	(void)net_ip_text(ports[0].of[0]->station.ip, text);
	nets_release(ports[0].of);
	nets_release(ports[1].of);
	start(0, 1);
	{
		char again[NET_TEXT_MAX];

		assert_string_equal(
			net_ip_text(ports[0].of[0]->station.ip, again), text);
	}
}

static void refused(unsigned i, int err, const char *why)
{
	memset(&d, 0, sizeof(d));
	assert_int_equal(nets_reserve(nets, &configs[i], ports[i].of, &d), err);
	if (!strstr(d.text, why))
		fail_msg("'%s' is not in: %s", why, d.text);
}

static void set(char **field, const char *text)
{
	*field = (char *)(uintptr_t)text;
}

static unsigned nr_networks(void)
{
	unsigned n = 0;

	for (const struct network *net = nets->list; net; net = net->next)
		n++;
	return n;
}

/*
 * Its uplink's watch is in it, of which the same turn may have an event: a network
 * stays until the end of the turn in which its last VM ends.
 */
static void networks_go_at_the_end_of_a_turn(void **state)
{
	char name[16];

	(void)state;
	start(0, 1);
	config(1, name, NULL);
	for (unsigned i = 0; i < NETS_EMPTY_MAX + 3; i++) {
		(void)snprintf(name, sizeof(name), "net-%u", i);
		start(1, 2);
		nets_release(ports[1].of);
	}
	assert_int_equal(nr_networks(), 1 + NETS_EMPTY_MAX + 3);
	/* One that is refused is none the less. */
	set(&configs[1].nets[0].subnet, "10.1");
	(void)strcpy(name, "net-x");
	refused(1, -EINVAL, "10.1");
	assert_int_equal(nr_networks(), 1 + NETS_EMPTY_MAX + 4);
	assert_int_equal(loop_turn(&watcher.loop, 0), 0);
	assert_int_equal(nr_networks(), 1 + NETS_EMPTY_MAX);
}

static void mac_addresses_are_parsed(void **state)
{
	static const char *const wrong[] = {
		"",
		"02:00:00:00:00",
		"02:00:00:00:00:0",
		"02:00:00:00:00:0g",
		"02-00-00-00-00-01",
		"02:00:00:00:00:011",
		"01:00:5e:00:00:01",
		"ff:ff:ff:ff:ff:ff",
	};
	uint8_t mac[6] = { 9 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_false(net_mac_parse(wrong[i], mac));
		assert_int_equal(mac[0], 9);
	}
	assert_true(net_mac_parse("0a:1B:2c:3D:4e:5F", mac));
	assert_memory_equal(mac, "\x0a\x1b\x2c\x3d\x4e\x5f", 6);
}

/* VM @i is in the network with this last byte of its address. */
static void has_ip(unsigned i, unsigned last)
{
	assert_int_equal(ports[i].of[0]->station.ip[3], last);
}

/* Started again in another order, and with others in between. */
static void a_vm_gets_its_address_again(void **state)
{
	uint8_t ip[4];

	(void)state;
	start(0, 3);
	memcpy(ip, ports[1].of[0]->station.ip, 4);
	nets_release(ports[0].of);
	nets_release(ports[1].of);
	/* One that was never there takes a slot that nobody had. */
	start(3, 4);
	has_ip(3, 5);
	start(1, 2);
	start(0, 1);
	has_ip(0, 2);
	assert_memory_equal(ports[1].of[0]->station.ip, ip, 4);
	/* Also after all have gone. */
	for (unsigned i = 0; i < VMS; i++)
		nets_release(ports[i].of);
	start(2, 3);
	start(1, 2);
	has_ip(2, 4);
	has_ip(1, 3);
}

/* What a monitor finds in the record of a VM that has ended without it. */
static void a_lost_vm_gets_its_address_again(void **state)
{
	struct vm_record r = { .nr_nets = 0 };
	struct nets *next;
	uint8_t ip[4];

	(void)state;
	start(0, 2);
	memcpy(ip, ports[1].of[0]->station.ip, 4);
	(void)snprintf(r.name, sizeof(r.name), "%s", configs[1].name);
	nets_record(ports[1].of, &r);
	nets_release(ports[0].of);
	nets_release(ports[1].of);
	nets_detach_all(nets);
	nets_destroy(nets);
	assert_int_equal(nets_create(&next), 0);
	nets = next;
	nets_remember(nets, &r);
	start(0, 2);
	assert_memory_equal(ports[1].of[0]->station.ip, ip, 4);
}

static void operators_choose_addresses(void **state)
{
	struct worker_net w;

	(void)state;
	set(&configs[0].nets[0].subnet, "10.77.0.0/16");
	set(&configs[0].nets[0].ip, "10.77.9.9");
	start(0, 2);
	assert_memory_equal(ports[0].of[0]->station.ip, "\x0a\x4d\x09\x09", 4);
	assert_memory_equal(ports[1].of[0]->station.ip, "\x0a\x4d\x00", 3);
	net_port_spec(ports[1].of[0], &w);
	assert_memory_equal(w.server, "\x0a\x4d\x00\x01", 4);
	assert_int_equal(w.bits, 16);
	set(&configs[2].nets[0].ip, "10.77.9.9");
	refused(2, -EEXIST, "10.77.9.9");
	/* Of the network itself, of all, of another subnet, of nothing. */
	set(&configs[2].nets[0].ip, "10.77.0.1");
	refused(2, -EINVAL, "10.77.0.1");
	set(&configs[2].nets[0].ip, "10.77.255.255");
	refused(2, -EINVAL, "10.77.255.255");
	set(&configs[2].nets[0].ip, "10.78.0.9");
	refused(2, -EINVAL, "10.77.0.0/16");
	set(&configs[2].nets[0].ip, "10.77.0");
	refused(2, -EINVAL, "10.77.0");
	set(&configs[2].nets[0].ip, NULL);
	set(&configs[2].nets[0].subnet, "10.99.0.0/16");
	refused(2, -EEXIST, "10.77.0.0/16");
	/* The address of an automatic one is not given twice. */
	set(&configs[2].nets[0].subnet, "10.77.0.0/16");
	set(&configs[2].nets[0].ip, "10.77.0.4");
	start(2, 4);
	assert_int_not_equal(ports[3].of[0]->station.ip[3], 4);
}

/* Strict plans are those of networks; who has no IPv6 outside is a VM's matter. */
static void plans_may_be_strict(void **state)
{
	struct worker_net w;

	(void)state;
	configs[0].nets[0].planned = true;
	configs[1].nets[0].no_ip6 = true;
	start(0, 2);
	net_port_spec(ports[0].of[0], &w);
	assert_true(w.planned6 && !w.routed4);
	/* It is said once. */
	net_port_spec(ports[1].of[0], &w);
	assert_true(w.planned6 && w.routed4);
	nets_release(ports[0].of);
	nets_release(ports[1].of);
	configs[0].nets[0].planned = false;
	configs[1].nets[0].no_ip6 = false;
	start(0, 1);
	net_port_spec(ports[0].of[0], &w);
	assert_true(!w.planned6 && !w.routed4);
	configs[1].nets[0].planned = true;
	refused(1, -EEXIST, "addresses=planned");
	configs[1].nets[0].planned = false;
	set(&configs[1].publish, "[::1]:2222:22");
	configs[1].nets[0].no_ip6 = true;
	refused(1, -EINVAL, "ipv6=off");
	configs[1].nets[0].no_ip6 = false;
	set(&configs[1].publish, NULL);
	start(1, 2);
}

/* Whom a row of counts is about (vnet/pairs.h): by slot and generation. */
static void other_ports_have_names(void **state)
{
	const struct net_port *own;
	uint32_t slot, gen;

	(void)state;
	start(0, 2);
	own = ports[0].of[0];
	slot = ports[1].of[0]->slot;
	gen = ports[1].of[0]->gen;
	assert_string_equal(net_port_peer_name(own, slot, gen), "vm-1");
	assert_null(net_port_peer_name(own, slot, gen + 1));
	assert_null(net_port_peer_name(own, slot + 1, gen));
	assert_null(net_port_peer_name(own, VNET_PORTS_MAX, gen));
	assert_null(net_port_peer_name(own, UINT32_MAX, gen));
	assert_null(net_port_peer_name(NULL, slot, gen));
	nets_release(ports[1].of);
	assert_null(net_port_peer_name(own, slot, gen));
}

/* Whose fault it is: that of the device, or of the file by which all are opened. */
static void why_a_tap_device_is_not_opened(void **state)
{
	(void)state;
	assert_non_null(strstr(net_tap_error(-EPERM), "another user"));
	assert_non_null(strstr(net_tap_error(-EACCES), "/dev/net/tun"));
	assert_null(strstr(net_tap_error(-EACCES), "another user"));
	assert_non_null(strstr(net_tap_error(-ENOENT), "/dev/net/tun"));
	assert_string_equal(net_tap_error(-EMFILE), strerror(EMFILE));
}

/* Its name is asked for by a socket: that there is none is no fault of the device. */
static void no_descriptor_is_not_no_device(void **state)
{
	struct rlimit before, none;
	int fd = -1, err;

	(void)state;
	assert_int_equal(net_tap_open("disco-no-tap", &fd), -ENODEV);
	assert_int_equal(net_tap_open("a-name-that-is-too-long", &fd), -ENODEV);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){ 0, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	err = net_tap_open("lo", &fd);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(err, -EMFILE);
	assert_int_equal(fd, -1);
}

/* Before anybody opens it: there need be none here. */
static void a_tap_device_is_of_one_network(void **state)
{
	(void)state;
	config(1, "wan", "lan");
	start(0, 1);
	(void)strcpy(ports[0].of[0]->tap, "disco-no-tap");
	set(&configs[1].nets[0].tap, "disco-no-tap");
	refused(1, -EEXIST,
		"vm-1: the tap device 'disco-no-tap' is that of network 'lan'");
	/* It is free when its last VM has ended. */
	nets_release(ports[0].of);
	refused(1, -ENODEV, "'disco-no-tap': there is no such device");
}

static void a_small_subnet_is_full(void **state)
{
	(void)state;
	/* Six addresses: one is the network's own. */
	for (unsigned i = 0; i < VMS; i++)
		set(&configs[i].nets[0].subnet, "192.168.7.8/29");
	set(&configs[2].nets[0].ip, "192.168.7.14");
	start(0, VMS);
	has_ip(0, 10);
	has_ip(1, 11);
	has_ip(2, 14);
	has_ip(3, 13);
}

static void subnets_are_parsed(void **state)
{
	static const char *const wrong[] = {
		"",
		"10.0.0.0",
		"10.0.0.0/",
		"10.0.0.0/7",
		"10.0.0.0/30",
		"10.0.0.1/24",
		"10.0.0/24",
		"0.0.0.0/8",
		"127.0.0.0/8",
		"224.0.0.0/24",
		"10.0.0.0/24x",
		"10.0.0.0/+24",
	};
	uint8_t subnet[4];
	unsigned bits = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		if (net_subnet_parse(wrong[i], subnet, &bits))
			fail_msg("'%s' was taken", wrong[i]);
	assert_true(net_subnet_parse("172.16.0.0/12", subnet, &bits));
	assert_memory_equal(subnet, "\xac\x10\x00\x00", 4);
	assert_int_equal(bits, 12);
}

/*
 * Another control process takes this one's ports over, of this process, which
 * plays the worker; nobody is told what it knows already, but what it cannot
 * know.
 */
static void the_next_monitor_keeps_networks(void **state)
{
	struct net_port *old[2] = { NULL };
	struct vm_record r[2];
	struct nets *next;
	struct worker_request m;
	unsigned ends = 0;
	int self = pidfd_open(getpid(), 0);

	(void)state;
	assert_true(self >= 0);
	memset(r, 0, sizeof(r));
	for (unsigned i = 0; i < 2; i++) {
		reserve(i);
		old[i] = ports[i].of[0];
		(void)snprintf(r[i].name, sizeof(r[i].name), "vm-%u", i);
		nets_record(ports[i].of, &r[i]);
		assert_int_equal(r[i].nr_nets, 1);
		/* As its worker has them: one behind the other. */
		r[i].net_fd = 200 + 10 * (int)i;
		assert_true(dup2(old[i]->region, r[i].net_fd) >= 0);
		assert_true(dup2(old[i]->wake_rx, r[i].net_fd + 1) >= 0);
		assert_true(dup2(old[i]->wake_tx, r[i].net_fd + 2) >= 0);
	}
	assert_int_equal(nets_create(&next), 0);
	for (unsigned i = 0; i < 2; i++) {
		struct net_port *of[VM_MAX_NETS];

		assert_int_equal(nets_adopt(next, &r[i], self, of), 0);
		assert_int_equal(of[0]->gen, old[i]->gen);
		assert_int_equal(of[0]->slot, old[i]->slot);
		nets_release(ports[i].of);
		memcpy(ports[i].of, of, sizeof(of));
		nets_attach(ports[i].of, &vms[i]);
	}
	nets_destroy(nets);
	nets = next;
	nets_update(nets);
	/* What it may know of any other port is void. */
	for (unsigned i = 0; i < 2; i++) {
		bool known = false;

		ends = 0;
		while (told(i, &m)) {
			if (m.kind == WORKER_REQ_NET_PORT_END) {
				assert_int_not_equal(m.net_port_end.slot,
						     ports[!i].of[0]->slot);
				ends++;
			} else {
				assert_int_equal(m.net_port.slot,
						 ports[!i].of[0]->slot);
				assert_int_equal(m.net_port.gen,
						 ports[!i].of[0]->gen);
				known = true;
			}
			(void)!loop_turn(&watcher.loop, 0);
		}
		assert_true(known);
		assert_true(ends > 0);
	}
	start(2, 3);
	assert_true(ports[2].of[0]->gen > ports[1].of[0]->gen);
	assert_int_equal(ports[2].of[0]->slot, 2);
	for (int i = 0; i < 2; i++)
		for (int k = 0; k < 3; k++)
			(void)close(200 + 10 * i + k);
	(void)close(self);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(each_is_told_of_all_others),
		T(the_end_is_told),
		T(networks_are_apart),
		T(a_full_socket_is_tried_again),
		T(the_earlier_retry_counts),
		T(addresses_are_unique),
		T(networks_go_at_the_end_of_a_turn),
		T(mac_addresses_are_parsed),
		T(a_vm_gets_its_address_again),
		T(a_lost_vm_gets_its_address_again),
		T(operators_choose_addresses),
		T(plans_may_be_strict),
		T(a_tap_device_is_of_one_network),
		T(other_ports_have_names),
		cmocka_unit_test(why_a_tap_device_is_not_opened),
		cmocka_unit_test(no_descriptor_is_not_no_device),
		T(a_small_subnet_is_full),
		T(subnets_are_parsed),
		T(the_next_monitor_keeps_networks),
	};

	return cmocka_run_group_tests_name("nets", tests, NULL, NULL);
}
