/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/sampling/dirty_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/kvm.h>

#define WANTED                                                                 \
	(KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET)

/* A group that is looked at. Groups are in the order of their looks: a ring. */
struct dirty_look {
	uint32_t slot;
	uint64_t word; /* of the slot's log */
	uint64_t cleared_ns;
};

struct dirty_log {
	int vm_fd;
	const struct ram_view *ram;
	bool on;
	uint64_t words[RAM_MAX_SLOTS]; /* of each slot's log */
	uint64_t *bits[RAM_MAX_SLOTS]; /* as GET has filled them in */
	uint64_t groups;
	struct dirty_look looks[DIRTY_LOG_GROUPS];
	unsigned first, nr;
	struct dirty_log_counts counts;
};

int dirty_log_probe(int kvm_fd)
{
	int has = ioctl(kvm_fd, KVM_CHECK_EXTENSION,
			KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);

	if (has < 0)
		return -errno;
	return ((unsigned)has & WANTED) == WANTED ? 0 : -EOPNOTSUPP;
}

int dirty_log_create(struct dirty_log **out, int vm_fd,
		     const struct ram_view *ram)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
				      .args = { WANTED } };
	int err = dirty_log_probe(vm_fd);
	struct dirty_log *l;

	if (err)
		return err;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->vm_fd = vm_fd;
	l->ram = ram;
	for (unsigned i = 0; i < ram->nr_slots; i++) {
		l->words[i] = align_up(ram->slots[i].bytes / PAGE_BYTES,
				       DIRTY_LOG_GROUP) /
			      DIRTY_LOG_GROUP;
		l->groups += l->words[i];
		l->bits[i] = calloc(l->words[i], sizeof(*l->bits[i]));
		if (!l->bits[i])
			err = -ENOMEM;
	}
	if (!err && ioctl(vm_fd, KVM_ENABLE_CAP, &cap) < 0)
		err = -errno;
	if (err) {
		dirty_log_destroy(l);
		return err;
	}
	*out = l;
	return 0;
}

void dirty_log_destroy(struct dirty_log *l)
{
	if (!l)
		return;
	for (unsigned i = 0; i < RAM_MAX_SLOTS; i++)
		free(l->bits[i]);
	free(l);
}

uint64_t dirty_log_groups(const struct dirty_log *l)
{
	return l->groups;
}

/* --- on and off ----------------------------------------------------------- */

static int dirty_log_flag(const struct dirty_log *l, unsigned slot, bool on)
{
	const struct ram_slot *s = &l->ram->slots[slot];
	struct kvm_userspace_memory_region r = {
		.slot = slot,
		.flags = on ? KVM_MEM_LOG_DIRTY_PAGES : 0,
		.guest_phys_addr = s->gpa,
		.memory_size = s->bytes,
		.userspace_addr = (uintptr_t)(l->ram->hva + s->offset),
	};

	return ioctl(l->vm_fd, KVM_SET_USER_MEMORY_REGION, &r) < 0 ? -errno : 0;
}

/* All slots, or none: one that cannot be has those before it put back. */
static int dirty_log_switch(struct dirty_log *l, bool on)
{
	int err = 0;

	if (l->on == on)
		return 0;
	l->nr = 0;
	for (unsigned i = 0; i < l->ram->nr_slots && !err; i++)
		err = dirty_log_flag(l, i, on);
	for (unsigned i = 0; i < l->ram->nr_slots && err && on; i++)
		(void)!dirty_log_flag(l, i, false);
	l->on = on && !err;
	return err;
}

/* --- looks ---------------------------------------------------------------- */

/* A group by its number, over all slots. */
static struct dirty_look dirty_log_group(const struct dirty_log *l,
					 uint64_t group)
{
	uint32_t slot = 0;

	while (slot + 1 < l->ram->nr_slots && group >= l->words[slot])
		group -= l->words[slot++];
	return (struct dirty_look){ .slot = slot, .word = group };
}

/* The last group of a slot may have fewer pages. */
static uint32_t dirty_log_pages(const struct dirty_log *l,
				const struct dirty_look *k)
{
	uint64_t pages = l->ram->slots[k->slot].bytes / PAGE_BYTES;

	return (uint32_t)min_u64(pages - k->word * DIRTY_LOG_GROUP,
				 DIRTY_LOG_GROUP);
}

