/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/virtio/virtio_balloon.h"

#include <string.h>

#define INFLATE 0u
#define DEFLATE 1u
/*
 * The statistics and free page hint queues, 2 and 3, exist with features that
 * are not offered. The numbers of 5.5.2 make reporting queue 4 all the same;
 * Linux counts only those that exist, and makes it 2.
 */
#define NR_QUEUES 5u
#define BATCH	  4u /* requests a call */

/* 5.5.4; what the driver writes to @actual is of no use to us. */
struct balloon_config {
	uint32_t num_pages, actual, free_page_hint_cmd_id, poison_val;
};

/* Pages in a row. */
struct balloon_run {
	uint64_t first, nr;
};

static void give_back(struct virtio_dev *v, const struct balloon_run *r)
{
	if (r->nr)
		v->host->ops->free_pages(v->host, (gfn_t){ r->first }, r->nr);
}

/* Linux takes pages for the balloon one by one: up or down, often in a row. */
static void add_pfn(struct virtio_dev *v, struct balloon_run *r, uint64_t pfn)
{
	if (r->nr && pfn == r->first + r->nr) {
		r->nr++;
	} else if (r->nr && pfn + 1 == r->first) {
		r->first--;
		r->nr++;
	} else {
		give_back(v, r);
		*r = (struct balloon_run){ pfn, 1 };
	}
}

static void balloon_inflate(struct virtio_dev *v, const struct vq_chain *c)
{
	uint32_t pfns[BALLOON_MAX_PFNS];
	size_t bytes = iov_read(c->iov, c->nr_out, 0, pfns, sizeof(pfns));
	struct balloon_run r = { 0, 0 };

	for (size_t i = 0; i < bytes / sizeof(pfns[0]); i++)
		add_pfn(v, &r, pfns[i]);
	give_back(v, &r);
}

static void balloon_report(struct virtio_dev *v, const struct vq_chain *c)
{
	uint64_t left = BALLOON_MAX_PAGES;

	for (unsigned i = c->nr_out; i < c->nr_out + c->nr_in && left; i++) {
		uint64_t at = ram_gpa(v->host->ram, c->iov[i].iov_base).v;
		uint64_t first = align_up(at, PAGE_BYTES) / PAGE_BYTES;
		uint64_t end = (at + c->iov[i].iov_len) / PAGE_BYTES;
		struct balloon_run r = { first, 0 };

		if (end > first)
			r.nr = min_u64(end - first, left);
		give_back(v, &r);
		left -= r.nr;
	}
}

static enum virtio_served balloon_serve(struct virtio_dev *v, unsigned queue)
{
	struct vq_chain c;

	for (unsigned budget = BATCH; budget; budget--) {
		if (!virtio_pop(v, queue, &c))
			return SERVED_ALL;
		if (queue == INFLATE)
			balloon_inflate(v, &c);
		else if (queue != DEFLATE)
			balloon_report(v, &c);
		virtio_push(v, queue, c.head, 0);
	}
	return SERVED_SOME;
}

static const struct virtio_ops balloon_ops = {
	.type = 5,
	.class_code = 0x00ff00,
	.nr_queues = NR_QUEUES,
	.serve = balloon_serve,
};

int virtio_balloon_init(struct virtio_balloon *b, struct dev_host *host)
{
	const struct balloon_config none = { 0, 0, 0, 0 };

	return virtio_init(&b->v, host, &balloon_ops,
			   BALLOON_F_DEFLATE_ON_OOM | BALLOON_F_REPORTING,
			   &none, sizeof(none));
}

void virtio_balloon_destroy(struct virtio_balloon *b)
{
	virtio_destroy(&b->v);
}

void virtio_balloon_set_target(struct virtio_balloon *b, uint32_t pages)
{
	virtio_set_config(&b->v, offsetof(struct balloon_config, num_pages),
			  &pages, sizeof(pages));
}
