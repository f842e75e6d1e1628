/* SPDX-License-Identifier: BSD-2-Clause */
#include "cowdisk/base/io_stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BUFFER_BYTES (STREAM_PIECES * STREAM_PIECE_BYTES)
#define BUFFER_ALIGN MIB(2) /* huge pages */

enum piece_state { FREE = 0, READING, READY, STALE };

struct piece {
	struct io_req io; /* that reads it */
	struct iovec iov;
	struct io_stream *s;
	uint64_t nr; /* in the order of starts */
	enum piece_state state;
	enum io_file file;		       /* IO_BASE, IO_COW */
	uint64_t offset, bytes;		       /* of it */
	struct io_req *waiting, **waiting_end; /* READING, STALE */
};

struct io_stream {
	struct io io;
	struct io *under;
	uint8_t *mapping; /* with room to align @buffer in */
	uint8_t *buffer;
	uint8_t *files[IO_FILES]; /* never touched, only asked about; or NULL */
	uint64_t bytes[IO_FILES];
	bool direct[IO_FILES]; /* its pieces can be read */
	uint64_t started;      /* pieces, ever */
	uint64_t read;	       /* the .nr of the last one that was read from */
	unsigned nr_used;      /* pieces that are not FREE */
	unsigned nr_reading;   /* of them: READING or STALE */
	bool touched;	       /* the buffer has memory */
	unsigned jumps;	       /* since the last piece was started */
	struct piece pieces[STREAM_PIECES];
};

static struct io_stream *io_stream_from_io(struct io *io)
{
	return container_of(io, struct io_stream, io);
}

static uint8_t *place_of(const struct piece *p)
{
	return p->s->buffer + (size_t)(p - p->s->pieces) * STREAM_PIECE_BYTES;
}

static uint64_t io_stream_end_of(const struct piece *p)
{
	return p->offset + p->bytes;
}

static void io_stream_set_free(struct piece *p)
{
	p->state = FREE;
	p->s->nr_used--;
}

/* --- what is read --- */

static struct piece *io_stream_find(struct io_stream *s, const struct io_req *r)
{
	for (unsigned i = 0; s->nr_used && i < STREAM_PIECES; i++) {
		struct piece *p = &s->pieces[i];

		if ((p->state == READING || p->state == READY) &&
		    p->file == r->file && p->offset <= r->offset &&
		    r->offset < io_stream_end_of(p))
			return p;
	}
	return NULL;
}

/* Copy as much of @r as the piece has. Return: true: @r is complete. */
static bool copy_from(struct piece *p, struct io_req *r)
{
	while (r->nr_iov && r->offset < io_stream_end_of(p)) {
		size_t n = min_u64(r->iov->iov_len,
				   io_stream_end_of(p) - r->offset);

		memcpy(r->iov->iov_base, place_of(p) + (r->offset - p->offset),
		       n);
		if (n == 0)
			r->iov++, r->nr_iov--; /* an empty one */
		else if (io_account(r, (int)n) <= 0)
			break;
	}
	return r->nr_iov == 0;
}

static void io_stream_wait_for(struct piece *p, struct io_req *r)
{
	r->next = NULL;
	*p->waiting_end = r;
	p->waiting_end = &r->next;
}

/*
 * Serve a read from the pieces as far as they go, and the rest from the file. A
 * read that meets a piece that is being read waits for it, and then comes here
 * again.
 */
static void io_stream_go_on(struct io_stream *s, struct io_req *r)
{
	struct piece *p;

	while ((p = io_stream_find(s, r)) != NULL) {
		bool complete;

		if (p->state == READING) {
			io_stream_wait_for(p, r);
			return;
		}
		s->read = p->nr;
		complete = copy_from(p, r);
		if (r->offset >= io_stream_end_of(p))
			io_stream_set_free(p);
		if (complete) {
			r->done(r, 0);
			return;
		}
	}
	s->under->ops->read(s->under, r);
}

static void stream_read(struct io *io, struct io_req *r)
{
	struct io_stream *s = io_stream_from_io(io);

	r->op = IO_READ;
	io_stream_go_on(s, r);
}

/* --- what is read ahead --- */

/*
 * A STALE piece is freed although its read succeeded, since its bytes were
 * written meanwhile (invariant 1). Its waiting reads then read the file
 * (invariant 3).
 */