static int dirty_log_clear(struct dirty_log *l, struct dirty_look *k,
			   uint64_t now_ns)
{
	uint64_t all = UINT64_MAX;
	struct kvm_clear_dirty_log c = {
		.slot = k->slot,
		.num_pages = dirty_log_pages(l, k),
		.first_page = k->word * DIRTY_LOG_GROUP,
		.dirty_bitmap = &all,
	};

	if (ioctl(l->vm_fd, KVM_CLEAR_DIRTY_LOG, &c) < 0)
		return -errno;
	k->cleared_ns = now_ns;
	l->counts.cleared += c.num_pages;
	return 0;
}

static bool dirty_log_is_looked_at(const struct dirty_log *l,
				   const struct dirty_look *k)
{
	for (unsigned i = 0; i < l->nr; i++) {
		const struct dirty_look *o =
			&l->looks[(l->first + i) % DIRTY_LOG_GROUPS];

		if (o->slot == k->slot && o->word == k->word)
			return true;
	}
	return false;
}

/* As many groups as are due, while there is room. */
static int dirty_log_begin(struct dirty_log *l, struct sampler *s,
			   uint64_t now_ns)
{
	unsigned due = sampler_due(s, now_ns), taken = 0;
	int err = 0;

	for (; taken < due && l->nr < DIRTY_LOG_GROUPS && !err; taken++) {
		struct dirty_look k = dirty_log_group(l, sampler_next(s));

		if (dirty_log_is_looked_at(l, &k))
			continue;
		err = dirty_log_clear(l, &k, now_ns);
		if (!err)
			l->looks[(l->first + l->nr++) % DIRTY_LOG_GROUPS] = k;
	}
	sampler_spend(s, now_ns, taken, 0);
	return err;
}

static bool dirty_log_is_due(const struct dirty_log *l, uint64_t now_ns)
{
	return l->nr &&
	       now_ns - l->looks[l->first].cleared_ns >= DIRTY_LOG_WAIT_NS;
}

static int dirty_log_get(struct dirty_log *l)
{
	for (uint32_t i = 0; i < l->ram->nr_slots; i++) {
		struct kvm_dirty_log g = { .slot = i,
					   .dirty_bitmap = l->bits[i] };

		if (ioctl(l->vm_fd, KVM_GET_DIRTY_LOG, &g) < 0)
			return -errno;
	}
	return 0;
}

static void dirty_log_report(
	struct dirty_log *l, const struct dirty_look *k, uint64_t now_ns,
	void (*found)(void *arg, const struct dirty_page *p), void *arg)
{
	uint64_t bits = l->bits[k->slot][k->word];
	uint64_t first = l->ram->slots[k->slot].offset / PAGE_BYTES +
			 k->word * DIRTY_LOG_GROUP;
	uint32_t pages = dirty_log_pages(l, k);

	for (uint32_t i = 0; i < pages; i++) {
		struct dirty_page p = { first + i,
					max_u64(now_ns - k->cleared_ns, 1) };

		if (!(bits >> i & 1)) {
			l->counts.clean++;
			continue;
		}
		l->counts.written++;
		found(arg, &p);
	}
}

/* One GET for all that are due. */
static int dirty_log_end(struct dirty_log *l, uint64_t now_ns,
			 void (*found)(void *arg, const struct dirty_page *p),
			 void *arg)
{
	int err = dirty_log_is_due(l, now_ns) ? dirty_log_get(l) : 0;

	while (!err && dirty_log_is_due(l, now_ns)) {
		dirty_log_report(l, &l->looks[l->first], now_ns, found, arg);
		l->first = (l->first + 1) % DIRTY_LOG_GROUPS;
		l->nr--;
	}
	return err;
}

int dirty_log_turn(struct dirty_log *l, struct sampler *s, uint64_t now_ns,
		   void (*found)(void *arg, const struct dirty_page *p),
		   void *arg)
{
	int err;

	if (!s->ns_per_page)
		return dirty_log_switch(l, false);
	err = dirty_log_switch(l, true);
	if (!err)
		err = dirty_log_end(l, now_ns, found, arg);
	if (!err)
		err = dirty_log_begin(l, s, now_ns);
	if (!err)
		return 0;
	/* ENOENT: the slots were made anew, without a log. */
	l->counts.failed++;
	l->nr = 0;
	l->on = false;
	return err == -ENOENT || err == -EINVAL ? 0 : err;
}

void dirty_log_get_counts(const struct dirty_log *l,
			  struct dirty_log_counts *out)
{
	*out = l->counts;
}
