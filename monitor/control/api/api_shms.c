/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GET /v1/shms: the shared segments and their VMs; POST
 * /v1/shms/{name}/replicate and /collapse.
 */
#include <errno.h>
#include <microhttpd.h>
#include <string.h>
#include <sys/stat.h>

#include "disco/segment_figures.h"
#include "monitor/control/api/api_handlers.h"

#define SHM_COUNT_MAX (1ull << 53) /* what a JSON number can be */

/* Bytes that are in memory; 0 if the kernel does not say. */
static uint64_t shm_used_bytes(const struct shm_segment *g)
{
	struct stat st;

	return fstat(g->fd, &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512;
}

static uint64_t shm_count(const _Atomic(uint64_t) *word)
{
	return min_u64(atomic_load_explicit(word, memory_order_relaxed),
		       SHM_COUNT_MAX);
}

/* The agent's; NULL: none, or not begun. */
static const struct segment_figures *shm_figures(const struct shm_segment *g)
{
	const struct segment_figures *f = g->figures.base;

	if (!g->id || !f || atomic_load(&f->magic) != SEGMENT_FIGURES_MAGIC)
		return NULL;
	return f;
}

static uint64_t shm_sum(const _Atomic(uint64_t) words[MAX_NODES])
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < MAX_NODES; i++)
		sum += shm_count(&words[i]);
	return sum;
}

static unsigned shm_node_index(const struct monitor *m, nodeid_t node)
{
	unsigned i = 0;

	while (i < m->topology.nr_nodes && i < MAX_NODES - 1 &&
	       m->topology.nodes[i].id != node)
		i++;
	return i;
}

/* Of the segment's pages, in percent: those that this VM finds on its node. */
static json_t *shm_local(const struct monitor *m,
			 const struct segment_figures *f,
			 const struct segment_use *u)
{
	uint64_t all = f ? shm_sum(f->pages) : 0, local;

	if (!all || !u->vm || u->view >= SEGMENT_MAX_VIEWS)
		return json_null();
	local = shm_count(&f->pages[shm_node_index(m, u->node)]) +
		shm_count(&f->held[u->view]);
	return json_real(100.0 * (double)min_u64(local, all) / (double)all);
}

static json_t *shm_vm_json(const struct monitor *m,
			   const struct segment_figures *f,
			   const struct segment_use *u)
{
	bool viewed = f && u->view < SEGMENT_MAX_VIEWS;

	return json_pack(
		"{s:s, s:o, s:I, s:o}", "vm", u->name, "node",
		u->vm ? json_integer(u->node) : json_null(), "replica_pages",
		(json_int_t)(viewed ? shm_count(&f->held[u->view]) : 0),
		"local_percent", shm_local(m, f, u));
}

static json_t *shm_replicas_json(const struct segment_figures *f)
{
	if (!f)
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "pages",
			 (json_int_t)shm_count(&f->shared_pages), "copies",
			 (json_int_t)shm_sum(f->copies), "protected",
			 (json_int_t)shm_count(&f->protected_pages),
			 "replicated", (json_int_t)shm_count(&f->replicated),
			 "collapsed", (json_int_t)shm_count(&f->collapsed),
			 "reclaimed", (json_int_t)shm_count(&f->reclaimed),
			 "disproved", (json_int_t)shm_count(&f->disproved),
			 "late", (json_int_t)shm_count(&f->late));
}

static json_t *shm_json(const struct monitor *m, const struct shm_segment *g)
{
	const struct segment_figures *f = shm_figures(g);
	json_t *vms = json_array();

	for (const struct segment_use *u = g->uses; u; u = u->next)
		(void)json_array_append_new(vms, shm_vm_json(m, f, u));
	return json_pack("{s:s, s:I, s:I, s:o, s:o, s:o}", "name", g->name,
			 "bytes", (json_int_t)g->bytes, "used_bytes",
			 (json_int_t)shm_used_bytes(g), "node",
			 g->node == NODE_AUTO ? json_null()
					      : json_integer(g->node),
			 "replicas", shm_replicas_json(f), "vms", vms);
}

void api_shm_list(struct api_call *c)
{
	json_t *list = json_array();

	for (const struct shm_segment *g = segments_first(c->m->segments); g;
	     g = g->next)
		(void)json_array_append_new(list, shm_json(c->m, g));
	api_answer(c, MHD_HTTP_OK, json_pack("{s:o}", "shms", list));
}

static void shm_do(struct api_call *c, uint32_t what)
{
	int err = segments_do(c->m->segments, c->name, what);

	if (err == -ENOENT)
		api_fail(c, MHD_HTTP_NOT_FOUND, ST_CONFIG,
			 "there is no segment '%s'", c->name);
	else if (err)
		api_fail(c, MHD_HTTP_CONFLICT, ST_HOST,
			 "segment '%s' has no replicas here: %s", c->name,
			 err == -ENOTSUP
				 ? "see 'disco doctor' about userfaultfd"
				 : strerror(-err));
	else
		api_answer(c, MHD_HTTP_ACCEPTED,
			   json_pack("{s:s}", "name", c->name));
}

void api_shm_replicate(struct api_call *c)
{
	shm_do(c, SEGMENT_REPLICATE);
}

void api_shm_collapse(struct api_call *c)
{
	shm_do(c, SEGMENT_COLLAPSE);
}
