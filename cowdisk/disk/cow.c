/* SPDX-License-Identifier: BSD-2-Clause */
#include "cowdisk/disk/cow_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void cow_step(struct cow_slot *s);

/* --- the guest's memory --- */

/* Make io.iov cover the next @bytes of the guest's memory. */
static void cut_run(struct cow_slot *s, uint64_t bytes)
{
	unsigned i = 0;

	while (s->iov[i].iov_len < bytes) {
		bytes -= s->iov[i].iov_len;
		i++;
	}
	s->rest.iov_base = (char *)s->iov[i].iov_base + bytes;
	s->rest.iov_len = s->iov[i].iov_len - bytes;
	s->iov[i].iov_len = bytes;
	s->last = i;
	s->io.iov = s->iov;
	s->io.nr_iov = i + 1;
}

/*
 * Skip the run that is done. Its pieces are set again, because the
 * implementation may have changed them.
 */
static void pass_run(struct cow_slot *s)
{
	s->iov += s->last;
	s->nr_iov -= s->last;
	if (s->rest.iov_len) {
		s->iov[0] = s->rest;
	} else {
		s->iov++;
		s->nr_iov--;
	}
}

/* Copy the guest's next @bytes into the buffer. */
static void copy_out(struct cow_slot *s, uint8_t *to, uint64_t bytes)
{
	while (bytes) {
		struct iovec *v = &s->iov[0];
		size_t part = min_u64(bytes, v->iov_len);

		memcpy(to, v->iov_base, part);
		to += part;
		bytes -= part;
		v->iov_base = (char *)v->iov_base + part;
		v->iov_len -= part;
		if (v->iov_len == 0) {
			s->iov++;
			s->nr_iov--;
		}
	}
}

/* --- positions --- */

static uint64_t block_of(uint64_t pos)
{
	return pos / COW_BLOCK_BYTES;
}

static uint64_t block_start(uint64_t block)
{
	return block * COW_BLOCK_BYTES;
}

/* The last block of a disk may be short. */
static uint64_t block_end(const struct cow *c, uint64_t block)
{
	return min_u64(block_start(block + 1), c->layout.disk_bytes);
}

static bool cow_writes(const struct disk_req *r)
{
	return r->op != DISK_READ && r->op != DISK_FLUSH;
}

/* --- operations --- */

static void segment_done(struct io_req *io, int err);

static void cow_slot_io(struct cow_slot *s, enum cow_phase phase,
			enum io_file file, uint64_t offset)
{
	s->phase = phase;
	s->io = (struct io_req){ .file = file,
				 .offset = offset,
				 .done = segment_done };
}

static void set_edge(struct cow_slot *s, uint64_t bytes)
{
	s->edge_iov = (struct iovec){ s->edge, bytes };
	s->io.iov = &s->edge_iov;
	s->io.nr_iov = 1;
}

static void cow_start_read(struct cow_slot *s)
{
	struct cow *c = s->cow;
	uint64_t b = block_of(s->pos), last = block_of(s->end - 1);
	uint64_t n = cow_map_run(&c->map, b, last - b + 1);

	s->seg = min_u64(block_end(c, b + n - 1), s->end) - s->pos;
	if (cow_map_has(&c->map, b))
		cow_slot_io(s, PHASE_RUN, IO_COW,
			    c->layout.data_offset + s->pos);
	else
		cow_slot_io(s, PHASE_RUN, IO_BASE, s->pos);
	cut_run(s, s->seg);
	c->io->ops->read(c->io, &s->io);
}

static bool cow_overlaps(uint64_t first, uint64_t last,
			 const struct cow_range *r)
{
	return first <= r->last && r->first <= last;
}

/* Does a request that is under way write any of these blocks? */
static bool is_written(const struct cow *c, uint64_t first, uint64_t nr)
{
	for (unsigned i = 0; i < c->nr_active; i++)
		if (cow_overlaps(first, first + nr - 1, &c->active[i]))
			return true;
	return false;
}

#define AHEAD_AFTER KIB(256) /* read in a row: then we believe it */
#define AHEAD_MOST  MIB(8)
#define ROW_SLACK   MIB(1) /* requests of a row may come out of order */

/*
 * Announce the disk's bytes from c->ahead up to @to, run by run, each to the
 * file that has it. Blocks of the COW file that are being written are left out,
 * as io.h requires. The run that is passed on extends beyond @to, so that the
 * implementation can tell long runs from short ones.
 */
static void cow_ask_ahead(struct cow *c, uint64_t to)
{
	uint64_t b = block_of(c->ahead), end = block_of(to);
	const uint64_t nr_blocks = block_of(c->layout.disk_bytes);

	while (b < end) {
		uint64_t run = cow_map_run(
			&c->map, b,
			min_u64(nr_blocks - b, block_of(AHEAD_RUN) + 1));
		uint64_t n = min_u64(run, end - b), taken = n;
		bool is = cow_map_has(&c->map, b);

		if (!is || !is_written(c, b, n))
			taken = block_of(c->io->ops->ahead(
				c->io, is ? IO_COW : IO_BASE,
				block_start(b) +
					(is ? c->layout.data_offset : 0),
				block_start(n), block_start(run)));
		b += taken;
		if (taken < n)
			break;
	}
	c->ahead = min_u64(block_start(b), to);
}

/*
 * Does a read continue the sequence? Slightly reordered reads do: one that was
 * overtaken, or that has overtaken others.
 */
static bool in_row(const struct cow *c, uint64_t offset)
{
	return offset == c->next_read ||
	       (c->ahead && offset + ROW_SLACK >= c->next_read &&
		offset <= min_u64(c->ahead, c->next_read + ROW_SLACK));
}

/*
 * Count a read into the sequence. A gap shortens it, because read-ahead of the
 * skipped bytes was in vain.
 */
static void count_read(struct cow *c, uint64_t offset, uint64_t end)
{
	uint64_t gap = 0;

	if (in_row(c, offset)) {
		if (offset > c->next_read)
			gap = offset - c->next_read;
	} else {
		if (c->io->ops->ahead_end)
			c->io->ops->ahead_end(c->io);
		c->row = 0;
		c->ahead = 0;
		c->next_read = end;
	}
	c->next_read = max_u64(c->next_read, end);
	c->row = min_u64(c->row + (end - offset), AHEAD_MOST);
	c->row -= min_u64(c->row, gap);
}

/*
 * Where the guest reads one disk sequentially, the kernel sees two files with
 * gaps and does not read ahead, so read-ahead is requested. Its amount is what
 * was read in this sequence so far, so that at most half of all reading is in
 * vain. A quarter of it is requested at a time.
 */
static void read_ahead(struct cow *c, uint64_t offset, uint64_t end)
{
	uint64_t to;

	count_read(c, offset, end);
	end = c->next_read;
	to = min_u64(end + c->row, c->layout.disk_bytes);
	if (!c->io->ops->ahead || c->row < AHEAD_AFTER ||
	    c->ahead >= min_u64(end + c->row / 4 * 3, to))
		return;
	c->ahead = align_down(max_u64(c->ahead, end), COW_BLOCK_BYTES);
	cow_ask_ahead(c, to);
}

/* For a part of an absent block, fill the buffer from the base first (I7). */
static void start_fill(struct cow_slot *s)
{
	struct cow *c = s->cow;
	uint64_t b = block_of(s->pos);

	s->seg = min_u64(block_end(c, b), s->end) - s->pos;
	cow_slot_io(s, PHASE_FILL, IO_BASE, block_start(b));
	set_edge(s, block_end(c, b) - block_start(b));
	c->io->ops->read(c->io, &s->io);
}

/* Then copy the guest's part into the buffer and write all of it. */
static void start_edge(struct cow_slot *s)
{
	struct cow *c = s->cow;
	uint64_t b = block_of(s->pos), start = block_start(b);

	if (s->r->op == DISK_WRITE)
		copy_out(s, s->edge + (s->pos - start), s->seg);
	else
		memset(s->edge + (s->pos - start), 0, s->seg);
	cow_slot_io(s, PHASE_EDGE, IO_COW, c->layout.data_offset + start);
	set_edge(s, block_end(c, b) - start);
	c->io->ops->write(c->io, &s->io);
}

