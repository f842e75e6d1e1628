/* SPDX-License-Identifier: BSD-2-Clause */
/* The buffer cache, for people and machines: of each VM and of each agent. */
#include <inttypes.h>
#include <string.h>

#include "monitor/control/api/api_handlers.h"
#include "monitor/control/guests/caches.h"

static const struct {
	const char *key; /* in JSON; metric disco_vm_cache_KEY[_total] */
	const char *help;
	bool gauge;
} vm_words[FIGURES_NR_CACHE] = {
	[FIGURES_HIT_BLOCKS] = { "hit_blocks",
				 "Blocks read that were in the buffer cache.",
				 false },
	[FIGURES_OVERLAID_BLOCKS] = { "overlaid_blocks",
				      "Of them, shown instead of copied.",
				      false },
	[FIGURES_MISSED_BLOCKS] = { "missed_blocks",
				    "Blocks that an agent was asked for.",
				    false },
	[FIGURES_DIRECT_BLOCKS] = { "direct_blocks",
				    "Blocks read from the file after all.",
				    false },
	[FIGURES_ASKED] = { "requests", "Requests sent to agents.", false },
	[FIGURES_LOST] = { "requests_lost",
			   "Requests not sent: the channel was full.", false },
	[FIGURES_LATE] = { "requests_late",
			   "Requests whose answer was not waited for.", false },
	[FIGURES_DEPTH] = { "channel_depth",
			    "Requests that the agent has not taken.", true },
	[FIGURES_SHOWN_PAGES] = { "shown_pages",
				  "Guest pages that are pages of a cache.",
				  true },
	[FIGURES_MAPPINGS] = { "mappings", "Mappings they take.", true },
	[FIGURES_REMOTE_BLOCKS] = { "remote_blocks",
				    "Of the blocks hit, on another node.",
				    false },
	[FIGURES_BROUGHT_PAGES] = { "brought_pages",
				    "Shown pages that gave way to a copy on "
				    "its own node.",
				    false },
	[FIGURES_BROUGHT_NS] = { "brought_longest_ns",
				 "The longest it was stopped for that, in "
				 "nanoseconds.",
				 true },
	[FIGURES_PMEM_FAULTS] = { "pmem_faults",
				  "Faults in memory that is a disk.", false },
	[FIGURES_PMEM_CONTINUED] = { "pmem_mapped_pages",
				     "Pages of it mapped from the cache.",
				     false },
	[FIGURES_PMEM_COPIED] = { "pmem_copied_pages",
				  "Pages of it read from the file after all.",
				  false },
	[FIGURES_MERGED_PAGES] = { "merged_pages",
				   "Pages that gave way to an equal one.",
				   false },
	[FIGURES_ZERO_PAGES] = { "zero_pages",
				 "Pages of zeroes that were given back.",
				 false },
	[FIGURES_MERGED_NS] = { "merged_longest_ns",
				"The longest it was stopped for these, in "
				"nanoseconds.",
				true },
	[FIGURES_REFS_SENT] = { "refs_sent",
				"Blocks that frames it sent referred to.",
				false },
	[FIGURES_REFS_RECEIVED] = { "refs_received",
				    "Blocks that frames it got referred to.",
				    false },
	[FIGURES_REFS_DROPPED] = { "refs_dropped",
				   "Of them, not looked for: of an image that "
				   "it does not share, in no cache, or no "
				   "room.",
				   false },
	[FIGURES_REFS_WRONG] = { "refs_wrong",
				 "Of them, equal to no page of its memory.",
				 false },
	[FIGURES_REFS_MERGED] = { "refs_merged_pages",
				  "Pages that gave way to a cached block that "
				  "a "
				  "frame referred to.",
				  false },
	[FIGURES_REFS_NS] = { "refs_longest_ns",
			      "The longest it was stopped for that, in "
			      "nanoseconds.",
			      true },
};

#define WORD(field) offsetof(struct agent_figures, field)

