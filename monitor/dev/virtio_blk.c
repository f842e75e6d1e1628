/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/virtio_blk.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define SECTOR_BYTES 512u
#define BLK_SEG_MAX  126u /* a 128-descriptor chain with header and status */

/* 5.2.3 feature bits, 5.2.6 request types and status. */
#define F_SEG_MAX  (1ull << 2)
#define F_RO	   (1ull << 5)
#define F_BLK_SIZE (1ull << 6)
#define F_FLUSH	   (1ull << 9)
#define F_TOPOLOGY (1ull << 10)
#define F_DISCARD  (1ull << 13)
#define F_ZEROES   (1ull << 14)
#define T_IN	   0u
#define T_OUT	   1u
#define T_FLUSH	   4u
#define T_GET_ID   8u
#define T_DISCARD  11u
#define T_ZEROES   13u
#define S_OK	   0
#define S_IOERR	   1
#define S_UNSUPP   2

struct blk_config {	   /* 5.2.4, the fields offered */
	uint64_t capacity; /* sectors */
	uint32_t size_max, seg_max;
	uint16_t cylinders;
	uint8_t heads, sectors;
	uint32_t blk_size;
	uint8_t physical_block_exp, alignment_offset;
	uint16_t min_io_size;
	uint32_t opt_io_size;
	uint8_t writeback, unused0;
	uint16_t num_queues;
	uint32_t max_discard_sectors, max_discard_seg;
	uint32_t discard_sector_alignment;
	uint32_t max_write_zeroes_sectors, max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap, unused1[3];
};

struct blk_header { /* 5.2.6 */
	uint32_t type, reserved;
	uint64_t sector;
};

struct blk_range { /* 5.2.6, discard and write zeroes */
	uint64_t sector;
	uint32_t nr_sectors, flags;
};

#define RANGE_UNMAP	1u
#define ZERO_SECTORS	(1u << 21) /* in one request: 1 GiB */
#define BLOCK_EXP	3	   /* a COW file's blocks have 8 sectors */
#define DISCARD_SECTORS 8

_Static_assert(sizeof(struct blk_config) == 64, "virtio 5.2.4 layout");
_Static_assert(offsetof(struct blk_config, max_discard_sectors) == 36,
	       "virtio 5.2.4 layout");
_Static_assert(sizeof(struct blk_range) == 16, "virtio 5.2.6 layout");
_Static_assert(sizeof(struct blk_header) == 16, "virtio 5.2.6 layout");

/* A request; the chain lives as long as the backend works on it. */
struct blk_req {
	struct disk_req io;
	struct virtio_blk *blk;
	struct blk_req *next_free;
	uint32_t in_bytes; /* data bytes the guest gets when all goes well */
	struct vq_chain chain;
	struct iovec data[VQ_MAX_IOV];
};

struct virtio_blk {
	struct virtio_dev v;
	struct io_watch done_watch;
	struct disk *disk;
	uint64_t bytes;
	bool read_only;
	bool starved; /* serve() stopped for want of a request */
	char serial[DISK_SERIAL_MAX + 1];
	struct blk_req *free;
	unsigned nr_made;
};

static struct virtio_blk *from_dev(struct virtio_dev *v)
{
	return container_of(v, struct virtio_blk, v);
}

static struct blk_req *req_get(struct virtio_blk *b)
{
	struct blk_req *r = b->free;

	if (r) {
		b->free = r->next_free;
		return r;
	}
	if (b->nr_made == VIRTIO_BLK_DEPTH)
		return NULL;
	r = malloc(sizeof(*r));
	if (r) {
		r->blk = b;
		b->nr_made++;
	}
	return r;
}

static void req_put(struct virtio_blk *b, struct blk_req *r)
{
	r->next_free = b->free;
	b->free = r;
}

/* The status byte is the last writable one (5.2.6). */
static void finish(struct blk_req *r, uint8_t status, uint32_t data_bytes)
{
	struct virtio_blk *b = r->blk;
	struct vq_chain *c = &r->chain;

	(void)iov_write(c->iov + c->nr_out, c->nr_in, c->in_bytes - 1, &status,
			1);
	virtio_push(&b->v, 0, c->head, data_bytes + 1);
	req_put(b, r);
}

/* Cut [@skip, @skip + @bytes) out of pieces into r->data. Returns pieces. */
static unsigned cut(struct blk_req *r, unsigned first, unsigned n,
		    uint64_t skip, uint64_t bytes)
{
	unsigned out = 0;

	for (unsigned i = first; i < first + n && bytes; i++) {
		struct iovec v = r->chain.iov[i];
		uint64_t part = min_u64(skip, v.iov_len);

		skip -= part;
		v.iov_base = (char *)v.iov_base + part;
		v.iov_len = min_u64(v.iov_len - part, bytes);
		bytes -= v.iov_len;
		if (v.iov_len)
			r->data[out++] = v;
	}
	return out;
}

