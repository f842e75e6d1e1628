/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/trace/trace_write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "memory/trace/trace_bytes.h"
#include "memory/trace/trace_check.h"

#define ZSTD_LEVEL  9
#define SHAPE_SLOTS 131072u /* a power of two, more than there can be shapes */

/* What records have in common, as two words. */
struct trace_shape {
	uint64_t a, b;
};

struct trace_writer {
	struct trace_info info;
	int fd;
	uint64_t bytes;
	struct trace_totals totals;
	uint64_t last_ns; /* time of the last access */
	ZSTD_CCtx *zstd;
	uint32_t nr, nr_events, nr_shapes;
	struct access_record records[TRACE_BLOCK_RECORDS];
	uint32_t shape_of[TRACE_BLOCK_RECORDS];
	struct trace_event events[TRACE_BLOCK_EVENTS];
	struct trace_shape shapes[TRACE_BLOCK_RECORDS];
	uint32_t slots[SHAPE_SLOTS]; /* 0: free; else 1 + its number */
	uint8_t raw[TRACE_BLOCK_BYTES];
	uint8_t packed[TRACE_BLOCK_BYTES + TRACE_BLOCK_BYTES / 128 + 1024];
};

_Static_assert(16 + TRACE_BLOCK_RECORDS * (16 + 2 + 2 * VARINT_MAX) <=
		       TRACE_BLOCK_BYTES,
	       "accesses");
_Static_assert(TRACE_BLOCK_EVENTS * sizeof(struct trace_event) <=
		       TRACE_BLOCK_BYTES,
	       "events");
_Static_assert(304 + 16 * POLICY_MAX_NODES +
			       12 * POLICY_MAX_NODES * POLICY_MAX_NODES +
			       TRACE_MAX_VMS * 328 <=
		       TRACE_BLOCK_BYTES,
	       "head");
_Static_assert(TRACE_BLOCK_RECORDS <= 65536, "shapes have 2 bytes");

static int trace_write_all(struct trace_writer *w, const void *p, size_t n)
{
	const uint8_t *at = p;

	w->bytes += n;
	while (n) {
		ssize_t put = write(w->fd, at, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return put ? -errno : -EIO;
		at += put;
		n -= (size_t)put;
	}
	return 0;
}

/* A block of what is in w->raw. */
static int trace_write_block(struct trace_writer *w, enum trace_block kind,
			     uint32_t count, const uint8_t *end)
{
	size_t raw = (size_t)(end - w->raw), packed;
	uint8_t head[TRACE_HEAD_BYTES], *p = head;
	int err;

	packed = ZSTD_compress2(w->zstd, w->packed, sizeof(w->packed), w->raw,
				raw);
	if (ZSTD_isError(packed) || packed > TRACE_BLOCK_BYTES)
		return -EIO;
	trace_put(&p, kind, 4);
	trace_put(&p, count, 4);
	trace_put(&p, raw, 4);
	trace_put(&p, packed, 4);
	err = trace_write_all(w, head, sizeof(head));
	return err ? err : trace_write_all(w, w->packed, packed);
}

static void trace_put_bytes(uint8_t **p, const void *from, size_t n)
{
	memcpy(*p, from, n);
	*p += n;
}

static int trace_write_head(struct trace_writer *w)
{
	const struct trace_info *i = &w->info;
	uint8_t file[TRACE_HEAD_BYTES], *p = file;
	int err;

	trace_put(&p, TRACE_MAGIC, 8);
	trace_put(&p, TRACE_VERSION, 4);
	trace_put(&p, 0, 4);
	err = trace_write_all(w, file, sizeof(file));
	if (err)
		return err;
	p = w->raw;
	trace_put(&p, i->nr_nodes, 4);
	trace_put(&p, 0, 4);
	trace_put(&p, i->start_unix_ns, 8);
	trace_put_bytes(&p, i->origin, sizeof(i->origin));
	trace_put_bytes(&p, i->text, sizeof(i->text));
	for (uint32_t n = 0; n < i->nr_nodes; n++) {
		trace_put(&p, (uint32_t)i->nodes[n].number, 4);
		trace_put(&p, i->nodes[n].cpus, 4);
		trace_put(&p, i->nodes[n].pages, 8);
	}
	for (uint32_t n = 0; n < i->nr_nodes * i->nr_nodes; n++) {
		trace_put(&p, i->distance[n], 4);
		trace_put(&p, i->latency_ns[n], 4);
		trace_put(&p, i->move_ns[n], 4);
	}
	for (uint32_t n = 0; n < i->nr_vms; n++) {
		trace_put(&p, i->vms[n].pages, 8);
		trace_put_bytes(&p, i->vms[n].name, sizeof(i->vms[n].name));
		trace_put_bytes(&p, i->vms[n].policy, sizeof(i->vms[n].policy));
	}
	return trace_write_block(w, TRACE_HEAD, i->nr_vms, p);
}

int trace_writer_create(struct trace_writer **out, int fd,
			const struct trace_info *info)
{
	struct trace_writer *w;
	int err;

	if (trace_info_wrong(info))
		return -EINVAL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->info = *info;
	w->fd = fd;
	w->zstd = ZSTD_createCCtx();
	if (!w->zstd) {
		trace_writer_destroy(w);
		return -ENOMEM;
	}
	(void)ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel,
				     ZSTD_LEVEL);
	(void)ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1);
	err = trace_write_head(w);
	if (err) {
		trace_writer_destroy(w);
		return err;
	}
	*out = w;
	return 0;
}

void trace_writer_destroy(struct trace_writer *w)
{
	if (!w)
		return;
	(void)ZSTD_freeCCtx(w->zstd);
	free(w);
}

/* --- accesses ------------------------------------------------------------- */

