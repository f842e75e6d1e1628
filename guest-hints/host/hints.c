/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest-hints/host/hints.h"

#include <stdatomic.h>
#include <string.h>

_Static_assert((HINTS_ENTRIES & (HINTS_ENTRIES - 1)) == 0, "a power of two");

/* Words that the guest reads or writes while we do. */
static uint32_t ring_load_tail(const struct hints *h)
{
	const _Atomic(uint32_t) *tail = (const void *)h->c.ring;

	return atomic_load_explicit(tail, memory_order_acquire);
}

static void info_store(uint32_t *word, uint32_t value, memory_order order)
{
	atomic_store_explicit((_Atomic(uint32_t) *)word, value, order);
}

static void info_store64(__u64 *word, uint64_t value)
{
	/* Only a statistic for the guest. */
	atomic_store_explicit((_Atomic(uint64_t) *)word, value,
			      memory_order_relaxed);
}

/* Each byte is read once: the compiler may not read the guest's again. */
static void ring_copy_entry(const struct hints *h, uint32_t n,
			    struct hints_entry *out)
{
	const _Atomic(uint64_t) *from =
		(const void *)(h->c.ring + HINTS_ENTRIES_AT - HINTS_TAIL_AT +
			       n % HINTS_ENTRIES * sizeof(*out));
	uint64_t words[sizeof(*out) / sizeof(uint64_t)] = { 0 };

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		words[i] = atomic_load_explicit(&from[i], memory_order_relaxed);
	memcpy(out, words, sizeof(*out));
}

static void hints_set_flag(struct hints *h, uint32_t flag, bool on)
{
	uint32_t flags = on ? h->info->flags | flag : h->info->flags & ~flag;

	/* Order with head: a guest that sees head sees flags from before it. */
	info_store(&h->info->flags, flags, memory_order_relaxed);
}

void hints_init(struct hints *h, const struct hints_config *c)
{
	*h = (struct hints){ .c = *c,
			     .info = (void *)(c->bar + HINTS_INFO_AT),
			     .credit_ns = HINTS_BURST_NS };
	h->counted_ns = c->ops->now_ns(c->arg);
	*h->info = (struct hints_info){ .magic = HINTS_MAGIC,
					.version = HINTS_VERSION,
					.flags = c->flags,
					.nr_vcpus = c->nr_vcpus };
	memset(h->info->vcpu_node, HINTS_NO_NODE, sizeof(h->info->vcpu_node));
}

/* --- what the guest is told ------------------------------------------------- */

static uint8_t hints_number_of(nodeid_t node)
{
	return node >= 0 && node < (nodeid_t)HINTS_MAX_NODES ? (uint8_t)node
							     : HINTS_NO_NODE;
}

