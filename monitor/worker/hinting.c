/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/hinting.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "disco/clock.h"
#include "monitor/worker/merge.h"
#include "monitor/worker/vm/vm.h"

#define BLOCKS_PER_PAGE (PAGE_BYTES / 512u) /* of st_blocks */

static uint8_t *hinting_at(const struct hinting *g, uint64_t page,
			   uint64_t pages)
{
	return ram_at(&g->vm->ram, gpa(page * PAGE_BYTES), pages * PAGE_BYTES);
}

static uint64_t hinting_now_ns(void *arg)
{
	(void)arg;
	return clock_now_ns();
}

static bool hinting_is_ram(void *arg, uint64_t page, uint64_t pages)
{
	return hinting_at(arg, page, pages) != NULL;
}

/* Pages that RAM's memfd has. vCPUs may touch others meanwhile. */
static uint64_t hinting_ram_pages(const struct hinting *g)
{
	struct stat st;

	if (fstat(g->vm->ram.fd, &st) < 0)
		return 0;
	return (uint64_t)st.st_blocks / BLOCKS_PER_PAGE;
}

static uint64_t hinting_free(void *arg, uint64_t page, uint64_t pages)
{
	struct hinting *g = arg;
	uint64_t before = hinting_ram_pages(g), after;

	g->vm->host.ops->free_pages(&g->vm->host, (gfn_t){ page }, pages);
	after = hinting_ram_pages(g);
	return before > after ? before - after : 0;
}

static void hinting_zero(void *arg, uint64_t page, uint64_t pages)
{
	struct hinting *g = arg;
	uint8_t *hva = hinting_at(g, page, pages);

	if (!hva || (!g->vm->spec->reserved &&
		     pmap_free(g->vm->pmap, (gfn_t){ page }, pages) == 0))
		return;
	pmap_overwrite(g->vm->pmap, hva, pages * PAGE_BYTES);
	memset(hva, 0, pages * PAGE_BYTES);
}

static void hinting_merge(void *arg, uint64_t page, uint64_t pages)
{
	struct hinting *g = arg;

	merge_nominate(g->merge, page, pages);
}

static void hinting_cold(void *arg, uint64_t page, uint64_t pages)
{
	struct hinting *g = arg;
	uint8_t *hva = hinting_at(g, page, pages);

	/* Advice: what the kernel does not know of is not done. */
	if (hva)
		(void)madvise(hva, pages * PAGE_BYTES, MADV_COLD);
	hinting_merge(g, page, pages);
}

static const struct hints_ops hinting_ops = {
	.now_ns = hinting_now_ns,
	.is_ram = hinting_is_ram,
	.free = hinting_free,
	.zero = hinting_zero,
	.cold = hinting_cold,
	.merge = hinting_merge,
};

static void hinting_served(void *arg)
{
	struct hinting *g = arg;
	const struct hints_counts *k = &g->dev.hints.counts;
	_Atomic(uint64_t) *words = g->vm->figures->hints.words;

	for (unsigned i = 0; i < HINTS_NR_KINDS; i++)
		figures_set(&words[FIGURES_HINTS_KINDS + i], k->kinds[i]);
	figures_set(&words[FIGURES_HINTS_REFUSED], k->refused);
	figures_set(&words[FIGURES_HINTS_FREED_PAGES], k->freed);
	figures_set(&words[FIGURES_HINTS_COLD_PAGES], k->cold);
	figures_set(&words[FIGURES_HINTS_MERGE_PAGES], k->merged);
	figures_set(&words[FIGURES_HINTS_SLOWED], k->slowed);
	figures_set(&words[FIGURES_HINTS_BROKEN], k->broken);
	figures_set(&words[FIGURES_HINTS_SPENT_NS], k->spent_ns);
}

/* vCPUs of a guest that is spread over nodes have homes of their own. */
static void hinting_tell_wide(struct hinting *g, const struct worker_wide *w)
{
	for (uint32_t i = 0; w->nr_nodes && i < g->vm->spec->nr_vcpus; i++)
		hints_tell_vcpu_home(&g->dev.hints, i,
				     w->nodes[w->vcpu_node[i]]);
}

int hinting_create(struct hinting *g, struct vm *vm, struct merge *merge)
{
	const struct worker_spec *s = vm->spec;
	struct hints_config c = {
		.ops = &hinting_ops,
		.arg = g,
		.log = &vm->figures->hint_log,
		.nr_vcpus = s->nr_vcpus,
		.flags = s->reserved ? HINTS_INFO_KEEPS : 0,
	};
	int err;

	if (s->no_hints)
		return 0;
	g->vm = vm;
	g->merge = merge;
	err = hints_pci_init(&g->dev, &vm->host, &c);
	if (err)
		return err;
	g->dev.served = hinting_served;
	g->dev.served_arg = g;
	hints_tell_distances(&g->dev.hints, s->distances, s->nr_nodes);
	hints_tell_home(&g->dev.hints, s->node);
	hinting_tell_wide(g, &s->wide);
	return pci_add(&vm->pci, &g->dev.pci);
}

void hinting_moved(struct hinting *g, nodeid_t node)
{
	if (g->vm)
		hints_pci_tell_home(&g->dev, node);
}
