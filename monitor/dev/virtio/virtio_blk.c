/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/virtio/virtio_blk.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/dev/virtio/rate.h"

#define SECTOR_BYTES 512u
#define BLK_SEG_MAX  126u /* a 128-descriptor chain with header and status */

/* 5.2.3 feature bits, 5.2.6 request types and status. */
#define F_SEG_MAX  (1ull << 2)
#define F_RO	   (1ull << 5)
#define F_BLK_SIZE (1ull << 6)
#define F_FLUSH	   (1ull << 9)
#define F_TOPOLOGY (1ull << 10)
#define F_MQ	   (1ull << 12)
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
_Static_assert(offsetof(struct blk_config, num_queues) == 34,
	       "virtio 5.2.4 layout");
_Static_assert(offsetof(struct blk_config, max_discard_sectors) == 36,
	       "virtio 5.2.4 layout");
_Static_assert(sizeof(struct blk_range) == 16, "virtio 5.2.6 layout");
_Static_assert(sizeof(struct blk_header) == 16, "virtio 5.2.6 layout");
_Static_assert(DISK_MAX_QUEUES <= VIRTIO_MAX_QUEUES, "a place a queue");
_Static_assert(DISK_MAX_QUEUES < MSIX_MAX, "a vector a queue");
_Static_assert(DISK_MAX_IOPS <= RATE_MAX && DISK_MAX_BPS <= RATE_MAX,
	       "a bucket can have it");
_Static_assert(VIRTIO_BLK_DEPTH / 2 >= DISK_MAX_QUEUES, "a request a queue");

/* A request; the chain lives as long as the backend works on it. */
struct blk_req {
	struct disk_req io;
	struct virtio_blk *blk;
	struct blk_req *next_free;
	unsigned queue;
	struct blk_header head; /* the copy that counts */
	uint32_t in_bytes; /* data bytes the guest gets when all goes well */
	struct vq_chain chain;
	struct iovec data[VQ_MAX_IOV];
};

struct virtio_blk {
	struct virtio_dev v;
	struct virtio_ops ops; /* [I] as many queues as this disk has */
	struct io_watch done_watch;
	struct disk *disk;
	uint64_t bytes;
	bool read_only;
	char serial[DISK_SERIAL_MAX + 1];
	/*
	 * From here on, but where [I]: I/O thread only.
	 * The pool of VIRTIO_BLK_DEPTH requests; see the header.
	 */
	struct blk_req *free;
	unsigned own;			/* [I] a queue's part of it */
	unsigned common;		/* not used, and in no queue's part */
	unsigned held[DISK_MAX_QUEUES]; /* by requests of the queue */
	uint32_t starved;		/* queues that want one, a bit each */
	unsigned turn;			/* queue that gets the next one first */
	/* Limits; see the header. */
	struct io_watch timer; /* [I] fd -1: no limits */
	struct rate iops, bps;
	uint32_t in_line;   /* queues that wait for them, a bit each */
	unsigned line_turn; /* queue that goes ahead first */
	bool armed;	    /* the timer is, for the one with the turn */
	bool their_turn;    /* who is in line is being served */
};

static struct virtio_blk *blk_from_dev(struct virtio_dev *v)
{
	return container_of(v, struct virtio_blk, v);
}

static struct blk_req *req_get(struct virtio_blk *b, unsigned queue)
{
	bool own = b->held[queue] < b->own;
	struct blk_req *r = b->free;

	if (!own && b->common == 0)
		return NULL;
	if (r)
		b->free = r->next_free;
	else
		r = malloc(sizeof(*r));
	if (!r)
		return NULL;
	r->blk = b;
	r->queue = queue;
	b->held[queue]++;
	if (!own)
		b->common--;
	return r;
}

static void req_put(struct virtio_blk *b, struct blk_req *r)
{
	if (b->held[r->queue]-- > b->own)
		b->common++;
	r->next_free = b->free;
	b->free = r;
}

/* The status byte is the last writable one (5.2.6). */
static void blk_finish(struct blk_req *r, uint8_t status, uint32_t data_bytes)
{
	struct virtio_blk *b = r->blk;
	struct vq_chain *c = &r->chain;

	(void)iov_write(c->iov + c->nr_out, c->nr_in, c->in_bytes - 1, &status,
			1);
	virtio_push(&b->v, r->queue, c->head, data_bytes + 1);
	req_put(b, r);
}

