/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network device between two enemies: the input is a program of what its guest
 * puts into the queues, and of what the worker of another port, which was taken
 * over, writes into its own region at any time. Checked: nothing ends the VM or
 * makes the I/O thread spin, the guest's device is not broken by the peer, a
 * frame from an honest port arrives at the end, and an honest one gets what the
 * guest sends (and what the sanitizers see). The device has four pairs of
 * queues; the guest changes how many are in use, to any number.
 */
#include <string.h>
#include <unistd.h>

#include "monitor/dev/net/virtio_net.h"
#include "tests/fuzz/bytes.h"
#include "tests/unit/virtio/guest_driver.h"
#include "tests/unit/vnet/ports.h"
#include "vnet/packet.h"
#include "vnet/reply6.h"

#define RAM_BYTES MIB(1)
#define MAX_OPS	  200u
#define SPINS	  4000u
#define QUEUE	  16u
#define PAIRS	  4u
#define QUEUES	  (2u * PAIRS + 1u)
#define FEATURES  (NET_FEATURES | NET_F_MQ)
#define RX_GPA	  0x80000u
#define CTRL_GPA  0x78000u
#define HDR	  12u

static struct fake_host h;
static struct ports p;
static struct virtio_net *net;
static struct driver d;
static uint32_t gen; /* of the other worker's port, as the device knows it */
static bool broken;  /* by the guest itself, perhaps */

/* Whatever the other worker writes: what is passed on is what a check lets pass. */
static void got(void *arg, const struct vnet_refs *refs)
{
	struct vnet_refs r = *refs;

	must(arg == &net);
	must(vnet_refs_check(&r));
	must(vnet_refs_count(&r) <= VNET_REF_BLOCKS);
}

static void find(void *arg, const struct iovec *iov, unsigned nr_iov,
		 size_t skip, struct vnet_refs *out)
{
	must(arg == &net);
	must(nr_iov && skip == HDR);
	must(vnet_refs_add(out, 1, iov[0].iov_len));
}

static const struct net_refs_ops refs_ops = { .find = find, .got = got };

static void make(void)
{
	fake_host_create(&h, RAM_BYTES);
	ports_create(&p, 3);
	must(virtio_net_create(&h.host, p.of[0], "lan", NULL, PAIRS, &net) ==
	     0);
	p.of[0] = NULL; /* the device's */
	virtio_net_use_refs(net, &refs_ops, &net);
	virtio_net_port(net)->peers[1]->station.shares = true;
	driver_attach(&d, &h, virtio_net_dev(net));
	driver_start(&d, FEATURES, QUEUES, QUEUE);
}

static void destroy(void)
{
	virtio_net_destroy(net);
	ports_destroy(&p);
	fake_host_destroy(&h);
}

static void run(void)
{
	must(fake_host_run(&h) < SPINS);
}

/* --- the other worker --- */

static void scribble_word(struct bytes *b, _Atomic(uint64_t) *word)
{
	uint64_t v = take(b, 2);

	/* Mostly of the right generation, and near what is true. */
	if (v & 0x8000)
		v = take(b, 8);
	else
		v = 1ull << 32 | (v & 0x7fff);
	atomic_store(word, v);
}

/* The half of an address that a station chooses, of a few. */
static uint64_t chosen(struct bytes *b)
{
	return 0x5e21ull << 48 | (take(b, 1) & 31);
}

