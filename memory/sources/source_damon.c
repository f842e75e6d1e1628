/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/sources/source_damon.h"

#include <errno.h>
#include <stdlib.h>

#define WEIGHT_MAX 128u /* as much as makes a page hot (Verghese's trigger) */

struct damon_source {
	struct access_source source;
	struct damon_source_config c;
	unsigned next; /* VM that is read first: each has its turn */
};

uint32_t source_bits_weight(uint32_t accesses, uint64_t period_ns)
{
	uint64_t w = accesses * SOURCE_BITS_NS / max_u64(period_ns, 1);

	return (uint32_t)min_u64(max_u64(w, 1), WEIGHT_MAX);
}

/* At most SOURCE_BITS_BATCH pages that were accessed. Return: how many. */
static unsigned damon_source_take(struct heat_map *h, uint64_t *pages,
				  uint32_t *accesses, unsigned max)
{
	unsigned nr = 0;

	while (nr < max && heat_map_next(h, &pages[nr], &accesses[nr]))
		nr++;
	return nr;
}

static unsigned damon_source_batch(struct damon_source *s, unsigned vm,
				   struct heat_map *h,
				   struct access_record *out, unsigned max,
				   unsigned *taken)
{
	uint64_t pages[SOURCE_BITS_BATCH], now = s->c.now_ns(s->c.arg);
	uint32_t accesses[SOURCE_BITS_BATCH];
	uint8_t homes[SOURCE_BITS_BATCH];
	uint8_t node = s->c.node_of_vm(s->c.arg, vm);
	unsigned nr = 0;

	*taken = damon_source_take(h, pages, accesses,
				   (unsigned)min_u64(max, SOURCE_BITS_BATCH));
	if (*taken)
		s->c.homes_of(s->c.arg, vm, pages, *taken, homes);
	for (unsigned i = 0; i < *taken; i++) {
		if (homes[i] == ACCESS_NO_NODE) {
			s->source.strange++;
			continue;
		}
		out[nr++] = (struct access_record){
			.time_ns = now,
			.page = pages[i],
			.vm = vm,
			.weight = source_bits_weight(accesses[i], h->period_ns),
			.vcpu = ACCESS_NO_VCPU,
			.node = node,
			.home = homes[i],
			.kind = POLICY_UNKNOWN,
			.class = ACCESS_BIT,
		};
	}
	return nr;
}

static unsigned damon_source_read_vm(struct damon_source *s, unsigned vm,
				     struct access_record *out, unsigned max)
{
	struct heat_map *h = s->c.heat_of(s->c.arg, vm);
	unsigned nr = 0, taken = 1;

	while (h && nr < max && taken)
		nr += damon_source_batch(s, vm, h, out + nr, max - nr, &taken);
	return nr;
}

static int damon_source_read(struct access_source *source,
			     struct access_record *out, unsigned max)
{
	struct damon_source *s =
		container_of(source, struct damon_source, source);
	unsigned nr_vms = s->c.nr_vms(s->c.arg), nr = 0;

	for (unsigned i = 0; i < nr_vms && nr < max; i++)
		nr += damon_source_read_vm(s, (s->next + i) % nr_vms, out + nr,
					   max - nr);
	s->next = nr_vms ? (s->next + 1) % nr_vms : 0;
	return (int)nr;
}

static void damon_source_destroy(struct access_source *source)
{
	free(container_of(source, struct damon_source, source));
}

static const struct access_source_ops damon_source_ops = {
	.name = "damon",
	.class = ACCESS_BIT,
	.read = damon_source_read,
	.destroy = damon_source_destroy,
};

int damon_source_create(struct access_source **out,
			const struct damon_source_config *c)
{
	struct damon_source *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->source.ops = &damon_source_ops;
	s->c = *c;
	*out = &s->source;
	return 0;
}