static struct trace_shape trace_shape_of(const struct access_record *r)
{
	return (struct trace_shape){
		.a = r->vm | (uint64_t)r->weight << 32,
		.b = r->vcpu | (uint64_t)r->node << 16 |
		     (uint64_t)r->home << 24 | (uint64_t)r->kind << 32 |
		     (uint64_t)r->class << 40 | (uint64_t)r->page_flags << 48 |
		     (uint64_t)r->counted << 56,
	};
}

/* The number of a shape in this block, which has room for one per record. */
static uint32_t trace_shape_number(struct trace_writer *w, struct trace_shape s)
{
	uint64_t hash =
		(s.a * 0x9e3779b97f4a7c15ull ^ s.b) * 0xbf58476d1ce4e5b9ull;
	uint32_t slot = (uint32_t)(hash >> 40) % SHAPE_SLOTS;

	while (w->slots[slot]) {
		const struct trace_shape *t = &w->shapes[w->slots[slot] - 1];

		if (t->a == s.a && t->b == s.b)
			return w->slots[slot] - 1;
		slot = (slot + 1) % SHAPE_SLOTS;
	}
	w->shapes[w->nr_shapes] = s;
	w->slots[slot] = ++w->nr_shapes;
	return w->nr_shapes - 1;
}

static int trace_flush_accesses(struct trace_writer *w)
{
	unsigned bytes = w->nr_shapes <= 256 ? 1 : 2;
	uint64_t time = w->records[0].time_ns, page = 0;
	uint8_t *p = w->raw, *size, *times;

	if (!w->nr)
		return 0;
	trace_put(&p, time, 8);
	trace_put(&p, w->nr_shapes, 4);
	size = p;
	p += 4;
	for (uint32_t i = 0; i < w->nr_shapes; i++) {
		trace_put(&p, w->shapes[i].a, 8);
		trace_put(&p, w->shapes[i].b, 8);
	}
	for (uint32_t i = 0; i < w->nr; i++)
		trace_put(&p, w->shape_of[i], bytes);
	times = p;
	for (uint32_t i = 0; i < w->nr; i++) {
		trace_put_varint(&p, w->records[i].time_ns - time);
		time = w->records[i].time_ns;
	}
	trace_put(&size, (uint64_t)(p - times), 4);
	for (uint32_t i = 0; i < w->nr; i++) {
		trace_put_varint(&p, trace_zigzag(w->records[i].page - page));
		page = w->records[i].page;
	}
	return trace_write_block(w, TRACE_ACCESSES, w->nr, p);
}

static int trace_flush(struct trace_writer *w)
{
	int err = trace_flush_accesses(w);

	if (!err && w->nr_events) {
		uint8_t *p = w->raw;

		trace_put_bytes(&p, w->events,
				w->nr_events * sizeof(w->events[0]));
		err = trace_write_block(w, TRACE_EVENTS, w->nr_events, p);
	}
	w->nr = w->nr_events = w->nr_shapes = 0;
	memset(w->slots, 0, sizeof(w->slots));
	return err;
}

int trace_writer_add(struct trace_writer *w, const struct access_record *r)
{
	struct access_record *to;
	int err;

	if (trace_access_wrong(&w->info, r))
		return -EINVAL;
	if (w->nr == TRACE_BLOCK_RECORDS) {
		err = trace_flush(w);
		if (err)
			return err;
	}
	w->shape_of[w->nr] = trace_shape_number(w, trace_shape_of(r));
	to = &w->records[w->nr++];
	*to = *r;
	to->time_ns = w->last_ns = max_u64(w->last_ns, r->time_ns);
	w->totals.accesses++;
	return 0;
}

/* --- events --------------------------------------------------------------- */

int trace_writer_event(struct trace_writer *w, const struct trace_event *e)
{
	struct trace_event *to;
	int err;

	if (trace_event_wrong(&w->info, e))
		return -EINVAL;
	if (w->nr_events == TRACE_BLOCK_EVENTS) {
		err = trace_flush(w);
		if (err)
			return err;
	}
	to = &w->events[w->nr_events++];
	*to = *e;
	to->at = w->totals.accesses;
	w->totals.events++;
	return 0;
}

static int trace_writer_text(struct trace_writer *w, struct trace_event *e,
			     const char *text)
{
	/* Shorter than the field: what follows is NUL. */
	(void)strncpy(e->text, text, sizeof(e->text) - 1);
	return trace_writer_event(w, e);
}

int trace_writer_mark(struct trace_writer *w, uint64_t time_ns,
		      const char *text)
{
	struct trace_event e = { .time_ns = time_ns, .kind = TRACE_MARK };

	return trace_writer_text(w, &e, text);
}

int trace_writer_policy(struct trace_writer *w, uint64_t time_ns, uint32_t vm,
			const char *text)
{
	int err = 0;

	do {
		struct trace_event e = { .time_ns = time_ns,
					 .kind = TRACE_POLICY,
					 .vm = vm };

		e.more = strlen(text) >= sizeof(e.text);
		err = trace_writer_text(w, &e, text);
		text += strnlen(text, sizeof(e.text) - 1);
	} while (!err && *text);
	return err;
}

int trace_writer_end(struct trace_writer *w, uint64_t lost, uint64_t compute_ns)
{
	int err = trace_flush(w);
	uint8_t *p = w->raw;

	if (err)
		return err;
	trace_put(&p, w->totals.accesses, 8);
	trace_put(&p, w->totals.events, 8);
	trace_put(&p, lost, 8);
	trace_put(&p, compute_ns, 8);
	return trace_write_block(w, TRACE_END, 0, p);
}

uint64_t trace_writer_accesses(const struct trace_writer *w)
{
	return w->totals.accesses;
}

uint64_t trace_writer_bytes(const struct trace_writer *w)
{
	return w->bytes;
}
