/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/trace/trace_read.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "memory/trace/trace_bytes.h"
#include "memory/trace/trace_check.h"

struct trace_block_head {
	uint32_t kind, count, raw, packed;
};

struct trace_reader {
	struct trace_info info;
	int fd;
	const char *name;
	uint64_t file_bytes;
	uint64_t at;	/* offset of the next block */
	uint64_t begin; /* of the block after TRACE_HEAD */
	uint64_t nr_blocks;
	uint64_t last_ns;
	bool ended, cut;
	struct trace_totals totals;
	ZSTD_DCtx *zstd;
	uint32_t nr_shapes;
	struct access_record records[TRACE_BLOCK_RECORDS];
	struct access_record shapes[TRACE_BLOCK_RECORDS];
	struct trace_event events[TRACE_BLOCK_EVENTS];
	uint8_t raw[TRACE_BLOCK_BYTES];
	uint8_t packed[TRACE_BLOCK_BYTES];
};

const struct trace_info *trace_info(const struct trace_reader *r)
{
	return &r->info;
}

const struct trace_totals *trace_totals(const struct trace_reader *r)
{
	return &r->totals;
}

bool trace_is_cut(const struct trace_reader *r)
{
	return r->cut;
}

uint64_t trace_file_bytes(const struct trace_reader *r)
{
	return r->file_bytes;
}

uint64_t trace_bytes_read(const struct trace_reader *r)
{
	return r->at;
}

/* The place is the block that is being read. */
static int trace_bad(const struct trace_reader *r, struct diag *d,
		     const char *why)
{
	return diag_fail(d, ST_TRACE, EBADMSG,
			 "%s: block %llu at byte %llu: %s", r->name,
			 (unsigned long long)r->nr_blocks,
			 (unsigned long long)r->at, why);
}

static int trace_bad_entry(const struct trace_reader *r, struct diag *d,
			   const char *what, uint64_t nr, const char *why)
{
	return diag_fail(d, ST_TRACE, EBADMSG,
			 "%s: block %llu at byte %llu: %s %llu: %s", r->name,
			 (unsigned long long)r->nr_blocks,
			 (unsigned long long)r->at, what,
			 (unsigned long long)nr, why);
}

/* --- blocks --------------------------------------------------------------- */

/* Return: 1; 0 the file ends before that; -errno. */
static int trace_pread(struct trace_reader *r, void *to, size_t n, uint64_t at,
		       struct diag *d)
{
	size_t have = 0;

	while (have < n) {
		ssize_t got = pread(r->fd, (uint8_t *)to + have, n - have,
				    (off_t)(at + have));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return diag_fail(d, ST_TRACE, errno, "%s: %s", r->name,
					 strerror(errno));
		if (got == 0)
			return 0;
		have += (size_t)got;
	}
	return 1;
}

/* The head of the next block. Return: 1; 0 the file was cut; -errno. */
static int trace_read_block_head(struct trace_reader *r,
				 struct trace_block_head *h, struct diag *d)
{
	uint8_t head[TRACE_HEAD_BYTES];
	const uint8_t *p = head;
	int got = trace_pread(r, head, sizeof(head), r->at, d);

	if (got <= 0)
		return got;
	h->kind = (uint32_t)trace_get(&p, 4);
	h->count = (uint32_t)trace_get(&p, 4);
	h->raw = (uint32_t)trace_get(&p, 4);
	h->packed = (uint32_t)trace_get(&p, 4);
	if (h->kind < TRACE_HEAD || h->kind > TRACE_END)
		return trace_bad(r, d, "no such kind of block");
	if (h->raw > TRACE_BLOCK_BYTES || h->packed > TRACE_BLOCK_BYTES)
		return trace_bad(r, d, "it is larger than a block may be");
	return 1;
}

/*
 * Its payload, in r->raw. r->at stays: the caller passes the block when it is
 * found to be good. Return: as trace_read_block_head().
 */
static int trace_read_payload(struct trace_reader *r,
			      const struct trace_block_head *h, struct diag *d)
{
	int got = trace_pread(r, r->packed, h->packed, r->at + TRACE_HEAD_BYTES,
			      d);
	size_t raw;

	if (got <= 0)
		return got;
	raw = ZSTD_decompressDCtx(r->zstd, r->raw, sizeof(r->raw), r->packed,
				  h->packed);
	if (ZSTD_isError(raw))
		return trace_bad(r, d, ZSTD_getErrorName(raw));
	if (raw != h->raw)
		return trace_bad(r, d, "its length is not what its head says");
	return 1;
}

