/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * References that a device carries: which frames it asks for, and what it passes
 * on to the other end.
 */
#include "tests/unit/net/net_guests.h"
#include "tests/unit/net/net_pair.h"

#define IMAGE 77u

/* What a device has asked, and what it has passed on. */
struct seen {
	unsigned finds, gots;
	uint64_t bytes; /* of the last frame that was asked for */
	bool begins;	/* with that frame's bytes */
	struct vnet_refs last;
};

static struct seen of_a, of_b;

static void find(void *arg, const struct iovec *iov, unsigned nr_iov,
		 size_t skip, struct vnet_refs *out)
{
	struct seen *s = arg;

	s->finds++;
	s->bytes = 0;
	s->begins = memcmp((const uint8_t *)iov[0].iov_base + skip, frame,
			   VNET_ETH_BYTES) == 0;
	for (unsigned i = 0; i < nr_iov; i++)
		s->bytes += iov[i].iov_len;
	s->bytes -= skip;
	must(vnet_refs_add(out, IMAGE, s->finds));
}

static void seen_got(void *arg, const struct vnet_refs *refs)
{
	struct seen *s = arg;

	s->gots++;
	s->last = *refs;
}

static const struct net_refs_ops ops = { .find = find, .got = seen_got };

static void use(bool shares)
{
	of_a = of_b = (struct seen){ .finds = 0 };
	virtio_net_use_refs(a.net, &ops, &of_a);
	virtio_net_use_refs(b.net, &ops, &of_b);
	virtio_net_port(a.net)->peers[1]->station.shares = shares;
	virtio_net_port(b.net)->peers[0]->station.shares = shares;
}

static void send_one(uint32_t bytes)
{
	tcp(0, 1, bytes);
	put(&a, &tso, frame, bytes, 4096);
	sent(&a);
	assert_int_equal(got(&b, &hdr, in, NULL), bytes);
	assert_memory_equal(in, frame, bytes);
}

static void large_frames_carry_them(void **state)
{
	(void)state;
	use(true);
	give(&b, 8, 4096);
	send_one(9000);
	assert_int_equal(of_a.finds, 1);
	assert_int_equal(of_a.bytes, 9000);
	assert_true(of_a.begins);
	assert_int_equal(of_b.gots, 1);
	assert_int_equal(of_b.last.image, IMAGE);
	assert_int_equal(of_b.last.runs[0], 1 << 8 | 1);
	/* Small ones are not even looked at: a vCPU may be who sends them. */
	send_one(VNET_SMALL_ROOM);
	assert_int_equal(of_a.finds, 1);
	assert_int_equal(of_b.gots, 1);
	assert_int_equal(of_b.finds, 0);
	assert_int_equal(of_a.gots, 0);
}

static void others_get_none(void **state)
{
	(void)state;
	use(false);
	give(&b, 8, 4096);
	send_one(9000);
	assert_int_equal(of_a.finds, 0);
	assert_int_equal(of_b.gots, 0);
}

/* A guest without buffers gets the frame later, and its references once. */
static void they_come_with_their_frame(void **state)
{
	(void)state;
	use(true);
	tcp(0, 1, 9000);
	put(&a, &tso, frame, 9000, 4096);
	sent(&a);
	assert_int_equal(of_b.gots, 0);
	give(&b, 1, 4096);
	run();
	assert_int_equal(of_b.gots, 0);
	give(&b, 3, 4096);
	run();
	assert_int_equal(got(&b, &hdr, in, NULL), 9000);
	assert_int_equal(of_b.gots, 1);
}

/* One that takes segments only gets all of the payload, too. */
static void cut_frames_have_them(void **state)
{
	(void)state;
	(void)teardown(NULL);
	start(NET_FEATURES,
	      NET_FEATURES & ~(NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6));
	use(true);
	give(&b, 8, 4096);
	tcp(0, 1, 9000);
	frame[14 + IP4_BYTES + 12] = 0x50;
	put(&a, &tso, frame, 9000, 4096);
	sent(&a);
	assert_true(got(&b, &hdr, in, NULL) > 1000);
	assert_int_equal(of_b.gots, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_PAIR(large_frames_carry_them),
		IN_PAIR(others_get_none),
		IN_PAIR(they_come_with_their_frame),
		IN_PAIR(cut_frames_have_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
