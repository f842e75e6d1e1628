/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two guests with network devices of one network, one pair of queues each, and
 * the driver that their tests share; a third port is the test's own. For one test
 * program: everything is static.
 */
#ifndef TESTS_UNIT_NET_PAIR_H
#define TESTS_UNIT_NET_PAIR_H

#include <string.h>

#include "tests/unit/net/net_guests.h"
#include "tests/unit/support.h"
#include "vnet/packet.h"
#include "vnet/reply.h"

#define QUEUE 64u
#define HDR   NET_GUEST_HDR
#define NET   "lan"
#define RX    NET_QUEUE_RX
#define TX    NET_QUEUE_TX
#define CTRL  NET_QUEUE_CTRL

/* In guest memory. */
#define TX_GPA	 0x100000u
#define RX_GPA	 0x200000u
#define CTRL_GPA 0x0f0000u

static struct ports p;
static struct net_guest a, b;

static inline void start(uint64_t of_a, uint64_t of_b)
{
	ports_create(&p, 3);
	net_guest_create(&a, &p, 0, NET, 1);
	net_guest_create(&b, &p, 1, NET, 1);
	net_guest_start(&a, of_a, 3, QUEUE);
	net_guest_start(&b, of_b, 3, QUEUE);
}

static inline int setup(void **state)
{
	(void)state;
	start(NET_FEATURES, NET_FEATURES);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	net_guests_destroy(&a, &b);
	ports_destroy(&p);
	return 0;
}

static inline void run(void)
{
	net_guests_run(&a, &b);
}

/* --- the guest's driver --- */

/* Give @nr receive buffers of @bytes each. */
static inline void give(struct net_guest *g, unsigned nr, uint32_t bytes)
{
	for (unsigned i = 0; i < nr; i++, g->given[0]++) {
		unsigned n = g->given[0] % QUEUE;

		ring_desc(&g->d.rings[RX], n, RX_GPA + n * 0x12000u, bytes,
			  D_WRITE, 0);
		ring_offer(&g->d.rings[RX], (uint16_t)n);
	}
	driver_kick(&g->d, RX);
}

/* One chain: @bytes after a header, cut into pieces of @piece. */
static inline void put(struct net_guest *g, const struct vnet_hdr *hdr,
		       const uint8_t *frame, uint32_t bytes, uint32_t piece)
{
	uint8_t *at = fake_guest(&g->h, TX_GPA, HDR + bytes);
	struct ring *r = &g->d.rings[TX];
	uint32_t done = 0;
	unsigned n = 0;

	memset(at, 0, HDR);
	if (hdr)
		memcpy(at, hdr, sizeof(*hdr));
	memcpy(at + HDR, frame, bytes);
	while (done < HDR + bytes) {
		uint32_t len = (uint32_t)min_u64(piece, HDR + bytes - done);
		bool more = done + len < HDR + bytes;

		ring_desc(r, n, TX_GPA + done, len, more ? D_NEXT : 0, n + 1);
		done += len;
		n++;
	}
	ring_offer(r, 0);
	driver_kick(&g->d, TX);
	run();
}

static inline void sent(struct net_guest *g)
{
	uint32_t id, written;

	assert_true(ring_used(&g->d.rings[TX], &id, &written));
	assert_int_equal(id, 0);
	assert_int_equal(written, 0);
}

/*
 * A frame that the guest has received, out of all buffers that it was merged
 * in. Return: its length; 0: none.
 */
static inline uint32_t got(struct net_guest *g, struct vnet_hdr *hdr,
			   uint8_t *frame, uint32_t *first)
{
	uint32_t id, written, bytes = 0;
	unsigned nr = 1;

	for (unsigned i = 0; i < nr; i++) {
		const uint8_t *at;

		if (!ring_used(&g->d.rings[RX], &id, &written)) {
			assert_int_equal(i, 0);
			return 0;
		}
		at = fake_guest(&g->h, RX_GPA + id * 0x12000u, written);
		if (i == 0) {
			if (first)
				*first = written;
			memcpy(hdr, at, sizeof(*hdr));
			nr = at[10] | at[11] << 8;
			at += HDR;
			written -= HDR;
		}
		memcpy(frame + bytes, at, written);
		bytes += written;
	}
	return bytes;
}

static uint8_t frame[VNET_FRAME_MAX], in[VNET_FRAME_MAX + 0x12000];
static struct vnet_hdr hdr;

/* A TCP packet from @from to @to, of @bytes in all. */
static inline void tcp(uint32_t from, uint32_t to, uint32_t bytes)
{
	struct vnet_station s = ports_station(from), t = ports_station(to);

	for (uint32_t i = 0; i < bytes; i++)
		frame[i] = (uint8_t)(i * 7);
	memcpy(frame + ETH_DST, t.mac, 6);
	memcpy(frame + ETH_SRC, s.mac, 6);
	vnet_put16(frame + ETH_TYPE, ETHERTYPE_IP4);
	memset(frame + 14, 0, IP4_BYTES);
	frame[14] = 0x45;
	vnet_put16(frame + 14 + IP4_LEN, bytes - 14);
	frame[14 + IP4_PROTO] = 6;
	memcpy(frame + 14 + IP4_SRC, s.ip, 4);
	memcpy(frame + 14 + IP4_DST, t.ip, 4);
}

static const struct vnet_hdr tso = { .flags = VNET_HDR_NEEDS_CSUM,
				     .gso_type = VNET_GSO_TCPV4,
				     .hdr_len = 54,
				     .gso_size = 1460,
				     .csum_start = 34,
				     .csum_offset = 16 };

#define IN_PAIR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif
