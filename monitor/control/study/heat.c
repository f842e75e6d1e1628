/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/study/heat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/control/study/trace_commands.h"

/* Pages that were touched, numbered without gaps, VM after VM. */
struct heat_pages {
	uint32_t *rank[TRACE_MAX_VMS]; /* first: whether; then the number */
	uint32_t (*weights)[HEAT_ROWS][HEAT_COLUMNS]; /* [nodes] */
	uint32_t nr_nodes;
};

static int heat_create_pages(const struct trace_info *i, struct heat_pages *p)
{
	p->nr_nodes = i->nr_nodes;
	p->weights = calloc(i->nr_nodes, sizeof(*p->weights));
	if (!p->weights)
		return -ENOMEM;
	for (uint32_t v = 0; v < i->nr_vms; v++) {
		p->rank[v] = calloc(i->vms[v].pages, sizeof(uint32_t));
		if (!p->rank[v])
			return -ENOMEM;
	}
	return 0;
}

static void heat_destroy_pages(struct heat_pages *p)
{
	for (uint32_t v = 0; v < TRACE_MAX_VMS; v++)
		free(p->rank[v]);
	free(p->weights);
}

static int heat_read_extent(struct trace_reader *r, struct heat *h,
			    struct heat_pages *p, struct diag *d)
{
	const struct trace_info *info = trace_info(r);
	struct trace_chunk c;
	uint32_t nr = 0;
	int got;

	while ((got = trace_next(r, &c, d)) > 0) {
		for (uint32_t i = 0; i < c.nr; i++)
			p->rank[c.records[i].vm][c.records[i].page] = 1;
		if (c.nr && !c.first)
			h->first_ns = c.records[0].time_ns;
		if (c.nr)
			h->last_ns = c.records[c.nr - 1].time_ns;
	}
	for (uint32_t v = 0; got == 0 && v < info->nr_vms; v++)
		for (uint64_t i = 0; p->rank[v] && i < info->vms[v].pages; i++)
			if (p->rank[v][i])
				p->rank[v][i] = nr++;
	h->pages = nr;
	h->row_pages = (double)max_u64(nr, 1) / HEAT_ROWS;
	h->column_ns = (double)(h->last_ns - h->first_ns + 1) / HEAT_COLUMNS;
	return got;
}

static void heat_add(struct heat *h, struct heat_pages *p,
		     const struct access_record *r)
{
	uint32_t rank = p->rank[r->vm][r->page];
	uint32_t row = (uint32_t)min_u64((uint64_t)(rank / h->row_pages),
					 HEAT_ROWS - 1);
	uint32_t column = (uint32_t)min_u64(
		(uint64_t)((double)(r->time_ns - h->first_ns) / h->column_ns),
		HEAT_COLUMNS - 1);

	h->cells[row][column] += r->weight;
	if (r->node < p->nr_nodes)
		p->weights[r->node][row][column] += r->weight;
}

static int heat_by_weight(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void heat_finish(struct heat *h, const struct heat_pages *p)
{
	static uint64_t sorted[HEAT_ROWS * HEAT_COLUMNS];
	size_t nr = 0, tenth;

	for (uint32_t y = 0; y < HEAT_ROWS; y++)
		for (uint32_t x = 0; x < HEAT_COLUMNS; x++) {
			uint32_t best = 0;

			h->nodes[y][x] = HEAT_NO_NODE;
			for (uint32_t n = 0; n < p->nr_nodes; n++)
				if (p->weights[n][y][x] > best) {
					best = p->weights[n][y][x];
					h->nodes[y][x] = (uint8_t)n;
				}
			/* None has more than half of them. */
			if (best && 2ull * best <= h->cells[y][x])
				h->nodes[y][x] = HEAT_SEVERAL;
			if (h->cells[y][x])
				sorted[nr++] = h->cells[y][x];
		}
	qsort(sorted, nr, sizeof(sorted[0]), heat_by_weight);
	h->most = nr ? sorted[nr - 1] : 0;
	tenth = nr / 10;
	h->floor = nr ? (double)sorted[tenth] : 1;
}

int heat_make(const char *path, struct heat *out, struct diag *d)
{
	struct heat_pages p = { .nr_nodes = 0 };
	struct trace_reader *r = NULL;
	struct trace_chunk c;
	int err = trace_open_path(path, &r, d);

	memset(out, 0, sizeof(*out));
	if (!err && heat_create_pages(trace_info(r), &p))
		err = diag_fail(d, ST_HOST, ENOMEM, "%s: out of memory", path);
	if (!err)
		err = heat_read_extent(r, out, &p, d);
	if (!err) {
		trace_rewind(r);
		while ((err = trace_next(r, &c, d)) > 0)
			for (uint32_t i = 0; i < c.nr; i++)
				heat_add(out, &p, &c.records[i]);
	}
	if (!err)
		heat_finish(out, &p);
	heat_destroy_pages(&p);
	trace_close(r);
	return err;
}
