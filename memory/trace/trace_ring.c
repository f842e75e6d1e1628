/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/trace/trace_ring.h"

#include <string.h>

#include "disco/stamp.h"

/*
 * Words of a slot: the time; kind, more and vm of an event, where kind 0 is an
 * access; and 40 bytes.
 */
#define SLOT_BYTES (5 * sizeof(uint64_t))

_Static_assert(SLOT_BYTES == TRACE_EVENT_TEXT, "an event fits a slot");

/* An access, as 40 bytes. */
struct trace_slot_access {
	uint64_t page;
	uint32_t weight;
	uint16_t vcpu;
	uint8_t node, home, kind, class, page_flags, counted, zero[20];
};

_Static_assert(sizeof(struct trace_slot_access) == SLOT_BYTES, "layout");

void trace_ring_begin(struct trace_ring *r)
{
	atomic_store_explicit(&r->magic, TRACE_RING_MAGIC,
			      memory_order_release);
}

void trace_item_pack(const struct trace_item *i, uint64_t *words)
{
	const struct access_record *a = &i->access;
	const struct trace_event *e = &i->event;
	struct trace_slot_access s;

	if (i->is_event) {
		words[0] = e->time_ns;
		words[1] = e->kind | (uint64_t)e->more << 16 |
			   (uint64_t)e->vm << 32;
		memcpy(&words[2], e->bytes, SLOT_BYTES);
		return;
	}
	words[0] = a->time_ns;
	words[1] = (uint64_t)a->vm << 32;
	s = (struct trace_slot_access){ .page = a->page,
					.weight = a->weight,
					.vcpu = a->vcpu,
					.node = a->node,
					.home = a->home,
					.kind = a->kind,
					.class = a->class,
					.page_flags = a->page_flags,
					.counted = a->counted };
	memcpy(&words[2], &s, SLOT_BYTES);
}

void trace_item_unpack(const uint64_t *words, struct trace_item *i)
{
	struct trace_slot_access s;

	*i = (struct trace_item){ .is_event = words[1] & 0xffff };
	if (i->is_event) {
		i->event = (struct trace_event){
			.time_ns = words[0],
			.kind = (uint16_t)words[1],
			.more = (uint16_t)(words[1] >> 16),
			.vm = (uint32_t)(words[1] >> 32),
		};
		memcpy(i->event.bytes, &words[2], SLOT_BYTES);
		return;
	}
	memcpy(&s, &words[2], SLOT_BYTES);
	i->access = (struct access_record){
		.time_ns = words[0],
		.page = s.page,
		.vm = (uint32_t)(words[1] >> 32),
		.weight = s.weight,
		.vcpu = s.vcpu,
		.node = s.node,
		.home = s.home,
		.kind = s.kind,
		.class = s.class,
		.page_flags = s.page_flags,
		.counted = s.counted,
	};
}

void trace_ring_put(struct trace_ring *r, const struct trace_item *i)
{
	uint64_t nr = atomic_load_explicit(&r->head, memory_order_relaxed);
	struct trace_slot *s = &r->slots[nr % TRACE_RING_SLOTS];
	uint64_t words[TRACE_ITEM_WORDS];

	trace_item_pack(i, words);
	stamp_begin(&s->stamp);
	for (unsigned w = 0; w < ARRAY_SIZE(words); w++)
		atomic_store_explicit(&s->words[w], words[w],
				      memory_order_relaxed);
	stamp_end(&s->stamp, nr);
	atomic_store_explicit(&r->head, nr + 1, memory_order_release);
}

static bool trace_slot_read(const struct trace_slot *s, uint64_t nr,
			    uint64_t words[TRACE_ITEM_WORDS])
{
	if (!stamp_is(&s->stamp, nr))
		return false;
	for (unsigned w = 0; w < TRACE_ITEM_WORDS; w++)
		words[w] = atomic_load_explicit(&s->words[w],
						memory_order_relaxed);
	return stamp_still(&s->stamp, nr);
}

bool trace_ring_take(const struct trace_ring *r, struct trace_ring_cursor *c,
		     struct trace_item *out)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);
	uint64_t words[TRACE_ITEM_WORDS];

	/* A head that goes back is a broken writer's: nothing is there. */
	while (c->next < head) {
		uint64_t nr = c->next;

		/* Far behind: half a ring on, or the next ones are lost, too. */
		if (head - nr > TRACE_RING_SLOTS) {
			uint64_t to = head - TRACE_RING_SLOTS / 2;

			c->lost += to - nr;
			c->next = to;
			continue;
		}
		c->next++;
		if (trace_slot_read(&r->slots[nr % TRACE_RING_SLOTS], nr,
				    words)) {
			trace_item_unpack(words, out);
			return true;
		}
		c->lost++;
	}
	return false;
}