static int trace_read_block(struct trace_reader *r, struct trace_block_head *h,
			    struct diag *d)
{
	int got = trace_read_block_head(r, h, d);

	return got <= 0 ? got : trace_read_payload(r, h, d);
}

static void trace_pass_block(struct trace_reader *r,
			     const struct trace_block_head *h)
{
	r->at += TRACE_HEAD_BYTES + h->packed;
	r->nr_blocks++;
}

/* --- the head ------------------------------------------------------------- */

static void trace_get_bytes(const uint8_t **p, void *to, size_t n)
{
	memcpy(to, *p, n);
	*p += n;
}

static void trace_decode_vm(struct trace_vm *vm, const uint8_t **p)
{
	vm->pages = trace_get(p, 8);
	trace_get_bytes(p, vm->name, sizeof(vm->name));
	trace_get_bytes(p, vm->policy, sizeof(vm->policy));
}

static int trace_decode_info(struct trace_reader *r,
			     const struct trace_block_head *h, struct diag *d)
{
	struct trace_info *i = &r->info;
	const uint8_t *p = r->raw;
	const char *wrong;

	i->nr_vms = h->count;
	i->nr_nodes = h->raw >= 304 ? (uint32_t)trace_get(&p, 4) : 0;
	if (i->nr_vms > TRACE_MAX_VMS || !i->nr_nodes ||
	    i->nr_nodes > POLICY_MAX_NODES ||
	    h->raw != 304 + 16 * i->nr_nodes + 12 * i->nr_nodes * i->nr_nodes +
			      i->nr_vms * (8 + TRACE_VM_NAME + VM_POLICY_MAX))
		return trace_bad(r, d, "its nodes and VMs do not fit it");
	p += 4;
	i->start_unix_ns = trace_get(&p, 8);
	trace_get_bytes(&p, i->origin, sizeof(i->origin));
	trace_get_bytes(&p, i->text, sizeof(i->text));
	for (uint32_t n = 0; n < i->nr_nodes; n++) {
		i->nodes[n].number = (int32_t)trace_get(&p, 4);
		i->nodes[n].cpus = (uint32_t)trace_get(&p, 4);
		i->nodes[n].pages = trace_get(&p, 8);
	}
	for (uint32_t n = 0; n < i->nr_nodes * i->nr_nodes; n++) {
		i->distance[n] = (uint32_t)trace_get(&p, 4);
		i->latency_ns[n] = (uint32_t)trace_get(&p, 4);
		i->move_ns[n] = (uint32_t)trace_get(&p, 4);
	}
	for (uint32_t n = 0; n < i->nr_vms; n++)
		trace_decode_vm(&i->vms[n], &p);
	wrong = trace_info_wrong(i);
	return wrong ? trace_bad(r, d, wrong) : 0;
}

static int trace_read_head(struct trace_reader *r, struct diag *d)
{
	uint8_t head[TRACE_HEAD_BYTES];
	const uint8_t *p = head;
	struct trace_block_head h;
	uint32_t version;
	int got = trace_pread(r, head, sizeof(head), 0, d);

	if (got < 0)
		return got;
	if (got == 0 || trace_get(&p, 8) != TRACE_MAGIC)
		return diag_fail(d, ST_TRACE, EBADMSG,
				 "%s: no trace of 'disco trace': its first "
				 "bytes are others",
				 r->name);
	version = (uint32_t)trace_get(&p, 4);
	if (version != TRACE_VERSION)
		return diag_fail(d, ST_TRACE, EBADMSG,
				 "%s: a trace of version %u; this program "
				 "reads version %u",
				 r->name, version, TRACE_VERSION);
	r->at = sizeof(head);
	got = trace_read_block(r, &h, d);
	if (got < 0)
		return got;
	if (got == 0)
		return trace_bad(r, d, "the file ends within its head");
	if (h.kind != TRACE_HEAD)
		return trace_bad(r, d, "the first block is no head");
	got = trace_decode_info(r, &h, d);
	if (got)
		return got;
	trace_pass_block(r, &h);
	r->begin = r->at;
	return 0;
}