/* Of vCPUs first .. end - 1. */
static void hints_tell_homes(struct hints *h, uint32_t first, uint32_t end,
			     nodeid_t node)
{
	uint32_t sequence = h->info->sequence;

	info_store(&h->info->sequence, sequence + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	for (uint32_t i = first; i < end && i < HINTS_MAX_VCPUS; i++)
		atomic_store_explicit(
			(_Atomic(uint8_t) *)&h->info->vcpu_node[i],
			hints_number_of(node), memory_order_relaxed);
	info_store(&h->info->sequence, sequence + 2, memory_order_release);
}

void hints_tell_home(struct hints *h, nodeid_t node)
{
	hints_tell_homes(h, 0, h->c.nr_vcpus, node);
}

void hints_tell_vcpu_home(struct hints *h, uint32_t vcpu, nodeid_t node)
{
	hints_tell_homes(h, vcpu, vcpu + 1, node);
}

void hints_tell_distances(struct hints *h, const uint8_t *distance, uint32_t nr)
{
	uint8_t *to = h->c.bar + HINTS_DISTANCE_AT;

	for (uint32_t i = 0; i < nr && i < HINTS_MAX_NODES; i++)
		memcpy(to + (size_t)i * HINTS_MAX_NODES,
		       distance + (size_t)i * nr, nr);
	h->info->nr_nodes = nr;
}

/* --- entries ------------------------------------------------------------------ */

static bool hints_has_pages(uint16_t kind)
{
	return kind != HINTS_PHASE_BEGIN && kind != HINTS_PHASE_END;
}

static bool hints_entry_is_sound(const struct hints *h,
				 const struct hints_entry *e)
{
	if (e->kind == HINTS_NONE || e->kind >= HINTS_NR_KINDS || e->zero)
		return false;
	if (!hints_has_pages(e->kind))
		return e->pages == 0;
	if (e->kind == HINTS_PRIVATE && e->vcpu >= h->c.nr_vcpus)
		return false;
	return e->pages && e->pages <= HINTS_MAX_PAGES &&
	       e->page <= UINT64_MAX / HINTS_PAGE_BYTES - e->pages &&
	       h->c.ops->is_ram(h->c.arg, e->page, e->pages);
}

static bool hints_has_record(uint16_t kind)
{
	return kind != HINTS_FREE && kind != HINTS_ZERO && kind != HINTS_MERGE;
}

/* Whether it is done by page; the rest is a record alone. */
static bool hints_has_steps(uint16_t kind)
{
	return !hints_has_record(kind) || kind == HINTS_COLD;
}

/* The guest sees this page read-only: it has what the host has written. */
static uint8_t hints_home_of(const struct hints *h, const struct hints_entry *e)
{
	return h->info->vcpu_node[e->kind == HINTS_PRIVATE ? e->vcpu : 0];
}

static void hints_record(struct hints *h, const struct hints_entry *e)
{
	const struct hint_record r = { .page = e->page,
				       .pages = e->pages,
				       .vcpu = e->kind == HINTS_PRIVATE
						       ? e->vcpu
						       : HINTS_ANY_VCPU,
				       .kind = (uint8_t)e->kind,
				       .node = hints_home_of(h, e),
				       .arg = e->arg };

	if (h->c.log && hints_has_record(e->kind))
		hint_log_add(h->c.log, &r);
}

/* The next pages of the entry that is under way. Return: whether it is free. */
static bool hints_step(struct hints *h)
{
	const struct hints_entry *e = &h->entry;
	const struct hints_ops *ops = h->c.ops;
	uint64_t page = e->page + h->done;
	uint64_t nr = min_u64(e->pages - h->done, HINTS_STEP), freed = 0;

	switch (e->kind) {
	case HINTS_FREE:
		freed = min_u64(ops->free(h->c.arg, page, nr), nr);
		h->counts.freed += freed;
		break;
	case HINTS_ZERO:
		ops->zero(h->c.arg, page, nr);
		break;
	case HINTS_COLD:
		ops->cold(h->c.arg, page, nr);
		h->counts.cold += nr;
		break;
	case HINTS_MERGE:
		ops->merge(h->c.arg, page, nr);
		h->counts.merged += nr;
		break;
	default:
		break;
	}
	h->done += nr;
	h->under_way = h->done < e->pages;
	return freed && freed >= nr / 2;
}

/* Return: whether there is one; it is under way, or was done at once. */
static bool hints_take(struct hints *h)
{
	uint32_t nr = ring_load_tail(h) - h->head;

	if (nr > HINTS_ENTRIES) {
		h->broken = true;
		h->counts.broken++;
		hints_set_flag(h, HINTS_INFO_BROKEN, true);
		return false;
	}
	if (!nr)
		return false;
	ring_copy_entry(h, h->head, &h->entry);
	h->head++;
	h->done = 0;
	if (!hints_entry_is_sound(h, &h->entry)) {
		h->counts.refused++;
		return true;
	}
	h->counts.kinds[h->entry.kind]++;
	hints_record(h, &h->entry);
	h->under_way = hints_has_steps(h->entry.kind);
	return true;
}

/* --- time --------------------------------------------------------------------- */

static void hints_earn(struct hints *h, uint64_t now)
{
	uint64_t earned = (now - h->counted_ns) / HINTS_SHARE;

	h->credit_ns += (int64_t)min_u64(earned, HINTS_BURST_NS * 2);
	if (h->credit_ns > (int64_t)HINTS_BURST_NS)
		h->credit_ns = HINTS_BURST_NS;
	/* What was not enough for a ns is kept for the next time. */
	h->counted_ns += earned * HINTS_SHARE;
}

/* The entry that is under way is not taken yet, for the guest. */
static void hints_publish(struct hints *h)
{
	const struct hints_counts *k = &h->counts;
	uint64_t taken = k->refused;

	for (unsigned i = 0; i < HINTS_NR_KINDS; i++)
		taken += k->kinds[i];
	info_store64(&h->info->taken, taken);
	info_store64(&h->info->refused, k->refused);
	info_store64(&h->info->freed, k->freed);
	/* Release: what the guest reads after it has been done (ring, 3). */
	info_store(&h->info->head, h->head - (h->under_way ? 1 : 0),
		   memory_order_release);
}

/* Until the time is over. Return: whether something is left. */
static bool hints_run(struct hints *h, uint64_t from)
{
	uint64_t now = from, then;

	while (h->credit_ns > 0) {
		bool unpaid = false;

		if (now - from > HINTS_TURN_NS)
			return true;
		if (!h->under_way && !hints_take(h))
			return false;
		if (h->under_way)
			unpaid = hints_step(h);
		then = h->c.ops->now_ns(h->c.arg);
		h->counts.spent_ns += then - now;
		if (!unpaid)
			h->credit_ns -= (int64_t)(then - now);
		now = then;
	}
	return true;
}

enum hints_next hints_serve(struct hints *h, uint64_t *wait_ns)
{
	uint64_t now = h->c.ops->now_ns(h->c.arg);
	bool more;

	hints_earn(h, now);
	h->credit_ns -= (int64_t)HINTS_WAKE_NS;
	more = !h->broken && hints_run(h, now);
	hints_set_flag(h, HINTS_INFO_SLOWED, h->credit_ns <= 0);
	hints_publish(h);
	if (h->credit_ns > 0)
		return more ? HINTS_MORE : HINTS_DONE;
	h->counts.slowed++;
	*wait_ns = (uint64_t)(1 - h->credit_ns) * HINTS_SHARE +
		   HINTS_TURN_NS * HINTS_SHARE;
	return HINTS_WAIT;
}

void hints_reset(struct hints *h)
{
	/* The guest stores 0 to tail before it writes the register. */
	h->head = 0;
	h->under_way = h->broken = false;
	hints_set_flag(h, HINTS_INFO_BROKEN, false);
	hints_publish(h);
}