static void piece_done(struct io_req *io, int err)
{
	struct piece *p = container_of(io, struct piece, io);
	struct io_stream *s = p->s;
	struct io_req *r = p->waiting, *next;

	s->nr_reading--;
	if (err || p->state == STALE)
		io_stream_set_free(p);
	else
		p->state = READY;
	for (; r; r = next) {
		next = r->next;
		io_stream_go_on(s, r);
	}
}

static void io_stream_start(struct piece *p, enum io_file file, uint64_t offset,
			    uint64_t bytes)
{
	struct io_stream *s = p->s;

	s->touched = true;
	s->jumps = 0;
	p->nr = ++s->started;
	p->state = READING;
	s->nr_used++;
	s->nr_reading++;
	p->file = file;
	p->offset = offset;
	p->bytes = bytes;
	p->waiting = NULL;
	p->waiting_end = &p->waiting;
	p->iov = (struct iovec){ place_of(p), bytes };
	p->io = (struct io_req){ .file = file == IO_COW ? IO_COW_DIRECT
							: IO_BASE_DIRECT,
				 .offset = offset,
				 .iov = &p->iov,
				 .nr_iov = 1,
				 .done = piece_done };
	s->under->ops->read(s->under, &p->io);
}

/*
 * Find a piece that is FREE, or that the guest has passed by. Pieces are
 * started in the order in which they will be read.
 */
static struct piece *get_free(struct io_stream *s)
{
	for (unsigned i = 0; i < STREAM_PIECES; i++) {
		struct piece *p = &s->pieces[i];

		if (p->state == READY && p->nr < s->read)
			io_stream_set_free(p);
		if (p->state == FREE)
			return p;
	}
	return NULL;
}

/* Is any page in the kernel's cache? If the kernel does not report it, yes. */
static bool is_cached(const struct io_stream *s, enum io_file file,
		      uint64_t offset, uint64_t bytes)
{
	unsigned char pages[STREAM_PIECE_BYTES / PAGE_BYTES];
	uint64_t n = (bytes + PAGE_BYTES - 1) / PAGE_BYTES;

	if (!range_fits(offset, bytes, s->bytes[file]))
		return true;
	if (!s->files[file])
		return false;
	if (mincore(s->files[file] + offset, bytes, pages) < 0)
		return true;
	for (uint64_t i = 0; i < n; i++)
		if (pages[i] & 1)
			return true;
	return false;
}

/* Leave the range to the kernel's read-ahead. */
static uint64_t io_stream_leave(struct io_stream *s, enum io_file file,
				uint64_t offset, uint64_t bytes, uint64_t run)
{
	if (s->under->ops->ahead)
		(void)s->under->ops->ahead(s->under, file, offset, bytes, run);
	return bytes;
}

/*
 * Announced ranges become pieces only if the run is long enough to be worth a
 * piece, and short enough that the kernel's read-ahead would use single pages
 * (AHEAD_RUN). Data that the kernel has is never read by O_DIRECT a second
 * time.
 */
static uint64_t stream_ahead(struct io *io, enum io_file file, uint64_t offset,
			     uint64_t bytes, uint64_t run)
{
	struct io_stream *s = io_stream_from_io(io);
	uint64_t done = 0, n;

	if (!s->direct[file] || run < STREAM_RUN_MIN || run > AHEAD_RUN)
		return io_stream_leave(s, file, offset, bytes, run);
	for (; done < bytes; done += n) {
		struct piece *p = get_free(s);

		if (!p)
			break;
		n = min_u64(bytes - done, STREAM_PIECE_BYTES);
		if (is_cached(s, file, offset + done, n))
			(void)io_stream_leave(s, file, offset + done, n, run);
		else
			io_stream_start(p, file, offset + done, n);
	}
	return done;
}

/* --- what is not wanted any more --- */

/*
 * A write or a punch begins: what was read of the range is old (invariant 1). A
 * piece that is still being read cannot be freed, because the device writes
 * into it; it becomes STALE.
 */
static void io_stream_drop(struct io_stream *s, enum io_file file,
			   uint64_t offset, uint64_t bytes)
{
	for (unsigned i = 0; s->nr_used && i < STREAM_PIECES; i++) {
		struct piece *p = &s->pieces[i];

		if (p->file != file || p->offset >= offset + bytes ||
		    offset >= io_stream_end_of(p))
			continue;
		if (p->state == READY)
			io_stream_set_free(p);
		else if (p->state == READING)
			p->state = STALE;
	}
}