static void io_done(struct disk_req *io, int err)
{
	struct blk_req *r = container_of(io, struct blk_req, io);
	struct virtio_blk *b = r->blk;

	finish(r, err ? S_IOERR : S_OK, err ? 0 : r->in_bytes);
	virtio_release(&b->v);
}

static void start_io(struct virtio_blk *b, struct blk_req *r, enum disk_op op)
{
	r->io.op = op;
	r->io.iov = r->data;
	r->io.done = io_done;
	virtio_hold(&b->v);
	/* Depth is never exceeded: there are only that many requests. */
	if (disk_submit(b->disk, &r->io) < 0) {
		finish(r, S_IOERR, 0);
		virtio_release(&b->v);
	}
}

static void transfer(struct virtio_blk *b, struct blk_req *r, bool in,
		     uint64_t sector)
{
	struct vq_chain *c = &r->chain;
	uint64_t bytes = in ? c->in_bytes - 1
			    : c->out_bytes - sizeof(struct blk_header);

	if (bytes % SECTOR_BYTES || sector > b->bytes / SECTOR_BYTES ||
	    !range_fits(sector * SECTOR_BYTES, bytes, b->bytes) ||
	    (!in && b->read_only)) {
		finish(r, S_IOERR, 0);
		return;
	}
	if (bytes == 0) {
		finish(r, S_OK, 0);
		return;
	}
	r->in_bytes = in ? (uint32_t)bytes : 0;
	r->io.offset = sector * SECTOR_BYTES;
	if (in)
		r->io.nr_iov = cut(r, c->nr_out, c->nr_in, 0, bytes);
	else
		r->io.nr_iov =
			cut(r, 0, c->nr_out, sizeof(struct blk_header), bytes);
	start_io(b, r, in ? DISK_READ : DISK_WRITE);
}

/* One range; its pages need not be given back, only be zero. */
static void zero(struct virtio_blk *b, struct blk_req *r, bool discard)
{
	struct vq_chain *c = &r->chain;
	struct blk_range g;

	if (!disk_can_zero(b->disk)) {
		finish(r, S_UNSUPP, 0);
		return;
	}
	if (c->out_bytes != sizeof(struct blk_header) + sizeof(g) ||
	    iov_read(c->iov, c->nr_out, sizeof(struct blk_header), &g,
		     sizeof(g)) < sizeof(g) ||
	    g.nr_sectors > ZERO_SECTORS || b->read_only ||
	    !range_fits(g.sector, g.nr_sectors, b->bytes / SECTOR_BYTES)) {
		finish(r, S_IOERR, 0);
		return;
	}
	if (g.flags & (discard ? ~0u : ~RANGE_UNMAP)) {
		finish(r, S_UNSUPP, 0);
		return;
	}
	if (g.nr_sectors == 0) {
		finish(r, S_OK, 0);
		return;
	}
	r->io.offset = g.sector * SECTOR_BYTES;
	r->io.bytes = (uint64_t)g.nr_sectors * SECTOR_BYTES;
	start_io(b, r, discard ? DISK_DISCARD : DISK_WRITE_ZEROES);
}

static void get_id(struct virtio_blk *b, struct blk_req *r)
{
	struct vq_chain *c = &r->chain;
	char id[DISK_SERIAL_MAX] = { 0 };
	size_t n = min_u64(sizeof(id), c->in_bytes - 1);

	memcpy(id, b->serial, strnlen(b->serial, sizeof(id)));
	n = iov_write(c->iov + c->nr_out, c->nr_in, 0, id, n);
	finish(r, S_OK, (uint32_t)n);
}

static void start(struct virtio_blk *b, struct blk_req *r)
{
	struct vq_chain *c = &r->chain;
	struct blk_header h;

	if (c->in_bytes == 0 || c->in_bytes > UINT32_MAX ||
	    iov_read(c->iov, c->nr_out, 0, &h, sizeof(h)) < sizeof(h)) {
		virtio_needs_reset(&b->v, "request without header or status");
		req_put(b, r);
		return;
	}
	r->in_bytes = 0;
	r->io.nr_iov = 0;
	switch (h.type) {
	case T_IN:
		transfer(b, r, true, h.sector);
		break;
	case T_OUT:
		transfer(b, r, false, h.sector);
		break;
	case T_FLUSH:
		start_io(b, r, DISK_FLUSH);
		break;
	case T_DISCARD:
	case T_ZEROES:
		zero(b, r, h.type == T_DISCARD);
		break;
	case T_GET_ID:
		get_id(b, r);
		break;
	default:
		finish(r, S_UNSUPP, 0);
	}
}

