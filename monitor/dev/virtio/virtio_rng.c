/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/virtio/virtio_rng.h"

#include <sys/random.h>

/*
 * A request gets at most this much: a short answer is a valid one (5.4.6),
 * and a guest cannot keep the I/O thread busy with one huge buffer.
 */
#define RNG_CHUNK 256u
#define RNG_BATCH 64u

static enum virtio_served rng_serve(struct virtio_dev *v, unsigned queue)
{
	uint8_t buf[RNG_CHUNK];
	struct vq_chain c;
	ssize_t n;

	for (unsigned budget = RNG_BATCH; budget; budget--) {
		if (!virtio_pop(v, queue, &c))
			return SERVED_ALL;
		n = getrandom(buf, min_u64(sizeof(buf), c.in_bytes), 0);
		n = n < 0 ? 0 : n;
		n = (ssize_t)iov_write(c.iov + c.nr_out, c.nr_in, 0, buf,
				       (size_t)n);
		virtio_push(v, queue, c.head, (uint32_t)n);
	}
	return SERVED_SOME;
}

static const struct virtio_ops rng_ops = {
	.type = 4,
	.class_code = 0x00ff00,
	.nr_queues = 1,
	.serve = rng_serve,
};

int virtio_rng_init(struct virtio_rng *r, struct dev_host *host)
{
	return virtio_init(&r->v, host, &rng_ops, 0, NULL, 0);
}

void virtio_rng_destroy(struct virtio_rng *r)
{
	virtio_destroy(&r->v);
}