static void scribble(struct bytes *b)
{
	struct vnet_shared *s = p.of[1]->shared;
	unsigned what = (unsigned)take(b, 1);

	switch (what & 15) {
	case 0:
		scribble_word(b, &s->sleep);
		break;
	case 6:
		/* Mostly one that the guest may have, too. */
		atomic_store(&s->claimed.words[take(b, 1) % VNET_CLAIM_WORDS],
			     what & 0x80 ? take(b, 8) : chosen(b));
		break;
	case 7:
		atomic_store(&s->claimed.routes6, take(b, 1));
		break;
	case 1:
		scribble_word(b, &s->heads[0].head);
		break;
	case 2:
		scribble_word(b, &s->lines[0].tail);
		break;
	case 3:
		scribble_word(b, &s->lines[0].wants);
		break;
	case 4:
		atomic_store(&s->rings[0][take(b, 1)], take(b, 8));
		break;
	case 5:
		atomic_store(&s->rings[0][take(b, 1)],
			     vnet_desc(offsetof(struct vnet_shared, small) +
					       64 * take(b, 2),
				       (uint32_t)take(b, 3),
				       what & 0x40 ? VNET_REFS : VNET_INLINE,
				       what >> 7));
		break;
	default:
		(void)take_into(b, s->small[take(b, 1)], take(b, 1));
	}
	vnet_wake(p.waker[0]);
}

/* A header and a frame that are right, as long as they are. */
static void send_frame(struct bytes *b)
{
	struct vnet_peer *to = p.of[1]->peers[0];
	uint32_t bytes = 14 + (uint32_t)take(b, 2);
	struct vnet_buf buf;

	if (vnet_port_room(p.of[1], to, bytes))
		return;
	vnet_port_begin(p.of[1], bytes, &buf);
	memset(buf.bytes, 0, bytes);
	(void)take_into(b, buf.hdr, sizeof(*buf.hdr));
	vnet_port_send(p.of[1], &buf, to, bytes, true);
	vnet_port_flush(p.of[1]);
}

static void port_op(struct bytes *b)
{
	struct vnet_station s = ports_station(1);

	s.shares = true;
	if (take(b, 1) & 1) {
		virtio_net_remove_port(net, 1, 0);
	} else {
		gen += (uint32_t)take(b, 1);
		(void)!virtio_net_add_port(net, 1, gen, &s, dup(p.reader[1]),
					   dup(p.waker[1]));
	}
}

/* --- the guest --- */

static void give(struct bytes *b)
{
	unsigned how = (unsigned)take(b, 1), n = how % QUEUE;
	unsigned queue = NET_RX(how / QUEUE % PAIRS);

	ring_desc(&d.rings[queue], n, RX_GPA + n * 2048,
		  (uint32_t)take(b, 2) % 4096, D_WRITE, 0);
	ring_offer(&d.rings[queue], (uint16_t)n);
	driver_kick(&d, queue);
}

/* Mostly the number of pairs; else any command, of any length. */
static void control(struct bytes *b)
{
	struct ring *r = &d.rings[QUEUES - 1];
	uint8_t *at = fake_guest(&h, CTRL_GPA, 64);
	unsigned how = (unsigned)take(b, 1);

	memset(at, 0, 64);
	at[0] = how & 0x80 ? (uint8_t)take(b, 1) : 4;
	at[1] = how & 0x40 ? (uint8_t)take(b, 1) : 0;
	(void)take_into(b, at + 2, how & 0x20 ? 2 : 1);
	ring_desc(r, 0, CTRL_GPA, how & 0x10 ? how & 15 : 4, D_NEXT, 1);
	ring_desc(r, 1, CTRL_GPA + 63, 1, D_WRITE, 0);
	ring_offer(r, 0);
	driver_kick(&d, QUEUES - 1);
}

/* From its own address: then it is looked at. */
static void put(struct bytes *b)
{
	static const unsigned types[] = { ETHERTYPE_IP4, ETHERTYPE_ARP,
					  ETHERTYPE_IP6, 0 };
	struct vnet_station own = ports_station(0);
	unsigned how = (unsigned)take(b, 1);
	struct vnet_station to = ports_station(how & 3);
	uint8_t *at = fake_guest(&h, DATA_GPA, 4096), *f = at + HDR;
	uint32_t bytes = HDR + (uint32_t)take(b, 2);
	unsigned queue = NET_TX(bytes / 4096 % PAIRS);

	bytes = HDR + bytes % 4000;
	memset(at, 0, HDR);
	if (how & 0x80)
		(void)take_into(b, at, HDR);
	memcpy(f + ETH_DST, to.mac, 6);
	if (how & 0x40)
		memset(f + ETH_DST, 0xff, 6);
	memcpy(f + ETH_SRC, own.mac, 6);
	vnet_put16(f + ETH_TYPE, types[how >> 2 & 3]);
	(void)take_into(b, f + 14, 600);
	if (how & 0x20) {
		f[14] = 0x45;
		vnet_put16(f + 16, bytes);
		memcpy(f + 14 + IP4_SRC, own.ip, 4);
	}
	ring_desc(&d.rings[queue], 0, DATA_GPA, bytes, 0, 0);
	ring_offer(&d.rings[queue], 0);
	driver_kick(&d, queue);
}

