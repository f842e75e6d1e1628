/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/sources/source_idle.h"

#include <errno.h>
#include <stdlib.h>

#include "disco/clock.h"
#include "memory/sampling/page_idle.h"
#include "memory/sources/source_damon.h"

_Static_assert(IDLE_BATCH <= SOURCE_BITS_BATCH, "homes are asked for at once");

struct idle_source {
	struct access_source source;
	struct idle_source_config c;
	unsigned next; /* VM that is read first: each has its turn */
};

static uint64_t idle_now(const struct idle_source *s)
{
	return s->c.now_ns(s->c.arg);
}

/* Marks pages, and keeps those that can be. Return: 0; -errno of the bitmap. */
static int idle_mark(struct idle_source *s, unsigned vm, struct idle_vm *v,
		     const uint64_t *pages, unsigned nr, bool again)
{
	uint64_t frames[IDLE_BATCH];

	if (nr)
		s->c.frames_of(s->c.arg, vm, pages, nr, frames);
	for (unsigned i = 0; i < nr && v->nr < IDLE_LOOKS; i++) {
		int ret = frames[i] ? page_idle_mark(s->c.fd, frames[i]) : 0;

		if (ret < 0)
			return ret;
		if (ret)
			v->looks[(v->first + v->nr++) % IDLE_LOOKS] =
				(struct idle_look){ pages[i], frames[i],
						    idle_now(s), again };
	}
	return 0;
}

/* As many as are due. */
static int idle_begin(struct idle_source *s, unsigned vm, struct idle_vm *v)
{
	unsigned due = sampler_due(&v->sampler, idle_now(s)), left = due;
	uint64_t pages[IDLE_BATCH];
	int err = 0;

	while (left && v->nr < IDLE_LOOKS && !err) {
		unsigned nr = (unsigned)min_u64(left, IDLE_BATCH);

		for (unsigned i = 0; i < nr; i++)
			pages[i] = sampler_next(&v->sampler);
		err = idle_mark(s, vm, v, pages, nr, false);
		left -= nr;
	}
	sampler_spend(&v->sampler, idle_now(s), due, 0);
	return err;
}

/* Looks that are due, at most IDLE_BATCH. Return: how many. */
static unsigned idle_take(struct idle_source *s, struct idle_vm *v,
			  struct idle_look *out, uint64_t *pages, unsigned max)
{
	uint64_t now = idle_now(s);
	unsigned nr = 0;

	while (nr < max && v->nr &&
	       now - v->looks[v->first].marked_ns >= IDLE_WAIT_NS) {
		out[nr] = v->looks[v->first];
		pages[nr] = out[nr].page;
		nr++;
		v->first = (v->first + 1) % IDLE_LOOKS;
		v->nr--;
	}
	return nr;
}

/* Those that were accessed stay in both arrays. Return: how many; -errno. */
static int idle_look_at(struct idle_source *s, unsigned vm,
			struct idle_look *looks, uint64_t *pages, unsigned nr)
{
	uint64_t frames[IDLE_BATCH];
	unsigned kept = 0;

	if (nr)
		s->c.frames_of(s->c.arg, vm, pages, nr, frames);
	for (unsigned i = 0; i < nr; i++) {
		int ret;

		if (frames[i] != looks[i].frame)
			continue;
		ret = page_idle_accessed(s->c.fd, frames[i]);
		if (ret < 0)
			return ret;
		if (!ret)
			continue;
		looks[kept] = looks[i];
		pages[kept++] = pages[i];
	}
	return (int)kept;
}

static unsigned idle_records(struct idle_source *s, unsigned vm,
			     const struct idle_look *looks,
			     const uint64_t *pages, unsigned nr,
			     struct access_record *out)
{
	uint8_t homes[IDLE_BATCH], node = s->c.node_of_vm(s->c.arg, vm);
	unsigned kept = 0;

	if (nr)
		s->c.homes_of(s->c.arg, vm, pages, nr, homes);
	for (unsigned i = 0; i < nr; i++) {
		uint64_t now = idle_now(s);

		if (homes[i] == ACCESS_NO_NODE) {
			s->source.strange++;
			continue;
		}
		out[kept++] = (struct access_record){
			.time_ns = now,
			.page = pages[i],
			.vm = vm,
			.weight =
				source_bits_weight(1, now - looks[i].marked_ns),
			.vcpu = ACCESS_NO_VCPU,
			.node = node,
			.home = homes[i],
			.kind = POLICY_UNKNOWN,
			.class = ACCESS_BIT,
		};
	}
	return kept;
}

/* Pages that were accessed at the first look. */
static int idle_look_again(struct idle_source *s, unsigned vm,
			   struct idle_vm *v, const struct idle_look *looks,
			   unsigned nr)
{
	uint64_t pages[IDLE_BATCH];
	unsigned again = 0;

	for (unsigned i = 0; i < nr; i++)
		if (!looks[i].again)
			pages[again++] = looks[i].page;
	return idle_mark(s, vm, v, pages, again, true);
}

/* Return: how many records; -errno of the bitmap. */
static int idle_turn(struct idle_source *s, unsigned vm, struct idle_vm *v,
		     struct access_record *out, unsigned max)
{
	struct idle_look looks[IDLE_BATCH];
	uint64_t pages[IDLE_BATCH];
	unsigned taken = idle_take(s, v, looks, pages,
				   (unsigned)min_u64(max, IDLE_BATCH));
	int nr = idle_look_at(s, vm, looks, pages, taken), err;

	if (nr < 0)
		return nr;
	err = idle_look_again(s, vm, v, looks, (unsigned)nr);
	if (!err)
		err = idle_begin(s, vm, v);
	return err ? err
		   : (int)idle_records(s, vm, looks, pages, (unsigned)nr, out);
}

static int idle_read_vm(struct idle_source *s, unsigned vm,
			struct access_record *out, unsigned max)
{
	uint64_t pages, begun = clock_thread_ns();
	struct idle_vm *v = s->c.looks_of(s->c.arg, vm, &pages);
	int nr;

	if (!v->sampler.pages) {
		sampler_init(&v->sampler, pages, idle_now(s));
		sampler_set(&v->sampler, s->c.rate, s->c.share, idle_now(s));
	}
	nr = idle_turn(s, vm, v, out, max);
	sampler_spend(&v->sampler, idle_now(s), 0, clock_thread_ns() - begun);
	return nr;
}

static int idle_source_read(struct access_source *source,
			    struct access_record *out, unsigned max)
{
	struct idle_source *s =
		container_of(source, struct idle_source, source);
	unsigned nr_vms = s->c.nr_vms(s->c.arg), nr = 0;
	int got;

	for (unsigned i = 0; i < nr_vms && nr < max; i++) {
		got = idle_read_vm(s, (s->next + i) % nr_vms, out + nr,
				   max - nr);
		if (got < 0)
			return got;
		nr += (unsigned)got;
	}
	s->next = nr_vms ? (s->next + 1) % nr_vms : 0;
	return (int)nr;
}

static void idle_source_destroy(struct access_source *source)
{
	free(container_of(source, struct idle_source, source));
}

static const struct access_source_ops idle_source_ops = {
	.name = "page_idle",
	.class = ACCESS_BIT,
	.read = idle_source_read,
	.destroy = idle_source_destroy,
};

int idle_source_create(struct access_source **out,
		       const struct idle_source_config *c)
{
	struct idle_source *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->source.ops = &idle_source_ops;
	s->c = *c;
	*out = &s->source;
	return 0;
}