int trace_open(struct trace_reader **out, int fd, const char *name,
	       struct diag *d)
{
	struct trace_reader *r = calloc(1, sizeof(*r));
	struct stat st;
	int err = 0;

	if (!r || !(r->zstd = ZSTD_createDCtx()))
		err = diag_fail(d, ST_HOST, ENOMEM, "%s: out of memory", name);
	else if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		err = diag_fail(d, ST_TRACE, EBADMSG, "%s: no regular file",
				name);
	if (!err) {
		r->name = name;
		r->file_bytes = (uint64_t)st.st_size;
		r->fd = fd;
		err = trace_read_head(r, d);
	}
	if (err) {
		if (r)
			r->fd = -1; /* stays the caller's */
		trace_close(r);
		return err;
	}
	*out = r;
	return 0;
}

void trace_close(struct trace_reader *r)
{
	if (!r)
		return;
	(void)ZSTD_freeDCtx(r->zstd);
	if (r->fd >= 0)
		(void)close(r->fd);
	free(r);
}

void trace_rewind(struct trace_reader *r)
{
	r->at = r->begin;
	r->nr_blocks = 1;
	r->last_ns = 0;
	r->ended = r->cut = false;
	r->totals = (struct trace_totals){ 0 };
}

/* --- accesses ------------------------------------------------------------- */

static int trace_decode_shapes(struct trace_reader *r, const uint8_t **p,
			       struct diag *d)
{
	for (uint32_t i = 0; i < r->nr_shapes; i++) {
		struct access_record *s = &r->shapes[i];
		const char *wrong;

		*s = (struct access_record){ 0 };
		s->vm = (uint32_t)trace_get(p, 4);
		s->weight = (uint32_t)trace_get(p, 4);
		s->vcpu = (uint16_t)trace_get(p, 2);
		s->node = (uint8_t)trace_get(p, 1);
		s->home = (uint8_t)trace_get(p, 1);
		s->kind = (uint8_t)trace_get(p, 1);
		s->class = (uint8_t)trace_get(p, 1);
		s->page_flags = (uint8_t)trace_get(p, 1);
		s->counted = (uint8_t)trace_get(p, 1);
		/* With page 0, which each VM has. */
		wrong = trace_access_wrong(&r->info, s);
		if (wrong)
			return trace_bad_entry(r, d, "shape", i, wrong);
	}
	return 0;
}

/* Where the columns of a block are. */
struct trace_columns {
	const uint8_t *shapes, *times, *pages, *end;
	unsigned shape_bytes;
};

static int trace_find_columns(struct trace_reader *r,
			      const struct trace_block_head *h,
			      struct trace_columns *c, struct diag *d)
{
	const uint8_t *p = r->raw + 8;
	uint64_t times, before;
	int err;

	if (!h->count || h->count > TRACE_BLOCK_RECORDS || h->raw < 16)
		return trace_bad(r, d, "number of accesses is out of range");
	r->nr_shapes = (uint32_t)trace_get(&p, 4);
	times = trace_get(&p, 4);
	if (!r->nr_shapes || r->nr_shapes > h->count)
		return trace_bad(r, d, "number of shapes is out of range");
	c->shape_bytes = r->nr_shapes <= 256 ? 1 : 2;
	before =
		16 + 16ull * r->nr_shapes + (uint64_t)c->shape_bytes * h->count;
	if (before > h->raw || times > h->raw - before)
		return trace_bad(r, d, "its columns do not fit it");
	err = trace_decode_shapes(r, &p, d);
	if (err)
		return err;
	c->shapes = p;
	c->times = r->raw + before;
	c->pages = c->times + times;
	c->end = r->raw + h->raw;
	return 0;
}

/* The hot loop of every reader: all checks, nothing else. */
static int trace_decode_accesses(struct trace_reader *r,
				 const struct trace_block_head *h,
				 struct diag *d)
{
	const uint8_t *p = r->raw, *shapes, *times, *pages;
	uint64_t time, page = 0, delta = 0;
	struct trace_columns c = { 0 };
	int err = trace_find_columns(r, h, &c, d);