/* Cut [@skip, @skip + @bytes) out of pieces into r->data. Returns pieces. */
static unsigned blk_cut(struct blk_req *r, unsigned first, unsigned n,
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

/*
 * 5.2.6.2: what a driver writes that did not take the offer of flushes is
 * stable once it is told.
 */
static bool wants_flush(const struct virtio_blk *b, enum disk_op op)
{
	return op != DISK_READ && op != DISK_FLUSH &&
	       !(b->v.driver_features & F_FLUSH);
}

static void io_done(struct disk_req *io, int err)
{
	struct blk_req *r = container_of(io, struct blk_req, io);
	struct virtio_blk *b = r->blk;

	if (!err && wants_flush(b, io->op)) {
		io->op = DISK_FLUSH;
		err = disk_submit(b->disk, io);
		if (!err)
			return; /* and here again */
	}
	blk_finish(r, err ? S_IOERR : S_OK, err ? 0 : r->in_bytes);
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
		blk_finish(r, S_IOERR, 0);
		virtio_release(&b->v);
	}
}

/* Of a read or a write. */
static uint64_t data_bytes(const struct blk_req *r)
{
	if (r->head.type == T_IN)
		return r->chain.in_bytes - 1;
	return r->chain.out_bytes - sizeof(struct blk_header);
}

static void blk_transfer(struct virtio_blk *b, struct blk_req *r)
{
	struct vq_chain *c = &r->chain;
	uint64_t bytes = data_bytes(r), sector = r->head.sector;
	bool in = r->head.type == T_IN;

	if (bytes % SECTOR_BYTES || sector > b->bytes / SECTOR_BYTES ||
	    !range_fits(sector * SECTOR_BYTES, bytes, b->bytes) ||
	    (!in && b->read_only)) {
		blk_finish(r, S_IOERR, 0);
		return;
	}
	if (bytes == 0) {
		blk_finish(r, S_OK, 0);
		return;
	}
	r->in_bytes = in ? (uint32_t)bytes : 0;
	r->io.offset = sector * SECTOR_BYTES;
	if (in)
		r->io.nr_iov = blk_cut(r, c->nr_out, c->nr_in, 0, bytes);
	else
		r->io.nr_iov = blk_cut(r, 0, c->nr_out,
				       sizeof(struct blk_header), bytes);
	start_io(b, r, in ? DISK_READ : DISK_WRITE);
}