/* Does the rest of the request end inside block @b? */
static bool ends_inside(const struct cow_slot *s, uint64_t b)
{
	return s->end < block_end(s->cow, b);
}

static bool needs_fill(const struct cow_slot *s)
{
	uint64_t b = block_of(s->pos);

	return !cow_map_has(&s->cow->map, b) &&
	       (s->pos % COW_BLOCK_BYTES || ends_inside(s, b));
}

static void cow_start_write(struct cow_slot *s)
{
	struct cow *c = s->cow;
	uint64_t last = block_of(s->end - 1), to = s->end;

	if (needs_fill(s)) {
		start_fill(s);
		return;
	}
	if (last != block_of(s->pos) && ends_inside(s, last) &&
	    !cow_map_has(&c->map, last))
		to = block_start(last); /* the rest is an edge, for later */
	s->seg = to - s->pos;
	cow_slot_io(s, PHASE_RUN, IO_COW, c->layout.data_offset + s->pos);
	cut_run(s, s->seg);
	c->io->ops->write(c->io, &s->io);
}

static void write_zero_part(struct cow_slot *s)
{
	struct cow *c = s->cow;

	s->seg = min_u64(block_end(c, block_of(s->pos)), s->end) - s->pos;
	memset(s->edge, 0, COW_BLOCK_BYTES);
	cow_slot_io(s, PHASE_ZERO, IO_COW, c->layout.data_offset + s->pos);
	set_edge(s, s->seg);
	c->io->ops->write(c->io, &s->io);
}

/* Whole blocks are punched; a part of a present block is written. */
static void start_zeroes(struct cow_slot *s)
{
	struct cow *c = s->cow;
	uint64_t b = block_of(s->pos), last = block_of(s->end - 1);

	if (needs_fill(s)) {
		start_fill(s);
		return;
	}
	if (s->pos % COW_BLOCK_BYTES || ends_inside(s, b) || c->no_punch) {
		write_zero_part(s);
		return;
	}
	s->seg = (ends_inside(s, last) ? block_start(last) : s->end) - s->pos;
	cow_slot_io(s, PHASE_PUNCH, IO_COW, c->layout.data_offset + s->pos);
	s->io.bytes = align_up(s->seg, COW_BLOCK_BYTES);
	c->io->ops->punch(c->io, &s->io);
}

static void start_next(struct cow_slot *s)
{
	if (s->phase == PHASE_FILL)
		start_edge(s);
	else if (s->r->op == DISK_READ)
		cow_start_read(s);
	else if (s->r->op == DISK_WRITE)
		cow_start_write(s);
	else
		start_zeroes(s);
}

/* Without holes in the file system, discards do nothing; zeroes are written. */
static int without_punch(struct cow_slot *s)
{
	s->cow->no_punch = true;
	s->seg = 0;
	if (s->r->op == DISK_DISCARD)
		s->pos = s->end;
	return 0;
}

/* The operation has succeeded: advance the request past it. */
static void cow_account(struct cow_slot *s)
{
	struct cow *c = s->cow;

	if (s->phase == PHASE_RUN)
		pass_run(s);
	if (s->seg && cow_writes(s->r))
		cow_map_set(&c->map, block_of(s->pos),
			    block_of(s->pos + s->seg - 1) - block_of(s->pos) +
				    1);
	s->pos += s->seg;
}

static void segment_done(struct io_req *io, int err)
{
	struct cow_slot *s = container_of(io, struct cow_slot, io);

	if (err == -EOPNOTSUPP && s->phase == PHASE_PUNCH)
		err = without_punch(s);
	s->err = err;
	if (!err && s->phase != PHASE_FILL)
		cow_account(s);
	if (s->stepping)
		s->ready = true;
	else
		cow_step(s);
}

/*
 * Continue as long as operations complete at once. A loop instead of recursion,
 * because the guest determines the number of operations.
 */
