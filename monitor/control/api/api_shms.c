/* SPDX-License-Identifier: BSD-2-Clause */
/* GET /v1/shms: the shared segments and their VMs. */
#include <microhttpd.h>
#include <sys/stat.h>

#include "monitor/control/api/api_handlers.h"

/* Bytes that are in memory; 0 if the kernel does not say. */
static uint64_t shm_used_bytes(const struct shm_segment *g)
{
	struct stat st;

	return fstat(g->fd, &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512;
}

static json_t *shm_json(const struct shm_segment *g)
{
	json_t *vms = json_array();

	for (const struct segment_use *u = g->uses; u; u = u->next)
		(void)json_array_append_new(
			vms,
			json_pack("{s:s, s:o}", "vm", u->name, "node",
				  u->vm ? json_integer(u->node) : json_null()));
	return json_pack("{s:s, s:I, s:I, s:o, s:o}", "name", g->name, "bytes",
			 (json_int_t)g->bytes, "used_bytes",
			 (json_int_t)shm_used_bytes(g), "node",
			 g->node == NODE_AUTO ? json_null()
					      : json_integer(g->node),
			 "vms", vms);
}

void api_shm_list(struct api_call *c)
{
	json_t *list = json_array();

	for (const struct shm_segment *g = segments_first(c->m->segments); g;
	     g = g->next)
		(void)json_array_append_new(list, shm_json(g));
	api_answer(c, MHD_HTTP_OK, json_pack("{s:o}", "shms", list));
}
