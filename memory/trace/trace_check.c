/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/trace/trace_check.h"

#include <string.h>

#define LATENCY_MOST 10000000u	 /* ns: 10 ms */
#define MOVE_MOST    1000000000u /* ns: 1 s */

/* NUL-terminated printable ASCII. */
static bool trace_text_is_sound(const char *s, size_t max)
{
	size_t len = strnlen(s, max);

	for (size_t i = 0; i < len; i++)
		if (s[i] < ' ' || s[i] > '~')
			return false;
	return len < max;
}

const char *trace_info_wrong(const struct trace_info *i)
{
	uint32_t pairs = i->nr_nodes * i->nr_nodes;

	if (!i->nr_nodes || i->nr_nodes > POLICY_MAX_NODES)
		return "number of nodes is not 1 to 64";
	if (!i->nr_vms || i->nr_vms > TRACE_MAX_VMS)
		return "number of VMs is not 1 to 256";
	if (!trace_text_is_sound(i->origin, sizeof(i->origin)) ||
	    !trace_text_is_sound(i->text, sizeof(i->text)))
		return "text of the head is not printable";
	for (uint32_t p = 0; p < pairs; p++)
		if (!i->latency_ns[p] || i->latency_ns[p] > LATENCY_MOST ||
		    i->move_ns[p] > MOVE_MOST)
			return "latency or time of a move is out of range";
	for (uint32_t v = 0; v < i->nr_vms; v++) {
		const struct trace_vm *vm = &i->vms[v];

		if (!vm->pages || vm->pages > VM_MAX_MEMORY / PAGE_BYTES)
			return "size of a VM is out of range";
		if (!trace_text_is_sound(vm->name, sizeof(vm->name)) ||
		    !trace_text_is_sound(vm->policy, sizeof(vm->policy)))
			return "name or policy of a VM is not printable";
	}
	return NULL;
}

const char *trace_access_wrong(const struct trace_info *i,
			       const struct access_record *r)
{
	if (r->vm >= i->nr_vms)
		return "no such VM";
	if (r->page >= i->vms[r->vm].pages)
		return "page is beyond the VM's memory";
	if (!r->weight)
		return "weight is 0";
	if ((r->node >= i->nr_nodes && r->node != ACCESS_NO_NODE) ||
	    (r->home >= i->nr_nodes && r->home != ACCESS_NO_NODE))
		return "no such node";
	if (r->kind > POLICY_UNKNOWN || r->class >= ACCESS_NR_CLASSES ||
	    r->counted > 1)
		return "no such kind or class of an access";
	return NULL;
}

static bool trace_done_is_sound(const struct trace_info *i,
				const struct trace_event *e)
{
	return e->done.page < i->vms[e->vm].pages &&
	       e->done.from < i->nr_nodes && e->done.to < i->nr_nodes &&
	       e->done.moved <= 1;
}

static bool trace_decision_is_sound(const struct trace_info *i,
				    const struct trace_event *e)
{
	return e->decision.page < i->vms[e->vm].pages &&
	       e->decision.from < i->nr_nodes &&
	       e->decision.action <= POLICY_REPLICATE &&
	       e->decision.reason < POLICY_NR_REASONS;
}

const char *trace_event_wrong(const struct trace_info *i,
			      const struct trace_event *e)
{
	static const char range[] = "value of an event is out of range";
	char text[TRACE_EVENT_TEXT + 1] = { 0 };

	if (e->vm >= i->nr_vms)
		return "no such VM";
	switch ((enum trace_event_kind)e->kind) {
	case TRACE_MARK:
	case TRACE_POLICY:
		memcpy(text, e->text, sizeof(e->text));
		return e->more <= 1 && trace_text_is_sound(text, sizeof(text))
			       ? NULL
			       : "text of an event is not printable";
	case TRACE_NODE:
		return e->node.node < i->nr_nodes &&
				       e->node.busy_permille <= 1000 &&
				       e->node.has_memory <= 1
			       ? NULL
			       : range;
	case TRACE_DONE:
		return trace_done_is_sound(i, e) ? NULL : range;
	case TRACE_DECISION:
		return trace_decision_is_sound(i, e) ? NULL : range;
	case TRACE_COPIES:
		return e->copies.page < i->vms[e->vm].pages &&
				       e->copies.there <= 1 &&
				       e->copies.written <= 1
			       ? NULL
			       : range;
	case TRACE_TAKE:
	case TRACE_LOST:
	case TRACE_TRACK:
	case TRACE_FORGET:
		return NULL;
	case TRACE_NR_EVENT_KINDS:
		break;
	}
	return "no such kind of event";
}
