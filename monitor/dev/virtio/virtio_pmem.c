/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/virtio/virtio_pmem.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

/* 5.19.4, 5.19.6. */
#define REQ_FLUSH 0u
#define RESP_OK	  0u
#define RESP_EIO  1u

#define ANSWER_BYTES 4u /* so it is in four pieces at most */

struct pmem_config {
	uint64_t start, size;
};

_Static_assert(sizeof(struct pmem_config) == 16, "virtio 5.19.4 layout");

/* A flush under way. */
struct pmem_req {
	struct dax_req flush;
	struct virtio_pmem *pmem;
	struct pmem_req *next_free;
	uint16_t head;
	unsigned nr;
	struct iovec answer[ANSWER_BYTES];
};

struct virtio_pmem {
	struct virtio_dev v;
	struct io_watch done_watch;
	struct dax *dax; /* [I] NULL: memory alone */
	struct pmem_req *free;
	struct pmem_req reqs[VQ_MAX_SIZE]; /* one a chain: never too few */
};

static struct virtio_pmem *pmem_from_dev(struct virtio_dev *v)
{
	return container_of(v, struct virtio_pmem, v);
}

static void pmem_finish(struct pmem_req *r, uint32_t answer)
{
	struct virtio_pmem *p = r->pmem;

	(void)iov_write(r->answer, r->nr, 0, &answer, sizeof(answer));
	virtio_push(&p->v, 0, r->head, sizeof(answer));
	r->next_free = p->free;
	p->free = r;
}

static void pmem_flushed(struct dax_req *f, int err)
{
	struct pmem_req *r = container_of(f, struct pmem_req, flush);
	struct virtio_dev *v = &r->pmem->v;

	pmem_finish(r, err ? RESP_EIO : RESP_OK);
	virtio_release(v);
}

/* The chain is gone before the answer is known: where it goes is not. */
static void keep_answer(struct pmem_req *r, const struct vq_chain *c)
{
	const struct iovec *in = c->iov + c->nr_out;
	uint64_t left = ANSWER_BYTES;

	r->head = c->head;
	for (r->nr = 0; left; r->nr++) {
		r->answer[r->nr] = in[r->nr];
		left -= min_u64(left, in[r->nr].iov_len);
	}
}

static void pmem_start(struct virtio_pmem *p, const struct vq_chain *c)
{
	struct pmem_req *r = p->free;
	uint32_t type;

	if (c->in_bytes < ANSWER_BYTES) {
		virtio_needs_reset(&p->v, "request without room for an answer");
		return;
	}
	p->free = r->next_free;
	keep_answer(r, c);
	if (iov_read(c->iov, c->nr_out, 0, &type, sizeof(type)) <
		    sizeof(type) ||
	    type != REQ_FLUSH) {
		pmem_finish(r, RESP_EIO);
		return;
	}
	if (!p->dax) {
		pmem_finish(r, RESP_OK);
		return;
	}
	virtio_hold(&p->v);
	dax_flush(p->dax, &r->flush);
}

static enum virtio_served pmem_serve(struct virtio_dev *v, unsigned queue)
{
	struct virtio_pmem *p = pmem_from_dev(v);
	struct vq_chain c;

	for (unsigned budget = VQ_MAX_SIZE; budget; budget--) {
		if (!virtio_pop(v, queue, &c))
			return SERVED_ALL;
		pmem_start(p, &c);
	}
	return SERVED_SOME;
}

static void pmem_completed(struct io_watch *w, uint32_t events)
{
	struct virtio_pmem *p = container_of(w, struct virtio_pmem, done_watch);

	(void)events;
	(void)pthread_mutex_lock(&p->v.lock);
	dax_ready(p->dax);
	(void)pthread_mutex_unlock(&p->v.lock);
}

static const struct virtio_ops pmem_ops = {
	.type = 27,
	.class_code = 0x00ff00,
	.nr_queues = 1,
	.serve = pmem_serve,
};

static int pmem_create(struct dev_host *host, struct dax *dax,
		       const struct ram_window *w, struct virtio_pmem **out)
{
	struct pmem_config config = { .start = w->gpa, .size = w->bytes };
	struct virtio_pmem *p = calloc(1, sizeof(*p));
	int err;

	if (!p) {
		if (dax)
			dax_destroy(dax);
		return -ENOMEM;
	}
	p->dax = dax;
	for (unsigned i = 0; i < VQ_MAX_SIZE; i++) {
		p->reqs[i].pmem = p;
		p->reqs[i].flush.done = pmem_flushed;
		p->reqs[i].next_free = p->free;
		p->free = &p->reqs[i];
	}
	err = virtio_init(&p->v, host, &pmem_ops, 0, &config, sizeof(config));
	p->done_watch = (struct io_watch){ .fd = dax ? dax_event_fd(dax) : -1,
					   .ready = pmem_completed };
	if (!err && p->done_watch.fd >= 0)
		err = host->ops->watch(host, &p->done_watch, EPOLLIN);
	if (err) {
		virtio_pmem_destroy(p);
		return err;
	}
	*out = p;
	return 0;
}

int virtio_pmem_create(struct dev_host *host, struct dax *dax,
		       struct virtio_pmem **out)
{
	return pmem_create(host, dax, dax_window(dax), out);
}

int virtio_pmem_create_plain(struct dev_host *host, const struct ram_window *w,
			     struct virtio_pmem **out)
{
	return pmem_create(host, NULL, w, out);
}

int virtio_pmem_settle(struct virtio_pmem *p)
{
	int err;

	if (!p || !p->dax)
		return 0;
	(void)pthread_mutex_lock(&p->v.lock);
	err = dax_settle(p->dax);
	(void)pthread_mutex_unlock(&p->v.lock);
	return err;
}

void virtio_pmem_destroy(struct virtio_pmem *p)
{
	if (!p)
		return;
	virtio_destroy(&p->v);
	if (p->dax)
		dax_destroy(p->dax);
	free(p);
}

struct virtio_dev *virtio_pmem_dev(struct virtio_pmem *p)
{
	return &p->v;
}