static void stream_ahead_end(struct io *io)
{
	struct io_stream *s = io_stream_from_io(io);

	io_stream_drop(s, IO_BASE, 0, UINT64_MAX);
	io_stream_drop(s, IO_COW, 0, UINT64_MAX);
	/* Not at the first one: many rows are short, and the next is near. */
	if (s->touched && !s->nr_used && ++s->jumps >= STREAM_JUMPS) {
		(void)madvise(s->buffer, BUFFER_BYTES, MADV_DONTNEED);
		s->touched = false;
	}
	if (s->under->ops->ahead_end)
		s->under->ops->ahead_end(s->under);
}

static uint64_t io_stream_bytes_of(const struct io_req *r)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < r->nr_iov; i++)
		n += r->iov[i].iov_len;
	return n;
}

static void stream_write(struct io *io, struct io_req *r)
{
	struct io_stream *s = io_stream_from_io(io);

	io_stream_drop(s, r->file, r->offset, io_stream_bytes_of(r));
	s->under->ops->write(s->under, r);
}

static void stream_punch(struct io *io, struct io_req *r)
{
	struct io_stream *s = io_stream_from_io(io);

	io_stream_drop(s, r->file, r->offset, r->bytes);
	s->under->ops->punch(s->under, r);
}

/* --- the rest --- */

static void stream_sync(struct io *io, struct io_req *r)
{
	struct io *under = io_stream_from_io(io)->under;

	under->ops->sync(under, r);
}

static void stream_hurry(struct io *io)
{
	struct io *under = io_stream_from_io(io)->under;

	if (under->ops->hurry)
		under->ops->hurry(under);
}

static void stream_complete(struct io *io)
{
	struct io *under = io_stream_from_io(io)->under;

	under->ops->complete(under);
}

static void io_stream_release(struct io_stream *s)
{
	for (unsigned i = 0; i < IO_FILES; i++)
		if (s->files[i])
			(void)munmap(s->files[i], s->bytes[i]);
	if (s->mapping)
		(void)munmap(s->mapping, BUFFER_BYTES + BUFFER_ALIGN);
	free(s);
}

static void stream_destroy(struct io *io)
{
	struct io_stream *s = io_stream_from_io(io);
	struct pollfd p = { .fd = io->event_fd, .events = POLLIN };

	/* Nobody waits for them, but they are read into our buffer. */
	while (s->nr_reading) {
		(void)poll(&p, 1, -1);
		s->under->ops->complete(s->under);
	}
	s->under->ops->destroy(s->under);
	io_stream_release(s);
}

static const struct block_ops stream_ops = { .read = stream_read,
					     .write = stream_write,
					     .sync = stream_sync,
					     .punch = stream_punch,
					     .ahead = stream_ahead,
					     .ahead_end = stream_ahead_end,
					     .hurry = stream_hurry,
					     .complete = stream_complete,
					     .destroy = stream_destroy };

static int make_buffer(struct io_stream *s)
{
	void *p = mmap(NULL, BUFFER_BYTES + BUFFER_ALIGN,
		       PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	s->mapping = p;
	s->buffer = s->mapping +
		    (align_up((uintptr_t)p, BUFFER_ALIGN) - (uintptr_t)p);
	/* Refused: pages of 4 KiB do as well. */
	(void)madvise(s->buffer, BUFFER_BYTES, MADV_HUGEPAGE);
	return 0;
}

static int map_files(struct io_stream *s, const int *fds)
{
	for (unsigned i = 0; i < IO_FILES; i++) {
		void *p;

		if (fds[i] < 0)
			continue;
		if (s->bytes[i] > STREAM_FILE_MAX)
			return -EFBIG;
		p = mmap(NULL, s->bytes[i], PROT_NONE, MAP_SHARED, fds[i], 0);
		if (p == MAP_FAILED)
			return -errno;
		s->files[i] = p;
	}
	return 0;
}

int io_stream_create(struct io *under, const int fds[IO_ALL_FILES],
		     const uint64_t bytes[IO_FILES], struct io **out)
{
	struct io_stream *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	memcpy(s->bytes, bytes, sizeof(s->bytes));
	s->direct[IO_BASE] = fds[IO_BASE_DIRECT] >= 0;
	s->direct[IO_COW] = fds[IO_COW_DIRECT] >= 0;
	err = make_buffer(s);
	if (!err)
		err = map_files(s, fds);
	if (err) {
		io_stream_release(s);
		return err;
	}
	s->under = under;
	s->io = (struct io){ .ops = &stream_ops, .event_fd = under->event_fd };
	for (unsigned i = 0; i < STREAM_PIECES; i++)
		s->pieces[i].s = s;
	*out = &s->io;
	return 0;
}
