/* SPDX-License-Identifier: BSD-2-Clause */
/* POST /v1/vms/{name}/move: waits until other moves are over, then for it. */
#include <errno.h>
#include <microhttpd.h>

#include "disco/clock.h"
#include "monitor/control/api/api_handlers.h"
#include "monitor/control/guests/move.h"

static json_t *moved_json(const struct guest *g, const struct move_result *r,
			  uint64_t bound_ns)
{
	const struct vm_figures *f = &g->vm.figures;

	return json_pack(
		"{s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
		"s:I, s:I, s:o, s:b}",
		"name", g->record.name, "node", (int)r->node, "pages",
		(json_int_t)r->pages, "pages_failed", (json_int_t)r->failed,
		"batches", (json_int_t)r->batches, "stall_bound_ns",
		(json_int_t)bound_ns, "longest_batch_ns",
		(json_int_t)r->longest_ns, "parked_ns",
		(json_int_t)r->parked_ns, "pull_ns", (json_int_t)r->pull_ns,
		"total_ns", (json_int_t)r->total_ns, "ram_pages",
		(json_int_t)f->ram_pages, "ram_pages_local",
		(json_int_t)f->ram_pages_local, "text_pages",
		(json_int_t)f->text_pages, "text_pages_local",
		(json_int_t)f->text_pages_local, "ram_age_ms",
		ram_age_json(g, clock_now_ns()), "ram_exact",
		(int)f->ram_exact);
}

/* A vCPU takes no memory with it. */
static json_t *vcpu_moved_json(const struct guest *g, unsigned vcpu,
			       const struct move_result *r)
{
	return json_pack("{s:s, s:i, s:i, s:o, s:o, s:I}", "name",
			 g->record.name, "vcpu", (int)vcpu, "node",
			 (int)r->node, "nodes", nodes_json(g), "vcpu_nodes",
			 vcpu_nodes_json(g), "total_ns",
			 (json_int_t)r->total_ns);
}

static void api_move_done(void *arg, const struct move_result *r)
{
	struct api_call *c = arg;
	const struct guest *g = guest_find(c->m, c->name);

	if (r->diag.status != ST_OK || !g)
		api_fail_diag(c, &r->diag);
	else if (c->move.vcpu >= 0)
		api_answer(c, MHD_HTTP_OK,
			   vcpu_moved_json(g, (unsigned)c->move.vcpu, r));
	else
		api_answer(c, MHD_HTTP_OK, moved_json(g, r, c->move.bound_ns));
}

/* Return: 0; -EINVAL, and the call was answered. */
static int api_move_read_body(struct api_call *c)
{
	json_int_t node = -1, vcpu = -1;
	json_int_t ms = (json_int_t)(c->m->stall_ns / 1000000);
	json_error_t why;
	json_t *root = json_loadb(c->body ? c->body : "", c->body_len,
				  JSON_REJECT_DUPLICATES, &why);
	bool ok = root && json_unpack_ex(root, &why, JSON_STRICT,
					 "{s:I, s?I, s?I}", "node", &node,
					 "vcpu", &vcpu, "stall_ms", &ms) == 0;
	bool whole = !ok || !json_object_get(root, "vcpu");

	json_decref(root);
	if (ok && node >= 0 && node <= INT32_MAX && ms > 0 &&
	    (whole || (vcpu >= 0 && vcpu <= INT32_MAX)) &&
	    ms <= (json_int_t)(MOVE_STALL_NS_MAX / 1000000)) {
		c->move.node = (nodeid_t)node;
		c->move.vcpu = (int)vcpu;
		c->move.bound_ns = (uint64_t)ms * 1000000u;
		return 0;
	}
	api_fail(
		c, MHD_HTTP_BAD_REQUEST, ST_CONFIG,
		"a move wants {\"node\": N}, for one virtual CPU \"vcpu\", and "
		"\"stall_ms\" from 1 to %u: %s",
		(unsigned)(MOVE_STALL_NS_MAX / 1000000),
		ok ? "out of range" : why.text);
	return -EINVAL;
}

void api_vm_move_begin(struct api_call *c)
{
	if (api_move_read_body(c) == 0)
		api_vm_move_poll(c, false);
}

void api_vm_move_poll(struct api_call *c, bool late)
{
	struct diag d = { .status = ST_OK };
	struct guest *g;
	int err;

	(void)late; /* a step has its deadline, the whole has none */
	if (c->move.begun || c->m->move)
		return;
	g = api_running_guest(c);
	if (!g)
		return;
	c->move.begun = true;
	if (c->move.vcpu >= 0)
		err = move_vcpu_start(c->m, g, (unsigned)c->move.vcpu,
				      c->move.node, api_move_done, c, &d);
	else
		err = move_start(c->m, g, c->move.node, c->move.bound_ns,
				 api_move_done, c, &d);
	if (err)
		api_fail_diag(c, &d);
}