static enum virtio_served serve(struct virtio_dev *v, unsigned queue)
{
	struct virtio_blk *b = from_dev(v);
	struct blk_req *r;

	for (unsigned budget = VQ_MAX_SIZE; budget; budget--) {
		r = req_get(b);
		if (!r) {
			b->starved = true;
			return SERVED_WAIT; /* completed() goes on */
		}
		if (!virtio_pop(v, queue, &r->chain)) {
			req_put(b, r);
			return SERVED_ALL;
		}
		start(b, r);
	}
	return SERVED_SOME;
}

static void completed(struct io_watch *w, uint32_t events)
{
	struct virtio_blk *b = container_of(w, struct virtio_blk, done_watch);
	bool again;

	(void)events;
	(void)pthread_mutex_lock(&b->v.lock);
	disk_complete(b->disk);
	again = b->starved;
	b->starved = false;
	(void)pthread_mutex_unlock(&b->v.lock);
	if (again)
		virtio_serve(&b->v, 0);
}

int virtio_blk_drain(struct virtio_blk *b, int ms)
{
	struct pollfd p = { .fd = b->done_watch.fd, .events = POLLIN };
	int err = 0;

	(void)pthread_mutex_lock(&b->v.lock);
	while (b->v.in_flight && !err) {
		int n;

		disk_hurry(b->disk);
		n = poll(&p, 1, ms);
		if (n == 0)
			err = -ETIMEDOUT;
		else if (n < 0 && errno != EINTR)
			err = -errno;
		else
			disk_complete(b->disk);
	}
	(void)pthread_mutex_unlock(&b->v.lock);
	return err;
}

void virtio_blk_go_on(struct virtio_blk *b)
{
	completed(&b->done_watch, 0);
}

static const struct virtio_ops blk_ops = {
	.type = 2,
	.class_code = 0x018000,
	.nr_queues = 1,
	.serve = serve,
};

static void offer_zero(struct blk_config *c)
{
	c->physical_block_exp = BLOCK_EXP;
	c->max_discard_sectors = ZERO_SECTORS;
	c->max_discard_seg = 1;
	c->discard_sector_alignment = DISCARD_SECTORS;
	c->max_write_zeroes_sectors = ZERO_SECTORS;
	c->max_write_zeroes_seg = 1;
	c->write_zeroes_may_unmap = 1;
}

int virtio_blk_create(struct dev_host *host, struct disk *disk, uint64_t bytes,
		      bool read_only, const char *serial,
		      struct virtio_blk **out)
{
	struct blk_config config = { .capacity = bytes / SECTOR_BYTES,
				     .seg_max = BLK_SEG_MAX,
				     .blk_size = SECTOR_BYTES };
	uint64_t features = F_SEG_MAX | F_BLK_SIZE | F_FLUSH |
			    (read_only ? F_RO : 0);
	unsigned config_bytes = offsetof(struct blk_config, physical_block_exp);
	struct virtio_blk *b = calloc(1, sizeof(*b));
	int err;

	if (!b) {
		disk_close(disk);
		return -ENOMEM;
	}
	if (disk_can_zero(disk)) {
		offer_zero(&config);
		features |= F_TOPOLOGY | F_DISCARD | F_ZEROES;
		config_bytes = sizeof(config);
	}
	b->disk = disk;
	b->bytes = bytes;
	b->read_only = read_only;
	(void)snprintf(b->serial, sizeof(b->serial), "%s", serial);
	err = virtio_init(&b->v, host, &blk_ops, features, &config,
			  config_bytes);
	b->done_watch = (struct io_watch){ .fd = disk_event_fd(disk),
					   .ready = completed };
	if (!err && b->done_watch.fd >= 0)
		err = host->ops->watch(host, &b->done_watch, EPOLLIN);
	if (err) {
		virtio_blk_destroy(b);
		return err;
	}
	*out = b;
	return 0;
}

int virtio_blk_settle(struct virtio_blk *b)
{
	int err;

	if (!b)
		return 0;
	(void)pthread_mutex_lock(&b->v.lock);
	err = disk_settle(b->disk);
	(void)pthread_mutex_unlock(&b->v.lock);
	return err;
}

void virtio_blk_destroy(struct virtio_blk *b)
{
	struct blk_req *r;

	if (!b)
		return;
	virtio_destroy(&b->v);
	disk_close(b->disk);
	while ((r = b->free)) {
		b->free = r->next_free;
		free(r);
	}
	free(b);
}

struct virtio_dev *virtio_blk_dev(struct virtio_blk *b)
{
	return &b->v;
}
