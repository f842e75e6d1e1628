/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtqueue over a guest memory of the fuzzer's choice. The input is
 * queue size, flags, three ring addresses, then the memory from 0 on.
 * Checked: guarantees V2, V4 and V5 of virtqueue.h; V1 and V3 by the
 * sanitizers and the time limit.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "monitor/dev/virtio/virtqueue.h"
#include "tests/fuzz/bytes.h"
#include "tests/must.h"

#define RAM_BYTES 0x20000u
#define MAX_POPS  2000u

static struct ram_view ram;
static struct vq q;
static struct vq_chain chain;

static void make_ram(void)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	must(fd >= 0 && ftruncate(fd, RAM_BYTES) == 0);
	must(ram_view_create(&ram, fd, RAM_BYTES) == 0);
}

static void check_chain(void)
{
	unsigned n = chain.nr_out + chain.nr_in;
	uint64_t out = 0, in = 0;

	must(n <= VQ_MAX_IOV);
	must(chain.head < q.size);
	for (unsigned i = 0; i < n; i++) {
		uint64_t off =
			(uint64_t)((uint8_t *)chain.iov[i].iov_base - ram.hva);

		must(chain.iov[i].iov_len > 0);
		must(range_fits(off, chain.iov[i].iov_len, RAM_BYTES));
		*(i < chain.nr_out ? &out : &in) += chain.iov[i].iov_len;
	}
	must(out == chain.out_bytes && in == chain.in_bytes);
	must(q.in_flight <= q.size);
}

/* A broken queue stays broken, whatever is done to it. */
static void check_broken(void)
{
	must(q.why);
	must(vq_pop(&q, &chain) < 0);
	must(!vq_arm(&q));
}

static void pop_all(struct bytes *how)
{
	uint8_t byte = 0;
	int got;

	for (unsigned i = 0; i < MAX_POPS; i++) {
		got = vq_pop(&q, &chain);
		if (got < 0) {
			check_broken();
			return;
		}
		if (got == 0 && !vq_arm(&q))
			return;
		if (got == 0)
			continue;
		check_chain();
		(void)iov_read(chain.iov, chain.nr_out, 0, &byte, 1);
		(void)iov_write(chain.iov + chain.nr_out, chain.nr_in,
				chain.in_bytes ? chain.in_bytes - 1 : 0, &byte,
				1);
		switch (how->n ? take(how, 1) & 3 : 0) {
		case 3:
			break; /* kept in flight */
		case 2:
			vq_unpop(&q);
			(void)vq_wants_interrupt(&q);
			break;
		default:
			vq_push(&q, chain.head, 1);
			(void)vq_wants_interrupt(&q);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes b = { data, size }, how;
	uint16_t flags;

	if (!ram.hva)
		make_ram();
	memset(ram.hva, 0, RAM_BYTES);
	vq_reset(&q, &ram);
	flags = (uint16_t)take(&b, 1);
	q.size = (uint16_t)(flags & 1 ? take(&b, 2) : 1u << take(&b, 1) % 9);
	q.event_idx = flags & 2;
	q.desc_gpa = take(&b, 3) * (flags & 4 ? 1 : 16);
	q.avail_gpa = take(&b, 3) * (flags & 4 ? 1 : 2);
	q.used_gpa = take(&b, 3) * (flags & 4 ? 1 : 4);
	how = b;
	(void)take_into(&b, ram.hva, RAM_BYTES);
	if (vq_enable(&q) == 0)
		pop_all(&how);
	else
		must(q.why && !q.enabled);
	return 0;
}
