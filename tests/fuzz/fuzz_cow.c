/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Header and bitmap of a copy-on-write file nobody vouches for: the input
 * itself (first byte even), or a good header with changes and a checksum that
 * fits. Checked: what is accepted satisfies the layout's bounds, no block past
 * the end is present, and reads and writes of the disk stay inside its files;
 * what is refused says why and leaves the result alone.
 */
#include <errno.h>
#include <stdlib.h>

#include "cowdisk/disk/cow.h"
#include "tests/fuzz/bytes.h"
#include "tests/must.h"

#define HEAD_MAX 16384u

/* The file: its first bytes, zeroes behind them; writes are dropped. */
struct fake {
	struct io io;
	const uint8_t *head;
	size_t head_bytes;
	uint64_t file_bytes, disk_bytes;
};

static void fetch(const struct fake *f, struct io_req *r)
{
	uint64_t at = r->offset;

	for (unsigned i = 0; i < r->nr_iov; i++) {
		uint8_t *to = r->iov[i].iov_base;
		size_t n = r->iov[i].iov_len;

		memset(to, 0, n);
		if (r->file == IO_COW && at < f->head_bytes)
			memcpy(to, f->head + at,
			       min_u64(n, f->head_bytes - at));
		at += n;
	}
	must(at <= (r->file == IO_COW ? f->file_bytes : f->disk_bytes));
}

static void f_read(struct io *io, struct io_req *r)
{
	fetch(container_of(io, struct fake, io), r);
	r->done(r, 0);
}

static void f_write(struct io *io, struct io_req *r)
{
	const struct fake *f = container_of(io, struct fake, io);
	uint64_t n = 0;

	for (unsigned i = 0; i < r->nr_iov; i++)
		n += r->iov[i].iov_len;
	must(r->file == IO_COW);
	must(r->offset >= COW_HEADER_BYTES); /* never the header */
	must(range_fits(r->offset, n, f->file_bytes));
	r->done(r, 0);
}

static void f_punch(struct io *io, struct io_req *r)
{
	const struct fake *f = container_of(io, struct fake, io);

	must(r->file == IO_COW && r->offset >= COW_HEADER_BYTES);
	must(range_fits(r->offset, r->bytes, f->file_bytes));
	r->done(r, 0);
}

static void f_sync(struct io *io, struct io_req *r)
{
	(void)io;
	r->done(r, 0);
}

static uint64_t f_ahead(struct io *io, enum io_file file, uint64_t offset,
			uint64_t bytes, uint64_t run)
{
	const struct fake *f = container_of(io, struct fake, io);

	must(range_fits(offset, bytes,
			file == IO_COW ? f->file_bytes : f->disk_bytes));
	must(run >= bytes);
	return bytes;
}

static void f_nothing(struct io *io)
{
	(void)io;
}

static const struct block_ops fake_ops = { .read = f_read,
					   .write = f_write,
					   .sync = f_sync,
					   .punch = f_punch,
					   .ahead = f_ahead,
					   .complete = f_nothing,
					   .destroy = f_nothing };

static void check_header(const uint8_t *page, uint64_t file_bytes)
{
	struct cow_header h, before;
	struct cow_layout l;
	const char *why = "";
	int err;

	memset(&h, 0xa5, sizeof(h));
	before = h;
	err = cow_header_decode(page, file_bytes, &h, &why);
	if (err) {
		must(err == -EBADMSG || err == -ENOTSUP);
		must(*why && !strchr(why, '\n'));
		must(memcmp(&h, &before, sizeof(h)) == 0);
		return;
	}
	must(cow_layout_of(h.base.bytes, &l) == 0);
	must(l.file_bytes == file_bytes);
	must(l.data_offset >= COW_HEADER_BYTES + l.map_bytes);
	must(l.map_bytes * 8 >= l.nr_blocks);
	must(l.nr_blocks * COW_BLOCK_BYTES >= l.disk_bytes);
}

static void ended(struct disk_req *r, int err)
{
	must(r->done && (err == 0 || err < 0));
	r->done = NULL;
}

/* Requests anywhere, also past the end. */
static void use(struct cow *c, struct bytes *b)
{
	static uint8_t data[65536];

	for (unsigned i = 0; i < 32 && b->n; i++) {
		enum disk_op op = (enum disk_op)(take(b, 1) % 5);
		uint64_t at = take(b, 5) * 512, n = take(b, 2) % 129 * 512;
		struct iovec v[2] = { { data, min_u64(n, 1000) },
				      { data + 1000, n - min_u64(n, 1000) } };
		struct disk_req r = { .op = op,
				      .offset = at % (GIB(1)),
				      .bytes = n,
				      .iov = v,
				      .nr_iov = 2,
				      .done = ended };
		int err = cow_submit(c, &r);

		must(err == 0 || err == -EINVAL);
		must(err || !r.done);
		must(!cow_is_busy(c));
	}
}

static void check_open(struct fake *f, struct bytes *b)
{
	const char *why = "";
	struct cow *c = NULL;
	uint64_t present;
	int err = cow_open(&f->io, f->file_bytes, 4,
			   take(b, 1) & (COW_TEMPORARY | COW_COMMITTING), &c,
			   &why);

	if (err) {
		must(!c && *why);
		return;
	}
	f->disk_bytes = cow_layout(c)->disk_bytes;
	present = cow_map_count(cow_map(c));
	must(present <= cow_layout(c)->nr_blocks);
	use(c, b);
	must(cow_map_count(cow_map(c)) >= present);
	cow_close(c);
}

static size_t make_file(struct bytes *b, uint8_t *head, uint64_t *file_bytes)
{
	struct cow_header h = { .base = { (take(b, 3) + 1) * 512, 1, 2 } };
	struct cow_layout l = { .file_bytes = 0 };
	uint8_t kind = (uint8_t)take(b, 1);

	(void)cow_layout_of(h.base.bytes, &l);
	*file_bytes = l.file_bytes + (kind & 4 ? take(b, 2) : 0);
	if (kind % 2 == 0)
		return take_into(b, head, HEAD_MAX);
	h.committing = kind & 2;
	cow_header_encode(&h, head);
	for (unsigned n = kind >> 4; n && b->n; n--)
		head[take(b, 2) % (kind & 8 ? HEAD_MAX : 512)] =
			(uint8_t)take(b, 1);
	/* Bits: mostly below the end. */
	for (unsigned n = 0; n < 16 && b->n; n++)
		head[COW_HEADER_BYTES + take(b, 2) % ((l.nr_blocks + 7) / 8) %
						8192] = (uint8_t)take(b, 1);
	return HEAD_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t head[HEAD_MAX];
	struct bytes b = { data, size };
	struct fake f = { .io = { .ops = &fake_ops, .event_fd = -1 },
			  .head = head };

	memset(head, 0, sizeof(head));
	f.head_bytes = make_file(&b, head, &f.file_bytes);
	check_header(head, f.file_bytes);
	check_open(&f, &b);
	return 0;
}