	if (err)
		return err;
	time = trace_get(&p, 8);
	if (time < r->last_ns)
		return trace_bad(r, d, "its time is before the last block's");
	shapes = c.shapes;
	times = c.times;
	pages = c.pages;
	for (uint32_t i = 0; i < h->count; i++) {
		struct access_record *to = &r->records[i];
		uint32_t shape = *shapes++;

		if (c.shape_bytes == 2)
			shape |= (uint32_t)*shapes++ << 8;
		if (shape >= r->nr_shapes)
			return trace_bad_entry(r, d, "access", i,
					       "no such shape");
		if (!trace_get_varint(&times, c.pages, &delta) ||
		    time + delta < time)
			return trace_bad_entry(r, d, "access", i, "bad time");
		time += delta;
		if (!trace_get_varint(&pages, c.end, &delta))
			return trace_bad_entry(r, d, "access", i, "bad page");
		page += trace_unzigzag(delta);
		*to = r->shapes[shape];
		to->time_ns = time;
		to->page = page;
		if (page >= r->info.vms[to->vm].pages)
			return trace_bad_entry(
				r, d, "access", i,
				"page is beyond the VM's memory");
	}
	if (times != c.pages || pages != c.end)
		return trace_bad(r, d, "its columns are longer than they say");
	r->last_ns = time;
	return 0;
}

/* --- events --------------------------------------------------------------- */

static int trace_decode_events(struct trace_reader *r,
			       const struct trace_block_head *h,
			       const struct trace_chunk *chunk, struct diag *d)
{
	uint64_t at = chunk->first;

	if (!h->count || h->count > TRACE_BLOCK_EVENTS ||
	    h->raw != h->count * sizeof(r->events[0]))
		return trace_bad(r, d, "number of events is out of range");
	memcpy(r->events, r->raw, h->raw);
	for (uint32_t i = 0; i < h->count; i++) {
		const struct trace_event *e = &r->events[i];
		const char *wrong = trace_event_wrong(&r->info, e);

		if (!wrong && (e->at < at || e->at > chunk->first + chunk->nr))
			wrong = "it is not among the accesses before it";
		if (wrong)
			return trace_bad_entry(r, d, "event", i, wrong);
		at = e->at;
	}
	return 0;
}

static int trace_decode_end(struct trace_reader *r,
			    const struct trace_block_head *h, struct diag *d)
{
	const uint8_t *p = r->raw;

	if (h->raw != 32 || trace_get(&p, 8) != r->totals.accesses ||
	    trace_get(&p, 8) != r->totals.events)
		return trace_bad(r, d,
				 "the end counts other numbers of accesses or "
				 "events than there are");
	r->totals.lost = trace_get(&p, 8);
	r->totals.compute_ns = trace_get(&p, 8);
	r->ended = true;
	return 0;
}

/* --- chunks --------------------------------------------------------------- */

/* The block that follows, if it has events. Return: 1; 0 none; -errno. */
static int trace_add_events(struct trace_reader *r, struct trace_chunk *out,
			    struct diag *d)
{
	struct trace_block_head h;
	int got = trace_read_block_head(r, &h, d);

	/* Where the file was cut, the next trace_next() finds it. */
	if (got <= 0 || h.kind != TRACE_EVENTS)
		return got < 0 ? got : 0;
	got = trace_read_payload(r, &h, d);
	if (got <= 0)
		return got;
	got = trace_decode_events(r, &h, out, d);
	if (got)
		return got;
	trace_pass_block(r, &h);
	out->events = r->events;
	out->nr_events = h.count;
	r->totals.events += h.count;
	return 1;
}

int trace_next(struct trace_reader *r, struct trace_chunk *out, struct diag *d)
{
	struct trace_chunk chunk = { .first = r->totals.accesses };
	struct trace_block_head h;
	int got;

	if (r->ended || r->cut)
		return 0;
	got = trace_read_block(r, &h, d);
	if (got == 0)
		r->cut = true;
	if (got <= 0)
		return got;
	switch ((enum trace_block)h.kind) {
	case TRACE_ACCESSES:
		got = trace_decode_accesses(r, &h, d);
		if (got)
			return got;
		trace_pass_block(r, &h);
		chunk.records = r->records;
		chunk.nr = h.count;
		r->totals.accesses += h.count;
		got = trace_add_events(r, &chunk, d);
		break;
	case TRACE_EVENTS:
		got = trace_add_events(r, &chunk, d);
		break;
	case TRACE_END:
		return trace_decode_end(r, &h, d);
	case TRACE_HEAD:
		return trace_bad(r, d, "a second head");
	}
	if (got < 0)
		return got;
	*out = chunk;
	return 1;
}
