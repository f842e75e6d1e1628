/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/sources/source_ibs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_MAX 512u /* of a sample: some 100 bytes; others are skipped */

/* Raw registers, in the order in which the kernel stores them: from IbsOpCtl. */
enum {
	IBS_OP_CTL,
	IBS_OP_RIP,
	IBS_OP_DATA,
	IBS_OP_DATA2,
	IBS_OP_DATA3,
	IBS_DC_LIN_AD,
	IBS_DC_PHYS_AD,
	IBS_NR_REGS,
};

/* IBS_OP_DATA3 */
#define IBS_LOAD       (1ull << 0)
#define IBS_STORE      (1ull << 1)
#define IBS_DC_MISS    (1ull << 7)
#define IBS_PHYS_VALID (1ull << 18)
#define IBS_L2_MISS    (1ull << 20)
#define IBS_PHYS_BITS  ((1ull << 52) - 1)

struct ibs_source {
	struct access_source source;
	struct ibs_source_config c;
	unsigned next; /* ring that is read first: each has its turn */
	uint8_t node_of[IBS_MAX_CPUS];
	struct ibs_ring rings[];
};

/* Takes @len bytes of what is left; false: there are not as many. */
static bool ibs_take(const uint8_t **at, size_t *left, void *out, size_t len)
{
	if (len > *left)
		return false;
	memcpy(out, *at, len);
	*at += len;
	*left -= len;
	return true;
}

int ibs_decode(const uint8_t *body, size_t len, struct ibs_sample *out)
{
	uint32_t tid[2], cpu[2], raw_bytes, caps;
	uint64_t time, regs[IBS_NR_REGS], data3;

	if (!ibs_take(&body, &len, tid, sizeof(tid)) ||
	    !ibs_take(&body, &len, &time, sizeof(time)) ||
	    !ibs_take(&body, &len, cpu, sizeof(cpu)) ||
	    !ibs_take(&body, &len, &raw_bytes, sizeof(raw_bytes)) ||
	    raw_bytes > len || raw_bytes < sizeof(caps) + sizeof(regs) ||
	    !ibs_take(&body, &len, &caps, sizeof(caps)) ||
	    !ibs_take(&body, &len, regs, sizeof(regs)))
		return -EBADMSG;
	data3 = regs[IBS_OP_DATA3];
	if (!(data3 & IBS_PHYS_VALID) || !(data3 & IBS_DC_MISS) ||
	    !(data3 & IBS_L2_MISS) || !(data3 & (IBS_LOAD | IBS_STORE)))
		return -ENODATA;
	*out = (struct ibs_sample){
		.time_ns = time,
		.frame = (regs[IBS_DC_PHYS_AD] & IBS_PHYS_BITS) / PAGE_BYTES,
		.cpu = cpu[0],
		.kind = data3 & IBS_STORE ? POLICY_WRITE : POLICY_READ,
	};
	return 0;
}

/* --- rings ---------------------------------------------------------------- */

/* @len bytes at a position, which go on at the ring's beginning. */
static void ibs_copy(const struct ibs_ring *r, uint64_t at, void *out,
		     size_t len)
{
	uint64_t start = at & (r->bytes - 1);
	size_t first = (size_t)min_u64(len, r->bytes - start);

	memcpy(out, r->data + start, first);
	memcpy((uint8_t *)out + first, r->data, len - first);
}

static bool ibs_record(struct ibs_source *s, const struct ibs_sample *sample,
		       struct access_record *out)
{
	*out = (struct access_record){
		.time_ns = sample->time_ns,
		.weight = s->c.weight,
		.vcpu = ACCESS_NO_VCPU,
		.node = sample->cpu < s->c.nr_cpus ? s->node_of[sample->cpu]
						   : ACCESS_NO_NODE,
		.home = s->c.home_of(s->c.arg, sample->frame),
		.kind = sample->kind,
		.class = ACCESS_MISS,
	};
	if (out->node != ACCESS_NO_NODE && out->home != ACCESS_NO_NODE &&
	    s->c.find(s->c.arg, sample->frame, &out->vm, &out->page))
		return true;
	s->source.strange++;
	return false;
}