/* An address of the prefix, or of the link. */
static void put_ip6(struct bytes *b, unsigned how, uint8_t ip[16])
{
	struct vnet_station s = ports_station(how & 3);

	vnet_ip6(how & 4 ? NULL : p.of[2]->plan.prefix6, s.mac, ip);
	if (how & 8)
		vnet_ip6_set_half(ip, chosen(b));
	if (how & 16)
		memset(ip, 0, 16);
}

/* Neighbour discovery, or what is like it, behind up to three headers. */
static void put_six(struct bytes *b)
{
	static const unsigned types[] = { ICMP6_WHO, ICMP6_ANSWER,
					  ICMP6_ROUTER_WHO,
					  ICMP6_ROUTER_ANSWER };
	static const unsigned headers[] = { IP6_HOP_OPTIONS, IP6_ROUTING,
					    IP6_FRAGMENT, IP6_DST_OPTIONS };
	unsigned how = (unsigned)take(b, 1), nr = how >> 2 & 3;
	uint8_t *at = fake_guest(&h, DATA_GPA, 4096), *f = at + HDR;
	uint8_t *ip = f + 14, *icmp = ip + IP6_BYTES + 8 * nr;
	uint32_t bytes = HDR + 14 + IP6_BYTES + 8 * nr + 24;
	uint8_t *next = ip + IP6_NEXT;

	memset(at, 0, 256);
	if (how & 0x80)
		(void)take_into(b, at, HDR);
	f[ETH_DST] = f[ETH_DST + 1] = 0x33;
	memcpy(f + ETH_SRC, ports_station(0).mac, 6);
	vnet_put16(f + ETH_TYPE, ETHERTYPE_IP6);
	ip[0] = 0x60;
	vnet_put16(ip + IP6_LEN, bytes - HDR - 14 - IP6_BYTES);
	ip[IP6_HOPS] = 255;
	for (unsigned i = 0; i < nr; i++) {
		*next = (uint8_t)headers[take(b, 1) & 3];
		next = ip + IP6_BYTES + 8 * i;
		(void)take_into(b, next + 1, how & 0x40 ? 3 : 0);
	}
	*next = PROTO_ICMP6;
	put_ip6(b, (unsigned)take(b, 1), ip + IP6_SRC);
	icmp[0] = (uint8_t)types[how & 3];
	put_ip6(b, (unsigned)take(b, 1), icmp + ICMP6_TARGET);
	vnet_put16(icmp + 2, vnet_icmp6_sum(ip, 24));
	if (how & 0x20)
		bytes -= (uint32_t)take(b, 1) & 63;
	ring_desc(&d.rings[NET_TX(0)], 0, DATA_GPA, bytes, 0, 0);
	ring_offer(&d.rings[NET_TX(0)], 0);
	driver_kick(&d, NET_TX(0));
}

/* An honest port's address stays its own, whatever the two enemies do. */
static uint8_t honest_ip[16];

static void claim_honest(void)
{
	memcpy(honest_ip, p.of[2]->plan.prefix6, VNET_PREFIX6);
	vnet_ip6_set_half(honest_ip, 0x5e21ull << 48 | 7);
	must(vnet_port_claim(p.of[2], honest_ip, 0) == 0);
	must(vnet_port_by_ip6(virtio_net_port(net), honest_ip) != NULL);
}