/* One range; its pages need not be given back, only be zero. */
static void blk_zero(struct virtio_blk *b, struct blk_req *r)
{
	bool discard = r->head.type == T_DISCARD;
	struct vq_chain *c = &r->chain;
	struct blk_range g;

	if (!disk_can_zero(b->disk)) {
		blk_finish(r, S_UNSUPP, 0);
		return;
	}
	if (c->out_bytes != sizeof(struct blk_header) + sizeof(g) ||
	    iov_read(c->iov, c->nr_out, sizeof(struct blk_header), &g,
		     sizeof(g)) < sizeof(g)) {
		blk_finish(r, S_IOERR, 0);
		return;
	}
	/* 5.2.6.2: whatever else is wrong. */
	if (g.flags & (discard ? ~0u : ~RANGE_UNMAP)) {
		blk_finish(r, S_UNSUPP, 0);
		return;
	}
	if (g.nr_sectors > ZERO_SECTORS || b->read_only ||
	    !range_fits(g.sector, g.nr_sectors, b->bytes / SECTOR_BYTES)) {
		blk_finish(r, S_IOERR, 0);
		return;
	}
	if (g.nr_sectors == 0) {
		blk_finish(r, S_OK, 0);
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
	blk_finish(r, S_OK, (uint32_t)n);
}

/* Copies the header: the guest may write another one at any time. */
static bool has_header(struct blk_req *r)
{
	struct vq_chain *c = &r->chain;

	return c->in_bytes > 0 && c->in_bytes <= UINT32_MAX &&
	       iov_read(c->iov, c->nr_out, 0, &r->head, sizeof(r->head)) ==
		       sizeof(r->head);
}

static void blk_start(struct virtio_blk *b, struct blk_req *r)
{
	r->in_bytes = 0;
	r->io.nr_iov = 0;
	switch (r->head.type) {
	case T_IN:
	case T_OUT:
		blk_transfer(b, r);
		break;
	case T_FLUSH:
		start_io(b, r, DISK_FLUSH);
		break;
	case T_DISCARD:
	case T_ZEROES:
		blk_zero(b, r);
		break;
	case T_GET_ID:
		get_id(b, r);
		break;
	default:
		blk_finish(r, S_UNSUPP, 0);
	}
}

/* --- limits --- */

static void blk_arm(struct virtio_blk *b, uint64_t ns)
{
	struct itimerspec t = { .it_value = {
					.tv_sec = (time_t)(ns / 1000000000u),
					.tv_nsec = (long)(ns % 1000000000u) } };

	b->armed = true;
	(void)timerfd_settime(b->timer.fd, 0, &t, NULL);
}

/* Whether @r, which would go next, has to wait; else it is accounted for. */
static bool blk_has_to_wait(struct virtio_blk *b, const struct blk_req *r)
{
	uint64_t bytes = 0, now = clock_now_ns(), ns;

	/* What is larger than the disk is going to be refused. */
	if (r->head.type == T_IN || r->head.type == T_OUT)
		bytes = min_u64(data_bytes(r), b->bytes);
	ns = max_u64(rate_wait_ns(&b->iops, 1, now),
		     rate_wait_ns(&b->bps, bytes, now));
	if (ns) {
		blk_arm(b, ns);
		return true;
	}
	rate_take(&b->iops, 1, now);
	rate_take(&b->bps, bytes, now);
	return false;
}

static enum virtio_served wait_in_line(struct virtio_blk *b, unsigned queue)
{
	b->in_line |= 1u << queue;
	return SERVED_WAIT; /* serve_line() goes on */
}

/* --- queues --- */

/* How many requests one turn of a queue may take; 0: others are first. */
static unsigned turn_of(const struct virtio_blk *b)
{
	if (b->in_line)
		return b->their_turn ? 1 : 0;
	/*
	 * With more queues a shorter turn: all of them together are a bounded
	 * time away from whatever else the I/O thread does.
	 */
	return VQ_MAX_SIZE / b->ops.nr_queues;
}

static enum virtio_served blk_serve(struct virtio_dev *v, unsigned queue)
{
	struct virtio_blk *b = blk_from_dev(v);
	struct blk_req *r;

	for (unsigned budget = turn_of(b); budget; budget--) {
		r = req_get(b, queue);
		if (!r) {
			b->starved |= 1u << queue;
			return SERVED_WAIT; /* blk_completed() goes on */
		}
		if (!virtio_pop(v, queue, &r->chain)) {
			req_put(b, r);
			return SERVED_ALL;
		}
		if (!has_header(r)) {
			virtio_needs_reset(v, "request without header or "
					      "status");
			req_put(b, r);
			return SERVED_ALL;
		}
		if (b->timer.fd >= 0 && blk_has_to_wait(b, r)) {
			vq_unpop(&v->queues[queue].vq);
			req_put(b, r);
			return wait_in_line(b, queue);
		}
		blk_start(b, r);
	}
	return b->in_line ? wait_in_line(b, queue) : SERVED_SOME;
}

/* The first of @queues, not 0, from @turn on. */
static unsigned next_queue(const struct virtio_blk *b, uint32_t queues,
			   unsigned turn)
{
	while (!(queues & 1u << turn))
		turn = (turn + 1) % b->ops.nr_queues;
	return turn;
}

/* Queues in line, one request a turn, until one has to wait. */
static void serve_line(struct io_watch *w, uint32_t events)
{
	struct virtio_blk *b = container_of(w, struct virtio_blk, timer);
	unsigned budget = VQ_MAX_SIZE, queue;
	uint64_t count;

	(void)events;
	if (read(w->fd, &count, sizeof(count)) < 0)
		return;
	b->armed = false;
	b->their_turn = true;
	while (b->in_line && !b->armed && budget--) {
		queue = next_queue(b, b->in_line, b->line_turn);
		b->in_line &= ~(1u << queue);
		virtio_serve(&b->v, queue);
		/* Who has to wait keeps the turn. */
		b->line_turn = (queue + !b->armed) % b->ops.nr_queues;
	}
	b->their_turn = false;
	if (b->in_line && !b->armed)
		blk_arm(b, 1); /* other descriptors have their turn */
}

static void blk_completed(struct io_watch *w, uint32_t events)
{
	struct virtio_blk *b = container_of(w, struct virtio_blk, done_watch);
	unsigned nr = b->ops.nr_queues, first;
	uint32_t starved;

	(void)events;
	(void)pthread_mutex_lock(&b->v.lock);
	disk_complete(b->disk);
	starved = b->starved;
	b->starved = 0;
	(void)pthread_mutex_unlock(&b->v.lock);
	if (!starved)
		return;
	first = next_queue(b, starved, b->turn);
	b->turn = (first + 1) % nr;
	for (unsigned i = 0; i < nr; i++)
		if (starved & 1u << (first + i) % nr)
			virtio_serve(&b->v, (first + i) % nr);
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

bool virtio_blk_idle(struct virtio_blk *b)
{
	bool idle;

	(void)pthread_mutex_lock(&b->v.lock);
	idle = b->v.in_flight == 0;
	(void)pthread_mutex_unlock(&b->v.lock);
	return idle;
}

void virtio_blk_go_on(struct virtio_blk *b)
{
	blk_completed(&b->done_watch, 0);
}

static const struct virtio_ops blk_ops = {
	.type = 2,
	.class_code = 0x018000,
	.serve = blk_serve,
};

static void share_out(struct virtio_blk *b, unsigned queues)
{
	b->ops = blk_ops;
	b->ops.nr_queues = queues;
	b->own = VIRTIO_BLK_DEPTH / 2 / queues;
	b->common = VIRTIO_BLK_DEPTH - b->own * queues;
}

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
		      bool read_only, const char *serial, unsigned queues,
		      struct virtio_blk **out)
{
	struct blk_config config = { .capacity = bytes / SECTOR_BYTES,
				     .seg_max = BLK_SEG_MAX,
				     .blk_size = SECTOR_BYTES,
				     .num_queues = (uint16_t)queues };
	uint64_t features = F_SEG_MAX | F_BLK_SIZE | F_FLUSH |
			    (read_only ? F_RO : 0);
	unsigned config_bytes = offsetof(struct blk_config, physical_block_exp);
	struct virtio_blk *b = calloc(1, sizeof(*b));
	int err;

	if (!b) {
		disk_close(disk);
		return -ENOMEM;
	}
	if (queues > 1) {
		features |= F_MQ;
		config_bytes = offsetof(struct blk_config, max_discard_sectors);
	}
	if (disk_can_zero(disk) && !read_only) {
		offer_zero(&config);
		features |= F_TOPOLOGY | F_DISCARD | F_ZEROES;
		config_bytes = sizeof(config);
	}
	share_out(b, queues);
	b->timer.fd = -1;
	b->disk = disk;
	b->bytes = bytes;
	b->read_only = read_only;
	(void)snprintf(b->serial, sizeof(b->serial), "%s", serial);
	err = virtio_init(&b->v, host, &b->ops, features, &config,
			  config_bytes);
	b->done_watch = (struct io_watch){ .fd = disk_event_fd(disk),
					   .ready = blk_completed };
	if (!err && b->done_watch.fd >= 0)
		err = host->ops->watch(host, &b->done_watch, EPOLLIN);
	if (err) {
		virtio_blk_destroy(b);
		return err;
	}
	*out = b;
	return 0;
}

int virtio_blk_limit(struct virtio_blk *b, uint64_t iops, uint64_t bps)
{
	struct dev_host *host = b->v.host;

	if (!iops && !bps)
		return 0;
	rate_init(&b->iops, iops);
	rate_init(&b->bps, bps);
	b->timer = (struct io_watch){
		.fd = timerfd_create(CLOCK_MONOTONIC,
				     TFD_CLOEXEC | TFD_NONBLOCK),
		.ready = serve_line,
	};
	if (b->timer.fd < 0)
		return -errno;
	return host->ops->watch(host, &b->timer, EPOLLIN);
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
	if (b->timer.fd >= 0)
		(void)close(b->timer.fd);
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