static const struct {
	size_t at;
	const char *key, *help;
	bool gauge;
} agent_words[] = {
	{ WORD(limit_blocks), "limit_blocks", "Blocks it may hold.", true },
	{ WORD(present_blocks), "present_blocks", "Blocks it holds.", true },
	{ WORD(filling_blocks), "filling_blocks", "Blocks being read.", true },
	{ WORD(links), "links", "Workers that are connected.", true },
	{ WORD(asked_blocks), "asked_blocks", "Blocks it was asked for.",
	  false },
	{ WORD(joined_blocks), "joined_blocks",
	  "Of them, already being read for another request.", false },
	{ WORD(read_bytes), "read_bytes", "Bytes read from images.", false },
	{ WORD(ahead_blocks), "ahead_blocks", "Blocks read ahead.", false },
	{ WORD(evicted_blocks), "evicted_blocks", "Blocks given up.", false },
	{ WORD(leased_blocks), "leased_blocks",
	  "Blocks that were to go and were in use.", false },
	{ WORD(refused_blocks), "refused_blocks",
	  "Blocks there was no room for.", false },
	{ WORD(replica_blocks), "replica_blocks",
	  "Of the blocks it holds, copied from other nodes.", true },
	{ WORD(replicated_blocks), "replicated_blocks",
	  "Blocks copied from other nodes.", false },
	{ WORD(failed_reads), "failed_reads", "Reads that failed.", false },
	{ WORD(requests), "requests", "Requests taken.", false },
	{ WORD(answers_lost), "answers_lost",
	  "Answers not sent: the channel was full.", false },
	{ WORD(links_lost), "links_lost", "Workers that broke the protocol.",
	  false },
};

static uint64_t agent_word(const struct agent_figures *f, unsigned i)
{
	const _Atomic(uint64_t) *at =
		(const void *)((const char *)f + agent_words[i].at);

	return min_u64(atomic_load_explicit(at, memory_order_relaxed),
		       FIGURES_MAX);
}

json_t *cache_json(const struct guest *g, json_t *stats)
{
	json_t *o = json_object();

	for (unsigned i = 0; i < FIGURES_NR_CACHE; i++)
		(void)json_object_set_new(
			o, vm_words[i].key,
			json_integer((json_int_t)g->figures.last.cache[i]));
	(void)json_object_set_new(stats, "cache", o);
	return stats;
}

json_t *agent_cache_json(const struct caches *c, nodeid_t node)
{
	const struct agent_figures *f = caches_figures(c, node);
	json_t *o = f ? json_object() : json_null();

	for (unsigned i = 0; f && i < ARRAY_SIZE(agent_words); i++)
		(void)json_object_set_new(
			o, agent_words[i].key,
			json_integer((json_int_t)agent_word(f, i)));
	return o;
}

static void print_head(const char *what, const char *key, const char *help,
		       bool gauge, FILE *out)
{
	const char *end = gauge ? "" : "_total";

	(void)fprintf(out,
		      "# HELP disco_%s_cache_%s%s %s\n"
		      "# TYPE disco_%s_cache_%s%s %s\n",
		      what, key, end, help, what, key, end,
		      gauge ? "gauge" : "counter");
}

static void vm_metric(const struct monitor *m, unsigned i, FILE *out)
{
	print_head("vm", vm_words[i].key, vm_words[i].help, vm_words[i].gauge,
		   out);
	for (const struct guest *g = m->guests; g; g = g->next)
		if (!g->ended && g->figures.known)
			(void)fprintf(out,
				      "disco_vm_cache_%s%s{vm=\"%s\","
				      "node=\"%d\"} %" PRIu64 "\n",
				      vm_words[i].key,
				      vm_words[i].gauge ? "" : "_total",
				      g->record.name, g->record.node,
				      g->figures.last.cache[i]);
}

static void agent_metric(const struct monitor *m, unsigned i, FILE *out)
{
	print_head("agent", agent_words[i].key, agent_words[i].help,
		   agent_words[i].gauge, out);
	for (unsigned k = 0; k < m->agents.nr; k++) {
		nodeid_t node = m->agents.list[k].node;
		const struct agent_figures *f = caches_figures(m->caches, node);

		if (f)
			(void)fprintf(out,
				      "disco_agent_cache_%s%s{node=\"%d\"} "
				      "%" PRIu64 "\n",
				      agent_words[i].key,
				      agent_words[i].gauge ? "" : "_total",
				      node, agent_word(f, i));
	}
}

void cache_metrics(const struct monitor *m, FILE *out)
{
	for (unsigned i = 0; i < FIGURES_NR_CACHE; i++)
		vm_metric(m, i, out);
	for (unsigned i = 0; i < ARRAY_SIZE(agent_words); i++)
		agent_metric(m, i, out);
}
