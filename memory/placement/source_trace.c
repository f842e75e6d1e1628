/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/placement/source_trace.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "disco/limits.h"

struct trace_source {
	struct access_source source;
	struct trace_head head;
	int fd;
	uint64_t at; /* offset of the next record */
};

int trace_begin(FILE *f, uint64_t pages, uint32_t nr_nodes)
{
	const struct trace_head h = {
		.magic = TRACE_MAGIC,
		.version = TRACE_VERSION,
		.record_bytes = sizeof(struct access_record),
		.pages = pages,
		.nr_nodes = nr_nodes,
	};

	return fwrite(&h, sizeof(h), 1, f) == 1 ? 0 : -EIO;
}

int trace_add(FILE *f, const struct access_record *r)
{
	return fwrite(r, sizeof(*r), 1, f) == 1 ? 0 : -EIO;
}

static bool trace_record_is_sound(const struct trace_source *s,
				  const struct access_record *r)
{
	return r->page < s->head.pages && r->weight &&
	       r->node < s->head.nr_nodes && r->home < s->head.nr_nodes &&
	       r->kind <= POLICY_UNKNOWN && r->class < ACCESS_NR_CLASSES;
}

/* Return: how many are sound; *@end: the file has no more. */
static int trace_read_some(struct trace_source *s, struct access_record *out,
			   unsigned max, bool *end)
{
	ssize_t got = pread(s->fd, out, max * sizeof(*out), (off_t)s->at);
	size_t have = got > 0 ? (size_t)got / sizeof(*out) : 0;
	unsigned nr = 0;

	if (got < 0)
		return -errno;
	s->at += have * sizeof(*out);
	*end = have == 0;
	/* Some of one, where none follows. */
	if (*end && got > 0) {
		s->at += (uint64_t)got;
		s->source.lost++;
	}
	for (size_t i = 0; i < have; i++) {
		if (trace_record_is_sound(s, &out[i]))
			out[nr++] = out[i];
		else
			s->source.strange++;
	}
	return (int)nr;
}

static int trace_source_read(struct access_source *source,
			     struct access_record *out, unsigned max)
{
	struct trace_source *s =
		container_of(source, struct trace_source, source);
	bool end = false;
	int nr = 0;

	/* 0 is the end: where all are strange, there may be more. */
	while (!end && nr == 0 && max)
		nr = trace_read_some(s, out, max, &end);
	return nr;
}

static void trace_source_destroy(struct access_source *source)
{
	struct trace_source *s =
		container_of(source, struct trace_source, source);

	(void)close(s->fd);
	free(s);
}

static const struct access_source_ops trace_source_ops = {
	.name = "trace",
	.class = ACCESS_MISS,
	.read = trace_source_read,
	.destroy = trace_source_destroy,
};

int trace_source_create(struct access_source **out, int fd,
			struct trace_head *head)
{
	struct trace_source *s;
	struct trace_head h;
	ssize_t got = pread(fd, &h, sizeof(h), 0);

	if (got < 0)
		return -errno;
	if (got != (ssize_t)sizeof(h) || h.magic != TRACE_MAGIC ||
	    h.version != TRACE_VERSION ||
	    h.record_bytes != sizeof(struct access_record) || !h.pages ||
	    h.pages > VM_MAX_MEMORY / PAGE_BYTES || !h.nr_nodes ||
	    h.nr_nodes > POLICY_MAX_NODES)
		return -EBADMSG;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->source.ops = &trace_source_ops;
	s->head = *head = h;
	s->fd = fd;
	s->at = sizeof(h);
	*out = &s->source;
	return 0;
}