static void cow_step(struct cow_slot *s)
{
	s->stepping = true;
	do {
		s->ready = false;
		if (s->err || (s->phase != PHASE_FILL && s->pos >= s->end)) {
			s->stepping = false;
			cow_finish(s, s->err);
			return;
		}
		start_next(s);
	} while (s->ready);
	s->stepping = false;
}

/* --- writes that overlap --- */

static struct cow_range cow_range_of(struct cow_slot *s)
{
	const struct disk_req *r = s->r;
	uint64_t end = s->end > r->offset ? s->end : r->offset + 1;

	return (struct cow_range){ block_of(r->offset), block_of(end - 1), s };
}

/*
 * A write also waits for earlier waiting writes that it overlaps: overlapping
 * writes are done in the order in which they came, and none starves.
 */
static bool cow_has_to_wait(const struct cow *c, struct cow_slot *s)
{
	struct cow_range want = cow_range_of(s), other;

	if (is_written(c, want.first, want.last - want.first + 1))
		return true;
	for (struct cow_slot *w = c->waiting; w && w != s; w = w->next) {
		other = cow_range_of(w);
		if (cow_overlaps(want.first, want.last, &other))
			return true;
	}
	return false;
}

static void cow_activate(struct cow *c, struct cow_slot *s)
{
	c->active[c->nr_active++] = cow_range_of(s);
}

static void cow_deactivate(struct cow *c, const struct cow_slot *s)
{
	for (unsigned i = 0; i < c->nr_active; i++)
		if (c->active[i].slot == s) {
			c->active[i] = c->active[--c->nr_active];
			return;
		}
}

/* Start the first write that need not wait any more. Return: false: none. */
static bool wake_one(struct cow *c)
{
	for (struct cow_slot **at = &c->waiting; *at; at = &(*at)->next) {
		struct cow_slot *s = *at;

		if (cow_has_to_wait(c, s))
			continue;
		*at = s->next;
		if (!*at)
			c->waiting_end = at;
		if (c->failed) {
			cow_finish(s, -EIO);
			return true;
		}
		cow_activate(c, s);
		cow_step(s);
		return true;
	}
	return false;
}

/*
 * A write that wake_one() starts may end at once and come here again. The inner
 * call only sets wake_again, and the outer one scans the list anew: no
 * recursion, and no walk over a list that changes.
 */
static void cow_wake(struct cow *c)
{
	c->wake_again = true;
	if (c->waking)
		return;
	c->waking = true;
	while (c->wake_again) {
		c->wake_again = false;
		while (c->waiting && wake_one(c))
			;
	}
	c->waking = false;
}

void cow_finish(struct cow_slot *s, int err)
{
	struct cow *c = s->cow;
	struct disk_req *r = s->r;
	bool was_write = cow_writes(r);

	if (was_write)
		cow_deactivate(c, s);
	s->r = NULL;
	s->next = c->free;
	c->free = s;
	c->nr_busy--;
	r->done(r, err);
	if (was_write && c->waiting)
		cow_wake(c);
}

/* --- requests --- */

static void start_zeroing(struct cow *c, struct cow_slot *s)
{
	const struct disk_req *r = s->r;

	s->end = r->offset + r->bytes;
	if (r->op == DISK_WRITE_ZEROES)
		return;
	/* Parts of blocks stay as they are. */
	s->pos = align_up(s->pos, COW_BLOCK_BYTES);
	if (s->end != c->layout.disk_bytes)
		s->end = align_down(s->end, COW_BLOCK_BYTES);
	if (c->no_punch || s->end < s->pos)
		s->end = s->pos;
}

static void start_write_op(struct cow *c, struct cow_slot *s)
{
	if (c->failed) {
		cow_finish(s, -EIO);
		return;
	}
	if (cow_has_to_wait(c, s)) {
		s->next = NULL;
		*c->waiting_end = s;
		c->waiting_end = &s->next;
		return;
	}
	cow_activate(c, s);
	cow_step(s);
}