/* A record without its header. Return: whether @out is one. */
static bool ibs_take_record(struct ibs_source *s,
			    const struct perf_event_header *h,
			    const uint8_t *body, size_t len,
			    struct access_record *out)
{
	struct ibs_sample sample;
	uint64_t words[2];
	int err;

	if (h->type == PERF_RECORD_LOST && len >= sizeof(words)) {
		memcpy(words, body, sizeof(words));
		s->source.lost += words[1]; /* id, lost */
		return false;
	}
	if (h->type == PERF_RECORD_LOST_SAMPLES && len >= sizeof(words[0])) {
		memcpy(words, body, sizeof(words[0]));
		s->source.lost += words[0];
		return false;
	}
	if (h->type != PERF_RECORD_SAMPLE)
		return false; /* throttling and others, which say no access */
	err = ibs_decode(body, len, &sample);
	if (err == -EBADMSG)
		s->source.lost++;
	return !err && ibs_record(s, &sample, out);
}

/*
 * One ring, oldest first, until @max records came of it. The head was loaded
 * once [acquire]; the tail is stored at the end [release]: only then the kernel
 * may overwrite what was read.
 */
static unsigned ibs_read_ring(struct ibs_source *s, const struct ibs_ring *r,
			      struct access_record *out, unsigned max)
{
	uint64_t head = __atomic_load_n(&r->head->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = r->head->data_tail;
	struct perf_event_header h;
	uint8_t body[RECORD_MAX];
	unsigned nr = 0;

	if (head - tail > r->bytes) {
		s->source.lost++; /* no ring of a kernel's */
		tail = head;
	}
	while (nr < max && head - tail >= sizeof(h)) {
		ibs_copy(r, tail, &h, sizeof(h));
		if (h.size < sizeof(h) || h.size > head - tail) {
			s->source.lost++;
			tail = head;
			break;
		}
		if (h.size - sizeof(h) <= sizeof(body)) {
			ibs_copy(r, tail + sizeof(h), body, h.size - sizeof(h));
			nr += ibs_take_record(s, &h, body, h.size - sizeof(h),
					      &out[nr]);
		}
		tail += h.size;
	}
	__atomic_store_n(&r->head->data_tail, tail, __ATOMIC_RELEASE);
	return nr;
}

static int ibs_source_read(struct access_source *source,
			   struct access_record *out, unsigned max)
{
	struct ibs_source *s = container_of(source, struct ibs_source, source);
	unsigned nr = 0;

	for (unsigned i = 0; i < s->c.nr_rings && nr < max; i++) {
		unsigned at = s->next + i;

		at = at < s->c.nr_rings ? at : at - s->c.nr_rings;
		nr += ibs_read_ring(s, &s->rings[at], out + nr, max - nr);
	}
	s->next = s->next + 1 < s->c.nr_rings ? s->next + 1 : 0;
	return (int)nr;
}

static void ibs_source_destroy(struct access_source *source)
{
	free(container_of(source, struct ibs_source, source));
}

static const struct access_source_ops ibs_source_ops = {
	.name = "ibs",
	.class = ACCESS_MISS,
	.read = ibs_source_read,
	.destroy = ibs_source_destroy,
};

int ibs_source_create(struct access_source **out,
		      const struct ibs_source_config *c)
{
	struct ibs_source *s;

	if (!c->nr_rings || c->nr_rings > IBS_MAX_CPUS ||
	    c->nr_cpus > IBS_MAX_CPUS || !c->weight)
		return -EINVAL;
	for (unsigned i = 0; i < c->nr_rings; i++)
		if (c->rings[i].bytes < PAGE_BYTES ||
		    c->rings[i].bytes & (c->rings[i].bytes - 1))
			return -EINVAL;
	s = calloc(1, sizeof(*s) + c->nr_rings * sizeof(s->rings[0]));
	if (!s)
		return -ENOMEM;
	s->source.ops = &ibs_source_ops;
	s->c = *c;
	memcpy(s->rings, c->rings, c->nr_rings * sizeof(s->rings[0]));
	memcpy(s->node_of, c->node_of, c->nr_cpus);
	*out = &s->source;
	return 0;
}
