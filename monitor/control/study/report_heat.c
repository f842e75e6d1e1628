/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Heat maps. Levels are of equal ratios between the emptiest tenth of the cells
 * and the fullest cell: with equal differences, one hot page would leave all
 * others in the faintest level.
 */
#include <math.h>

#include "monitor/control/study/report.h"

#define LEVELS 8u
/* Colours of nodes; the next one is of pages that several nodes share. */
#define REPORT_NODES 6u
#define SEVERAL	     6u
#define LEFT	     52.0
#define TOP	     6.0
#define WIDTH	     440.0
#define HEIGHT	     270.0
#define RIGHT	     8.0
#define BOTTOM	     40.0

#define CELL_WIDTH  ((WIDTH - LEFT - RIGHT) / HEAT_COLUMNS)
#define CELL_HEIGHT ((HEIGHT - TOP - BOTTOM) / HEAT_ROWS)

static unsigned heat_level(const struct heat *h, uint64_t weight)
{
	double ratio = (double)h->most / h->floor;
	double v = (double)weight / h->floor;

	if (v <= 1 || ratio <= 1)
		return 0;
	return (unsigned)min_u64((uint64_t)(log(v) / log(ratio) * LEVELS),
				 LEVELS - 1);
}

static void heat_axes(FILE *out, const struct heat *h)
{
	double seconds = (double)(h->last_ns - h->first_ns) / 1e9;
	double mib = (double)h->pages * PAGE_BYTES / (double)MIB(1);
	char buf[16];

	report_time_axis(out, LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM, seconds);
	for (unsigned i = 0; i <= 4; i++) {
		double y = TOP + (HEIGHT - TOP - BOTTOM) * i / 4;

		(void)fprintf(out,
			      "<text x=\"%.0f\" y=\"%.0f\" class=\"t\" "
			      "text-anchor=\"end\">%s</text>",
			      LEFT - 5, y + (i == 0 ? 10 : 4),
			      report_number(mib * i / 4, buf));
	}
	(void)fprintf(out,
		      "<text x=\"12\" y=\"%.0f\" class=\"t\" "
		      "text-anchor=\"middle\" transform=\"rotate(-90 12 "
		      "%.0f)\">touched pages, MiB</text>",
		      TOP + (HEIGHT - TOP - BOTTOM) / 2,
		      TOP + (HEIGHT - TOP - BOTTOM) / 2);
}

static void heat_begin(FILE *out, const char *caption, const char *more,
		       const char *label)
{
	(void)fprintf(out,
		      "<figure><figcaption>%s<span>%s</span></figcaption>"
		      "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" "
		      "aria-label=\"%s\">\n",
		      caption, more, WIDTH, HEIGHT, label);
}

/* All cells for which @is says @value, as one path of runs. */
static void
heat_path(FILE *out, const struct heat *h, const char *class, unsigned value,
	  unsigned (*is)(const struct heat *h, uint32_t y, uint32_t x))
{
	bool any = false;

	for (uint32_t y = 0; y < HEAT_ROWS; y++)
		for (uint32_t x = 0; x < HEAT_COLUMNS;) {
			uint32_t end = x;

			while (end < HEAT_COLUMNS && is(h, y, end) == value)
				end++;
			if (end == x) {
				x++;
				continue;
			}
			if (!any)
				(void)fprintf(out, "<path class=\"%s%u\" d=\"",
					      class, value);
			any = true;
			/* A little wider: no seams between cells. */
			(void)fprintf(
				out, "M%.1f %.1fh%.1fv%.1fh-%.1fz",
				LEFT + x * CELL_WIDTH, TOP + y * CELL_HEIGHT,
				(end - x) * CELL_WIDTH + 0.2, CELL_HEIGHT + 0.2,
				(end - x) * CELL_WIDTH + 0.2);
			x = end;
		}
	if (any)
		(void)fputs("\"/>\n", out);
}

static unsigned heat_level_at(const struct heat *h, uint32_t y, uint32_t x)
{
	return h->cells[y][x] ? heat_level(h, h->cells[y][x]) : LEVELS;
}

static unsigned heat_node_at(const struct heat *h, uint32_t y, uint32_t x)
{
	if (h->nodes[y][x] == HEAT_NO_NODE)
		return LEVELS;
	return h->nodes[y][x] == HEAT_SEVERAL ? SEVERAL
					      : h->nodes[y][x] % REPORT_NODES;
}

void report_heat(FILE *out, const struct heat *h)
{
	/* Accesses per page and second of a cell with weight 1. */
	double unit = 1e9 / (h->column_ns * h->row_pages);
	double ratio = (double)max_u64(h->most, 1) / h->floor;
	char from[16], to[16], more[160], cell[2][16];

	(void)snprintf(more, sizeof(more),
		       "Accesses per page and second, by colour. One cell is "
		       "%s pages by %s ms; steps are of equal ratio.",
		       report_number(h->row_pages, cell[0]),
		       report_number(h->column_ns / 1e6, cell[1]));
	heat_begin(out, "Which pages are accessed, and when", more,
		   "Heat map of accesses by page and time");
	for (unsigned i = 0; i < LEVELS; i++)
		heat_path(out, h, "h", i, heat_level_at);
	heat_axes(out, h);
	(void)fputs("</svg><div class=\"k\"><span><i></i>none</span>", out);
	for (unsigned i = 0; i < LEVELS; i++)
		(void)fprintf(out, "<span><i class=\"h%u\"></i>%s to %s</span>",
			      i,
			      i ? report_number(unit * h->floor *
							pow(ratio,
							    (double)i / LEVELS),
						from)
				: "0",
			      report_number(unit * h->floor *
						    pow(ratio, (double)(i + 1) /
								       LEVELS),
					    to));
	(void)fputs("<span>accesses / page / s</span></div></figure>\n", out);
}

void report_owners(FILE *out, const struct heat *h, uint32_t nr_nodes)
{
	heat_begin(out, "Which node accesses them most",
		   "By colour: the node that makes more than half of the "
		   "accesses in a cell.",
		   "Map of the node that accesses pages most, by time");
	for (unsigned i = 0; i <= SEVERAL; i++)
		heat_path(out, h, "c", i, heat_node_at);
	heat_axes(out, h);
	(void)fputs("</svg><div class=\"k\"><span><i></i>none, or "
		    "unknown</span>",
		    out);
	for (uint32_t i = 0; i < nr_nodes && i < REPORT_NODES; i++)
		(void)fprintf(
			out, "<span><i class=\"c%u\"></i>node %u%s</span>", i,
			i,
			nr_nodes > REPORT_NODES ? " and every 6th after it"
						: "");
	(void)fprintf(out,
		      "<span><i class=\"c%u\"></i>several</span></div>"
		      "</figure>\n",
		      SEVERAL);
}
