/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/views/view_ram.h"

#include <errno.h>
#include <stdlib.h>

#include "disco/huge.h"
#include "disco/worker_spec.h"
#include "memory/pmap.h"
#include "monitor/sandbox/sandbox.h"

/* A page that nobody has written for so long is copied. */
#define VIEW_RAM_TRIAL_NS   1000000000ull
#define VIEW_RAM_BACKOFF_NS 5000000000ull
#define VIEW_RAM_ROUND_NS   1000000000ull

/* For the threads: lives as long as they do. */
struct view_ram_owner {
	void (*failed)(void *arg, int err);
	void *arg;
};

static void view_ram_failed(void *arg, int err)
{
	const struct view_ram_owner *o = arg;

	o->failed(o->arg, err);
}

static void view_ram_enter(void *arg)
{
	int err = sandbox_enter(SANDBOX_COPIES);

	if (err)
		view_ram_failed(arg, err);
}

static void view_ram_change(void *arg, uint64_t offset, uint64_t bytes)
{
	ram_copies_change(arg, offset, bytes);
}

int view_ram_create(const struct worker_spec *s, struct ram_view *ram,
		    void (*failed)(void *arg, int err), void *arg,
		    struct ram_copies **out)
{
	struct ram_copies_spec spec = {
		.ram_fd = ram->fd,
		.bytes = ram->bytes,
		.base = ram->hva,
		.huge = s->huge == HUGE_THP,
		.nr_views = s->wide.nr_nodes,
		.limit = s->wide.copies_bytes / PAGE_BYTES,
		/* Half of what there may be, as nothing is overlaid. */
		.max_mappings = pmap_budget(),
		.trial_ns = VIEW_RAM_TRIAL_NS,
		.backoff_ns = VIEW_RAM_BACKOFF_NS,
		.round_ns = VIEW_RAM_ROUND_NS,
		.enter = view_ram_enter,
		.failed = view_ram_failed,
	};
	struct view_ram_owner *o = malloc(sizeof(*o));
	int err;

	if (!o)
		return -ENOMEM;
	*o = (struct view_ram_owner){ failed, arg };
	spec.arg = o;
	for (unsigned i = 0; i < spec.nr_views; i++)
		spec.nodes[i] = s->wide.nodes[i];
	err = ram_copies_create(&spec, out);
	if (err) {
		free(o);
		return err;
	}
	for (unsigned i = 0; i < spec.nr_views; i++)
		ram->views[ram->nr_views++] = ram_copies_base(*out, i);
	ram->change = view_ram_change;
	ram->change_arg = *out;
	return 0;
}

static int view_set_slot(const struct kvms *k, const struct ram_view *ram,
			 const struct ram_copies *c, unsigned view,
			 unsigned slot, bool there)
{
	const struct ram_slot *s = &ram->slots[slot];
	const uint8_t *base = c ? ram_copies_base(c, view) : ram->hva;
	const struct kvm_userspace_memory_region r = {
		.slot = slot,
		.guest_phys_addr = s->gpa,
		.memory_size = there ? s->bytes : 0,
		.userspace_addr = (uintptr_t)(base + s->offset),
	};

	return kvms_set_slot_of(k, view, &r);
}

int view_ram_set_slots(const struct kvms *k, const struct ram_view *ram,
		       const struct ram_copies *c, bool there)
{
	for (unsigned i = 0; i < ram->nr_slots; i++)
		for (unsigned v = 0; v < kvms_count(k); v++) {
			int err = view_set_slot(k, ram, c, v, i, there);

			if (err)
				return err;
		}
	return 0;
}
