/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Recordings of what a VM's engine gets and decides: POST /v1/vms/{name}/trace.
 * "begin" answers with the machine and the number of the recording; "read" with
 * what has come since; "end" ends it. Entries are hexadecimal, 7 words of 8 bytes
 * each (memory/trace/trace_ring.h): the agent's words, which whoever writes the
 * file checks.
 */
#include <inttypes.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "disco/clock.h"
#include "monitor/control/api/api_handlers.h"

#define ITEMS	   4096u /* of an answer */
#define ITEM_CHARS (TRACE_ITEM_WORDS * 16)

/* As the agents know it: nodes by index, and distances. */
static json_t *trace_call_machine(const struct monitor *m)
{
	const struct topology *t = &m->topology;
	json_t *nodes = json_array(), *distances = json_array();

	for (unsigned i = 0; i < t->nr_nodes; i++) {
		(void)json_array_append_new(
			nodes,
			json_pack("{s:i, s:i, s:I}", "node", t->nodes[i].id,
				  "cpus", (int)t->nodes[i].nr_cpus, "pages",
				  (json_int_t)(t->nodes[i].total_bytes /
					       PAGE_BYTES)));
		for (unsigned j = 0; j < t->nr_nodes; j++)
			(void)json_array_append_new(
				distances,
				json_integer((json_int_t)min_u64(
					t->distance[i][j], UINT8_MAX)));
	}
	return json_pack("{s:o, s:o}", "nodes", nodes, "distances", distances);
}

static void trace_call_begin(struct api_call *c, const struct guest *g)
{
	struct placer_view v = { .policy = "" };
	json_t *root;
	uint64_t id;
	int err = placer_trace_begin(c->m->placer, g->id, &id);

	if (err) {
		api_fail(c, MHD_HTTP_CONFLICT, ST_HOST,
			 err == -ENOENT	 ? "%s: its pages are not placed now: "
					   "'disco doctor' lists the sources"
			 : err == -EBUSY ? "%s: it is recorded already"
					 : "%s: it cannot be recorded now",
			 c->name);
		return;
	}
	(void)!placer_look(c->m->placer, g->id, &v);
	root = trace_call_machine(c->m);
	(void)json_object_set_new(root, "id", json_integer((json_int_t)id));
	(void)json_object_set_new(root, "policy", json_string(v.policy));
	(void)json_object_set_new(root, "source",
				  json_string(placer_source(c->m->placer)));
	(void)json_object_set_new(
		root, "pages",
		json_integer(
			(json_int_t)(g->record.memory_bytes / PAGE_BYTES)));
	api_answer(c, MHD_HTTP_OK, root);
}

/* Return: how many; *@text is theirs, hexadecimal. */
static unsigned trace_call_take(const struct trace_ring *ring,
				struct trace_ring_cursor *cursor, char *text)
{
	uint64_t words[TRACE_ITEM_WORDS];
	struct trace_item item;
	unsigned nr = 0;

	while (nr < ITEMS && trace_ring_take(ring, cursor, &item)) {
		trace_item_pack(&item, words);
		for (unsigned w = 0; w < TRACE_ITEM_WORDS; w++)
			(void)sprintf(text + nr * ITEM_CHARS + w * 16,
				      "%016" PRIx64, words[w]);
		nr++;
	}
	text[nr * ITEM_CHARS] = '\0';
	return nr;
}

static void trace_call_read(struct api_call *c, const struct guest *g,
			    uint64_t id, uint64_t after)
{
	const struct trace_ring *ring =
		placer_trace_ring(c->m->placer, g->id, id);
	struct trace_ring_cursor cursor = { .next = after };
	char *text;
	json_t *root;

	if (!ring) {
		api_fail(c, MHD_HTTP_CONFLICT, ST_NO_VM,
			 "%s: the recording has ended", c->name);
		return;
	}
	text = malloc(ITEMS * ITEM_CHARS + 1);
	if (!text) {
		api_answer(c, MHD_HTTP_OK, NULL);
		return;
	}
	(void)trace_call_take(ring, &cursor, text);
	root = json_pack("{s:s, s:I, s:I}", "items", text, "next",
			 (json_int_t)cursor.next, "lost",
			 (json_int_t)cursor.lost);
	free(text);
	api_answer(c, MHD_HTTP_OK, root);
}

static void trace_call_end(struct api_call *c, const struct guest *g,
			   uint64_t id)
{
	placer_trace_end(c->m->placer, g->id, id);
	api_answer(c, MHD_HTTP_OK, json_object());
}

void api_trace(struct api_call *c)
{
	struct guest *g = api_running_guest(c);
	const char *what = "";
	json_int_t id = 0, after = 0;
	json_error_t why;
	json_t *root;

	if (!g)
		return;
	root = json_loadb(c->body ? c->body : "", c->body_len,
			  JSON_REJECT_DUPLICATES, &why);
	if (!root ||
	    json_unpack_ex(root, &why, JSON_STRICT, "{s:s, s?I, s?I}", "do",
			   &what, "id", &id, "after", &after) ||
	    after < 0)
		api_fail(c, MHD_HTTP_BAD_REQUEST, ST_CONFIG,
			 "a recording wants {\"do\": \"begin\", \"read\" or "
			 "\"end\", \"id\": N, \"after\": N}: %s",
			 why.text);
	else if (strcmp(what, "begin") == 0)
		trace_call_begin(c, g);
	else if (strcmp(what, "read") == 0)
		trace_call_read(c, g, (uint64_t)id, (uint64_t)after);
	else if (strcmp(what, "end") == 0)
		trace_call_end(c, g, (uint64_t)id);
	else
		api_fail(c, MHD_HTTP_BAD_REQUEST, ST_CONFIG,
			 "\"do\" is \"begin\", \"read\" or \"end\"");
	json_decref(root);
}
