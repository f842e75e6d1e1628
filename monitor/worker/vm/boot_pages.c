/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/vm/boot_pages.h"

#include <errno.h>
#include <stdlib.h>

struct boot_pages_source {
	struct pmap_source s;
	struct pmap *pm;
	unsigned id;
	enum boot_kind kind;
	uint64_t held; /* pages shown, and one for who is about to show some */
};

struct boot_pages_rebase {
	struct boot_pages_source *to;
	const struct boot_others *others;
};

static void boot_pages_gone(struct pmap_source *s, uint64_t index)
{
	struct boot_pages_source *b =
		container_of(s, struct boot_pages_source, s);

	(void)index;
	if (--b->held)
		return;
	pmap_remove_source(b->pm, b->id);
	free(b);
}

int boot_source_create(struct pmap *pm, int fd, enum boot_kind kind,
		       struct boot_pages_source **out)
{
	struct boot_pages_source *b = malloc(sizeof(*b));
	int err;

	if (!b)
		return -ENOMEM;
	*b = (struct boot_pages_source){
		.s = { fd, boot_pages_gone }, .pm = pm, .kind = kind, .held = 1
	};
	err = pmap_add_source(pm, &b->s, &b->id);
	if (err)
		free(b);
	else
		*out = b;
	return err;
}

void boot_source_shown(struct boot_pages_source *b)
{
	b->s.fd = -1;
	boot_pages_gone(&b->s, 0);
}

int boot_source_show(struct boot_pages_source *b, void *hva, uint64_t nr,
		     uint64_t index)
{
	int err = pmap_show(b->pm, hva, nr, b->id, index);

	if (!err)
		b->held += nr;
	return err;
}

static int show_extent(struct boot_pages_source *b, const struct ram_view *ram,
		       const struct boot_extent *e)
{
	uint64_t nr = e->bytes / PAGE_BYTES;
	void *hva = ram_at(ram, gpa(e->gpa), e->bytes);
	int err;

	if (!hva)
		return -EFAULT;
	err = boot_source_show(b, hva, nr, e->gpa / PAGE_BYTES);
	if (err == -ENOSPC)
		err = ram_fill(ram, gpa(e->gpa), e->bytes, b->s.fd, e->gpa);
	return err;
}

int boot_pages_show(struct pmap *pm, const struct ram_view *ram,
		    const struct boot_layout *layout, int fd)
{
	struct boot_pages_source *b;
	int err = boot_source_create(pm, fd, BOOT_COPY, &b);

	if (err)
		return err;
	for (uint32_t i = 0; i < layout->nr_extents && !err; i++)
		err = show_extent(b, ram, &layout->extents[i]);
	boot_source_shown(b);
	return err;
}

static unsigned boot_pages_rebase_run(void *arg, unsigned id, uint64_t index,
				      uint64_t *nr)
{
	const struct boot_pages_rebase *r = arg;
	const struct boot_others *o = r->others;
	struct pmap_source *s = pmap_source(r->to->pm, id);

	if (s->gone == boot_pages_gone) {
		if (container_of(s, struct boot_pages_source, s)->kind ==
		    BOOT_LAYER)
			return 0;
		r->to->held += *nr;
		return r->to->id;
	}
	return o->to ? o->to(o->arg, id, index, nr) : 0;
}

int boot_pages_rebase(struct pmap *pm, int pagemap, int fd,
		      const struct boot_others *others)
{
	struct boot_pages_rebase r = { NULL, others };
	int err = boot_source_create(pm, fd, BOOT_COPY, &r.to);

	if (err)
		return err;
	err = pmap_rebase(pm, pagemap, boot_pages_rebase_run, &r);
	boot_source_shown(r.to);
	return err;
}