static uint64_t cow_bytes_of(const struct disk_req *r)
{
	uint64_t n = 0;

	if (r->op == DISK_DISCARD || r->op == DISK_WRITE_ZEROES)
		return r->bytes;
	for (unsigned i = 0; r->op != DISK_FLUSH && i < r->nr_iov; i++)
		n += r->iov[i].iov_len;
	return n;
}

int cow_submit(struct cow *c, struct disk_req *r)
{
	uint64_t bytes = cow_bytes_of(r);
	struct cow_slot *s = c->free;

	if (r->op != DISK_FLUSH &&
	    (bytes == 0 || !range_fits(r->offset, bytes, c->layout.disk_bytes)))
		return -EINVAL;
	if (!s)
		return -EAGAIN;
	c->free = s->next;
	c->nr_busy++;
	s->r = r;
	s->phase = PHASE_RUN;
	s->err = 0;
	s->pos = r->offset;
	s->end = r->offset + bytes;
	s->iov = r->iov;
	s->nr_iov = r->nr_iov;
	if (r->op == DISK_FLUSH) {
		cow_flush_add(s);
	} else if (r->op == DISK_READ) {
		read_ahead(c, s->pos, s->end);
		cow_step(s);
	} else {
		if (r->op != DISK_WRITE)
			start_zeroing(c, s);
		start_write_op(c, s);
	}
	return 0;
}

/* --- life --- */

static int make_slots(struct cow *c, unsigned depth)
{
	void *edges = mmap(NULL, (size_t)depth * COW_BLOCK_BYTES,
			   PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	c->depth = depth;
	c->edges = edges == MAP_FAILED ? NULL : edges;
	c->slots = calloc(depth, sizeof(*c->slots));
	c->active = calloc(depth, sizeof(*c->active));
	if (!c->edges || !c->slots || !c->active)
		return -ENOMEM;
	for (unsigned i = depth; i-- > 0;) {
		struct cow_slot *s = &c->slots[i];

		s->cow = c;
		s->edge = c->edges + (size_t)i * COW_BLOCK_BYTES;
		s->next = c->free;
		c->free = s;
	}
	return 0;
}

static int cow_load(struct cow *c, uint64_t file_bytes, const char **why)
{
	int err = cow_header_read(c->io, file_bytes, &c->header, why);

	if (err)
		return err;
	if (c->header.committing && !(c->flags & COW_COMMITTING)) {
		*why = "a commit of it has not ended; give the same 'disco "
		       "image commit' again";
		return -EUCLEAN;
	}
	err = cow_layout_of(c->header.base.bytes, &c->layout);
	if (err)
		return err;
	*why = "out of memory";
	err = cow_map_create(&c->map, &c->layout);
	return err ? err : cow_map_load(&c->map, c->io, why);
}

int cow_open(struct io *io, uint64_t file_bytes, unsigned depth, unsigned flags,
	     struct cow **out, const char **why)
{
	struct cow *c = calloc(1, sizeof(*c));
	int err;

	*why = "out of memory";
	if (!c)
		return -ENOMEM;
	c->io = io;
	c->flags = flags;
	c->waiting_end = &c->waiting;
	err = make_slots(c, depth);
	if (!err)
		err = cow_load(c, file_bytes, why);
	if (err) {
		cow_close(c);
		return err;
	}
	*out = c;
	return 0;
}

void cow_close(struct cow *c)
{
	if (!c)
		return;
	cow_map_destroy(&c->map);
	if (c->edges)
		(void)munmap(c->edges, (size_t)c->depth * COW_BLOCK_BYTES);
	free(c->slots);
	free(c->active);
	free(c);
}

void cow_set_io(struct cow *c, struct io *io)
{
	c->io = io;
}

bool cow_is_busy(const struct cow *c)
{
	return c->nr_busy > 0;
}

const struct cow_layout *cow_layout(const struct cow *c)
{
	return &c->layout;
}

const struct cow_header *cow_header(const struct cow *c)
{
	return &c->header;
}

const struct cow_map *cow_map(const struct cow *c)
{
	return &c->map;
}