static void check_claims(void)
{
	struct vnet_port *own = virtio_net_port(net);
	struct vnet_peer *peer = vnet_port_by_ip6(own, honest_ip);
	uint8_t ip[16];

	must(peer && peer->slot == 2);
	must(!vnet_port_has_ip6(own, honest_ip));
	must(vnet_port_has_ip6(p.of[2], honest_ip));
	for (unsigned i = 0; i < VNET_CLAIMS; i++) {
		vnet_ip6(i < VNET_CLAIMS_LINK ? NULL : own->plan.prefix6,
			 own->station.mac, ip);
		vnet_ip6_set_half(ip, own->claims.words[i]);
		must(!own->claims.words[i] ||
		     vnet_ip6_is_free(ip, own->plan.prefix6));
	}
}

static void descriptor(struct bytes *b)
{
	unsigned queue = (unsigned)take(b, 1) % QUEUES;
	struct ring *r = &d.rings[queue];
	unsigned i = (unsigned)take(b, 1) % QUEUE;

	broken = true;
	ring_desc(r, i, take(b, 3), (uint32_t)take(b, 2),
		  (unsigned)take(b, 1) & 7, (unsigned)take(b, 1));
	ring_offer(r, (uint16_t)i);
	driver_kick(&d, queue);
}

static void step(struct bytes *b)
{
	switch (take(b, 1) % 15) {
	case 0:
	case 1:
	case 2:
		scribble(b);
		break;
	case 3:
	case 4:
		send_frame(b);
		break;
	case 5:
	case 6:
		give(b);
		break;
	case 7:
	case 8:
		put(b);
		break;
	case 9:
		descriptor(b);
		break;
	case 10:
		port_op(b);
		break;
	case 11:
		control(b);
		break;
	case 12:
	case 13:
		put_six(b);
		break;
	default:
		run();
	}
}

/* --- the end --- */

static void check_honest(void)
{
	struct vnet_station own = ports_station(0), other = ports_station(2);
	uint8_t *at = fake_guest(&h, DATA_GPA, 4096), *f = at + HDR;
	uint64_t before = virtio_net_port(net)->stats.received;
	struct vnet_frame frame;

	/* What it was sent before. */
	while (vnet_port_next(p.of[2], &frame))
		vnet_port_take(p.of[2], &frame);
	vnet_port_settle(p.of[2]);
	driver_start(&d, FEATURES, QUEUES, QUEUE);
	memset(at, 0, 128);
	memcpy(f + ETH_DST, other.mac, 6);
	memcpy(f + ETH_SRC, own.mac, 6);
	vnet_put16(f + ETH_TYPE, ETHERTYPE_IP4);
	f[14] = 0x45;
	memcpy(f + 14 + IP4_SRC, own.ip, 4);
	ring_desc(&d.rings[NET_QUEUE_TX], 0, DATA_GPA, HDR + 60, 0, 0);
	ring_offer(&d.rings[NET_QUEUE_TX], 0);
	driver_kick(&d, NET_QUEUE_TX);
	must(vnet_port_next(p.of[2], &frame));
	must(frame.len == 60);
	/* What others have sent comes first; the device takes what it can. */
	virtio_net_remove_port(net, 1, 0);
	must(ports_send(&p, 2, p.of[2]->peers[0], 60, 3) == 0);
	for (unsigned i = 0; i < QUEUE; i++) {
		ring_desc(&d.rings[NET_QUEUE_RX], i, RX_GPA + i * 2048, 2048,
			  D_WRITE, 0);
		ring_offer(&d.rings[NET_QUEUE_RX], (uint16_t)i);
	}
	driver_kick(&d, NET_QUEUE_RX);
	run();
	must(virtio_net_port(net)->stats.received > before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes b = { data, size };

	make();
	claim_honest();
	broken = false;
	gen = 1;
	for (unsigned i = 0; i < MAX_OPS && b.n; i++)
		step(&b);
	run();
	check_claims();
	must(h.stops == 0);
	must(broken || !(driver_status(&d) & VIRTIO_STATUS_NEEDS_RESET));
	check_honest();
	destroy();
	return 0;
}
